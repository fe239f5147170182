// `weave status endpoints`: every address of the network in use, on all hosts.
import type { Status } from "../../../src/api/status.ts";
import { peerLabel, shortPeerLabel } from "./names.ts";
import { type Column, table } from "./table.ts";

type Endpoint = Status["endpoints"][number];

const COLUMNS: readonly Column<Endpoint>[] = [
  { title: "ADDRESS", cell: ({ address }) => address },
  { title: "MAC", cell: ({ mac }) => mac },
  {
    title: "HOST",
    cell: (endpoint) =>
      endpoint.local ? "this host" : peerLabel({ name: endpoint.peer, nickname: endpoint.nickname }),
    least: 12,
    cut: ({ peer, nickname }, columns) => shortPeerLabel({ name: peer, nickname }, columns),
  },
  { title: "LABEL", cell: ({ label }) => label, least: 12 },
];

export function endpointsTable({ endpoints }: Pick<Status, "endpoints">): string {
  if (endpoints.length === 0) {
    return "none: no container is attached yet; run weave setup, then start one";
  }
  return table(COLUMNS, endpoints);
}
