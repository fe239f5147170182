// The ring: which peer owns which offsets of one universe. A function from offset to (made, version, owner), kept as sorted
// intervals and merged point by point: at every offset the greatest (made, version, owner) wins. Words: docs/ipam.md.
//
// Why intervals and not tokens: with Weave Net's tokens a range could only ever be split, because forgetting a token
// needs a tombstone. Here neighbouring intervals with equal (made, version, owner) are one interval by definition, so an
// owner joins its ranges again by raising them to one version (`join`), and nothing has to be remembered.

import type { OffsetRange } from "../address/universe.ts";
import { EMPTY_FINGERPRINT, type Fingerprint, fingerprint, xor } from "../hash.ts";

/** Offsets [start, end) belong to `owner` as of `version`. */
export interface OwnedRange extends OffsetRange {
  readonly owner: string;
  readonly version: number;
  /** Epoch it was given or taken in. An entry of a later epoch beats all of earlier ones. */
  readonly made: number;
}

/**
 * Invariants:
 * 1. `ranges` are sorted, do not overlap, lie inside [0, size); neighbours that touch differ in made, version or owner.
 *    Gaps are offsets nothing is known of yet (a joiner before its first sync).
 * 2. Only the owner of an offset raises its version, and only the heir of a decided removal its `made` over the owner's
 *    head. So two different owners at one (made, version) cannot arise; if a fault makes them, the greater name wins
 *    everywhere alike.
 * 3. Merge is commutative, associative, idempotent, and never fails.
 */
export class Ring {
  readonly size: number;
  #ranges: readonly OwnedRange[] = [];
  #fingerprint: Fingerprint | undefined;

  constructor(size: number) {
    this.size = size;
  }

  /** A new ring, its offsets divided among the founders in name order: aligned halves, halved again. */
  static found(size: number, founders: readonly string[]): Ring {
    const ring = new Ring(size);
    ring.merge(sharesOf(size, [...new Set(founders)].sort()));
    return ring;
  }

  get ranges(): readonly OwnedRange[] {
    return this.#ranges;
  }

