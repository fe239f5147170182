// Problems as lines, the most severe first.
import type { Problem } from "../../../src/api/status.ts";
import { MAX_COLUMNS } from "../context.ts";
import { instant, plain, shorten, width } from "../text.ts";

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

/** An object shorter than this says nothing any more. */
const LEAST_OBJECT = 16;

/** `PROBLEM: <code> <object> since <time>; run <command>`. A long object is cut; --json and the summary have it whole. */
export function problemLine({ code, object, since, command }: Finding): string {
  const before = `PROBLEM: ${code} `;
  const after = ` since ${instant(since)}; run ${plain(command)}`;
  const room = Math.max(LEAST_OBJECT, MAX_COLUMNS - width(before) - width(after));
  return `${before}${shorten(plain(object), room)}${after}`;
}
