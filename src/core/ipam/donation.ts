// Which of its free offsets an owner gives to a peer that asks: enough for the taker, and so that the ring keeps few
// entries. A pure choice: Space knows what is free, Ring who sits next door, Pool makes the gift.
import type { OffsetRange } from "../address/universe.ts";

/** What the choice is made from. */
export interface Offer {
  /** The donor's ranges, sorted, none touching another. */
  readonly owned: readonly OffsetRange[];
  /** Free runs inside them and inside what is wanted, sorted. */
  readonly free: readonly OffsetRange[];
  readonly wanted: OffsetRange;
  /** The taker would have resting addresses, too: it needs space, and does not just tidy up. */
  readonly isUrgent: boolean;
  /** Size of the taker's range that has this offset, 0 when it has not. */
  readonly takersAt: (offset: number) => number;
}

interface Candidate extends OffsetRange {
  /** How many entries more the ring has afterwards: from -2 (it closed a gap of the taker's) to 2 (cut out of a range). */
  readonly cost: number;
}

/** A gift that costs fewer entries is preferred to the largest possible one when it is at least this part of it. */
const ENOUGH = 1 / 4;

/**
 * At most half of what is free inside the wish, or the last free offset (else it would be lost to the others). Of all runs
 * that size allows: a whole range of the donor's, a piece from either end of a free run, or an aligned block. The one that
 * costs fewest entries, then the largest, then the topmost: allocation grows from the bottom.
 *
 * Exception: when just a whole small range next to a larger one of the taker's is wanted, it is given whole or not at all.
 * That is how fragments find home (tidying.ts). Who really needs part of it asks again, urgently.
 */
export function chooseGift(offer: Offer): OffsetRange | undefined {
  const { owned, free, takersAt, wanted } = offer;
  if (isFragment(offer) && !offer.isUrgent) return free.some(isLike(wanted)) ? wanted : undefined;
  const total = free.reduce((sum, run) => sum + sizeOf(run), 0);
  const most = Math.max(1, Math.floor(total / 2));
  const candidates: Candidate[] = [];
  let at = 0;
  for (const run of free) {
    while ((owned[at]?.end ?? Number.POSITIVE_INFINITY) <= run.start) at++;
    const home = owned[at];
    if (home === undefined) break;
    const before = run.start === home.start ? (takersAt(run.start - 1) > 0 ? -1 : 0) : 1;
    const after = run.end === home.end ? (takersAt(run.end) > 0 ? -1 : 0) : 1;
    candidates.push(...partsOf(run, most, before, after));
  }
  const enough = Math.max(...candidates.map(sizeOf), 0) * ENOUGH;
  let best: Candidate | undefined;
  for (const candidate of candidates) {
    if (sizeOf(candidate) >= enough && (best === undefined || isBetter(candidate, best))) best = candidate;
  }
  return best && { start: best.start, end: best.end };
}

function isBetter(a: Candidate, b: Candidate): boolean {
  if (a.cost !== b.cost) return a.cost < b.cost;
  return sizeOf(a) >= sizeOf(b); // a is later, so it lies higher
}

function isFragment({ owned, wanted, takersAt }: Offer): boolean {
  if (!owned.some(isLike(wanted))) return false;
  if (Math.max(...owned.map(sizeOf)) === sizeOf(wanted)) return false; // the largest is no fragment
  return Math.max(takersAt(wanted.start - 1), takersAt(wanted.end)) > sizeOf(wanted);
}

/**
 * What may be given of one free run. `before` and `after` say what each end of it costs when the gift reaches it: 1 in the
 * middle of the donor's range, 0 at its end, -1 where the taker's begins.
 */
function partsOf(run: OffsetRange, most: number, before: number, after: number): readonly Candidate[] {
  if (sizeOf(run) <= most) return [{ ...run, cost: before + after }];
  const half = Math.ceil(most / 2);
  const bottom = { start: run.start, end: roundest(run.start + half, run.start + most) };
  const top = { start: roundest(run.end - most, run.end - half), end: run.end };
  const block = topmostBlock(run, most);
  // Each but the whole run leaves the donor what is on its inner side: one entry more.
  return [
    { ...bottom, cost: before + 1 },
    { ...block, cost: block.end === run.end ? after + 1 : 2 },
    { ...top, cost: after + 1 },
  ];
}

/** The largest aligned block of at most `most` offsets inside the run. */
function topmostBlock(run: OffsetRange, most: number): OffsetRange {
  for (let size = powerAtMost(most); ; size /= 2) {
    const start = Math.floor(run.end / size) * size - size;
    if (start >= run.start) return { start, end: start + size };
  }
}

/** The offset from `low` to `high` that the largest power of two divides. */
function roundest(low: number, high: number): number {
  for (let size = powerAtMost(Math.max(1, high)); ; size /= 2) {
    const at = Math.floor(high / size) * size;
    if (at >= low) return at;
  }
}

const isLike =
  (a: OffsetRange) =>
  (b: OffsetRange): boolean =>
    a.start === b.start && a.end === b.end;
const powerAtMost = (limit: number): number => 2 ** Math.floor(Math.log2(limit));
const sizeOf = ({ start, end }: OffsetRange): number => end - start;
