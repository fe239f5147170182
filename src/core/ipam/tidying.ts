// Which fragment of another owner, next door to a range of ours, would make the ring simpler if it were ours. We ask for
// it like for any space, and its owner gives it whole or not at all (donation.ts). A pure choice over the ring.
import type { OffsetRange } from "../address/universe.ts";

/** Touching offsets of one owner, whatever their versions. */
export interface Run extends OffsetRange {
  readonly owner: string;
}

/** Owners of so few ranges are left alone: what is to be won is less than what asking costs. */
export const FEW_RANGES = 4;

/**
 * The fragment that removes most entries, then the smallest. A fragment is not its owner's largest range and smaller than
 * the range of ours it touches, so fragments only ever go where more is, and the asking comes to an end. It concerns only
 * owners of more than FEW_RANGES: the fragment's, or ourselves when it lies between two ranges of ours.
 *
 * @param runs the whole ring, sorted, touching entries of one owner joined
 * @param mayAsk whether this owner can be asked for this range now
 */
export function chooseFragment(
  runs: readonly Run[],
  self: string,
  mayAsk: (run: Run) => boolean,
): Run | undefined {
  const counts = new Map<string, number>();
  const largest = new Map<string, number>();
  for (const run of runs) {
    counts.set(run.owner, (counts.get(run.owner) ?? 0) + 1);
    largest.set(run.owner, Math.max(largest.get(run.owner) ?? 0, sizeOf(run)));
  }
  const isCrowded = (owner: string): boolean => (counts.get(owner) ?? 0) > FEW_RANGES;
  let best: Run | undefined;
  let bestGain = 0;
  for (const [i, run] of runs.entries()) {
    if (run.owner === self || sizeOf(run) === largest.get(run.owner)) continue;
    const ours = [runs[i - 1], runs[i + 1]].filter(
      (other) => other?.owner === self && (other.end === run.start || other.start === run.end),
    );
    const gain = ours.length;
    if (!ours.some((other) => other !== undefined && sizeOf(other) > sizeOf(run))) continue;
    if (!isCrowded(run.owner) && !(gain === 2 && isCrowded(self))) continue;
    const isBetter =
      best === undefined || gain > bestGain || (gain === bestGain && sizeOf(run) < sizeOf(best));
    if (!isBetter || !mayAsk(run)) continue;
    best = run;
    bestGain = gain;
  }
  return best;
}

/** Touching ranges of one owner as one. */
export function runsOf<R extends Run>(ranges: readonly R[]): readonly Run[] {
  const runs: Run[] = [];
  for (const { start, end, owner } of ranges) {
    const last = runs.at(-1);
    if (last?.end === start && last.owner === owner)
      runs[runs.length - 1] = { start: last.start, end, owner };
    else runs.push({ start, end, owner });
  }
  return runs;
}

const sizeOf = ({ start, end }: OffsetRange): number => end - start;
