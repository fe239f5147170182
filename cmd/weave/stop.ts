// `weave stop`: asks the daemon to end, and returns when it has.
import { readFileSync } from "node:fs";
import { createConnection } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Command } from "commander";
import { WeaveError } from "../../src/core/errors.ts";
import { LOG_FILE, PID_FILE } from "../../src/daemon/options.ts";
import { runDirOption } from "../launch-options.ts";
import type { Context } from "./context.ts";
import { daemonOf, isDenied } from "./daemon.ts";

/** A daemon ends within 10 s; twice that means that something is wrong. */
const PATIENCE_MS = 20_000;
const POLL_MS = 20;

const EXAMPLES = `
Returns when the daemon is gone. Containers of this host keep their network: among themselves, to
other hosts and to the outside. New ones get none until the next launch. When no daemon runs, that
is an error (exit code 1).

Examples:
  weave stop
  weave stop && weave launch             a restart; name, addresses and targets are kept`;

export function addStop(program: Command, context: Context): Command {
  return program
    .command("stop")
    .description("End the daemon; containers keep their network")
    .addOption(runDirOption())
    .addHelpText("after", EXAMPLES)
    .action(async (options: unknown) => {
      const { client, socket, runDir } = daemonOf(options, PATIENCE_MS);
      const deadline = Date.now() + PATIENCE_MS;
      const { pid } = await client.stop().catch((error: unknown) => explain(error, socket, runDir));
      while (isRunning(pid) || (await accepts(socket))) {
        if (Date.now() > deadline) {
          throw new WeaveError(
            "timeout",
            `weaver (process ${pid}) was told to stop and still runs after ${PATIENCE_MS / 1000} s`,
            {
              hint: `its log is ${join(runDir, LOG_FILE)}; to end it by force: kill -9 ${pid}`,
            },
          );
        }
        await delay(POLL_MS);
      }
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

/** A zombie does not run: in a container without an init nobody may ever collect it. */
function isRunning(pid: number): boolean {
  try {
    // The state follows the command in parentheses, which may contain any character (proc(5)).
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return !/^ [ZX]/.test(stat.slice(stat.lastIndexOf(")") + 1));
  } catch {
    return false;
  }
}

function accepts(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createConnection(socket);
    probe.once("connect", () => {
      probe.destroy();
      resolve(true);
    });
    probe.once("error", () => resolve(false));
  });
}
