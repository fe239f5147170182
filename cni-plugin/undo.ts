// All or nothing: what an ADD has done is undone, last first, when it fails or its caller is gone at its end.
import { WeaveError } from "../src/core/errors.ts";
import type { Call } from "./call.ts";
import { keyOf } from "./deps.ts";

/** Registers how to undo what was just done (or may be half done); `what` completes "cannot ...". */
export type Undo = (what: string, undo: () => Promise<unknown>) => void;

export async function undoOnFailure(
  { request, deps, signal }: Call,
  work: (undo: Undo) => Promise<string>,
): Promise<string> {
  const steps: { what: string; undo: () => Promise<unknown> }[] = [];
  try {
    const stdout = await work((what, undo) => steps.push({ what, undo }));
    signal.throwIfAborted();
    return stdout;
  } catch (error) {
    for (const { what, undo } of steps.reverse()) {
      try {
        await undo();
      } catch (failure) {
        deps.log?.error(`after a failed ADD: cannot ${what}`, { ...keyOf(request), error: String(failure) });
      }
    }
    throw signal.aborted
      ? new WeaveError("cancelled", "the call was given up before it was finished")
      : error;
  }
}
