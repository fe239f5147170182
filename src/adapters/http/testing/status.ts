// A status for tests of the listeners, as small as one can be.
import type { Status } from "../../../api/status.ts";

/** One host alone. */
export const status: Status = {
  ok: true,
  problems: [],
  version: "0.1.0",
  pid: 1,
  since: "2026-01-01T00:00:00.000Z",
  name: "alice",
  nickname: "host-a",
  lost: [],
  listen: { host: "*", port: 6783 },
  underlay: "192.0.2.1",
  datapath: { bridge: "weave", vxlan: "vxlan-6784", vni: 7, port: 6784, mtu: 1450, settled: true },
  exposed: [],
  connections: [],
  peers: [],
  ipam: [],
  endpoints: [],
};
