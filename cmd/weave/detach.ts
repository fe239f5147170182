// `weave detach`: the reverse of `weave attach`, with the same code as CNI DEL.
import type { Command } from "commander";
import { z } from "zod";
import { readWish } from "./addresses.ts";
import { withTarget } from "./attach/target.ts";
import { printLinks, split, targetCommand } from "./attach.ts";
import type { Context } from "./context.ts";
import { daemonOf } from "./daemon.ts";

const EXAMPLES = `
Prints the addresses that were taken off, one per line; what was not attached is no error, and
nothing is allocated. What a runtime attached by CNI stays: the runtime takes it off.

Examples:
  weave detach web                       what "weave attach web" gave
  weave detach 10.2.1.1/24 web           this address, with its interface
  weave detach net:10.32.4.0/24 web      what it has of this subnet`;

const flags = z.object({ json: z.boolean().optional() });

/** `weave detach`: take off what attach connected. */
export function addDetach(program: Command, context: Context): Command {
  return targetCommand(program, "detach")
    .description("Take a container off that weave attach connected")
    .addHelpText("after", EXAMPLES)
    .action(async (words: string[], options: unknown) => {
      const { addresses, target } = split(words);
      const wish = readWish(addresses, false);
      const { client } = daemonOf(options);
      const answer = await withTarget(target, "passed", (found) => client.detach({ ...wish, ...found }));
      const asJson = flags.parse(options).json ?? false;
      if (answer.links.length === 0 && !asJson) context.tell("weave: nothing of this was attached");
      printLinks(answer, asJson, context);
    });
}
