// `weave expose`: gives the bridge of this host an address of the network.
import type { Command } from "commander";
import { z } from "zod";
import { runDirOption } from "../launch-options.ts";
import { ADDRESS_FORMS, readWish } from "./addresses.ts";
import type { Context } from "./context.ts";
import { daemonOf } from "./daemon.ts";
import { json, plain } from "./text.ts";

const EXAMPLES = `
Prints the addresses, one per line. Then this host and its containers reach each other, and
containers reach the outside in the name of the host (masquerade). Saying it again changes nothing;
it stays in force over restarts.

Examples:
  weave expose                           an address chosen from the range
  weave expose 10.32.0.100/12            this one
  weave expose net:10.32.4.0/24          one of this subnet
  weave expose --without-masquerade      containers keep their own address towards the outside`;

const flags = z.object({ withoutMasquerade: z.boolean().optional(), json: z.boolean().optional() });

export function addExpose(program: Command, context: Context): Command {
  return program
    .command("expose")
    .description("Join this host to the network: an address for its bridge")
    .argument("[CIDR...]", ADDRESS_FORMS)
    .option("--without-masquerade", "do not masquerade between the network and the outside")
    .option("--json", "print {addresses} as JSON")
    .addOption(runDirOption())
    .addHelpText("after", EXAMPLES)
    .action(async (addresses: string[], options: unknown) => {
      const { withoutMasquerade = false, json: asJson = false } = flags.parse(options);
      const { client } = daemonOf(options);
      const answer = await client.expose(readWish(addresses, true), !withoutMasquerade);
      if (asJson) context.print(json(answer));
      else for (const address of answer.addresses) context.print(plain(address));
    });
}
