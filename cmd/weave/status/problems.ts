// Problems as lines, the most severe first.
import type { Problem } from "../../../src/api/status.ts";
import { instant, plain } from "../text.ts";

/** A problem the daemon told, or why it could not be asked. */
export interface Finding extends Omit<Problem, "code"> {
  readonly code: string;
}

/** What corrupts traffic comes first, then what stops new containers, then what separates hosts. */
const SEVERITY: readonly Problem["code"][] = [
  "address-conflict",
  "datapath",
  "range-exhausted",
  "no-founder",
  "waiting-for-peers",
  "foreign-cluster",
  "refused",
  "peer-unreachable",
  "target-unreachable",
];

export function bySeverity(problems: readonly Problem[]): Problem[] {
  return [...problems].sort((a, b) => SEVERITY.indexOf(a.code) - SEVERITY.indexOf(b.code));
}

/**
 * `PROBLEM: <code> <object> since <time>; run <command>`. The only line that may exceed 100 columns: scripts read it, and
 * each part must be whole.
 */
export function problemLine({ code, object, since, command }: Finding): string {
  return `PROBLEM: ${code} ${plain(object)} since ${instant(since)}; run ${plain(command)}`;
}
