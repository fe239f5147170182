// What becomes of the ranges of removed peers: the heir asks everybody who stays what they know of them, and takes what is
// still nobody's when all have answered. Also the answering side. Decision 8 and docs/ipam.md say why all, not a quorum.
//
//   nothing stale --something is--> asking all who stay --all have answered--> take it; look again
//                                        ^── another configuration: begin again ──┘
import type { OffsetRange } from "../address/universe.ts";
import { type Effect, event, type Instant } from "../effects.ts";
import type { RangeOf } from "../gossip/frames.ts";
import type { Random } from "../random.ts";
import type { Configuration } from "./configuration.ts";
import type { Pool } from "./pool.ts";
import { combine, type OwnedRange, wellFormed } from "./ring.ts";

/** Ask again those who have not answered. */
export const FENCE_RETRY_MS = 2_000;
/** In one message, at 100 bytes each a fifth of a frame. More are asked about in another round. */
export const MAX_FENCE_RANGES = 2_048;

/** From the heir: what do you know of these? Offsets it knows nothing of have the owner "", made and version 0. */
export interface FenceBody {
  readonly k: "fence";
  readonly id: number;
  readonly ranges: readonly RangeOf[];
}
/** What of these is newer here. As many as fit: then ask again, there may be more. */
export interface FencedBody {
  readonly k: "fenced";
  readonly id: number;
  readonly ranges: readonly RangeOf[];
}

/** What a takeover needs of the node around it. Messages count between peers of one epoch only: the node sees to it. */
export interface TakeoverHost {
  readonly self: string;
  readonly pools: readonly Pool[];
  configuration(): Configuration | undefined;
  reachable(): ReadonlySet<string>;
  send(to: string, body: FenceBody | FencedBody, out: Effect[]): void;
  /** Ranges arrived from a peer of this epoch: merge them, write them down, pass them on. */
  heard(universe: number, ranges: readonly OwnedRange[], now: Instant, out: Effect[]): void;
  /** Ranges changed here: write them down, pass them on. */
  changed(universe: number, fresh: readonly OwnedRange[], now: Instant, out: Effect[]): void;
}

/** For `status`. Names of peers. */
export interface Taking {
  readonly addresses: number;
  readonly of: readonly string[];
  readonly heir: string;
  /** Whose answers are missing; known to the heir alone. */
  readonly waitingFor: readonly string[];
}

/** One question to all who stay. */
interface Round {
  readonly id: number;
  readonly asked: readonly RangeOf[];
  readonly waiting: Set<string>;
  retryAt: Instant;
}

/**
 * Invariants, R3, R5 and R6 of docs/ipam.md:
 * 1. Only the heir takes, and only what is stale or what nobody who stays knows anything of.
 * 2. It takes nothing it has not asked all others who stay about, in its own epoch, nor before it has all their answers
 *    merged and on disk. Another configuration, or an answer that did not hold everything, makes it ask again.
 * 3. To answer changes nothing: what an answer says is on the disk of who gives it already.
 */
export class Takeover {
  readonly #host: TakeoverHost;
  #round: Round | undefined;
  #nextId: number;
  #configuration: Configuration | undefined;
  /** The rings in which nothing was stale: they are new objects when they change. */
  #clean: readonly (readonly OwnedRange[] | undefined)[] | undefined;

  constructor(host: TakeoverHost, random: Random) {
    this.#host = host;
    // An answer to a question from before a restart must not be taken for one to a later question.
    this.#nextId = random.below(2 ** 32);
  }

