// A host that leaves: every range to one living peer, which says that it has them on its disk; then out of the
// configuration, and out of what others know. Also the side that takes. Words: docs/ipam.md, "Leaving".
//
//   idle --leave--> offering --one wants them--> handing over --it has them--> deciding --or not--> farewell --> left
//                   └ nobody: refused             └ no word: refused, but given
import type { Effect, Instant } from "../effects.ts";
import type { RangeOf } from "../gossip/frames.ts";
import type { Random } from "../random.ts";
import type { Left } from "../requests.ts";
import type { Pool } from "./pool.ts";
import { combine, type OwnedRange, wellFormed } from "./ring.ts";

/** A peer that does not ask for the ranges in this time is passed over; a handover is repeated as often. */
export const OFFER_MS = 2_000;
/** Until somebody has the ranges on its disk. Below the 10 s the command line waits. */
export const HANDOVER_PATIENCE_MS = 8_000;
/** For the voters to decide that this host is gone. The ranges are safe by then. */
export const FAREWELL_DECISION_MS = 4_000;
/** For links to carry the last word. */
export const FAREWELL_MS = 1_000;
/** In one message, at 100 bytes each a fifth of a frame. More go in another. */
export const MAX_HANDOVER_RANGES = 2_048;

/** "I leave: ask me for all I have." */
export interface OfferBody {
  readonly k: "offer";
  readonly id: number;
}
/** "Give it to me." Nothing is given unasked (R8). */
export interface WantBody {
  readonly k: "want";
  readonly id: number;
}
/** "These are yours." The taker's already, on the disk of who gives. */
export interface HandoverBody {
  readonly k: "handover";
  readonly id: number;
  readonly ranges: readonly RangeOf[];
}
/** "It is on my disk." */
export interface TookBody {
  readonly k: "took";
  readonly id: number;
}
/** Any message of a departure. */
export type DepartureBody = OfferBody | WantBody | HandoverBody | TookBody;

/** What a departure needs of the node around it. Messages count between peers of one epoch only: the node sees to it. */
export interface DepartureHost {
  readonly self: string;
  readonly pools: readonly Pool[];
  /** Of the configuration. */
  epoch(): number;
  /** The others of the cluster by name, reachable or not. */
  members(): readonly string[];
  reachable(): ReadonlySet<string>;
  isVoter(): boolean;
  send(to: string, body: DepartureBody, out: Effect[]): void;
  /** Ranges arrived from a peer of this epoch: merge them, write them down, pass them on. */
  heard(universe: number, ranges: readonly OwnedRange[], now: Instant, out: Effect[]): void;
  /** Ranges changed here: write them down, pass them on. */
  changed(universe: number, fresh: readonly OwnedRange[], now: Instant, out: Effect[]): void;
  /** What that peer is known to use may be in use for a while yet: hand it out last. */
  doubt(peer: string, out: Effect[]): void;
  /** Have it decided that this host is gone. `done` may be called at once, or never. */
  decide(heir: string, done: (decided: boolean) => void, now: Instant, out: Effect[]): void;
  /** Take back what others know of this host. */
  withdraw(now: Instant, out: Effect[]): void;
  /** Nothing waits to be sent any more. */
  isFlushed(): boolean;
  /** It is over: everything may be removed. */
  left(left: Left, out: Effect[]): void;
  /** It stays, for the peers named did not answer. */
  stays(why: Stays, peers: readonly string[], out: Effect[]): void;
}

/**
 * Nobody of the cluster is reachable; or nobody who is wanted the ranges; or who has them did not say that they are on its
 * disk. Then they are given all the same: asked once more, this host goes on where it was.
 */
export type Stays = "nobody-reachable" | "nobody-answers" | "not-confirmed";

type State =
  | { readonly is: "idle" }
  | {
      readonly is: "offering";
      readonly to: string;
      readonly id: number;
      readonly next: readonly string[];
      /** In another epoch who was asked may never have answered, and another may be meant. */
      readonly epoch: number;
    }
  | { readonly is: "handing"; readonly to: string; readonly id: number; readonly rest: readonly RangeOf[] }
  | { readonly is: "deciding" | "farewell"; readonly left: Left }
  | { readonly is: "left" };

