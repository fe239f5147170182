// The desk where this host's own users get addresses: answers allocate, commit, release and expose, and keeps those waiting
// that cannot be answered yet. Owns the book, the exposed addresses and the waiting line; asks pools and, through its
// host, other peers.
import { contains, formatCidr, networkOf, parseCidr } from "../address/cidr.ts";
import type { Subnet } from "../address/universe.ts";
import { isBefore } from "../boot-moment.ts";
import type { Entry, OriginMap } from "../crdt/origin-map.ts";
import { type Effect, event, type Instant, persist, reply } from "../effects.ts";
import type { Pool } from "../ipam/pool.ts";
import type { FormerAddress } from "../ipam/reclaim.ts";
import type { OwnedRange } from "../ipam/ring.ts";
import {
  type AllocationRecord,
  allocationOp,
  doubtfulOp,
  type Exposure,
  exposedOp,
  freedOp,
  releaseOp,
  reusedOp,
  type StoredState,
  trustedOp,
} from "../records.ts";
import { type Reply, type Request, refusal } from "../requests.ts";
import type { StoreOp } from "../store-op.ts";
import type { Readiness } from "./attachment.ts";
import { Book, holderOf, toAttachment } from "./book.ts";
import { BRIDGE_LABEL, bridgeSlot, isBridgeSlot, MAX_ADDRESSES, parseEndpoint } from "./endpoint.ts";
import { Holders, type HoldersHost } from "./holders.ts";
import { changesHost, gatewaysOf } from "./publish.ts";

/** An allocation waits this long for a ring to appear before it is refused; a joining host's first ADD comes early. */
export const RING_PATIENCE_MS = 4_000;
/** And this long for donors, each of which has ASK_TIMEOUT_MS. Below the 10 s the CNI forwarder gives an ADD. */
export const ASK_PATIENCE_MS = 8_000;

/** A refusal for want of space is told in `status` this long: others may have freed addresses without our knowing. */
export const FULL_SHOWN_MS = 300_000;

/** Who holds the bridge's own addresses, in messages and in the pools. */
const EXPOSE = "weave:expose";

/** What the desk needs of the node around it. */
export interface DeskHost extends HoldersHost {
  /** Own entries of the endpoints channel. */
  readonly endpoints: OriginMap;
  readonly bridgeMac: string;
  spread(entries: readonly Entry[], now: Instant, out: Effect[]): void;
  ringChanged(universe: number, fresh: readonly OwnedRange[], now: Instant, out: Effect[]): void;
  reachable(): ReadonlySet<string>;
  /** Send a peer the request for space; false when there is no way to it. */
  ask(
    donor: string,
    body: { k: "ask"; universe: number; start: number; end: number; id: number; young?: boolean },
    out: Effect[],
  ): boolean;
  whyNoRing(): { message: string; hint: string };
  /** This host goes: it gives out nothing any more, and asks for nothing. */
  isLeaving(): boolean;
  /** A container that kept an address from before this host began anew is gone. */
  formerGone(universe: number, offset: number): void;
}

/** The requests that concern addresses. */
export type DeskRequest = Extract<Request, { kind: "allocate" | "expose" | "commit" | "release" }>;

type Waiting = Extract<Request, { kind: "allocate" | "expose" }>;

/** An address reserved during one attempt, given back if the attempt fails as a whole. */
interface Taken {
  readonly pool: Pool;
  readonly offset: number;
  readonly address: string;
  readonly cidr: string;
}

export class Desk {
  readonly #pools: readonly Pool[];
  readonly #defaultSubnets: readonly string[];
  readonly #host: DeskHost;
  readonly #book = new Book();
  readonly #holders: Holders;
  #exposed: readonly Exposure[];
  /** Of holders with several former addresses: those that are back. */
  readonly #regained = new Map<string, Set<string>>();
  /** Allocations were refused for want of any free address: since when, and when the last was. */
  #full: { readonly since: Instant; readonly last: Instant } | undefined;
  #line: { readonly id: number; readonly request: Waiting; readonly since: Instant }[] = [];