  /** What waits for the heir in a universe; undefined when nothing does. */
  waiting(universe: number): Taking | undefined {
    const heir = this.#host.configuration()?.remaining?.heir;
    const stale = this.#stale(universe, heir === this.#host.self);
    if (heir === undefined || stale.length === 0) return undefined;
    const waitingFor = [...(this.#round?.waiting ?? [])].sort();
    return { addresses: sizeOf(stale), of: ownersOf(stale), heir, waitingFor };
  }

  /** After every input: rings, configuration or topology may be others. */
  tick(now: Instant, out: Effect[]): void {
    const c = this.#host.configuration();
    if (c !== this.#configuration) {
      this.#configuration = c;
      this.#round = undefined;
      this.#clean = undefined;
    }
    if (c?.remaining?.heir !== this.#host.self) return;
    if (this.#round === undefined) this.#begin(c.remaining.names, now, out);
    const round = this.#round;
    if (round === undefined || now < round.retryAt) return;
    const reachable = this.#host.reachable();
    const there = [...round.waiting].filter((name) => reachable.has(name));
    if (there.length === 0) return;
    for (const to of there) this.#host.send(to, { k: "fence", id: round.id, ranges: round.asked }, out);
    round.retryAt = now + FENCE_RETRY_MS;
  }

  nextDeadline(): Instant | undefined {
    const round = this.#round;
    if (round === undefined) return undefined;
    const reachable = this.#host.reachable();
    return [...round.waiting].some((name) => reachable.has(name)) ? round.retryAt : undefined;
  }

  /** The heir asks. */
  fence(from: string, { id, ranges }: Pick<FenceBody, "id" | "ranges">, out: Effect[]): void {
    const c = this.#host.configuration();
    if (c?.remaining?.heir !== from) return;
    const all = this.#host.pools.flatMap((_, universe) =>
      this.#newsAbout(
        universe,
        ranges.filter((r) => r.universe === universe),
      ),
    );
    this.#host.send(from, { k: "fenced", id, ranges: all.slice(0, MAX_FENCE_RANGES) }, out);
  }

  /** Somebody who stays answers. */
  fenced(from: string, { id, ranges }: Pick<FencedBody, "id" | "ranges">, now: Instant, out: Effect[]): void {
    const c = this.#host.configuration();
    if (c === undefined || c !== this.#configuration) return;
    const byUniverse = this.#host.pools.map((_, universe) => ranges.filter((r) => r.universe === universe));
    const sound = this.#host.pools.every(({ universe: { size } }, i) =>
      wellFormed(byUniverse[i] ?? [], size, c.epoch),
    );
    if (!sound || byUniverse.flat().length !== ranges.length) return;
    for (const [universe, part] of byUniverse.entries())
      if (part.length > 0) this.#host.heard(universe, part.map(owned), now, out);
    const round = this.#round;
    if (round?.id !== id || !round.waiting.has(from)) return;
    // A full answer may not be all of it. Asked about what is known now, the next one says the rest.
    if (ranges.length >= MAX_FENCE_RANGES) this.#round = undefined;
    else round.waiting.delete(from);
    if (round.waiting.size === 0) this.#take(round, now, out);
  }

  #begin(names: readonly string[], now: Instant, out: Effect[]): void {
    const rings = this.#host.pools.map((pool) => pool.ring?.ranges);
    if (this.#clean?.every((ring, i) => ring === rings[i]) === true) return;
    const stale = this.#host.pools.flatMap((_, universe) =>
      this.#stale(universe, true).map((r) => ({ ...r, universe })),
    );
    if (stale.length === 0) {
      this.#clean = rings;
      return;
    }
    const waiting = new Set(names.filter((name) => name !== this.#host.self));
    const asked = stale.slice(0, MAX_FENCE_RANGES);
    this.#round = { id: this.#nextId++, asked, waiting, retryAt: now };
    if (waiting.size === 0) this.#take(this.#round, now, out);
  }

  /** All have answered: what is still stale of what they were asked about is ours. */
  #take({ asked }: Round, now: Instant, out: Effect[]): void {
    this.#round = undefined;
    for (const [universe, pool] of this.#host.pools.entries()) {
      const windows = asked.filter((r) => r.universe === universe);
      const left = parts(this.#stale(universe, true), windows);
      if (left.length === 0) continue;
      pool.hear([]); // a ring that nobody who stays has heard of begins here
      this.#host.changed(universe, pool.inherit(left), now, out);
      this.#host.changed(universe, pool.join(), now, out);
      out.push(event("took", "info", { addresses: sizeOf(left), of: ownersOf(left).join() }));
    }
    this.tick(now, out); // more may have come to light
  }

  /** What we know of the ranges asked about that is newer. */
  #newsAbout(universe: number, asked: readonly OwnedRange[]): readonly RangeOf[] {
    const sorted = [...asked].sort((a, b) => a.start - b.start);
    const ours = parts(this.#host.pools[universe]?.ring?.ranges ?? [], sorted);
    const known = sorted.filter((r) => r.made > 0);
    return combine(known, ours).fresh.map((r) => ({ ...r, universe }));
  }

  #stale(universe: number, withGaps: boolean): readonly OwnedRange[] {
    const pool = this.#host.pools[universe];
    if (pool === undefined) return [];
    if (pool.ring !== undefined || !withGaps) return pool.stale(withGaps);
    return [{ start: 0, end: pool.universe.size, owner: "", version: 0, made: 0 }];
  }
}

const owned = ({ start, end, owner, version, made }: RangeOf): OwnedRange => ({
  start,
  end,
  owner,
  version,
  made,
});

/** What of the ranges lies inside the windows; both sorted. One sweep: there may be thousands of each. */
function parts(ranges: readonly OwnedRange[], windows: readonly OffsetRange[]): readonly OwnedRange[] {
  const out: OwnedRange[] = [];
  for (let i = 0, j = 0; ; ) {
    const range = ranges[i];
    const window = windows[j];
    if (range === undefined || window === undefined) return out;
    const start = Math.max(range.start, window.start);
    const end = Math.min(range.end, window.end);
    if (start < end) out.push({ ...range, start, end });
    if (range.end <= window.end) i++;
    else j++;
  }
}

/** Gaps have none. */
const ownersOf = (ranges: readonly OwnedRange[]): readonly string[] =>
  [...new Set(ranges.map((r) => r.owner))].filter((owner) => owner !== "").sort();

const sizeOf = (ranges: readonly OffsetRange[]): number =>
  ranges.reduce((sum, r) => sum + r.end - r.start, 0);