/**
 * Invariants:
 * 1. A range is given only to who wanted it in this epoch (R8), and is its own on disk here before it is told (R7).
 *    Whatever is lost after that, the decision without this host leaves it to the heir.
 * 2. This host does not go before its ranges are on the disk of another, or nobody else belongs to the cluster.
 * 3. Who takes says so after its disk has it, as often as it is told.
 */
export class Departure {
  readonly #host: DepartureHost;
  #state: State = { is: "idle" };
  #nextId: number;
  /** End of the state, or of its present attempt. */
  #due: Instant = 0;
  #patienceEnds: Instant = 0;
  /** Given in this process, and to whom: told again when asked once more. */
  #given: { readonly to: string; readonly ranges: readonly RangeOf[] } | undefined;

  constructor(host: DepartureHost, random: Random) {
    this.#host = host;
    // An answer to an offer from before a restart must not be taken for one to a later offer.
    this.#nextId = random.below(2 ** 32);
  }

  /** From then on nothing is to be allocated here, nor asked for. */
  get isLeaving(): boolean {
    return this.#state.is !== "idle";
  }

  /** Begin. Ends with `left` or `stays`. Returns false when it is under way already. */
  leave(now: Instant, out: Effect[]): boolean {
    if (this.isLeaving) return false;
    this.#patienceEnds = now + HANDOVER_PATIENCE_MS;
    this.#seek(now, out);
    return true;
  }

  /** Nobody waits for it any more. What is given already stays given. */
  cancel(): void {
    if (this.#state.is === "offering") this.#state = { is: "idle" };
  }

  /** After every input. */
  tick(now: Instant, out: Effect[]): void {
    const due = this.nextDeadline();
    if (this.#state.is === "offering" && this.#state.epoch !== this.#host.epoch()) this.#seek(now, out);
    else if (due !== undefined && now >= due) this.#overdue(now, out);
    else if (this.#state.is === "farewell" && this.#host.isFlushed()) this.#end(this.#state.left, out);
  }

  nextDeadline(): Instant | undefined {
    return this.#state.is === "idle" || this.#state.is === "left" ? undefined : this.#due;
  }

  heard(from: string, body: DepartureBody, now: Instant, out: Effect[]): void {
    const state = this.#state;
    switch (body.k) {
      case "offer":
        // Without a ring of its own it would not know what it merges.
        if (!this.isLeaving && this.#host.pools.every((pool) => pool.ring !== undefined))
          this.#host.send(from, { k: "want", id: body.id }, out);
        break;
      case "handover":
        this.#take(from, body, now, out);
        break;
      case "want":
        if (state.is === "offering" && state.to === from && state.id === body.id) this.#give(from, now, out);
        break;
      case "took":
        if (state.is === "handing" && state.to === from && state.id === body.id)
          this.#handed(from, state.rest.slice(MAX_HANDOVER_RANGES), now, out);
        break;
    }
  }

  // The host that leaves.

  /** Who could have the ranges: whom they were given to before, then neighbours in the ring, whose own they would join. */
  #candidates(members: readonly string[]): readonly string[] {
    const reachable = this.#host.reachable();
    const adjacent = new Set<string>();
    for (const { ring } of this.#host.pools) {
      const ranges = ring?.ranges ?? [];
      for (const [i, range] of ranges.entries()) {
        const next = ranges[i + 1];
        if (next?.start !== range.end) continue;
        if (range.owner === this.#host.self) adjacent.add(next.owner);
        if (next.owner === this.#host.self) adjacent.add(range.owner);
      }
    }
    const rank = (name: string): number => (name === this.#given?.to ? 0 : adjacent.has(name) ? 1 : 2);
    return members
      .filter((name) => reachable.has(name))
      .sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
  }

  /** Offer it to those there are now. */
  #seek(now: Instant, out: Effect[]): void {
    const members = this.#host.members();
    const candidates = this.#candidates(members);
    if (members.length === 0) this.#end({ given: [], voter: "none" }, out);
    else if (candidates.length > 0) this.#offer(candidates, now, out);
    else {
      this.#state = { is: "idle" };
      this.#host.stays("nobody-reachable", members, out);
    }
  }

  #offer([to, ...next]: readonly string[], now: Instant, out: Effect[]): void {
    if (now >= this.#patienceEnds) {
      this.#state = { is: "idle" };
      this.#host.stays("nobody-answers", this.#candidates(this.#host.members()), out);
      return;
    }
    if (to === undefined) {
      this.#seek(now, out); // an offer or its answer may have been lost
      return;
    }
    const id = this.#nextId++;
    this.#state = { is: "offering", to, id, next, epoch: this.#host.epoch() };
    this.#due = now + OFFER_MS;
    this.#host.send(to, { k: "offer", id }, out);
  }

  #give(to: string, now: Instant, out: Effect[]): void {
    const before = this.#given?.to === to ? this.#given.ranges : [];
    const ranges = this.#host.pools.flatMap((pool, universe) => {
      const fresh = pool.giveAll(to);
      this.#host.changed(universe, fresh, now, out);
      const told = before.filter((r) => r.universe === universe);
      return combine(told, fresh).merged.map((range) => ({ ...range, universe }));
    });
    this.#given = { to, ranges };
    this.#patienceEnds = now + HANDOVER_PATIENCE_MS;
    this.#hand(to, this.#nextId++, ranges, now, out);
  }

  /** Also when there is nothing to hand over: the heir is to be alive. */
  #hand(to: string, id: number, rest: readonly RangeOf[], now: Instant, out: Effect[]): void {
    this.#state = { is: "handing", to, id, rest };
    this.#due = now + OFFER_MS;
    this.#host.send(to, { k: "handover", id, ranges: rest.slice(0, MAX_HANDOVER_RANGES) }, out);
  }

