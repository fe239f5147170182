// What a removal came to, in words: who is gone, who has their addresses when, and what to look at next.
import type { Removal } from "../../../src/api/control.ts";
import type { Status } from "../../../src/api/status.ts";
import { MAX_COLUMNS } from "../context.ts";
import { share } from "../status/ipam.ts";
import { count, peerLabel } from "../status/names.ts";
import { instant, wrap } from "../text.ts";

const LABEL_COLUMNS = 10;

/** `before` still knows the removed; `after` who is waited for, when it could be asked. */
export function removalReport(removal: Removal, before: Status, after: Status | undefined): string {
  const label = (name: string): string => {
    const known = [...before.peers, ...(after?.peers ?? [])].find((peer) => peer.name === name);
    const here = name === before.name ? " (this host)" : "";
    return `${peerLabel(known ?? { name, nickname: name })}${here}`;
  };
  const lines: [string, string][] = [];
  if (removal.removed.length > 0)
    lines.push(["removed", `${removal.removed.map(label).join(", ")}; decided in epoch ${removal.epoch}`]);
  if (removal.already.length > 0)
    lines.push([
      "before",
      `${removal.already.map(label).join(", ")}: removed already; epoch ${removal.epoch}`,
    ]);
  if (before.cluster !== undefined && removal.cluster !== before.cluster) {
    lines.push([
      "cluster",
      `${removal.cluster}, which continues ${before.cluster}: hosts that hear of it come along; what a host that does not decides is another cluster's`,
    ]);
  }
  const { heir } = removal;
  if (heir !== undefined)
    lines.push(
      ...before.ipam.map((range): [string, string] => ["ranges", rangesOf(range, removal, label(heir))]),
    );
  lines.push(...waiting(after, label));
  lines.push(["next", "weave status ipam"]);
  const indent = " ".repeat(LABEL_COLUMNS);
  return lines
    .map(
      ([name, text]) =>
        name.padEnd(LABEL_COLUMNS) + wrap(indent + text, MAX_COLUMNS, indent).slice(LABEL_COLUMNS),
    )
    .join("\n");
}

function rangesOf(range: Status["ipam"][number], { removed, already }: Removal, heir: string): string {
  const gone = new Set([...removed, ...already]);
  const addresses = range.owners.reduce(
    (sum, owner) => sum + (gone.has(owner.name) ? owner.addresses : 0),
    0,
  );
  if (removed.length === 0 && addresses === 0)
    return `what was theirs of ${range.range} went or goes to ${heir}`;
  return addresses === 0
    ? `no part of ${range.range} was theirs, as far as this host knows; what turns up goes to ${heir}`
    : `${count(addresses, "address")} of ${range.range} (${share(addresses, range.size)}) go to ${heir}`;
}

function waiting(after: Status | undefined, label: (name: string) => string): [string, string][] {
  const names = [...new Set(after?.ipam.flatMap(({ taking }) => taking?.waitingFor ?? []) ?? [])];
  if (names.length === 0) return [];
  const each = names.map((name) => {
    const peer = after?.peers.find((one) => one.name === name);
    const since = peer === undefined || peer.reachable ? undefined : peer.unreachableSince;
    return since === undefined ? label(name) : `${label(name)} (unreachable since ${instant(since)})`;
  });
  return [["waiting", `until every host that stays has answered: ${each.join(", ")}`]];
}
