import { expect, it } from "vitest";
import type { DatapathState } from "../core/datapath/state.ts";
import { withFormer } from "./keep.ts";

const state: DatapathState = {
  bridge: { name: "weave", mac: "02:00:00:00:00:01", mtu: 1450, addresses: [] },
  vxlan: { name: "vxlan-6784", vni: 1, port: 6784, local: "192.0.2.1" },
  ports: [],
  flood: [],
  forwarding: [],
  neighbours: [],
  routes: [],
  firewall: { overlay: [], masquerade: [], exempt: [], portMaps: [], controlPort: 6783, controls: [] },
  prune: true,
};

it("keeps what the former node knew, where the new one says nothing else", () => {
  const former: DatapathState = {
    ...state,
    bridge: { ...state.bridge, mac: "02:00:00:00:00:ff", mtu: 1400 },
    flood: ["192.0.2.2", "192.0.2.3"],
    forwarding: [
      { mac: "a", vtep: "192.0.2.2" },
      { mac: "b", vtep: "192.0.2.2" },
    ],
    neighbours: [
      { address: "10.32.0.1", mac: "a" },
      { address: "10.32.0.2", mac: "b" },
    ],
    routes: ["172.20.0.1"],
  };
  const now: DatapathState = {
    ...state,
    flood: ["192.0.2.4", "192.0.2.2"],
    forwarding: [{ mac: "a", vtep: "192.0.2.4" }],
    neighbours: [{ address: "10.32.0.1", mac: "c" }],
    routes: ["172.20.0.2"],
  };
  expect(withFormer(now, former)).toEqual({
    ...now,
    bridge: { ...now.bridge, mtu: 1400 },
    flood: ["192.0.2.2", "192.0.2.3", "192.0.2.4"],
    forwarding: [
      { mac: "a", vtep: "192.0.2.4" },
      { mac: "b", vtep: "192.0.2.2" },
    ],
    neighbours: [
      { address: "10.32.0.1", mac: "c" },
      { address: "10.32.0.2", mac: "b" },
    ],
    routes: ["172.20.0.2", "172.20.0.1"],
    prune: false,
  });
});
