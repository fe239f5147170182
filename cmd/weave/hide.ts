// `weave hide`: takes addresses from the bridge of this host, the reverse of `weave expose`.
import type { Command } from "commander";
import { z } from "zod";
import { runDirOption } from "../launch-options.ts";
import { ADDRESS_FORMS, readWish } from "./addresses.ts";
import type { Context } from "./context.ts";
import { daemonOf } from "./daemon.ts";
import { json, plain } from "./text.ts";

const EXAMPLES = `
Prints the addresses the bridge no longer has, one per line; those it did not have are no error.
Containers that use one as their gateway lose their way out of the network, not the network. The
next container whose configuration wants a gateway has an address exposed again.

Examples:
  weave hide                             what "weave expose" gave
  weave hide 10.2.1.1/24 10.2.2.1/24     these
  weave hide net:10.32.4.0/24            all in this subnet`;

const flags = z.object({ json: z.boolean().optional() });

/** `weave hide`: the reverse of expose. */
export function addHide(program: Command, context: Context): Command {
  return program
    .command("hide")
    .description("Take this host off the network again: the reverse of expose")
    .argument("[CIDR...]", ADDRESS_FORMS)
    .option("--json", "print {addresses} as JSON")
    .addOption(runDirOption())
    .addHelpText("after", EXAMPLES)
    .action(async (words: string[], options: unknown) => {
      const answer = await daemonOf(options).client.hide(readWish(words, false));
      if (flags.parse(options).json ?? false) context.print(json(answer));
      else if (answer.addresses.length === 0) context.tell("weave: nothing of this was exposed");
      else for (const address of answer.addresses) context.print(plain(address));
    });
}
