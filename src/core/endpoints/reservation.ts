// One attempt to reserve what a request wants: an address of each range, or exactly those it names. All or nothing: whoever
// gets anything but "done" undoes it. Asks other peers for space; an answer is waited for by the desk, which tries again.
import { formatCidr } from "../address/cidr.ts";
import type { Subnet } from "../address/universe.ts";
import type { Effect, Instant } from "../effects.ts";
import type { Pool } from "../ipam/pool.ts";
import { type Reply, type Request, refusal } from "../requests.ts";
import { holderOf } from "./book.ts";
import { type Bridge, EXPOSE } from "./bridge.ts";
import type { Holders } from "./holders.ts";
import { type Places, withoutPrefix } from "./places.ts";

/** A request that gets addresses. */
export type AddressRequest = Extract<Request, { kind: "allocate" | "expose" }>;

/** What a reservation needs of the node around it. */
export interface ReservationHost {
  reachable(): ReadonlySet<string>;
  /** Send a peer the request for space; false when there is no way to it. */
  ask(
    donor: string,
    body: { k: "ask"; universe: number; start: number; end: number; id: number; young?: boolean },
    out: Effect[],
  ): boolean;
  /** Name of a peer for people. */
  label(peer: string): string;
}

/** What every attempt works upon. */
export interface ReservationParts {
  readonly places: Places;
  readonly bridge: Bridge;
  readonly holders: Holders;
  readonly host: ReservationHost;
}

interface Reserved {
  readonly pool: Pool;
  readonly offset: number;
  readonly address: string;
  readonly cidr: string;
}

/** A refusal says what is in the way. */
export type Outcome = "done" | "wait" | Reply;

/** One attempt for one request. Made anew for each attempt, and undone unless it was "done". */
export class Reservation {
  readonly #parts: ReservationParts;
  readonly #request: AddressRequest;
  readonly #now: Instant;
  readonly #out: Effect[];
  readonly #reserved: Reserved[] = [];
  #ranOut = false;

  constructor(parts: ReservationParts, request: AddressRequest, now: Instant, out: Effect[]) {
    this.#parts = parts;
    this.#request = request;
    this.#now = now;
    this.#out = out;
  }

  /** Reserved so far, without prefix. */
  get addresses(): readonly string[] {
    return this.#reserved.map(({ address }) => address);
  }

  /** With the prefix of the subnet they were taken of. */
  get cidrs(): readonly string[] {
    return this.#reserved.map(({ cidr }) => cidr);
  }

  /** A whole range had no address to give. */
  get ranOut(): boolean {
    return this.#ranOut;
  }

  /** What was reserved is as before. Space given by others meanwhile stays ours. */
  undo(): void {
    for (const { pool, offset } of this.#reserved) pool.space.unhold(offset);
  }

  /** One address of each universe, from the wished or default subnet; of those that `there` has one of, none. */
  takeAny(there: readonly string[]): Outcome {
    const { places } = this.#parts;
    const { subnet: wish } = this.#request;
    if (wish !== undefined && !places.isPart(wish)) {
      const ranges = places.pools.map((pool) => pool.universe.text).join();
      return refusal("bad-address", `${wish} is not a subnet of the range ${ranges}`, "choose one inside it");
    }
    let waiting = false;
    for (const [index, pool] of places.pools.entries()) {
      const subnet = places.subnet(wish, index);
      if (subnet === undefined) continue; // of another family
      if (there.some((cidr) => pool.universe.offsetOf(withoutPrefix(cidr)) !== undefined)) continue;
      const offset = this.#takeUnavoided(pool, index, subnet);
      if (offset === "wait") {
        waiting = true;
        continue;
      }
      if (offset === undefined) {
        this.#ranOut = wish === undefined;
        return this.#exhausted(pool, subnet);
      }
      const address = pool.universe.addressAt(offset);
      this.#reserved.push({ pool, offset, address, cidr: `${address}/${subnet.prefix}` });
    }
    return waiting ? "wait" : "done";
  }

  /** Exactly these addresses, for the one who asks or for the bridge. */
  claim(addresses: readonly string[], gateways: boolean): Outcome {
    for (const text of addresses) {
      const outcome = this.#claimOne(text, gateways);
      if (outcome !== "done") return outcome;
    }
    return "done";
  }

  #claimOne(text: string, isGateway: boolean): Outcome {
    const { places } = this.#parts;
    const place = places.locate(text);
    if (place === undefined) return this.#foreign(text, isGateway);
    const { pool, index, offset, address } = place;
    const subnet = places.defaultSubnet(index);
    if (!isIn(subnet.usable, offset) && isIn(subnet.range, offset)) {
      const message = `${address} is the network or broadcast address of ${formatCidr(subnet.cidr)}`;
      return refusal("bad-address", message, "choose another address");
    }
    const claim = pool.claim(offset, isGateway ? EXPOSE : this.#holder());
    if (claim === "already") return "done";
    if (claim === "ok") {
      this.#reserved.push({ pool, offset, address, cidr: places.withPrefix(text) });
      return "done";
    }
    if ("takenBy" in claim) {
      const message = `${address} is held by ${claim.takenBy}`;
      return refusal("address-taken", message, "choose another address, or delete that container first");
    }
    const one = { start: offset, end: offset + 1 };
    const justThis = { ...subnet, range: one, usable: one };
    if (this.#ask(pool, index, justThis, true)) return "wait";
    const owner = claim.ownedBy === undefined ? "nobody this host knows" : this.#label(claim.ownedBy);
    const why =
      pool.waitingIn(justThis) > 0
        ? "which was removed; it is still to be taken over"
        : claim.ownedBy !== undefined && !this.#parts.host.reachable().has(claim.ownedBy)
          ? "which cannot be reached"
          : "which did not give it";
    const message = `${address} lies in a range owned by ${owner}, ${why}`;
    return refusal("address-elsewhere", message, "choose another address; run: weave status ipam");
  }

  /** An address of no range of ours: nobody owns it, but somebody may be known to have it. */
  #foreign(text: string, isGateway: boolean): Outcome {
    const request = this.#request;
    if (request.kind === "allocate" && request.chosen === undefined)
      return refusal("bad-address", `${text} is not an address inside the range`, "run: weave status ipam");
    const inTheWay = request.kind === "expose" ? [] : this.#parts.bridge.all;
    const held = this.#parts.holders.ofAddress(text, isGateway ? "gateway" : inTheWay);
    if (held === undefined) return "done";
    const message = `${withoutPrefix(text)} is held by ${held}`;
    return refusal("address-taken", message, "give each host a part of that subnet of its own");
  }

  /** What `#take` gives, but none the request avoids: those are held meanwhile, so that it gives another. */
  #takeUnavoided(pool: Pool, index: number, subnet: Subnet): number | "wait" | undefined {
    const avoided = this.#request.kind === "allocate" ? (this.#request.avoid ?? []) : [];
    const avoid = avoided.flatMap((address) => pool.universe.offsetOf(address) ?? []);
    const set: number[] = [];
    let offset = this.#take(pool, index, subnet);
    while (typeof offset === "number" && avoid.includes(offset)) {
      set.push(offset);
      offset = this.#take(pool, index, subnet);
    }
    for (const one of set) pool.space.unhold(one);
    return offset;
  }

