// `weave rmpeer`: decides that peers are gone for good, so that their addresses can be given to others.
import type { Command } from "commander";
import { z } from "zod";
import type { Client } from "../../src/api/client.ts";
import type { Status } from "../../src/api/status.ts";
import { WeaveError } from "../../src/core/errors.ts";
import { runDirOption } from "../launch-options.ts";
import { quote } from "./cni/finding.ts";
import { type Context, MAX_COLUMNS } from "./context.ts";
import { daemonOf } from "./daemon.ts";
import { withProgress } from "./progress.ts";
import { removalReport } from "./rmpeer/report.ts";
import { count, peerLabel } from "./status/names.ts";
import { instant, json, plain, wrap } from "./text.ts";

const EXAMPLES = `
For hosts that are dead for good. One that is alive learns of it as soon as it is reached, sets its
state aside and joins again under another name; until then it may use addresses that others are
given, too. On a host that works, run "weave reset" there instead.

More than half of the voters must answer (weave status ipam shows them). Run on several hosts at
once, one decision is made, and the others are told its outcome. The ranges go to the host where
the decision was proposed, as soon as every host that stays has answered.

--force is for the day when a quorum can never answer again, say when one of two hosts has burnt. It
refuses while one answers, asks for the names once more, and makes another cluster that continues
this one; every host keeps a record of it.

Examples:
  weave rmpeer host3                           by nickname
  weave rmpeer 7a:01:02:03:04:05 host4         several at once, by name or nickname
  weave rmpeer --force host2                   asks to type "host2" again
  weave rmpeer --force host2 --confirm host2   the same in a script`;

const flags = z.object({
  force: z.boolean().optional(),
  confirm: z.array(z.string()).optional(),
  json: z.boolean().optional(),
});

/** `weave rmpeer`: have dead hosts removed. */
export function addRmpeer(program: Command, context: Context): Command {
  return program
    .command("rmpeer")
    .description("Remove dead hosts for good; their addresses go to a living one")
    .argument("<PEER...>", "names or nicknames of hosts")
    .option("--force", "decide without a quorum: only when one can never answer again")
    .option("--confirm <PEER...>", "with --force: the same names once more, instead of being asked")
    .option("--json", "print {cluster, epoch, heir, removed, already} as JSON")
    .addOption(runDirOption())
    .addHelpText("after", EXAMPLES)
    .action(async (peers: string[], options: unknown) => {
      const { force = false, confirm, json: asJson = false } = flags.parse(options);
      if (!force && confirm !== undefined) {
        throw new WeaveError("bad-request", "--confirm goes with --force", {
          hint: "without --force nothing needs to be confirmed",
        });
      }
      const { client } = daemonOf(options);
      const before = await client.status();
      const confirmed = force ? (confirm ?? (await ask(peers, before, context))) : [];
      const removal = await withProgress(client.rmpeer(peers, force, confirmed), context, () =>
        waitingFor(before),
      );
      if (asJson) context.print(json(removal));
      else context.print(removalReport(removal, before, await statusAfter(client)));
    });
}

/** Shows who would go, and has the names typed once more. */
async function ask(peers: readonly string[], status: Status, { ask, tell }: Context): Promise<string[]> {
  const found = status.peers.filter(({ name, nickname }) => peers.includes(name) || peers.includes(nickname));
  for (const peer of found) {
    const since = peer.reachable
      ? "it answers this host!"
      : `unreachable since ${instant(peer.unreachableSince ?? "the start")}`;
    tell(
      wrap(`${peerLabel(peer)}: ${since}, ${count(peer.containers, "container")} known`, MAX_COLUMNS, "  "),
    );
  }
  const typed = await ask("type the names to remove once more: ");
  if (typed !== undefined) return typed.split(/[\s,]+/).filter(Boolean);
  const words = peers.map(quote).join(" ");
  throw new WeaveError("bad-request", "--force must be confirmed, and nobody can be asked here", {
    hint: `run: weave rmpeer --force ${words} --confirm ${words}`,
  });
}

function waitingFor({ configuration }: Status): string {
  const voters = configuration?.voters.map(peerLabel).map(plain).join(", ");
  return voters === undefined ? "asking the voters ..." : `asking the voters (${voters}) ...`;
}

/** Only to tell more; the decision is made. */
async function statusAfter(client: Client): Promise<Status | undefined> {
  return client.status().catch(() => undefined);
}
