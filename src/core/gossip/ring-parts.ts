// A ring in equal parts of its offsets, each with a fingerprint: two rings that differ in one range find it by one part, and
// exchange what lies in that part alone.
import { BUCKETS } from "../crdt/origin-map.ts";
import { EMPTY_FINGERPRINT, type Fingerprint, fingerprint, xor } from "../hash.ts";
import type { OwnedRange, Ring } from "../ipam/ring.ts";

/** By the ring's ranges, which are replaced when they change. */
const known = new WeakMap<readonly OwnedRange[], readonly Fingerprint[]>();

/** Fingerprint of each part. */
export function partSums(ring: Ring): readonly Fingerprint[] {
  let sums = known.get(ring.ranges);
  if (sums === undefined) {
    const fresh = new Array<Fingerprint>(BUCKETS).fill(EMPTY_FINGERPRINT);
    for (const { part, range } of pieces(ring)) {
      const { start, end, owner, ...word } = range;
      const text = `${start}\0${end}\0${owner}\0${JSON.stringify(word)}`;
      fresh[part] = xor(fresh[part] ?? EMPTY_FINGERPRINT, fingerprint(text));
    }
    known.set(ring.ranges, fresh);
    sums = fresh;
  }
  return sums;
}

/** What lies in some parts, in offset order. */
export function withinParts(ring: Ring, parts: ReadonlySet<number>): readonly OwnedRange[] {
  const found: OwnedRange[] = [];
  for (const { part, range } of pieces(ring)) if (parts.has(part)) found.push(range);
  return found;
}

/** Every range, cut where parts meet. */
function* pieces(ring: Ring): Generator<{ readonly part: number; readonly range: OwnedRange }> {
  let part = 0;
  for (const range of ring.ranges) {
    for (let start = range.start; start < range.end; ) {
      while (endOf(part, ring.size) <= start) part++;
      const end = Math.min(range.end, endOf(part, ring.size));
      yield { part, range: start === range.start && end === range.end ? range : { ...range, start, end } };
      start = end;
    }
  }
}

const endOf = (part: number, size: number): number => Math.floor(((part + 1) * size) / BUCKETS);
