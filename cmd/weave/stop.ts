// `weave stop`: asks the daemon to end, and returns when it has.
import { join } from "node:path";
import type { Command } from "commander";
import { WeaveError } from "../../src/core/errors.ts";
import { PID_FILE } from "../../src/daemon/options.ts";
import { runDirOption } from "../launch-options.ts";
import type { Context } from "./context.ts";
import { daemonOf, isDenied } from "./daemon.ts";
import { untilEnded } from "./daemon-end.ts";

/** A daemon ends within 10 s; twice that means that something is wrong. */
const PATIENCE_MS = 20_000;

const EXAMPLES = `
Returns when the daemon is gone. Containers of this host keep their network: among themselves, to
other hosts and to the outside. New ones get none until the next launch. When no daemon runs, that
is an error (exit code 1).

Examples:
  weave stop
  weave stop && weave launch             a restart; name, addresses and targets are kept`;

/** `weave stop`: end the daemon and wait until it is gone. */
export function addStop(program: Command, context: Context): Command {
  return program
    .command("stop")
    .description("End the daemon; containers keep their network")
    .addOption(runDirOption())
    .addHelpText("after", EXAMPLES)
    .action(async (options: unknown) => {
      const { client, socket, runDir } = daemonOf(options, PATIENCE_MS);
      const { pid } = await client.stop().catch((error: unknown) => explain(error, socket, runDir));
      await untilEnded(pid, { socket, runDir }, PATIENCE_MS);
      context.print(`weaver has stopped (process ${pid}); containers keep their network`);
    });
}

function explain(error: unknown, socket: string, runDir: string): never {
  if (error instanceof WeaveError && error.code === "timeout") {
    throw new WeaveError("timeout", `weaver hangs: ${error.message}`, {
      hint: `end it by force, containers keep their network: kill -9 $(cat ${join(runDir, PID_FILE)}) && weave launch`,
    });
  }
  if (!(error instanceof WeaveError) || error.code !== "not-running" || isDenied(error)) throw error;
  throw new WeaveError("not-running", `weaver is not running: nobody answers on ${socket}`, {
    hint: "there is nothing to stop; if it runs elsewhere, name its --run-dir",
  });
}
