// The allocator of one host over the ranges it owns: which offsets are held, which were freed and when, which may be
// handed out or given away. Knows nothing of gossip, containers or disks.
import type { OffsetRange } from "../address/universe.ts";

/** A freed address rests this long before it is reused, so that caches of its old MAC and open connections die out. */
export const REUSE_REST_MS = 60_000;

/**
 * Invariants:
 * 1. An offset is held by at most one holder, and is never both held and freed.
 * 2. Order of choice: never used here, lowest first; then longest freed, after REUSE_REST_MS; a younger one only when
 *    the caller says nothing else is to be had.
 */
export class Space {
  readonly #held = new Map<number, string>();
  /** Insertion order is the order of freeing. */
  readonly #freed = new Map<number, number>();
  /** Per subnet start: below this offset nothing was fresh at the last look. */
  readonly #scanned = new Map<number, number>();

  /** Reserve the best free offset inside the subnet and the owned ranges; undefined when there is none. */
  take(
    owned: readonly OffsetRange[],
    subnet: OffsetRange,
    holder: string,
    now: number,
    options: { readonly evenIfYoung: boolean },
  ): number | undefined {
    const inside = clip(owned, subnet);
    const offset = this.#neverUsed(inside, subnet) ?? this.#longestFreed(inside, now, options.evenIfYoung);
    if (offset !== undefined) this.hold(offset, holder);
    return offset;
  }

  hold(offset: number, holder: string): void {
    this.#held.set(offset, holder);
    this.#freed.delete(offset);
  }

  /** Undo a hold that was never used: the offset is as good as new. */
  unhold(offset: number): void {
    this.#held.delete(offset);
    this.#scanned.clear();
  }

  holderOf(offset: number): string | undefined {
    return this.#held.get(offset);
  }

  /** `at` may lie in the past when restored from disk; a time in the future counts as now. */
  free(offset: number, at: number): void {
    this.#held.delete(offset);
    this.#freed.delete(offset);
    this.#freed.set(offset, at);
  }

  /** Last known in use at a removed peer: handed out last. */
  doubt(offset: number): void {
    if (!this.#held.has(offset)) this.free(offset, Date.UTC(3000, 0));
  }

  /** Ranges changed: offsets below the marks may be fresh again. */
  ownedChanged(): void {
    this.#scanned.clear();
  }

  heldOffsets(): IterableIterator<number> {
    return this.#held.keys();
  }

  /** How many offsets of the ranges are held. */
  usedIn(ranges: readonly OffsetRange[]): number {
    let used = 0;
    for (const offset of this.#held.keys())
      if (ranges.some((r) => offset >= r.start && offset < r.end)) used++;
    return used;
  }

  /**
   * What to give to a peer that asks: the largest free aligned block inside `wanted`, of at most half of what is free
   * there, or the last free one (else it would be lost to the others). Resting offsets count only when the caller says that
   * nothing else is to be had: the taker would not know to let them rest.
   */
  spare(
    owned: readonly OffsetRange[],
    wanted: OffsetRange,
    now: number,
    options: { readonly evenIfYoung: boolean },
  ): OffsetRange | undefined {
    const gaps = this.#gaps(clip(owned, wanted), now, options.evenIfYoung);
    const total = gaps.reduce((sum, gap) => sum + gap.end - gap.start, 0);
    let best: OffsetRange | undefined;
    for (let size = powerAtMost(Math.max(1, Math.floor(total / 2))); size >= 1; size /= 2) {
      // From the top: allocation grows from the bottom, so what stays keeps together.
      for (const gap of gaps) {
        const start = Math.floor(gap.end / size) * size - size;
        if (start >= gap.start) best = { start, end: start + size };
      }
      if (best !== undefined) return best;
    }
    return undefined;
  }

  #neverUsed(inside: readonly OffsetRange[], subnet: OffsetRange): number | undefined {
    const from = this.#scanned.get(subnet.start) ?? 0;
    for (const range of inside) {
      for (let offset = Math.max(range.start, from); offset < range.end; offset++) {
        if (this.#held.has(offset) || this.#freed.has(offset)) continue;
        this.#scanned.set(subnet.start, offset);
        return offset;
      }
    }
    this.#scanned.set(subnet.start, Number.POSITIVE_INFINITY);
    return undefined;
  }

  #longestFreed(inside: readonly OffsetRange[], now: number, evenIfYoung: boolean): number | undefined {
    for (const [offset, at] of this.#freed) {
      if (!evenIfYoung && now - Math.min(at, now) < REUSE_REST_MS) return undefined; // all later ones are younger
      if (inside.some((r) => offset >= r.start && offset < r.end)) return offset;
    }
    return undefined;
  }

  /** Maximal runs that are not held, and not resting either unless that does not matter. */
  #gaps(ranges: readonly OffsetRange[], now: number, evenIfYoung: boolean): readonly OffsetRange[] {
    const blocked = [...this.#held.keys()];
    for (const [offset, at] of this.#freed)
      if (!evenIfYoung && now - at < REUSE_REST_MS) blocked.push(offset);
    blocked.sort((a, b) => a - b);
    const gaps: OffsetRange[] = [];
    for (const range of ranges) {
      let start = range.start;
      for (const offset of blocked) {
        if (offset < start || offset >= range.end) continue;
        if (offset > start) gaps.push({ start, end: offset });
        start = offset + 1;
      }
      if (start < range.end) gaps.push({ start, end: range.end });
    }
    return gaps;
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

const powerAtMost = (limit: number): number => (limit < 1 ? 0 : 2 ** Math.floor(Math.log2(limit)));
