// `weave expose`: gives the bridge of this host an address of the network.
import type { Command } from "commander";
import { z } from "zod";
import { parseCidr } from "../../src/core/address/cidr.ts";
import { WeaveError } from "../../src/core/errors.ts";
import { runDirOption } from "../launch-options.ts";
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
  weave expose --without-masquerade      containers keep their own address towards the outside`;

const flags = z.object({ withoutMasquerade: z.boolean().optional(), json: z.boolean().optional() });

export function addExpose(program: Command, context: Context): Command {
  return program
    .command("expose")
    .description("Join this host to the network: an address for its bridge")
    .argument("[CIDR...]", "addresses with prefix length; none: one is allocated")
    .option("--without-masquerade", "do not masquerade between the network and the outside")
    .option("--json", "print {addresses} as JSON")
    .addOption(runDirOption())
    .addHelpText("after", EXAMPLES)
    .action(async (addresses: string[], options: unknown) => {
      const { withoutMasquerade = false, json: asJson = false } = flags.parse(options);
      for (const address of addresses) checkAddress(address);
      const answer = await daemonOf(options).client.expose(addresses, !withoutMasquerade);
      if (asJson) context.print(json(answer));
      else for (const address of answer.addresses) context.print(plain(address));
    });
}

function checkAddress(text: string): void {
  if (parseCidr(text) !== undefined && text.includes("/")) return;
  throw new WeaveError("bad-address", `"${text}" is not an address with its prefix length`, {
    hint: "write ADDRESS/LENGTH, for example 10.32.0.100/12, or nothing to have one allocated",
  });
}
