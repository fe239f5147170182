// The one place where an error becomes text on stderr and an exit code.
import { CommanderError } from "commander";
import { WeaveError } from "../../src/core/errors.ts";
import { EXIT, exitCodeOf } from "../exit-code.ts";
import { type Context, MAX_COLUMNS } from "./context.ts";
import { wrap } from "./text.ts";

/** Tells the user what failed and answers the exit code. With WEAVE_DEBUG the stack and causes follow. */
export function reportFailure(error: unknown, context: Context, debug: boolean): number {
  if (error instanceof CommanderError) {
    // Commander has written its message or the help already; exitCode 0 is `--help` and `--version`.
    return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  }
  const { message, hint, exitCode } = describe(error);
  context.tell(wrap(`weave: ${message}`, MAX_COLUMNS, "  "));
  if (hint !== undefined) context.tell(wrap(hint.replace(/^/gm, "  "), MAX_COLUMNS, "  "));
  if (debug && error instanceof Error) context.tell(`${error.stack}\n${causes(error)}`);
  return exitCode;
}

function describe(error: unknown): { message: string; hint: string | undefined; exitCode: number } {
  if (error instanceof WeaveError) {
    return { message: error.message, hint: error.hint, exitCode: exitCodeOf(error.code) };
  }
  const code = systemCode(error);
  const message = error instanceof Error ? error.message : String(error);
  if (code === "EACCES" || code === "EPERM")
    return { message, hint: "run this as root", exitCode: EXIT.failed };
  if (code !== undefined) return { message, hint: undefined, exitCode: EXIT.failed };
  return {
    message: `internal error: ${message}`,
    hint: "set WEAVE_DEBUG=1 to see where",
    exitCode: EXIT.failed,
  };
}

/** "EACCES" and the like, of errors of the operating system. */
function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error) || !("syscall" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

function causes(error: Error): string {
  return error.cause instanceof Error ? `caused by ${error.cause.stack}\n${causes(error.cause)}` : "";
}
