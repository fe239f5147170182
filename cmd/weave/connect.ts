// `weave connect`: more dial targets for the running daemon, or others.
import type { Command } from "commander";
import { z } from "zod";
import { checkTarget } from "../../src/daemon/config.ts";
import { runDirOption } from "../launch-options.ts";
import type { Context } from "./context.ts";
import { daemonOf } from "./daemon.ts";
import { json, plain } from "./text.ts";

const EXAMPLES = `
Prints the targets the daemon has now, one per line. It dials them in the background and again when
they are lost, also after a restart; see: weave status connections

Examples:
  weave connect 192.0.2.11 192.0.2.12
  weave connect host3.example.org:6783 '[2001:db8::4]:6783'
  weave connect --replace 192.0.2.11     keep this target only; peers already found are kept, too`;

const flags = z.object({ replace: z.boolean().optional(), json: z.boolean().optional() });

export function addConnect(program: Command, context: Context): Command {
  return program
    .command("connect")
    .description("Connect the running daemon to more hosts")
    .argument("<PEER...>", "HOST, HOST:PORT or [IPV6]:PORT")
    .option("--replace", "make this list the targets instead of adding to them")
    .option("--json", "print {targets} as JSON")
    .addOption(runDirOption())
    .addHelpText("after", EXAMPLES)
    .action(async (peers: string[], options: unknown) => {
      const { replace = false, json: asJson = false } = flags.parse(options);
      for (const peer of peers) checkTarget(peer);
      const answer = await daemonOf(options).client.connect(peers, replace);
      if (asJson) context.print(json(answer));
      else for (const target of answer.targets) context.print(plain(target));
    });
}
