// The allocator of one host over the ranges it owns: which offsets are held, which were freed and when, which may be
// handed out or given away. Knows nothing of gossip, containers or disks.
import type { OffsetRange } from "../address/universe.ts";
import { type Freed, Shelf } from "./shelf.ts";

/** A freed address rests this long before it is reused, so that caches of its old MAC and open connections die out. */
export const REUSE_REST_MS = 60_000;
/** Subnets whose order of choice is kept. A host has one default subnet, and operators name a few. */
const MAX_PLANS = 8;

/** The order of choice inside one subnet. */
interface Plan {
  readonly owned: readonly OffsetRange[];
  /** Fullest first, then largest: what is not used at all stays whole, and can be given away as a whole. */
  readonly shelves: readonly Shelf[];
}

/**
 * Invariants:
 * 1. An offset is held by at most one holder, and is never both held and freed.
 * 2. Order of choice, range after range, the fullest first: never used here, lowest first; then longest freed, after
 *    REUSE_REST_MS. Only when the caller says nothing else is to be had: a younger one of any range; then a doubtful one.
 */
export class Space {
  readonly #held = new Map<number, string>();
  readonly #freed = new Map<number, number>();
  /** Somebody whom nobody can ask may use them still. */
  readonly #doubtful = new Set<number>();
  /** What those held were before, if anything, in case it turns out that nobody needs them. */
  readonly #before = new Map<number, { readonly freedAt: number | undefined; readonly doubtful: boolean }>();
  /** By subnet. Made anew when the ranges are others, so a plan never outlives a change of them. */
  readonly #plans = new Map<string, Plan>();

  readonly #isFresh = (offset: number): boolean =>
    !this.#held.has(offset) && !this.#freed.has(offset) && !this.#doubtful.has(offset);
  readonly #isFreed = ({ offset, at }: Freed): boolean =>
    this.#freed.get(offset) === at && !this.#doubtful.has(offset);

