// The desk where this host's own users get addresses: answers allocate, commit, release and expose, and keeps those waiting
// that cannot be answered yet. Owns the book and the waiting line; an attempt to get addresses is reservation.ts, what the
// bridge has is bridge.ts, what others are told is announcer.ts, and what was held before this host began anew formers.ts.
import { formatCidr } from "../address/cidr.ts";
import { isBefore } from "../boot-moment.ts";
import type { Entry } from "../crdt/origin-map.ts";
import { type Effect, event, type Instant, persist, reply } from "../effects.ts";
import type { Pool } from "../ipam/pool.ts";
import type { FormerAddress } from "../ipam/reclaim.ts";
import type { OwnedRange } from "../ipam/ring.ts";
import { clip } from "../ipam/space.ts";
import {
  type AllocationRecord,
  allocationOp,
  doubtfulOp,
  type Exposure,
  freedOp,
  releaseOp,
  reusedOp,
  type StoredState,
  trustedOp,
} from "../records.ts";
import { type Reply, type Request, refusal } from "../requests.ts";
import type { StoreOp } from "../store-op.ts";
import { Announcer, type AnnouncerHost } from "./announcer.ts";
import type { Readiness } from "./attachment.ts";
import { Book, holderOf, toAttachment } from "./book.ts";
import { Bridge, EXPOSE } from "./bridge.ts";
import { isBridgeSlot, MAX_ADDRESSES, parseEndpoint } from "./endpoint.ts";
import { Formers } from "./formers.ts";
import { Holders, type HoldersHost } from "./holders.ts";
import { Places, withoutPrefix } from "./places.ts";
import { changesHost } from "./publish.ts";
import {
  type AddressRequest,
  askForSpace,
  type Outcome,
  Reservation,
  type ReservationHost,
  type ReservationParts,
} from "./reservation.ts";

/**
 * An allocation waits this long for a ring to appear before it is refused; a joining host's first ADD comes early. So does that
 * of one that was restarted and has nothing left of its own: it waits as long for the connections to come back.
 */
export const RING_PATIENCE_MS = 4_000;
/** And this long for donors, each of which has ASK_TIMEOUT_MS. Below the 10 s the CNI forwarder gives an ADD. */
export const ASK_PATIENCE_MS = 8_000;

/**
 * When nobody has a free address: so long donors are asked again, each once a DENIAL_MS, for what is released meanwhile. Short
 * enough that a full range is told soon.
 */
export const FULL_PATIENCE_MS = 2_500;

/** A refusal for want of space is told in `status` this long: others may have freed addresses without our knowing. */
export const FULL_SHOWN_MS = 300_000;

/** What the desk needs of the node around it. */
export interface DeskHost extends HoldersHost, AnnouncerHost, ReservationHost {
  ringChanged(universe: number, fresh: readonly OwnedRange[], now: Instant, out: Effect[]): void;
  whyNoRing(): { message: string; hint: string };
  /** Just started: until then an owner that is not reachable may only not be connected yet. Undefined afterwards. */
  arrivingUntil(): Instant | undefined;
  /** A removal is decided, and all who are to answer about it can be reached: its ranges are free in a moment. */
  isTaking(): boolean;
  /** This host goes: it gives out nothing any more, and asks for nothing. */
  isLeaving(): boolean;
  /** A container is gone; the right to its address may have been asked for. */
  formerGone(universe: number, offset: number): void;
}

/** The requests that concern addresses. */
export type DeskRequest = Extract<Request, { kind: "allocate" | "expose" | "hide" | "commit" | "release" }>;

/**
 * Answers each request once: at once, when it can be met, or when it took too long. What a request changed is in `out`
 * before its reply.
 */
export class Desk {
  readonly #places: Places;
  readonly #host: DeskHost;
  readonly #book = new Book();
  readonly #bridge: Bridge;
  readonly #announcer: Announcer;
  readonly #formers: Formers;
  readonly #holders: Holders;
  readonly #parts: ReservationParts;
  /** Addresses of which the disk says that they are doubtful. */
  readonly #doubtful: Set<string>;
  /** Allocations were refused for want of any free address: since when, and when the last was. */
  #full: { readonly since: Instant; readonly last: Instant } | undefined;
  /** When the line was last looked at. */
  #servedAt: Instant = 0;
  #line: { readonly id: number; readonly request: AddressRequest; readonly since: Instant }[] = [];