  #handed(to: string, rest: readonly RangeOf[], now: Instant, out: Effect[]): void {
    if (rest.length > 0) this.#hand(to, this.#nextId++, rest, now, out);
    else this.#decide(to, now, out);
  }

  #decide(heir: string, now: Instant, out: Effect[]): void {
    const given = this.#host.pools.flatMap(({ universe }, index) => {
      const ranges = (this.#given?.ranges ?? []).filter((r) => r.universe === index);
      const addresses = ranges.reduce((sum, r) => sum + r.end - r.start, 0);
      return addresses === 0 ? [] : [{ range: universe.text, addresses }];
    });
    const voter = this.#host.isVoter() ? "replaced" : "none";
    this.#state = { is: "deciding", left: { heir, given, voter: "still-counted" } };
    this.#due = now + FAREWELL_DECISION_MS;
    const done = (decided: boolean): void => {
      if (this.#state.is !== "deciding") return;
      if (decided) this.#state = { is: "deciding", left: { heir, given, voter } };
      this.#due = 0; // the next tick goes on
    };
    this.#host.decide(heir, done, now, out);
  }

  #overdue(now: Instant, out: Effect[]): void {
    const state = this.#state;
    switch (state.is) {
      case "offering":
        this.#offer(state.next, now, out);
        break;
      case "handing":
        if (now < this.#patienceEnds) this.#hand(state.to, state.id, state.rest, now, out);
        else {
          this.#state = { is: "idle" };
          this.#host.stays("not-confirmed", [state.to], out);
        }
        break;
      case "deciding":
        this.#state = { is: "farewell", left: state.left };
        this.#due = now + FAREWELL_MS;
        this.#host.withdraw(now, out);
        break;
      case "farewell":
        this.#end(state.left, out);
        break;
      case "idle":
      case "left":
        break;
    }
  }

  #end(left: Left, out: Effect[]): void {
    this.#state = { is: "left" };
    this.#host.left(left, out);
  }

  // The host that takes.

  #take(from: string, { id, ranges }: HandoverBody, now: Instant, out: Effect[]): void {
    const parts = this.#host.pools.map((_, universe) => ranges.filter((r) => r.universe === universe));
    const sound =
      parts.flat().length === ranges.length &&
      ranges.every((r) => r.owner === this.#host.self) &&
      this.#host.pools.every(({ universe: { size } }, i) =>
        wellFormed(parts[i] ?? [], size, this.#host.epoch()),
      );
    if (!sound) return;
    for (const [universe, part] of parts.entries())
      if (part.length > 0) this.#host.heard(universe, part, now, out);
    const isMissing = (part: readonly RangeOf[], i: number): boolean =>
      combine(this.#host.pools[i]?.ring?.ranges ?? [], part).fresh.length > 0;
    if (parts.some(isMissing)) return;
    this.#host.doubt(from, out);
    this.#host.send(from, { k: "took", id }, out);
  }
}
