// The run directory: made by whoever comes first, `weave launch` for its log or weaver for its socket.
import { mkdirSync, statSync } from "node:fs";
import { WeaveError } from "../src/core/errors.ts";

/** Make it, for root alone. Throws storage, naming the option. */
export function ensureRunDir(dir: string): void {
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    if (!statSync(dir).isDirectory()) throw new Error("it is not a directory");
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new WeaveError("storage", `cannot use the run directory ${dir}: ${why}`, {
      hint: "choose another with --run-dir or WEAVE_RUN_DIR",
      cause: error,
    });
  }
}