  /**
   * Reserve the best free offset inside the subnet and the owned ranges; undefined when there is none. `owned` is taken for
   * changed when it is another array.
   */
  take(
    owned: readonly OffsetRange[],
    subnet: OffsetRange,
    holder: string,
    now: number,
    options: { readonly evenIfYoung: boolean },
  ): number | undefined {
    const { shelves } = this.#plan(owned, subnet);
    const offset =
      this.#rested(shelves, now) ??
      (options.evenIfYoung ? (this.#youngest(shelves) ?? this.#firstDoubtful(shelves)) : undefined);
    if (offset !== undefined) this.hold(offset, holder);
    return offset;
  }

  hold(offset: number, holder: string): void {
    this.#held.set(offset, holder);
    const freedAt = this.#freed.get(offset);
    const doubtful = this.#doubtful.delete(offset);
    if (freedAt !== undefined || doubtful) this.#before.set(offset, { freedAt, doubtful });
    this.#freed.delete(offset);
  }

  /** Undo a hold that was never used: the offset is what it was before, at rest, doubtful, or new. */
  unhold(offset: number): void {
    this.#held.delete(offset);
    const { freedAt, doubtful } = this.#before.get(offset) ?? {};
    this.#before.delete(offset);
    if (freedAt !== undefined) this.free(offset, freedAt);
    if (doubtful === true) this.#doubtful.add(offset);
    for (const shelf of this.#shelvesOf(offset)) shelf.renew(offset);
  }

  holderOf(offset: number): string | undefined {
    return this.#held.get(offset);
  }

  /** `at` may lie in the past when restored from disk; a time in the future counts as now. */
  free(offset: number, at: number): void {
    this.#held.delete(offset);
    this.#before.delete(offset);
    this.#freed.set(offset, at);
    for (const shelf of this.#shelvesOf(offset)) shelf.add({ offset, at });
  }

  /**
   * A free offset that was in use when its last owner was heard of for the last time: the last to be handed out or given
   * away, until it is held here. Nothing happens to one that is held.
   */
  doubt(offset: number): void {
    if (!this.#held.has(offset)) this.#doubtful.add(offset);
  }

  heldOffsets(): IterableIterator<number> {
    return this.#held.keys();
  }

  doubtfulOffsets(): IterableIterator<number> {
    return this.#doubtful.values();
  }

  /** How many offsets of the ranges are held. */
  usedIn(ranges: readonly OffsetRange[]): number {
    let used = 0;
    for (const offset of this.#held.keys()) if (isIn(ranges, offset)) used++;
    return used;
  }

  /**
   * Maximal free runs of the ranges, sorted. Resting and doubtful offsets count only when the caller says so: whoever they are
   * given to would not know to let them rest.
   */
  freeIn(
    ranges: readonly OffsetRange[],
    now: number,
    options: { readonly evenIfYoung: boolean; readonly evenIfDoubtful: boolean },
  ): readonly OffsetRange[] {
    const taken: number[] = [];
    const note = (offset: number): void => {
      if (isIn(ranges, offset)) taken.push(offset);
    };
    for (const offset of this.#held.keys()) note(offset);
    if (!options.evenIfYoung) for (const [offset, at] of this.#freed) if (isYoung(at, now)) note(offset);
    if (!options.evenIfDoubtful) for (const offset of this.#doubtful) note(offset);
    return without(ranges, Float64Array.from(taken).sort());
  }

  #rested(shelves: readonly Shelf[], now: number): number | undefined {
    for (const shelf of shelves) {
      const fresh = shelf.fresh(this.#isFresh);
      if (fresh !== undefined) return fresh;
      const freed = shelf.longestFreed(this.#isFreed);
      if (freed !== undefined && !isYoung(freed.at, now)) return freed.offset;
    }
    return undefined;
  }

  /** The longest freed of all. */
  #youngest(shelves: readonly Shelf[]): number | undefined {
    let best: Freed | undefined;
    for (const shelf of shelves) {
      const freed = shelf.longestFreed(this.#isFreed);
      if (freed !== undefined && (best === undefined || freed.at < best.at)) best = freed;
    }
    return best?.offset;
  }

  #firstDoubtful(shelves: readonly Shelf[]): number | undefined {
    for (const offset of this.#doubtful) if (shelves.some((shelf) => shelf.has(offset))) return offset;
    return undefined;
  }

  #plan(owned: readonly OffsetRange[], subnet: OffsetRange): Plan {
    const key = `${subnet.start}-${subnet.end}`;
    const known = this.#plans.get(key);
    // A shelf forgets only from its head; one that remembers far more than there is was filled by claims.
    const bound = 2 * this.#freed.size + 64;
    if (known?.owned === owned && known.shelves.every((shelf) => shelf.size <= bound)) return known;
    if (known === undefined && this.#plans.size >= MAX_PLANS) this.#plans.clear();
    const shelves = clip(owned, subnet).map((range) => new Shelf(range));
    const used = new Map(shelves.map((shelf) => [shelf, 0]));
    for (const offset of this.#held.keys()) {
      const shelf = shelves.find((one) => one.has(offset));
      if (shelf !== undefined) used.set(shelf, (used.get(shelf) ?? 0) + 1);
    }
    const freed = [...this.#freed].sort(([, a], [, b]) => a - b);
    for (const [offset, at] of freed) shelves.find((shelf) => shelf.has(offset))?.add({ offset, at });
    const fullness = (shelf: Shelf): number => used.get(shelf) ?? 0;
    shelves.sort(
      (a, b) => fullness(b) - fullness(a) || b.end - b.start - (a.end - a.start) || a.start - b.start,
    );
    const plan = { owned, shelves };
    this.#plans.set(key, plan);
    return plan;
  }

  *#shelvesOf(offset: number): Iterable<Shelf> {
    for (const { shelves } of this.#plans.values())
      for (const shelf of shelves) if (shelf.has(offset)) yield shelf;
  }
}

/** The parts of the sorted ranges inside `window`. */
export function clip(ranges: readonly OffsetRange[], window: OffsetRange): readonly OffsetRange[] {
  const out: OffsetRange[] = [];
  for (const r of ranges) {
    const start = Math.max(r.start, window.start);
    const end = Math.min(r.end, window.end);
    if (start < end) out.push({ start, end });
  }
  return out;
}

/** The sorted ranges without some of their offsets, which are sorted, too. */
function without(ranges: readonly OffsetRange[], taken: Float64Array): readonly OffsetRange[] {
  const runs: OffsetRange[] = [];
  let i = 0;
  for (const range of ranges) {
    let { start } = range;
    for (; i < taken.length && (taken[i] ?? 0) < range.end; i++) {
      const offset = taken[i] ?? 0;
      if (offset > start) runs.push({ start, end: offset });
      start = offset + 1;
    }
    if (start < range.end) runs.push({ start, end: range.end });
  }
  return runs;
}

/** A time in the future counts as now. */
const isYoung = (at: number, now: number): boolean => now - Math.min(at, now) < REUSE_REST_MS;

/** Ranges are sorted. */
function isIn(ranges: readonly OffsetRange[], offset: number): boolean {
  for (const { start, end } of ranges) {
    if (offset < start) return false;
    if (offset < end) return true;
  }
  return false;
}