  /** Our own rested, then others' rested, then our own young, then others' young; an answer is waited for. */
  #take(pool: Pool, index: number, subnet: Subnet): number | "wait" | undefined {
    for (const evenIfYoung of [false, true]) {
      const offset = pool.take(subnet, this.#holder(), this.#now, evenIfYoung);
      if (offset !== undefined) return offset;
      if (this.#ask(pool, index, subnet, evenIfYoung)) return "wait";
    }
    return undefined;
  }

  #ask(pool: Pool, index: number, subnet: Subnet, evenIfYoung: boolean): boolean {
    return askForSpace(this.#parts.host, pool, index, subnet, evenIfYoung, this.#now, this.#out);
  }

  #exhausted(pool: Pool, subnet: Subnet): Reply {
    const away = pool.unreachableOwners(subnet, this.#parts.host.reachable());
    const names = away.map((name) => this.#label(name)).join(", ");
    const waiting = pool.waitingIn(subnet);
    const rest = [
      ...(waiting === 0 ? [] : [`${waiting} addresses of removed peers are still to be taken over`]),
      ...(away.length === 0 ? [] : [`the rest belong to unreachable peers: ${names}`]),
    ];
    const why = rest.length === 0 ? "all are in use" : rest.join("; ");
    const message = `no free address in ${formatCidr(subnet.cidr)}: ${why}`;
    return refusal("range-exhausted", message, "run: weave status ipam");
  }

  #holder(): string {
    return this.#request.kind === "allocate" ? holderOf(this.#request.key) : EXPOSE;
  }

  #label(peer: string): string {
    return this.#parts.host.label(peer);
  }
}

/** Ask the best donor for space of a subnet. True while an answer is to be waited for, false when nobody is left to ask. */
export function askForSpace(
  host: Pick<ReservationHost, "reachable" | "ask">,
  pool: Pool,
  universe: number,
  subnet: Subnet,
  evenIfYoung: boolean,
  now: Instant,
  out: Effect[],
): boolean {
  for (;;) {
    const next = pool.nextDonor(subnet, evenIfYoung, host.reachable(), now);
    if (next === "asking" || next === "nobody") return next === "asking";
    const { start, end } = subnet.range; // with the ends no host may have: whole aligned blocks travel
    const body = { k: "ask", universe, start, end, id: next.id } as const;
    if (host.ask(next.donor, evenIfYoung ? { ...body, young: true } : body, out)) return true;
    pool.answered(next.id, false, now);
  }
}

const isIn = ({ start, end }: { start: number; end: number }, offset: number): boolean =>
  offset >= start && offset < end;