  constructor(
    pools: readonly Pool[],
    defaultSubnets: readonly string[],
    stored: StoredState,
    host: DeskHost,
  ) {
    const places = new Places(pools, defaultSubnets);
    this.#places = places;
    this.#host = host;
    this.#holders = new Holders(this.#book, host);
    for (const { address, at } of stored.freed) {
      const place = places.locate(address);
      place?.pool.space.free(place.offset, at);
    }
    this.#doubtful = new Set(stored.doubtful);
    for (const address of stored.doubtful) {
      const place = places.locate(address);
      place?.pool.space.doubt(place.offset);
    }
    this.#book.restore(stored.allocations);
    for (const record of stored.allocations) {
      places.hold(record.addresses, holderOf(record));
      places.hold(record.gateways ?? [], EXPOSE);
    }
    this.#bridge = new Bridge(places, this.#book, stored.exposed);
    this.#announcer = new Announcer(this.#book, this.#bridge, host);
    this.#formers = new Formers(places, this.#book, this.#bridge, this.#announcer);
    this.#parts = { places, bridge: this.#bridge, holders: this.#holders, host };
  }

  get book(): Book {
    return this.#book;
  }

  /** What the bridge has: exposed by somebody, or the gateway of a container whose addresses another plugin chose. */
  get exposed(): readonly Exposure[] {
    return this.#bridge.all;
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
        const place = this.#places.locate(address);
        if (place === undefined || place.pool.space.holderOf(place.offset) !== undefined) continue;
        place.pool.space.free(place.offset, now);
        out.push(persist([freedOp(place.address, now)], false));
      }
    }
  }

  /** Addresses that may still be in use at a removed peer: handed out last. */
  doubt(addresses: readonly string[], out: Effect[]): void {
    for (const text of addresses) {
      const place = this.#places.locate(text);
      if (place === undefined || place.pool.space.holderOf(place.offset) !== undefined) continue;
      place.pool.space.doubt(place.offset);
      this.#doubtful.add(place.address);
      out.push(persist([doubtfulOp(place.address)], false));
    }
  }

  /** Take a request in. Commit, release and hide are answered at once, the others by `serve`. */
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
      case "hide":
        out.push(reply(id, this.#hide(request.addresses, now, out)));
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
    this.#servedAt = now;
    this.#line = this.#line.filter(({ id, request, since }) => {
      const answer = this.#attempt(request, since, now, out);
      if (answer !== undefined) out.push(reply(id, answer));
      return answer === undefined;
    });
  }

  nextDeadline(): Instant | undefined {
    if (this.#line.length === 0) return undefined;
    const since = this.#line.map((waiting) => waiting.since);
    const expiry = Math.min(...since) + this.#patience();
    const fullAt = since.map((at) => at + FULL_PATIENCE_MS).filter((at) => at > this.#servedAt);
    return Math.min(
      expiry,
      this.#host.arrivingUntil() ?? expiry,
      ...this.#retries(this.#servedAt),
      ...fullAt,
    );
  }

  /**
   * A peer without any space asks for some before its first container needs it; one that has some asks for fragments now and
   * then, so that the ring stays simple.
   */
  stockUp(now: Instant, out: Effect[]): void {
    if (this.#host.isLeaving()) return;
    this.#places.pools.forEach((pool, universe) => {
      if (pool.ring === undefined) return;
      if (pool.owned.length === 0) {
        askForSpace(this.#host, pool, universe, this.#places.defaultSubnet(universe), false, now, out);
        return;
      }
      const fragment = pool.nextFragment(this.#host.reachable(), now);
      if (fragment === undefined) return;
      const { donor, range, id } = fragment;
      if (!this.#host.ask(donor, { k: "ask", universe, ...range, id }, out)) pool.answered(id, false, now);
    });
  }

  /** Addresses in use here that this host has no right to. */
  formers(): readonly FormerAddress[] {
    return this.#formers.all();
  }

  /** Such an address is another host's. */
  lost({ address, isBridge }: FormerAddress): void {
    if (isBridge) this.#bridge.lose(address);
  }

  /** Such an address is ours by right again. What has all of its addresses back is announced. */
  regained(former: FormerAddress, now: Instant, out: Effect[]): void {
    if (this.#doubtful.delete(former.address)) out.push(persist([trustedOp(former.address)], false));
    this.#formers.regained(former, now, out);
  }

  /** At start: others are told what the book says. */
  republish(now: Instant, out: Effect[]): void {
    this.#announcer.all(now, out);
  }

  /** Exposed addresses (with prefix) inside a subnet; absent: the default one. */
  exposedIn(wish: string | undefined): readonly string[] {
    return this.#bridge.exposedIn(wish);
  }

  /** Whether the bridge has an address in a subnet (absent: in the default one of every range). */
  isExposed(wish: string | undefined): boolean {
    return this.#bridge.isExposed(wish);
  }

  /** Whether an ADD that wants an address of `wish` (absent: of the default subnets) would be served. */
  readiness(wish: string | undefined): Readiness {
    const not = (message: string, hint: string): Readiness => ({
      ready: false,
      degraded: false,
      message,
      hint,
    });
    if (!this.#hasRings()) {
      const { message, hint } = this.#host.whyNoRing();
      return not(message, hint);
    }
    if (wish !== undefined && !this.#places.isPart(wish))
      return not(
        `ipam.subnet ${wish} is not a subnet of the range`,
        "choose one inside it: weave status ipam",
      );
    for (const [index, pool] of this.#places.pools.entries()) {
      const subnet = this.#places.subnet(wish, index);
      if (subnet === undefined || pool.hasFreeIn(subnet, this.#host.reachable())) continue;
      const what = `every address of ${formatCidr(subnet.cidr)} this host owns is in use`;
      return not(`${what}, and no reachable peer owns any other`, "run: weave status ipam");
    }
    return { ready: true };
  }

  /** Since when this host has no address to give; forgotten when nobody asked for one for a while. */
  fullSince(now: Instant): Instant | undefined {
    if (this.#full === undefined || now - this.#full.last >= FULL_SHOWN_MS) return undefined;
    return this.#hasRoom() ? undefined : this.#full.since;
  }

  /** This host owns a free address in every default subnet. */
  #hasRoom(): boolean {
    return this.#places.pools.every((pool, index) => {
      const { usable } = this.#places.defaultSubnet(index);
      return (
        pool.space.usedIn(clip(pool.owned, usable)) <
        clip(pool.owned, usable).reduce((sum, r) => sum + r.end - r.start, 0)
      );
    });
  }

  // --- allocate and expose ---

  /** The answer, or undefined while there is still hope. */
  #attempt(request: AddressRequest, since: Instant, now: Instant, out: Effect[]): Reply | undefined {
    const expired = now - since >= this.#patience();
    if (this.#host.isLeaving())
      return refusal(
        "no-ring",
        "this host is leaving the cluster (weave reset)",
        "launch it again: weave launch",
      );
    const before = request.kind === "allocate" ? this.#book.find(request.key) : undefined;
    // Asked again before anything came of it, the answer is the same.
    if (before?.committed === false) return { ok: true, attachment: toAttachment(before) };
    if (before !== undefined) {
      const message = `${holderOf(before)} already has an address here`;
      return refusal("ifname-exists", message, "delete it first (CNI DEL), or use another interface name");
    }
    const port = request.kind === "allocate" ? this.#holders.ofPort(request.terms.ports ?? []) : undefined;
    if (port !== undefined)
      return refusal("port-taken", port, "choose another port, or delete that container first");
    const manual = namedIn(request);
    if (request.kind === "allocate" && manual.length > MAX_ADDRESSES)
      return refusal("bad-address", `${manual.length} addresses for one interface: ${MAX_ADDRESSES} at most`);
    // An exposure that is asked for in general is one of each range; what is there already counts.
    const there =
      request.kind === "expose" && manual.length === 0 ? this.#bridge.exposedIn(request.subnet) : [];
    if (request.kind === "expose" && manual.length === 0 && this.#bridge.isExposed(request.subnet))
      return this.#setExposed(there, request.masquerade, now, out);
    const needsRing = manual.length === 0 || manual.some((text) => this.#places.locate(text) !== undefined);
    if (needsRing && !this.#hasRings()) {
      const { message, hint } = this.#host.whyNoRing();
      return expired ? refusal("no-ring", message, hint) : undefined;
    }
    const reservation = new Reservation(this.#parts, request, now, out);
    let outcome = manual.length > 0 ? reservation.claim(manual, false) : reservation.takeAny(there);
    if (isForWantOfPeers(outcome) && !expired && this.#mayChange(outcome, since, now)) outcome = "wait";
    else if (reservation.ranOut) this.#full = { since: this.#full?.since ?? now, last: now };
    else if (manual.length === 0 && reservation.addresses.length > 0) this.#full = undefined;
    const gateways = request.kind === "allocate" ? this.#bridge.lacking(request.terms.gateways ?? []) : [];
    if (outcome === "done") outcome = reservation.claim(gateways, true);
    if (outcome !== "done") {
      reservation.undo();
      if (outcome !== "wait") return outcome;
      return expired
        ? refusal("timeout", "no peer gave address space in time", "run: weave status ipam")
        : undefined;
    }
    for (const [index, pool] of this.#places.pools.entries())
      this.#host.ringChanged(index, pool.seal(), now, out);
    const cidrs =
      manual.length > 0
        ? manual.map((text) => this.#places.withPrefix(text))
        : [...there, ...reservation.cidrs];
    const reused = reservation.addresses.flatMap((address) => this.#inUse(address));
    if (request.kind === "expose") {
      out.push(persist(reused, false));
      return this.#setExposed(cidrs, request.masquerade, now, out);
    }
    const record = this.#book.add(request.key, cidrs, request.moment, request.terms);
    out.push(persist([...reused, allocationOp(record)], false));
    out.push(event("allocated", "debug", { holder: holderOf(record), addresses: cidrs.join() }));
    return { ok: true, attachment: toAttachment(record) };
  }

  /** Whether what is in the way may be gone in a moment. */
  #mayChange({ code }: Refused, since: Instant, now: Instant): boolean {
    if (this.#host.arrivingUntil() !== undefined || this.#host.isTaking()) return true;
    return code === "range-exhausted" && now - since < FULL_PATIENCE_MS && this.#retries(now).length > 0;
  }

  /** When donors that had nothing may be asked again. */
  #retries(now: Instant): readonly Instant[] {
    return this.#places.pools.flatMap((pool) => pool.retryAt(this.#host.reachable(), now) ?? []);
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
    this.#announcer.container(record, now, out);
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
    const gone = this.#bridge.lacking(record.gateways ?? []);
    for (const cidr of [...record.addresses, ...gone]) {
      const place = this.#places.locate(cidr);
      if (place === undefined) continue;
      place.pool.space.free(place.offset, now);
      ops.push(freedOp(place.address, now));
      this.#host.formerGone(place.index, place.offset);
    }
    out.push(persist(ops, false));
    this.#announcer.withdraw(record.slot, now, out); // adjacent persists are one batch
    const change = this.#hostChange(record, out);
    out.push(event("released", "debug", { holder, addresses: record.addresses.join() }));
    return { ok: true, attachment: toAttachment(record), ...change };
  }

  /** The named addresses are exposed from now on, besides those that were. */
  #setExposed(cidrs: readonly string[], masquerade: boolean, now: Instant, out: Effect[]): Reply {
    this.#bridge.expose(cidrs, masquerade, out);
    out.push({ type: "datapath" });
    this.#announcer.bridge(now, out);
    out.push(event("exposed", "info", { addresses: cidrs.join(), masquerade }));
    return { ok: true, addresses: cidrs };
  }

  /** These addresses are exposed no more. Nothing is allocated or asked for, so this needs no ring and no peer. */
  #hide(addresses: readonly string[], now: Instant, out: Effect[]): Reply {
    const hidden = this.#bridge.hide(addresses, out);
    if (hidden.length === 0) return { ok: true, addresses: hidden };
    const held = new Set(this.#bridge.all.map(({ cidr }) => withoutPrefix(cidr)));
    for (const cidr of hidden) {
      const place = this.#places.locate(cidr);
      // Still there as the gateway of a container whose addresses another plugin chose.
      if (place === undefined || held.has(withoutPrefix(cidr))) continue;
      place.pool.space.free(place.offset, now);
      out.push(persist([freedOp(place.address, now)], false));
      this.#host.formerGone(place.index, place.offset);
    }
    this.#full = undefined;
    out.push({ type: "datapath" });
    this.#announcer.bridge(now, out);
    out.push(event("hidden", "info", { addresses: hidden.join() }));
    return { ok: true, addresses: hidden };
  }

  /** Somebody has the address from now on: it neither rests nor is doubtful any more. */
  #inUse(address: string): readonly StoreOp[] {
    return this.#doubtful.delete(address) ? [reusedOp(address), trustedOp(address)] : [reusedOp(address)];
  }

  #hasRings(): boolean {
    return this.#places.pools.every((pool) => pool.ring !== undefined);
  }

  #patience(): number {
    return this.#hasRings() ? ASK_PATIENCE_MS : RING_PATIENCE_MS;
  }
}

type Refused = Extract<Reply, { ok: false }>;

/** Refused for what another owner might give. */
const isForWantOfPeers = (outcome: Outcome): outcome is Refused =>
  typeof outcome === "object" &&
  !outcome.ok &&
  (outcome.code === "range-exhausted" || outcome.code === "address-elsewhere");

/** The addresses a request names; empty: any will do. */
const namedIn = (request: AddressRequest): readonly string[] =>
  (request.kind === "allocate" ? request.chosen : undefined) ?? request.addresses ?? [];
