// `weave status connections`: one row per connection and per target, with the reason where there is none, and the way of
// containers' packets to that peer. Peers without a connection of their own have a table of their ways below.
import type { Status } from "../../../src/api/status.ts";
import { MAX_COLUMNS } from "../context.ts";
import { instant, wrap } from "../text.ts";
import { peerLabel, shortPeerLabel } from "./names.ts";
import { type Column, table } from "./table.ts";

type Connection = Status["connections"][number];
type Path = NonNullable<Status["paths"]>[number];

const MTU: Column<Pick<Path, "mtu">> = {
  title: "MTU",
  cell: ({ mtu }) => (mtu === undefined ? "-" : String(mtu)),
  right: true,
};
const VERIFIED: Column<Pick<Path, "verified">> = {
  title: "VERIFIED",
  cell: ({ verified }) => (verified === "unverified" ? "not yet" : (verified ?? "-")),
};
const RTT = { title: "RTT ms", right: true } as const;
const milliseconds = (ms: number | undefined): string => (ms === undefined ? "-" : ms.toFixed(1));

const COLUMNS: readonly Column<Connection>[] = [
  { title: "", cell: ({ direction }) => (direction === "out" ? "->" : "<-") },
  { title: "ADDRESS", cell: ({ address }) => address },
  { title: "STATE", cell: ({ state }) => state },
  {
    title: "PEER",
    cell: ({ peer, nickname }) =>
      peer === undefined ? "-" : peerLabel({ name: peer, nickname: nickname ?? "" }),
    least: 22,
    cut: ({ peer = "", nickname = "" }, columns) => shortPeerLabel({ name: peer, nickname }, columns),
  },
  { title: "PATH", cell: ({ path }) => path ?? "-", optional: true },
  MTU,
  VERIFIED,
  { ...RTT, cell: ({ pathRttMs, rttMs }) => milliseconds(pathRttMs ?? rttMs), optional: true },
  { title: "SINCE", cell: ({ since }) => (since === undefined ? "-" : instant(since)), optional: true },
];

const PATHS: readonly Column<Path>[] = [
  { title: "PEER", cell: ({ peer, nickname }) => peerLabel({ name: peer, nickname }), least: 12 },
  { title: "GOSSIP", cell: ({ gossip }) => gossip ?? "none", least: 12 },
  { title: "VXLAN TO", cell: ({ underlay }) => underlay },
  MTU,
  VERIFIED,
  { ...RTT, cell: ({ pathRttMs }) => milliseconds(pathRttMs), optional: true },
];

export function connectionsTable({ connections, paths = [] }: Pick<Status, "connections" | "paths">): string {
  const connected = new Set(
    connections.flatMap(({ state, peer }) => (state === "established" ? [peer] : [])),
  );
  const others = paths.filter(({ peer }) => !connected.has(peer));
  const first =
    connections.length === 0
      ? "none: no peer was given and nobody has connected; run weave connect PEER"
      : table(COLUMNS, connections, reasons);
  if (others.length === 0) return first;
  return `${first}\n\npaths to peers without a connection of their own\n${table(PATHS, others, pathReason)}`;
}

const reasons = (connection: Connection): string[] => [...reason(connection), ...pathReason(connection)];

/** The line below a row: why its path is not verified. */
function pathReason({
  verified,
  verifiedSince,
  reason: why,
}: Pick<Path, "verified" | "verifiedSince" | "reason">) {
  if (verified === undefined || verified === "yes" || why === undefined) return [];
  const since = verifiedSince === undefined ? "" : `, since ${instant(verifiedSince)}`;
  return [wrap(`    path: ${why}${since}`, MAX_COLUMNS, "    ")];
}

/** The line below a row: why it is not established, and when it is tried again. */
export function reason({
  failure,
  failureCode,
  nextTry,
}: Pick<Connection, "failure" | "failureCode" | "nextTry">): string[] {
  const isCoded = failureCode !== undefined && failureCode !== "dial-failed";
  const why = isCoded && failure !== undefined ? `${failureCode}: ${failure}` : failure;
  const words = [why, nextTry === undefined ? undefined : `next try ${instant(nextTry)}`].filter(
    (text) => text !== undefined,
  );
  return words.length === 0 ? [] : [wrap(`    ${words.join("; ")}`, MAX_COLUMNS, "    ")];
}
