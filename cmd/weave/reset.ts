// `weave reset`: this host leaves, with its addresses in other hands and nothing of weave left on it; or it, or its whole
// cluster, moves over to another cluster.

import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { z } from "zod";
import { leavingOf, readMarker } from "../../src/adapters/peer-marker.ts";
import type { Departure } from "../../src/api/control.ts";
import { WeaveError } from "../../src/core/errors.ts";
import { dataDirOption, readDirectories, runDirOption } from "../launch-options.ts";
import { quote } from "./cni/finding.ts";
import type { Context } from "./context.ts";
import { MAX_COLUMNS } from "./context.ts";
import { type Daemon, daemonOf, isDenied } from "./daemon.ts";
import { untilEnded } from "./daemon-end.ts";
import { withProgress } from "./progress.ts";
import { eraseHere } from "./reset/erase.ts";
import { joinOther } from "./reset/join.ts";
import { count } from "./status/names.ts";
import { json, plain, wrap } from "./text.ts";

const EXAMPLES = `
Gives every range of this host to another one and waits until that has them on disk; has this host
taken out of the cluster; then the daemon removes its state (all but the files set aside), the
bridge, the VXLAN device, what is left of containers' interfaces and the firewall table, and ends.
Cut short, it is finished by running it again. The CNI plugin stays: weave setup --uninstall.

Refuses while containers are attached, and when no host takes the ranges. --force goes all the same:
containers lose the network, and ranges nobody took stay this host's until "weave rmpeer" is run on
another. When the daemon does not run, only --force removes what is left here.

--join moves every host of this cluster to another one that a neighbour belongs to (weave status
tells its name), and keeps the containers: each host sets its state aside, joins as a new peer, and
asks for the addresses its containers have. With --force this host alone.

Examples:
  weave reset                       this host leaves
  weave reset --force               at any price
  weave reset --join c0ffee00       this cluster was founded apart, and gives way to that one`;

/** Handing over has 8 s, leaving the voters 4 s more. */
const ANSWER_MS = 30_000;
/** The daemon ends within 10 s, and removing hundreds of interfaces takes as long. */
const END_MS = 60_000;

const flags = z.object({
  force: z.boolean().optional(),
  join: z.string().optional(),
  json: z.boolean().optional(),
});

export function addReset(program: Command, context: Context): Command {
  return program
    .command("reset")
    .description("Leave the cluster and remove everything from this host; or join another cluster")
    .option("--force", "also when nobody takes the ranges, containers are attached or no daemon runs")
    .option("--join <CLUSTER>", "move this cluster (with --force: this host alone) to that one instead")
    .option("--json", "print the outcome as JSON")
    .addOption(runDirOption())
    .addOption(dataDirOption())
    .addHelpText("after", EXAMPLES)
    .action(async (options: unknown) => {
      const { force = false, join: cluster, json: asJson = false } = flags.parse(options);
      const daemon = daemonOf(options, ANSWER_MS);
      if (cluster !== undefined) {
        await joinOther(daemon, cluster, force, asJson, context);
        return;
      }
      const { dataDir } = readDirectories(options);
      const left = await leave(daemon, force, context);
      if (left !== undefined) await untilEnded(left.pid, daemon, END_MS);
      else checkErasable(dataDir, force, daemon);
      const directories = { runDir: daemon.runDir, dataDir: left?.dataDir ?? dataDir };
      const mark = leavingOf(directories.dataDir);
      const untold = mark === "told" ? undefined : readMarker(directories.dataDir);
      // The daemon removes everything itself; this is for one that was killed before, and for none.
      const erased =
        left === undefined || mark !== undefined ? await eraseHere(directories, context.programs) : undefined;
      if (asJson) {
        const { pid: _, dataDir: __, ...outcome } = left ?? { pid: 0, dataDir };
        context.print(json({ ...outcome, ...(erased === undefined ? {} : { erased }) }));
        return;
      }
      for (const line of left === undefined ? nothingHandedOver(untold, erased ?? []) : handedOver(left))
        context.print(wrap(line, MAX_COLUMNS, "  "));
    });
}

/** Undefined when no daemon runs. */
async function leave({ client }: Daemon, force: boolean, context: Context): Promise<Departure | undefined> {
  try {
    return await withProgress(
      client.reset(force),
      context,
      () => "handing this host's ranges over, and waiting until they are on another disk ...",
    );
  } catch (error) {
    if (!(error instanceof WeaveError) || error.code !== "not-running" || isDenied(error)) throw error;
    return undefined;
  }
}

/** Without a daemon ranges cannot be handed over; a reset that had done so already may be finished. */
function checkErasable(dataDir: string, force: boolean, { socket }: Daemon): void {
  if (force || leavingOf(dataDir) !== undefined || !existsSync(join(dataDir, "db"))) return;
  const name = readMarker(dataDir);
  const dead = name === undefined ? "this peer" : `peer ${name}`;
  throw new WeaveError(
    "not-running",
    `weaver is not running (${socket}), so nobody can hand over the ranges of ${dead}. Nothing was changed`,
    {
      hint: `weave launch && weave reset\nif it cannot be launched: weave reset --force here, then on another host weave rmpeer ${quote(name ?? "NAME")}: until that the ranges stay with the dead name`,
    },
  );
}

function handedOver({ name, heir, nickname, given, voter, abandoned }: Departure): string[] {
  const lines: string[] = [];
  if (abandoned !== undefined)
    lines.push(
      `nobody took the ranges of this host: ${plain(abandoned)}`,
      `they stay with ${name} until on another host is run: weave rmpeer ${quote(name)}`,
    );
  else if (heir === undefined) lines.push("there were no ranges to hand over, or no other host");
  else {
    const parts = given.map(({ range, addresses }) => `${count(addresses, "address")} of ${range}`);
    const to = nickname === undefined || nickname === heir ? heir : `${nickname} (${heir})`;
    lines.push(`${parts.join(" and ") || "no addresses"} handed over to ${plain(to)}`);
  }
  if (voter === "still-counted" && abandoned === undefined)
    lines.push("too few voters answered: this host still counts as one until it is replaced or removed");
  lines.push(
    "everything of weave was removed from this host, but for the CNI plugin (weave setup --uninstall)",
  );
  return lines;
}

/** `name`: of the peer whose ranges others do not have. */
function nothingHandedOver(name: string | undefined, erased: readonly string[]): string[] {
  if (erased.length === 0) return ["nothing of weave was left on this host"];
  const lines = erased.map((what) => `removed: ${plain(what)}`);
  if (name === undefined) return lines;
  return [...lines, `nobody was told: on another host run: weave rmpeer ${quote(name)}`];
}
