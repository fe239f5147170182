// `weave ps`: who has addresses on this host, one line for each interface, as Weave Net wrote them.
import type { Command } from "commander";
import { z } from "zod";
import type { Holders } from "../../src/api/control.ts";
import { WeaveError } from "../../src/core/errors.ts";
import { runDirOption } from "../launch-options.ts";
import { containerNamed } from "./attach/containers.ts";
import type { Context } from "./context.ts";
import { daemonOf } from "./daemon.ts";
import { json, plain } from "./text.ts";

type Holder = Holders["holders"][number];

const EXAMPLES = `
Prints "IDENT MAC CIDR..." for the bridge (weave:expose, when it has addresses) and every interface
of a container here, whether a runtime or "weave attach" connected it. IDs of containers are cut to
12 characters; --json has them whole, and the interface.

Examples:
  weave ps
  weave ps weave:expose                  the bridge alone
  weave ps 3f2a9c web                    containers by the beginning of their id, or by name
  weave ps --json | jq -r '.holders[].addresses[]'`;

const flags = z.object({ json: z.boolean().optional() });
const ID_COLUMNS = 12;

/** `weave ps`: who has addresses here. */
export function addPs(program: Command, context: Context): Command {
  return program
    .command("ps")
    .description("List the addresses of this host's bridge and containers")
    .argument("[ID...]", "weave:expose, or containers by id, its beginning, or name; none: all")
    .option("--json", "print {holders: [{ident, network, ifname, mac, addresses}]} as JSON")
    .addOption(runDirOption())
    .addHelpText("after", EXAMPLES)
    .action(async (ids: string[], options: unknown) => {
      const { holders } = await daemonOf(options).client.ps();
      const shown = ids.length === 0 ? holders : await select(holders, ids);
      if (flags.parse(options).json ?? false) context.print(json({ holders: shown }));
      else for (const holder of shown) context.print(line(holder));
    });
}

async function select(holders: readonly Holder[], ids: readonly string[]): Promise<readonly Holder[]> {
  const chosen = new Set<Holder>();
  for (const id of ids) {
    const found = holders.filter(({ ident }) => ident === id);
    const begins = found.length > 0 ? found : holders.filter(({ ident }) => ident.startsWith(id));
    const named = begins.length > 0 ? begins : await byName(holders, id);
    for (const holder of named) chosen.add(holder);
  }
  return holders.filter((holder) => chosen.has(holder));
}

async function byName(holders: readonly Holder[], name: string): Promise<readonly Holder[]> {
  const container = await containerNamed(name).catch(() => undefined);
  const found = holders.filter(({ ident }) => ident === container?.id);
  if (found.length > 0) return found;
  if (name === "weave:expose") return []; // the bridge has no address
  throw new WeaveError("unknown-attachment", `nothing called ${name} has an address on this host`, {
    hint: "weave ps lists what has",
  });
}

function line({ ident, mac = "-", addresses }: Holder): string {
  const id = /^[0-9a-f]{64}$/.test(ident) ? ident.slice(0, ID_COLUMNS) : ident;
  return [id, mac, ...addresses].map(plain).join(" ");
}
