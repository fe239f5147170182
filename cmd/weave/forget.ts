// `weave forget`: addresses the running daemon is to dial no more.
import type { Command } from "commander";
import { z } from "zod";
import { checkTarget } from "../../src/daemon/config.ts";
import { runDirOption } from "../launch-options.ts";
import type { Context } from "./context.ts";
import { daemonOf } from "./daemon.ts";
import { json, plain } from "./text.ts";

const EXAMPLES = `
The opposite of connect. Prints the targets the daemon has still, one per line. A connection that is
established stays, and with discovery a host that the others know is dialled all the same: to remove
a host from the network, run weave rmpeer. An address that is no target is passed over with a note.

Examples:
  weave forget 192.0.2.11
  weave forget host3.example.org:6783 '[2001:db8::4]:6783'
  weave forget --json 192.0.2.11         {forgotten, targets}`;

const flags = z.object({ json: z.boolean().optional() });

export function addForget(program: Command, context: Context): Command {
  return program
    .command("forget")
    .description("Let the running daemon dial hosts no more")
    .argument("<PEER...>", "as given to launch or connect: HOST, HOST:PORT or [IPV6]:PORT")
    .option("--json", "print {forgotten, targets} as JSON")
    .addOption(runDirOption())
    .addHelpText("after", EXAMPLES)
    .action(async (peers: string[], options: unknown) => {
      const { json: asJson = false } = flags.parse(options);
      for (const peer of peers) checkTarget(peer);
      const answer = await daemonOf(options).client.forget(peers);
      if (asJson) context.print(json(answer));
      else for (const target of answer.targets) context.print(plain(target));
      if (answer.forgotten.length === 0)
        context.tell(
          `weave: none of these is a target: ${plain(peers.join(", "))}; see: weave status targets`,
        );
    });
}