  /** Take ranges in. Returns the parts that are new here, to persist and pass on; empty when nothing was. */
  merge(incoming: readonly OwnedRange[]): readonly OwnedRange[] {
    const [first, last] = [incoming[0], incoming.at(-1)];
    if (first === undefined || last === undefined) return [];
    // Only what the incoming ones touch can change: a gift costs the same in a large ring as in a small one, nearly.
    const from = this.#firstEndingAfter(first.start - 1);
    let to = this.#firstEndingAfter(last.end);
    if ((this.#ranges[to]?.start ?? Number.POSITIVE_INFINITY) <= last.end) to++;
    const touched = this.#ranges.slice(from, to);
    const { merged, fresh } = combine(touched, incoming);
    if (fresh.length > 0) {
      if (this.#fingerprint !== undefined)
        this.#fingerprint = xor(this.#fingerprint, xor(sumOf(touched), sumOf(merged)));
      this.#ranges = this.#ranges.slice(0, from).concat(merged, this.#ranges.slice(to));
    }
    return fresh;
  }

  /**
   * Hand offsets that `from` owns to `to`, in epoch `made`. Returns the change. Throws when `from` does not own all of it
   * (a bug).
   */
  give(range: OffsetRange, from: string, to: string, made: number): readonly OwnedRange[] {
    const given = this.within(range);
    const covered = given.reduce((sum, r) => sum + r.end - r.start, 0);
    if (covered !== range.end - range.start || given.some((r) => r.owner !== from)) {
      throw new Error(`${from} gave [${range.start}, ${range.end}) which it does not own`);
    }
    const version = Math.max(...given.map((r) => r.version)) + 1;
    return this.merge([{ ...range, owner: to, version, made: Math.max(made, ...given.map((r) => r.made)) }]);
  }

  /** The heir takes ranges over in the epoch that decided it, whoever owned them. Returns the change. */
  take(ranges: readonly OffsetRange[], heir: string, made: number): readonly OwnedRange[] {
    return this.merge(ranges.map(({ start, end }) => ({ start, end, owner: heir, version: 1, made })));
  }

  /** Offsets nothing is known of. */
  gaps(): readonly OffsetRange[] {
    const gaps: OffsetRange[] = [];
    let at = 0;
    for (const { start, end } of this.#ranges) {
      if (start > at) gaps.push({ start: at, end: start });
      at = end;
    }
    if (at < this.size) gaps.push({ start: at, end: this.size });
    return gaps;
  }

  /** Raise all ranges of `owner`: marks the ring as used (see isPristine). */
  seal(owner: string): readonly OwnedRange[] {
    return this.merge(this.rangesOf(owner).map((r) => ({ ...r, version: r.version + 1 })));
  }

  /** Make touching ranges of `owner` one range by raising them to the newest (made, version) among them. */
  join(owner: string): readonly OwnedRange[] {
    const joined: OwnedRange[] = [];
    for (const range of this.rangesOf(owner)) {
      const last = joined.at(-1);
      if (last !== undefined && last.end === range.start) {
        const newer = isNewer(range, last) ? range : last;
        joined[joined.length - 1] = { ...newer, start: last.start, end: range.end };
      } else joined.push(range);
    }
    return this.merge(joined);
  }

  /** Nothing was ever allocated, given or taken: the founder may drop it and join another ring. */
  isPristine(): boolean {
    return (
      this.#ranges.every((r) => r.version === 1 && r.made === 1) &&
      new Set(this.#ranges.map((r) => r.owner)).size <= 1
    );
  }

  ownerOf(offset: number): string | undefined {
    return this.within({ start: offset, end: offset + 1 })[0]?.owner;
  }

  rangesOf(owner: string): readonly OwnedRange[] {
    return this.#ranges.filter((r) => r.owner === owner);
  }

  /** The parts inside `range`, clipped to it. */
  within(range: OffsetRange): readonly OwnedRange[] {
    const clipped: OwnedRange[] = [];
    for (let i = this.#firstEndingAfter(range.start); i < this.#ranges.length; i++) {
      const r = this.#ranges[i];
      if (r === undefined || r.start >= range.end) break;
      clipped.push({ ...r, start: Math.max(r.start, range.start), end: Math.min(r.end, range.end) });
    }
    return clipped;
  }

  fingerprint(): Fingerprint {
    this.#fingerprint ??= sumOf(this.#ranges);
    return this.#fingerprint;
  }

  /** Index of the first range that ends after the offset. */
  #firstEndingAfter(offset: number): number {
    let [low, high] = [0, this.#ranges.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#ranges[middle]?.end ?? 0) <= offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

const sumOf = (ranges: readonly OwnedRange[]): Fingerprint =>
  ranges.reduce(
    (sum, r) => xor(sum, fingerprint(`${r.start}\0${r.end}\0${r.made}\0${r.version}\0${r.owner}`)),
    EMPTY_FINGERPRINT,
  );

/** Whether foreign ranges may be merged: inside the universe, sorted, not overlapping, of no later epoch, versions with room. */
export function wellFormed(ranges: readonly OwnedRange[], size: number, epoch: number): boolean {
  let last = 0;
  for (const { start, end, version, made } of ranges) {
    if (!Number.isSafeInteger(start) || !Number.isSafeInteger(end) || !Number.isSafeInteger(version))
      return false;
    if (!Number.isSafeInteger(made) || made < 1 || made > epoch) return false;
    if (start < last || start >= end || end > size || version < 1 || version > Number.MAX_SAFE_INTEGER / 2)
      return false;
    last = end;
  }
  return true;
}

/** The pointwise maximum of two sorted interval lists, and what of it the second brought. One sweep over both. */
export function combine(
  held: readonly OwnedRange[],
  incoming: readonly OwnedRange[],
): { readonly merged: readonly OwnedRange[]; readonly fresh: readonly OwnedRange[] } {
  const merged: OwnedRange[] = [];
  const fresh: OwnedRange[] = [];
  let i = 0;
  let j = 0;
  let at = 0;
  for (;;) {
    const a = held[i];
    const b = incoming[j];
    if (a === undefined && b === undefined) return { merged, fresh };
    at = Math.max(at, Math.min(a?.start ?? Number.POSITIVE_INFINITY, b?.start ?? Number.POSITIVE_INFINITY));
    const inA = a !== undefined && a.start <= at ? a : undefined;
    const inB = b !== undefined && b.start <= at ? b : undefined;
    const end = Math.min(
      inA?.end ?? a?.start ?? Number.POSITIVE_INFINITY,
      inB?.end ?? b?.start ?? Number.POSITIVE_INFINITY,
    );
    if (inB !== undefined && (inA === undefined || beats(inB, inA))) {
      append(merged, inB, at, end);
      append(fresh, inB, at, end);
    } else if (inA !== undefined) append(merged, inA, at, end);
    at = end;
    if (a !== undefined && a.end <= at) i++;
    if (b !== undefined && b.end <= at) j++;
  }
}

const isNewer = (a: OwnedRange, b: OwnedRange): boolean =>
  a.made !== b.made ? a.made > b.made : a.version > b.version;

function beats(a: OwnedRange, b: OwnedRange): boolean {
  return a.made === b.made && a.version === b.version ? a.owner > b.owner : isNewer(a, b);
}

function append(list: OwnedRange[], like: OwnedRange, start: number, end: number): void {
  const { owner, version, made } = like;
  const last = list.at(-1);
  const continues =
    last?.end === start && last.owner === owner && last.version === version && last.made === made;
  if (continues) list[list.length - 1] = { ...last, end };
  else list.push(start === like.start && end === like.end ? like : { start, end, owner, version, made });
}

/** The shares of the last founding: the hosts of a simulated world come to the same ones, one after the other. */
let lastShares: { readonly of: string; readonly shares: readonly OwnedRange[] } | undefined;

function sharesOf(size: number, founders: readonly string[]): readonly OwnedRange[] {
  const of = `${size} ${founders.join()}`;
  if (lastShares?.of !== of) lastShares = { of, shares: divide(0, size, founders) };
  return lastShares.shares;
}

/** Halves of [start, end) to halves of the owners, so that pieces are aligned blocks; the surplus of owners gets nothing. */
function divide(start: number, end: number, owners: readonly string[]): OwnedRange[] {
  const [owner] = owners;
  if (owner === undefined || start === end) return [];
  if (owners.length === 1 || end - start === 1) return [{ start, end, owner, version: 1, made: 1 }];
  const half = Math.ceil(owners.length / 2);
  const middle = start + Math.floor((end - start) / 2);
  return [...divide(start, middle, owners.slice(0, half)), ...divide(middle, end, owners.slice(half))];
}
