// `weave attach`: connects a container that runs, or any network namespace, with the same code as CNI ADD.
import type { Command } from "commander";
import { z } from "zod";
import type { Links } from "../../src/api/control.ts";
import { WeaveError } from "../../src/core/errors.ts";
import { runDirOption } from "../launch-options.ts";
import { ADDRESS_FORMS, looksLikeAddress, readWish } from "./addresses.ts";
import { withTarget } from "./attach/target.ts";
import type { Context } from "./context.ts";
import { daemonOf } from "./daemon.ts";
import { json, plain } from "./text.ts";

const EXAMPLES = `
Prints the addresses the target has of those asked for, one per line; saying it again changes
nothing. Each subnet is an interface of its own (ethwe, ethwe1 ...). The target gets no default
route and no DNS: other networks it has stay as they are. When its namespace ends, its addresses are
free again. Nobody keeps a list of addresses outside the range: give each only once.

TARGET is a path (with a slash), a process id, or the name or id of a Docker or podman container.

Examples:
  weave attach web                                  Docker's or podman's container "web"
  weave attach 10.2.1.1/24 net:10.32.4.0/24 web     one manual address, and one of that subnet
  weave attach /run/netns/c1                        a namespace of "ip netns"
  weave attach $(pidof -s nginx)                    that of a process`;

const flags = z.object({ json: z.boolean().optional() });

/** `weave attach`: connect a container by hand. */
export function addAttach(program: Command, context: Context): Command {
  return targetCommand(program, "attach")
    .description("Connect a running container or a network namespace")
    .addHelpText("after", EXAMPLES)
    .action(async (words: string[], options: unknown) => {
      const { addresses, target } = split(words);
      const wish = readWish(addresses, true);
      const { client } = daemonOf(options);
      const answer = await withTarget(target, "refused", async ({ ident, netns }) => {
        if (netns === undefined) throw new Error("a target without a namespace");
        return client.attach({ ...wish, ident, netns });
      });
      printLinks(answer, flags.parse(options).json ?? false, context);
    });
}

/** What attach and detach are both given. */
export function targetCommand(program: Command, name: string): Command {
  return program
    .command(name)
    .usage("[options] [CIDR...] TARGET")
    .argument("<WORD...>", `addresses (${ADDRESS_FORMS}), and TARGET last`)
    .option("--json", "print {links: [{ident, ifname, mac, addresses}]} as JSON")
    .addOption(runDirOption());
}

/** The last word is the target. */
export function split(words: readonly string[]): {
  readonly addresses: readonly string[];
  readonly target: string;
} {
  const target = words.at(-1) ?? "";
  if (target !== "" && !looksLikeAddress(target)) return { addresses: words.slice(0, -1), target };
  throw new WeaveError("bad-request", `"${target}" is an address, and no target follows it`, {
    hint: "name a namespace path, process id or container last",
  });
}

/** Also of detach. */
export function printLinks(answer: Links, asJson: boolean, { print }: Pick<Context, "print">): void {
  if (asJson) print(json(answer));
  else for (const { addresses } of answer.links) for (const address of addresses) print(plain(address));
}
