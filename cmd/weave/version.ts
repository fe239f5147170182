// `weave version`: the version of this command and of the daemon, if one answers.
import type { Command } from "commander";
import { WeaveError } from "../../src/core/errors.ts";
import { runDirOption } from "../launch-options.ts";
import type { Context } from "./context.ts";
import { type Daemon, daemonOf } from "./daemon.ts";
import { plain } from "./text.ts";

/** Long enough for a busy host, short enough for a person. */
const PATIENCE_MS = 3000;

export function addVersion(program: Command, context: Context): Command {
  return program
    .command("version")
    .description("Print the versions of weave and of the running daemon")
    .addOption(runDirOption())
    .addHelpText("after", "\nExit code 0 also when no daemon runs.\n\nExample:\n  weave version")
    .action(async (options: unknown) => {
      const daemon = daemonOf(options, PATIENCE_MS);
      context.print(`weave ${context.version}`);
      context.print(await daemonVersion(daemon));
    });
}

async function daemonVersion({ client, socket }: Daemon): Promise<string> {
  try {
    const { version, pid } = await client.status();
    return `weaver ${plain(version)}, running as process ${pid}`;
  } catch (error) {
    if (!(error instanceof WeaveError)) throw error;
    return error.code === "not-running"
      ? `weaver is not running (${socket})`
      : `weaver: ${plain(error.message)}`;
  }
}
