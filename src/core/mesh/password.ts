// Hosts whose passwords do not fit: by which reasons they are known, and which targets a change may concern.
import type { PasswordCode } from "../connection.ts";

/** The two hosts were launched with different passwords, or one without. */
export const PASSWORD_CODES: ReadonlySet<string> = new Set<PasswordCode>([
  "password-wrong",
  "password-missing-here",
  "password-missing-there",
]);

/** The address in a target, "1.2.3.4", "1.2.3.4:6783", "fd00::2" or "[fd00::2]:6783"; of a host name the name. */
export function hostOf(target: string): string {
  const [, bracketed] = /^\[([^\]]*)\]/.exec(target) ?? [];
  if (bracketed !== undefined) return bracketed;
  return target.indexOf(":") === target.lastIndexOf(":") ? target.replace(/:.*$/, "") : target;
}
