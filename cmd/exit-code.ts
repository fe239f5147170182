// What the two programs tell their caller: 0 done; 1 failed; 2 the command line is wrong.
import type { ErrorCode } from "../src/core/errors.ts";

export const EXIT = { ok: 0, failed: 1, usage: 2 } as const;

/** The code for an error the user caused or met. */
export function exitCodeOf(code: ErrorCode): number {
  return code === "bad-request" || code === "bad-address" ? EXIT.usage : EXIT.failed;
}
