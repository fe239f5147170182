// `weave status targets`: the addresses given to launch and connect, and what became of each.
import type { Status } from "../../../src/api/status.ts";
import { MAX_COLUMNS } from "../context.ts";
import { wrap } from "../text.ts";
import { reason } from "./connections.ts";
import { peerLabel, shortPeerLabel } from "./names.ts";
import { type Column, table } from "./table.ts";

type Target = Status["targets"][number];

const COLUMNS: readonly Column<Target>[] = [
  { title: "ADDRESS", cell: ({ address }) => address },
  { title: "STATE", cell: ({ state }) => state },
  {
    title: "PEER",
    cell: ({ peer, nickname }) =>
      peer === undefined ? "-" : peerLabel({ name: peer, nickname: nickname ?? "" }),
    least: 12,
    cut: ({ peer = "", nickname = "" }, columns) => shortPeerLabel({ name: peer, nickname }, columns),
  },
];

export function targetsTable({
  targets,
  discovery,
  connLimit,
}: Pick<Status, "targets" | "discovery" | "connLimit">): string {
  const found = discovery
    ? `hosts that these know are dialled, too; connection limit ${connLimit}`
    : `discovery is off: no other host is dialled; connection limit ${connLimit}`;
  if (targets.length === 0)
    return wrap(`none: no peer was given to launch or connect\n${found}`, MAX_COLUMNS);
  return `${table(COLUMNS, targets, reason)}\n${wrap(found, MAX_COLUMNS)}`;
}
