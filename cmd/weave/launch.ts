// `weave launch`: starts weaver, in the background or in front. What weaver then does is none of its business.
import { join } from "node:path";
import type { Command } from "commander";
import { z } from "zod";
import { createClient } from "../../src/api/client.ts";
import { isErrorCode, WeaveError } from "../../src/core/errors.ts";
import { SOCKET_FILE } from "../../src/daemon/options.ts";
import { addLaunchOptions, readLaunchOptions, toArguments } from "../launch-options.ts";
import { passwordEnvironment, takePassword } from "../password.ts";
import type { Context } from "./context.ts";
import { launchInBackground } from "./launch/background.ts";
import { launchInFront } from "./launch/foreground.ts";
import { json, plain } from "./text.ts";

const EXAMPLES = `
Starts weaver in the background, returns when it answers, and prints one line. A host first launched
without peers founds the cluster; a host launched with peers joins theirs. Later launches find name,
cluster, addresses and targets in the data directory. Peers given replace the stored targets.

Examples:
  weave launch                                       the first host
  weave launch 192.0.2.11                            another host, joining it
  weave launch host1:6783 '[2001:db8::2]:6783'
  weave launch --name alice --ipalloc-init seed=alice,bob,carol bob.example.org carol.example.org
  weave launch --ipalloc-range 10.96.0.0/14 --host 192.0.2.12 192.0.2.11
  weave launch --password-file /etc/weave/password 192.0.2.11    the same file on all hosts
  weave launch --foreground                          under a service manager; ends on SIGTERM`;

/** A daemon that answers does so at once; one that hangs must not hang us. */
const PATIENCE_MS = 3000;

const flags = z.object({ foreground: z.boolean().optional(), json: z.boolean().optional() });

export function addLaunch(program: Command, context: Context): Command {
  return addLaunchOptions(program.command("launch").description("Start the daemon of this host"))
    .option("--foreground", "stay in front, log to the terminal, and end with the daemon's exit code")
    .option("--json", "print {name, nickname, socket, pid, warnings} as JSON")
    .addHelpText("after", EXAMPLES)
    .action(async (peers: string[], given: unknown) => {
      const { foreground = false, json: asJson = false } = flags.parse(given);
      const options = readLaunchOptions(given, peers);
      const { password, warnings } = takePassword(given, process.env);
      const socket = join(options.runDir, SOCKET_FILE);
      checkRoot();
      await checkNoneRuns(socket);
      const warn = (text: string): void => context.tell(`weave: warning: ${plain(text)}`);
      for (const warning of warnings) warn(warning);
      const weaver = {
        program: join(context.programs, "weaver"),
        words: toArguments(options),
        environment: passwordEnvironment(password),
      };
      if (foreground) {
        context.setExitCode(await launchInFront(weaver));
        return;
      }
      const report = await launchInBackground(weaver, options.runDir, context);
      if (report.kind === "failed") {
        const code = isErrorCode(report.code) ? report.code : "internal";
        throw new WeaveError(code, report.message, { hint: report.hint });
      }
      const { kind: _, ...ready } = report;
      for (const warning of ready.warnings) warn(warning);
      if (asJson) context.print(json(ready));
      else
        context.print(
          `weaver is running: peer ${ready.name} (${plain(ready.nickname)}), socket ${ready.socket}`,
        );
    });
}

function checkRoot(): void {
  if (process.getuid?.() === 0) return;
  throw new WeaveError(
    "feature-missing",
    "weave launch needs root: weaver makes network devices and opens namespaces",
    {
      hint: "run it as root, for example with sudo",
    },
  );
}

/** Only for a clear message: when two launches race, the daemon's lock on its data decides. */
async function checkNoneRuns(socket: string): Promise<void> {
  const found = await createClient(socket, { timeoutMs: PATIENCE_MS })
    .status()
    .catch((error: unknown) => {
      if (error instanceof WeaveError) return error;
      throw error;
    });
  if (found instanceof WeaveError && found.code === "not-running") return;
  const who =
    found instanceof WeaveError
      ? `a weaver holds ${socket}: ${found.message}`
      : `weaver is already running: peer ${found.name} (${plain(found.nickname)}), process ${found.pid}, socket ${socket}`;
  throw new WeaveError("already-running", who, {
    hint: "add peers with: weave connect PEER; start again with other options: weave stop && weave launch ...",
  });
}
