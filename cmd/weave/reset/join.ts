// `weave reset --join`: has the cluster decide to give itself up, or this host alone, and tells how this host fared.
import { setTimeout as delay } from "node:timers/promises";
import type { Status } from "../../../src/api/status.ts";
import { type Context, MAX_COLUMNS } from "../context.ts";
import type { Daemon } from "../daemon.ts";
import { withProgress } from "../progress.ts";
import { count, peerLabel } from "../status/names.ts";
import { json, plain, wrap } from "../text.ts";

/** Setting aside, connecting and asking for some hundred addresses. */
const ARRIVAL_MS = 20_000;
const POLL_MS = 100;

export async function joinOther(
  { client }: Daemon,
  cluster: string,
  force: boolean,
  asJson: boolean,
  context: Context,
): Promise<void> {
  const before = await client.status();
  const hosts = before.peers.length;
  const away = before.peers.filter(({ reachable }) => !reachable).length;
  const answer = await withProgress(client.join(cluster, force), context, () => "asking the voters ...");
  const after = await withProgress(
    arrived(() => client.status(), answer.cluster),
    context,
    () => `waiting for this host to be in ${plain(answer.cluster)} ...`,
  );
  if (asJson) {
    context.print(
      json({ ...answer, arrived: after !== undefined, name: after?.name, lost: after?.lost ?? [] }),
    );
    return;
  }
  const who = force || hosts <= 1 ? "this host alone gives" : `all ${hosts} hosts of this cluster give`;
  const later = force || away === 0 ? "" : `; ${hosts - away} answer, ${away} away will hear it when back`;
  const lines = [`${who} up ${plain(before.cluster ?? "no cluster")} for ${plain(answer.cluster)}${later}`];
  if (after === undefined) {
    lines.push(`this host is not there yet; look at: weave status connections`);
  } else {
    lines.push(
      `this host is in it as ${peerLabel(after)}; what it knew before is in ${after.setAside?.file ?? "its data directory"}`,
    );
    lines.push(fate(after));
  }
  context.print(lines.map((line) => wrap(line, MAX_COLUMNS, "  ")).join("\n"));
}

/** The first status in which this host is in the cluster; undefined when it takes too long. */
async function arrived(status: () => Promise<Status>, cluster: string): Promise<Status | undefined> {
  const deadline = Date.now() + ARRIVAL_MS;
  for (;;) {
    const now = await status();
    if (now.cluster === cluster) return now;
    if (Date.now() > deadline) return undefined;
    await delay(POLL_MS);
  }
}

function fate({ lost = [] }: Status): string {
  if (lost.length === 0) return "next: weave status";
  return `${count(lost.length, "address")} of containers here ${lost.length === 1 ? "is" : "are"} another host's now; next: weave status`;
}
