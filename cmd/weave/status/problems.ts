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
  "path-down": 3,
  "path-mtu": 4,
  clone: 5,
  split: 6,
  "range-exhausted": 7,
  founding: 8,
  "waiting-for-peers": 9,
  "foreign-cluster": 10,
  "no-quorum": 11,
  taking: 12,
  refused: 13,
  "peer-unreachable": 14,
  "target-unreachable": 15,
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
