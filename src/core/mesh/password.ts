// Hosts whose passwords do not fit: how long to wait before the next dial, and which targets a change may concern.
import type { PasswordCode } from "../connection.ts";

/** The two hosts were launched with different passwords, or one without. */
export const PASSWORD_CODES: ReadonlySet<string> = new Set<PasswordCode>([
  "password-wrong",
  "password-missing-here",
  "password-missing-there",
]);

/**
 * Pause before such a host is dialled again, with the same +-50 % as any: only a launch mends it, and that dials by itself.
 * Less than REFUSAL_SHOWN_MS even with the jitter, so that the other side shows it all the time.
 */
export const PASSWORD_PAUSE_MS = 120_000;

/** The address in a target, "1.2.3.4", "1.2.3.4:6783", "fd00::2" or "[fd00::2]:6783"; of a host name the name. */
export function hostOf(target: string): string {
  const [, bracketed] = /^\[([^\]]*)\]/.exec(target) ?? [];
  if (bracketed !== undefined) return bracketed;
  return target.indexOf(":") === target.lastIndexOf(":") ? target.replace(/:.*$/, "") : target;
}
