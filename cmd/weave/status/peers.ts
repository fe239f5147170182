// `weave status peers`: every host this one knows, itself included.
import type { Status } from "../../../src/api/status.ts";
import { instant } from "../text.ts";
import { peerLabel, shortPeerLabel } from "./names.ts";
import { type Column, table } from "./table.ts";

type Peer = Status["peers"][number];

const COLUMNS: readonly Column<Peer>[] = [
  { title: "PEER", cell: peerLabel, least: 16, cut: shortPeerLabel },
  { title: "STATE", cell: reachability, least: 32 },
  { title: "UNDERLAY", cell: ({ underlay }) => underlay },
  { title: "MTU", cell: ({ mtu }) => String(mtu), right: true },
  { title: "LINKS", cell: ({ connections }) => String(connections.length), right: true, optional: true },
  { title: "CONTAINERS", cell: ({ containers }) => String(containers), right: true, optional: true },
  { title: "VERSION", cell: ({ software }) => software, least: 7, optional: true },
];

export function peersTable({ peers }: Pick<Status, "peers">): string {
  if (peers.length === 0) return "none: the daemon is still starting; run weave status again";
  return table(COLUMNS, peers);
}

/** "this host", "reachable", or since when not. */
export function reachability(peer: Pick<Peer, "self" | "reachable" | "unreachableSince">): string {
  if (peer.self) return "this host";
  if (peer.reachable) return "reachable";
  return peer.unreachableSince === undefined
    ? "unreachable"
    : `unreachable ${instant(peer.unreachableSince)}`;
}