  constructor(
    pools: readonly Pool[],
    defaultSubnets: readonly string[],
    stored: StoredState,
    host: DeskHost,
  ) {
    this.#pools = pools;
    this.#defaultSubnets = defaultSubnets;
    this.#host = host;
    this.#holders = new Holders(this.#book, host);
    this.#exposed = stored.exposed;
    for (const { address, at } of stored.freed) {
      const place = this.#locate(address);
      place?.pool.space.free(place.offset, at);
    }
    for (const address of stored.doubtful) {
      const place = this.#locate(address);
      place?.pool.space.doubt(place.offset);
    }
    this.#book.restore(stored.allocations);
    for (const record of stored.allocations) {
      this.#hold(record.addresses, holderOf(record));
      this.#hold(record.gateways ?? [], EXPOSE);
    }
    this.#hold(
      stored.exposed.map((e) => e.cidr),
      EXPOSE,
    );
  }

  get book(): Book {
    return this.#book;
  }

  /** What the bridge has: exposed by somebody, or the gateway of a container whose addresses another plugin chose. */
  get exposed(): readonly Exposure[] {
    const own = new Set(this.#exposed.map(({ cidr }) => cidr));
    const gateways = gatewaysOf(this.#book.all()).filter((cidr) => !own.has(cidr));
    return [...this.#exposed, ...gateways.map((cidr) => ({ cidr, masquerade: false }))];
  }

  /**
   * Others still hold endpoints of ours that the book does not know: the disk was lost, the containers may live on. Their
   * addresses count as just freed, so that they are the last to be handed out again.
   */
  mind(own: readonly Entry[], now: Instant, out: Effect[]): void {
    const slots = new Set([...this.#book.all()].map((record) => record.slot));
    for (const { key, value } of own) {
      if (isBridgeSlot(key) || slots.has(key)) continue;
      for (const address of parseEndpoint(value)?.addresses ?? []) {
        const place = this.#locate(address);
        if (place === undefined || place.pool.space.holderOf(place.offset) !== undefined) continue;
        place.pool.space.free(place.offset, now);
        out.push(persist([freedOp(place.address, now)], false));
      }
    }
  }

  /** Addresses that may still be in use at a removed peer: handed out last. */
  doubt(addresses: readonly string[], out: Effect[]): void {
    for (const text of addresses) {
      const place = this.#locate(text);
      if (place === undefined) continue;
      place.pool.space.doubt(place.offset);
      out.push(persist([doubtfulOp(place.address)], false));
    }
  }

  /** Take a request in. Commit and release are answered at once, the others by `serve`. */
  request(id: number, request: DeskRequest, now: Instant, out: Effect[]): void {
    switch (request.kind) {
      case "allocate":
      case "expose":
        this.#line.push({ id, request, since: now });
        break;
      case "commit":
        out.push(reply(id, this.#commit(request, now, out)));
        break;
      case "release":
        out.push(reply(id, this.#release(request, now, out)));
        break;
    }
  }

  /** The caller went away. One that was served a moment ago has its answer on the way, and must undo it itself. */
  cancel(id: number, out: Effect[]): void {
    if (!this.#line.some((waiting) => waiting.id === id)) return;
    this.#line = this.#line.filter((waiting) => waiting.id !== id);
    out.push(reply(id, refusal("cancelled", "the caller went away")));
  }

  /** Try everybody in line again, in order. Called after every input: any of them may have changed the answer. */
  serve(now: Instant, out: Effect[]): void {
    this.#line = this.#line.filter(({ id, request, since }) => {
      const answer = this.#attempt(request, now - since >= this.#patience(), now, out);
      if (answer !== undefined) out.push(reply(id, answer));
      return answer === undefined;
    });
  }

  nextDeadline(): Instant | undefined {
    return this.#line.length === 0
      ? undefined
      : Math.min(...this.#line.map((w) => w.since)) + this.#patience();
  }

  /**
   * A peer without any space asks for some before its first container needs it; one that has some asks for fragments now and
   * then, so that the ring stays simple.
   */
  stockUp(now: Instant, out: Effect[]): void {
    if (this.#host.isLeaving()) return;
    this.#pools.forEach((pool, universe) => {
      if (pool.ring === undefined) return;
      if (pool.owned.length === 0) {
        this.#ask(pool, universe, this.#subnet(pool, universe), false, now, out);
        return;
      }
      const fragment = pool.nextFragment(this.#host.reachable(), now);
      if (fragment === undefined) return;
      const { donor, range, id } = fragment;
      if (!this.#host.ask(donor, { k: "ask", universe, ...range, id }, out)) pool.answered(id, false, now);
    });
  }

  /** Addresses in use here from before this host began anew, which it has no right to yet. */
  formers(): readonly FormerAddress[] {
    const held = [
      ...[...this.#book.all()].flatMap((record) =>
        record.former === true ? record.addresses.map((cidr) => ({ cidr, holder: holderOf(record) })) : [],
      ),
      ...this.#exposed.flatMap(({ cidr, former }) => (former === true ? [{ cidr, holder: EXPOSE }] : [])),
    ];
    return held.flatMap(({ cidr, holder }) => {
      const place = this.#locate(cidr);
      if (place === undefined) return [];
      return [{ universe: place.index, offset: place.offset, address: place.address, holder }];
    });
  }

  /** Such an address is ours by right again. What has all of its addresses back is announced. */
  regained({ address, holder }: FormerAddress, now: Instant, out: Effect[]): void {
    if (holder === EXPOSE) {
      this.#exposed = this.#exposed.map(({ former, ...exposure }) =>
        former === true && withoutPrefix(exposure.cidr) !== address ? { ...exposure, former } : exposure,
      );
      out.push(persist([exposedOp(this.#exposed)], true));
      this.#publishBridge(now, out);
      return;
    }
    const record = [...this.#book.all()].find((one) => holderOf(one) === holder);
    if (record === undefined) return;
    const back = (this.#regained.get(holder) ?? new Set<string>()).add(address);
    this.#regained.set(holder, back);
    if (!record.addresses.every((cidr) => back.has(withoutPrefix(cidr)) || this.#locate(cidr) === undefined))
      return;
    this.#regained.delete(holder);
    const rightful = this.#book.regain(record);
    out.push(persist([allocationOp(rightful)], true));
    this.#publish(rightful, now, out);
  }

  /**
   * At start: what is published is made to follow from the book, whatever a crash left half done between the two.
   */
  republish(now: Instant, out: Effect[]): void {
    const { endpoints } = this.#host;
    const slots = new Set([...this.#book.all()].map((record) => record.slot));
    for (const { key } of endpoints.ownLive()) {
      if (isBridgeSlot(key) || slots.has(key)) continue;
      const entry = endpoints.remove(key);
      this.#host.spread(entry === undefined ? [] : [entry], now, out);
    }
    for (const record of this.#book.all()) this.#publish(record, now, out);
    this.#publishBridge(now, out);
  }

  #publish(record: AllocationRecord, now: Instant, out: Effect[]): void {
    // ADD is not done, the address went to another plugin, or it may be another host's by now.
    if (record.mac === undefined || record.former === true) return;
    const addresses = record.addresses.map(withoutPrefix);
    const value = { addresses, mac: record.mac, label: record.containerId.slice(0, 12) };
    const entry = this.#host.endpoints.put(record.slot, value);
    this.#host.spread(entry === undefined ? [] : [entry], now, out);
  }

  /** The bridge's addresses are an endpoint like any other, or several when there are many. */
  #publishBridge(now: Instant, out: Effect[]): void {
    const { endpoints, bridgeMac } = this.#host;
    const addresses = this.#exposed.flatMap(({ cidr, former }) =>
      former === true ? [] : [withoutPrefix(cidr)],
    );
    const slots = [...endpoints.ownLive()].map(({ key }) => key).filter(isBridgeSlot);
    const entries: (Entry | undefined)[] = [];
    for (let i = 0; i * MAX_ADDRESSES < addresses.length; i++) {
      const some = addresses.slice(i * MAX_ADDRESSES, (i + 1) * MAX_ADDRESSES);
      entries.push(endpoints.put(bridgeSlot(i), { addresses: some, mac: bridgeMac, label: BRIDGE_LABEL }));
    }
    const used = new Set(entries.map((_, i) => bridgeSlot(i)));
    for (const slot of slots) if (!used.has(slot)) entries.push(endpoints.remove(slot));
    this.#host.spread(
      entries.filter((entry) => entry !== undefined),
      now,
      out,
    );
  }

  /** Exposed addresses (with prefix) inside a subnet; absent: the default one. */
  exposedIn(wish: string | undefined): readonly string[] {
    return this.#exposed
      .map((e) => e.cidr)
      .filter((cidr) => {
        const place = this.#locate(cidr);
        if (place === undefined) return false;
        const { pool, index, offset } = place;
        const subnet = wish === undefined ? this.#subnet(pool, index) : pool.universe.subnet(wish);
        return subnet !== undefined && inRange(offset, subnet.range);
      });
  }

  /** Whether the bridge has an address in a subnet (absent: in the default one of every range). */
  isExposed(wish: string | undefined): boolean {
    const there = this.exposedIn(wish);
    if (there.length === 0) return false;
    return this.#pools.every((pool, index) => {
      const subnet = wish === undefined ? this.#subnet(pool, index) : pool.universe.subnet(wish);
      if (subnet === undefined) return true;
      return there.some((cidr) => pool.universe.offsetOf(withoutPrefix(cidr)) !== undefined);
    });
  }

  /** Whether an ADD that wants an address of `wish` (absent: of the default subnets) would be served. */
  readiness(wish: string | undefined): Readiness {
    const not = (message: string, hint: string): Readiness => ({
      ready: false,
      degraded: false,
      message,
      hint,
    });
    if (this.#pools.some((pool) => pool.ring === undefined)) {
      const { message, hint } = this.#host.whyNoRing();
      return not(message, hint);
    }
    if (wish !== undefined && !this.#isPart(wish))
      return not(
        `ipam.subnet ${wish} is not a subnet of the range`,
        "choose one inside it: weave status ipam",
      );
    for (const [index, pool] of this.#pools.entries()) {
      const subnet = wish === undefined ? this.#subnet(pool, index) : pool.universe.subnet(wish);
      if (subnet === undefined || pool.hasFreeIn(subnet, this.#host.reachable())) continue;
      const what = `every address of ${formatCidr(subnet.cidr)} this host owns is in use`;
      return not(`${what}, and no reachable peer owns any other`, "run: weave status ipam");
    }
    return { ready: true };
  }

  /** Since when this host has no address to give; forgotten when nobody asked for one for a while. */
  fullSince(now: Instant): Instant | undefined {
    return this.#full !== undefined && now - this.#full.last < FULL_SHOWN_MS ? this.#full.since : undefined;
  }

  /** No free address of our own in some default subnet. */
  isFull(): boolean {
    return this.#pools.some((pool, index) => {
      const capacity = pool.capacityIn(this.#subnet(pool, index));
      return pool.ring !== undefined && capacity <= pool.space.usedIn(pool.owned);
    });
  }

  // --- allocate and expose ---

  /** The answer, or undefined while there is still hope. */
  #attempt(request: Waiting, expired: boolean, now: Instant, out: Effect[]): Reply | undefined {
    if (this.#host.isLeaving())
      return refusal(
        "no-ring",
        "this host is leaving the cluster (weave reset)",
        "launch it again: weave launch",
      );
    if (request.kind === "allocate" && this.#book.find(request.key) !== undefined) {
      const message = `${holderOf(request.key)} already has an address here`;
      return refusal("ifname-exists", message, "delete it first (CNI DEL), or use another interface name");
    }
    const port = request.kind === "allocate" ? this.#holders.ofPort(request.terms.ports ?? []) : undefined;
    if (port !== undefined)
      return refusal("port-taken", port, "choose another port, or delete that container first");
    const manual = namedIn(request);
    if (request.kind === "allocate" && manual.length > MAX_ADDRESSES)
      return refusal("bad-address", `${manual.length} addresses for one interface: ${MAX_ADDRESSES} at most`);
    // An exposure that is asked for in general is one of each range; what is there already counts.
    const there = request.kind === "expose" && manual.length === 0 ? this.exposedIn(request.subnet) : [];
    if (request.kind === "expose" && manual.length === 0 && this.isExposed(request.subnet))
      return this.#setExposed(there, request.masquerade, now, out);
    const needsRing = manual.length === 0 || manual.some((text) => this.#locate(text) !== undefined);
    if (needsRing && this.#pools.some((pool) => pool.ring === undefined)) {
      const { message, hint } = this.#host.whyNoRing();
      return expired ? refusal("no-ring", message, hint) : undefined;
    }
    const taken: Taken[] = [];
    let outcome =
      manual.length > 0
        ? this.#claimAll(request, manual, holderName(request), taken, now, out)
        : this.#takeAll(request, there, taken, now, out);
    const gateways = request.kind === "allocate" ? this.#newGateways(request.terms.gateways ?? []) : [];
    if (outcome === "done") outcome = this.#claimAll(request, gateways, EXPOSE, taken, now, out);
    if (outcome !== "done") {
      for (const { pool, offset } of taken) pool.space.unhold(offset);
      if (outcome !== "wait") return outcome;
      return expired
        ? refusal("timeout", "no peer gave address space in time", "run: weave status ipam")
        : undefined;
    }
    for (const [index, pool] of this.#pools.entries()) this.#host.ringChanged(index, pool.seal(), now, out);
    const cidrs =
      manual.length > 0
        ? manual.map((text) => this.#withPrefix(text))
        : [...there, ...taken.map(({ cidr }) => cidr)];
    const reused = taken.flatMap(({ address }) => [reusedOp(address), trustedOp(address)]);
    if (request.kind === "expose") {
      out.push(persist(reused, false));
      return this.#setExposed(cidrs, request.masquerade, now, out);
    }
    const record = this.#book.add(request.key, cidrs, request.moment, request.terms);
    out.push(persist([...reused, allocationOp(record)], false));
    out.push(event("allocated", "debug", { holder: holderOf(record), addresses: cidrs.join() }));
    return { ok: true, attachment: toAttachment(record) };
  }

  /** One address of each universe, from the wished or default subnet; of those that `there` has one of, none. */
  #takeAll(
    request: Waiting,
    there: readonly string[],
    taken: Taken[],
    now: Instant,
    out: Effect[],
  ): "done" | "wait" | Reply {
    const { subnet: wish } = request;
    const holder = holderName(request);
    if (wish !== undefined && !this.#isPart(wish)) {
      const ranges = this.#pools.map((pool) => pool.universe.text).join();
      return refusal("bad-address", `${wish} is not a subnet of the range ${ranges}`, "choose one inside it");
    }
    let waiting = false;
    for (const [index, pool] of this.#pools.entries()) {
      const subnet = wish === undefined ? this.#subnet(pool, index) : pool.universe.subnet(wish);
      if (subnet === undefined) continue; // of another family
      if (there.some((cidr) => pool.universe.offsetOf(withoutPrefix(cidr)) !== undefined)) continue;
      const avoid = this.#avoided(request, pool);
      const offset = this.#takeOther(avoid, pool, () => this.#take(pool, index, subnet, holder, now, out));
      if (offset === "wait") {
        waiting = true;
        continue;
      }
      if (offset === undefined) {
        if (wish === undefined) this.#full = { since: this.#full?.since ?? now, last: now };
        return this.#exhausted(pool, subnet);
      }
      this.#full = undefined;
      const address = pool.universe.addressAt(offset);
      taken.push({ pool, offset, address, cidr: `${address}/${subnet.prefix}` });
    }
    return waiting ? "wait" : "done";
  }

  #avoided(request: Waiting, pool: Pool): readonly number[] {
    const avoid = request.kind === "allocate" ? (request.avoid ?? []) : [];
    return avoid.flatMap((address) => pool.universe.offsetOf(address) ?? []);
  }

  /** What `take` gives, but none of `avoid`: those are held meanwhile, so that it gives another. */
  #takeOther(
    avoid: readonly number[],
    pool: Pool,
    take: () => number | "wait" | undefined,
  ): number | "wait" | undefined {
    const set: number[] = [];
    let offset = take();
    while (typeof offset === "number" && avoid.includes(offset)) {
      set.push(offset);
      offset = take();
    }
    for (const one of set) pool.space.unhold(one);
    return offset;
  }

  /** Our own rested, then others' rested, then our own young, then others' young; an answer is waited for. */
  #take(
    pool: Pool,
    index: number,
    subnet: Subnet,
    holder: string,
    now: Instant,
    out: Effect[],
  ): number | "wait" | undefined {
    for (const evenIfYoung of [false, true]) {
      const offset = pool.take(subnet, holder, now, evenIfYoung);
      if (offset !== undefined) return offset;
      if (this.#ask(pool, index, subnet, evenIfYoung, now, out) === "asking") return "wait";
    }
    return undefined;
  }

  /** A wish must lie inside a range: a larger one would give a container the network address of others. */
  #isPart(wish: string): boolean {
    const cidr = parseCidr(wish);
    if (cidr === undefined || networkOf(cidr).value !== cidr.value) return false;
    return this.#pools.some(
      (pool, index) =>
        contains(pool.universe.network, cidr) || formatCidr(cidr) === this.#defaultSubnets[index],
    );
  }

  /** Exactly these addresses, or none. */
  #claimAll(
    request: Waiting,
    manual: readonly string[],
    holder: string,
    taken: Taken[],
    now: Instant,
    out: Effect[],
  ): "done" | "wait" | Reply {
    for (const text of manual) {
      const place = this.#locate(text);
      if (place === undefined) {
        if (request.kind === "allocate" && request.chosen === undefined)
          return refusal(
            "bad-address",
            `${text} is not an address inside the range`,
            "run: weave status ipam",
          );
        const gateway = request.kind === "allocate" && holder === EXPOSE;
        const inTheWay = request.kind === "expose" ? [] : this.exposed;
        const held = this.#holders.ofAddress(text, gateway ? "gateway" : inTheWay);
        if (held === undefined) continue;
        const message = `${withoutPrefix(text)} is held by ${held}`;
        return refusal("address-taken", message, "give each host a part of that subnet of its own");
      }
      const { pool, index, offset, address } = place;
      const subnet = this.#subnet(pool, index);
      const usable = offset >= subnet.usable.start && offset < subnet.usable.end;
      if (!usable && offset >= subnet.range.start && offset < subnet.range.end) {
        const message = `${address} is the network or broadcast address of ${formatCidr(subnet.cidr)}`;
        return refusal("bad-address", message, "choose another address");
      }
      const claim = pool.claim(offset, holder);
      if (claim === "already") continue;
      if (claim === "ok") taken.push({ pool, offset, address, cidr: this.#withPrefix(text) });
      else if ("takenBy" in claim) {
        const message = `${address} is held by ${claim.takenBy}`;
        return refusal("address-taken", message, "choose another address, or delete that container first");
      } else {
        const one = { start: offset, end: offset + 1 };
        const justThis = { ...subnet, range: one, usable: one };
        if (this.#ask(pool, index, justThis, true, now, out) === "asking") return "wait";
        const owner =
          claim.ownedBy === undefined ? "nobody this host knows" : this.#host.label(claim.ownedBy);
        const message = `${address} lies in a range owned by ${owner}, which did not give it`;
        return refusal("address-elsewhere", message, "choose another address; run: weave status ipam");
      }
    }
    return "done";
  }

  /** Those the bridge does not have yet. */
  #newGateways(gateways: readonly string[]): readonly string[] {
    if (gateways.length === 0) return [];
    const there = new Set(this.exposed.map(({ cidr }) => cidr));
    return gateways.filter((gateway) => !there.has(gateway));
  }

  #ask(
    pool: Pool,
    index: number,
    subnet: Subnet,
    evenIfYoung: boolean,
    now: Instant,
    out: Effect[],
  ): "asking" | "nobody" {
    for (;;) {
      const next = pool.nextDonor(subnet, evenIfYoung, this.#host.reachable(), now);
      if (next === "asking" || next === "nobody") return next;
      const { start, end } = subnet.range; // with the ends no host may have: whole aligned blocks travel
      const body = { k: "ask", universe: index, start, end, id: next.id } as const;
      if (this.#host.ask(next.donor, evenIfYoung ? { ...body, young: true } : body, out)) return "asking";
      pool.answered(next.id, false, now);
    }
  }

  #exhausted(pool: Pool, subnet: Subnet): Reply {
    const away = pool.unreachableOwners(subnet, this.#host.reachable()).map((name) => this.#host.label(name));
    const why =
      away.length === 0 ? "all are in use" : `the rest belong to unreachable peers: ${away.join(", ")}`;
    return refusal(
      "range-exhausted",
      `no free address in ${formatCidr(subnet.cidr)}: ${why}`,
      "run: weave status ipam",
    );
  }

  // --- commit, release, exposure ---

  #commit({ key, facts }: Extract<Request, { kind: "commit" }>, now: Instant, out: Effect[]): Reply {
    const held = this.#book.find(key);
    if (held === undefined) {
      return refusal(
        "unknown-attachment",
        `${holderOf(key)} holds no address here (it was deleted meanwhile)`,
      );
    }
    const twin = facts.link && this.#holders.ofMac(facts.link.mac, held);
    if (twin !== undefined) {
      const message = `the MAC ${facts.link?.mac} is in use by ${twin}`;
      return refusal("address-taken", message, "choose another, or let weave choose one");
    }
    const record = this.#book.commit(held, facts);
    out.push(persist([allocationOp(record)], false));
    this.#publish(record, now, out);
    return { ok: true, attachment: toAttachment(record), ...this.#hostChange(record, out) };
  }

  /** Asks for the kernel to follow, where bridge or firewall change; told to whoever must wait for it. */
  #hostChange(record: AllocationRecord, out: Effect[]): { readonly changesHost?: true } {
    if (!changesHost(record, this.#book.all())) return {};
    out.push({ type: "datapath" });
    return { changesHost: true };
  }

  #release({ key, before }: Extract<Request, { kind: "release" }>, now: Instant, out: Effect[]): Reply {
    const holder = holderOf(key);
    this.#line = this.#line.filter(({ id, request }) => {
      if (request.kind !== "allocate" || holderOf(request.key) !== holder) return true;
      out.push(reply(id, refusal("cancelled", `${holder} was deleted while its address was awaited`)));
      return false;
    });
    const record = this.#book.find(key);
    if (record === undefined) return { ok: true };
    if (before !== undefined && isBefore(before, record.moment)) return { ok: true };
    this.#book.remove(record);
    this.#full = undefined;
    const ops: StoreOp[] = [releaseOp(record)];
    const gone = this.#newGateways(record.gateways ?? []);
    for (const cidr of [...record.addresses, ...gone]) {
      const place = this.#locate(cidr);
      if (place === undefined) continue;
      place.pool.space.free(place.offset, now);
      ops.push(freedOp(place.address, now));
      if (record.former === true) this.#host.formerGone(place.index, place.offset);
    }
    out.push(persist(ops, false));
    const entry = this.#host.endpoints.remove(record.slot);
    this.#host.spread(entry === undefined ? [] : [entry], now, out); // adjacent persists are one batch
    const change = this.#hostChange(record, out);
    out.push(event("released", "debug", { holder, addresses: record.addresses.join() }));
    return { ok: true, attachment: toAttachment(record), ...change };
  }

  /** The named addresses are exposed from now on, besides those that were. */
  #setExposed(cidrs: readonly string[], masquerade: boolean, now: Instant, out: Effect[]): Reply {
    const others = this.#exposed.filter((e) => !cidrs.includes(e.cidr));
    this.#exposed = [...others, ...cidrs.map((cidr) => ({ cidr, masquerade }))];
    out.push(persist([exposedOp(this.#exposed)], false), { type: "datapath" });
    this.#publishBridge(now, out);
    out.push(event("exposed", "info", { addresses: cidrs.join(), masquerade }));
    return { ok: true, addresses: cidrs };
  }

  // --- where things lie ---

  #patience(): number {
    return this.#pools.some((pool) => pool.ring === undefined) ? RING_PATIENCE_MS : ASK_PATIENCE_MS;
  }

  #subnet(pool: Pool, index: number): Subnet {
    const subnet = pool.universe.subnet(this.#defaultSubnets[index] ?? pool.universe.text);
    if (subnet === undefined) throw new Error(`default subnet outside ${pool.universe.text}`);
    return subnet;
  }

  /** Where an address lies, prefix ignored. */
  #locate(text: string): { pool: Pool; index: number; offset: number; address: string } | undefined {
    for (const [index, pool] of this.#pools.entries()) {
      const offset = pool.universe.offsetOf(withoutPrefix(text));
      if (offset !== undefined) return { pool, index, offset, address: pool.universe.addressAt(offset) };
    }
    return undefined;
  }

  /** Canonical CIDR; an address without prefix gets its default subnet's. */
  #withPrefix(text: string): string {
    const cidr = parseCidr(text);
    if (cidr === undefined) throw new Error(`not an address: ${text}`);
    const place = text.includes("/") ? undefined : this.#locate(text);
    return formatCidr(
      place === undefined ? cidr : { ...cidr, prefix: this.#subnet(place.pool, place.index).prefix },
    );
  }

  #hold(cidrs: readonly string[], holder: string): void {
    for (const cidr of cidrs) {
      const place = this.#locate(cidr);
      place?.pool.space.hold(place.offset, holder);
    }
  }
}

/** The addresses a request names; empty: any will do. */
const namedIn = (request: Waiting): readonly string[] =>
  (request.kind === "allocate" ? request.chosen : undefined) ?? request.addresses ?? [];

const withoutPrefix = (cidr: string): string => cidr.split("/")[0] ?? cidr;
const holderName = (request: Waiting): string =>
  request.kind === "allocate" ? holderOf(request.key) : EXPOSE;
const inRange = (offset: number, { start, end }: { start: number; end: number }): boolean =>
  offset >= start && offset < end;
