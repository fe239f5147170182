// Problems as lines, the most severe first.
import type { Problem } from "../../../src/api/status.ts";
import { instant, plain } from "../text.ts";

/** A problem the daemon told, or why it could not be asked. */
export interface Finding extends Omit<Problem, "code"> {
  readonly code: string;
}

/** Lower is worse: what corrupts traffic, then what stops new containers, then what separates hosts. */
const RANK: Readonly<Record<Problem["code"], number>> = {
  "address-conflict": 0,
  "address-lost": 1,
  datapath: 2,
  clone: 3,
  split: 4,
  "range-exhausted": 5,
  founding: 6,
  "waiting-for-peers": 7,
  "foreign-cluster": 8,
  "no-quorum": 9,
  taking: 10,
  refused: 11,
  "peer-unreachable": 12,
  "target-unreachable": 13,
};

/** The most severe first, otherwise in their order. */
export function bySeverity(problems: readonly Problem[]): Problem[] {
  return [...problems].sort((a, b) => RANK[a.code] - RANK[b.code]);
}

/**
 * `PROBLEM: <code> <object> since <time>; run <command>`. The only line that may exceed 100 columns: scripts read it, and
 * each part must be whole.
 */
export function problemLine({ code, object, since, command }: Finding): string {
  return `PROBLEM: ${code} ${plain(object)} since ${instant(since)}; run ${plain(command)}`;
}
