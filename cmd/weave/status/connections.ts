// `weave status connections`: one row per connection and per target, with the reason where there is none.
import type { Status } from "../../../src/api/status.ts";
import { MAX_COLUMNS } from "../context.ts";
import { instant, wrap } from "../text.ts";
import { peerLabel, shortPeerLabel } from "./names.ts";
import { type Column, table } from "./table.ts";

type Connection = Status["connections"][number];

const COLUMNS: readonly Column<Connection>[] = [
  { title: "", cell: ({ direction }) => (direction === "out" ? "->" : "<-") },
  { title: "ADDRESS", cell: ({ address }) => address },
  { title: "STATE", cell: ({ state }) => state },
  {
    title: "PEER",
    cell: ({ peer, nickname }) =>
      peer === undefined ? "-" : peerLabel({ name: peer, nickname: nickname ?? "" }),
    least: 12,
    cut: ({ peer = "", nickname = "" }, columns) => shortPeerLabel({ name: peer, nickname }, columns),
  },
  {
    title: "RTT ms",
    cell: ({ rttMs }) => (rttMs === undefined ? "-" : rttMs.toFixed(1)),
    right: true,
    optional: true,
  },
  { title: "SINCE", cell: ({ since }) => (since === undefined ? "-" : instant(since)) },
];

export function connectionsTable({ connections }: Pick<Status, "connections">): string {
  if (connections.length === 0) {
    return "none: no peer was given and nobody has connected; run weave connect PEER";
  }
  return table(COLUMNS, connections, reason);
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
