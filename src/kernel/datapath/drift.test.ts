// Which notifications are drift. Messages as the kernel sends them: its encoders are proved beside rtnetlink/.
import { beforeEach, describe, expect, test } from "vitest";
import type { DatapathState } from "../../core/datapath/state.ts";
import { hostEndMac, vxlanMac } from "../mac.ts";
import { encodeAddress } from "../rtnetlink/address.ts";
import { attribute, u32 } from "../rtnetlink/attributes.ts";
import { encodeFdb, encodeFlood, encodeHome } from "../rtnetlink/fdb.ts";
import { encodeLink } from "../rtnetlink/link.ts";
import { encodeBridge, encodePort, encodeVxlan } from "../rtnetlink/link-info.ts";
import { encodeNeighbour } from "../rtnetlink/neighbour.ts";
import { NOTICE } from "../rtnetlink/notifications.ts";
import { encodeRoute } from "../rtnetlink/route.ts";
import { encodeRule } from "../rtnetlink/rule.ts";
import { wireAddress } from "../rtnetlink/wire.ts";
import { Drift, type Left } from "./drift.ts";

const [BRIDGE, VXLAN, PORT, UPLINK, OTHER] = [3, 4, 5, 2, 9];
const BRIDGE_MAC = "02:b0:00:00:00:0a";
const REMOTE_MAC = "02:a0:0a:20:00:05";
const HOME_MAC = "02:a0:0a:20:00:04";
const PORT_NAME = "vw000000000001";
const NDA_MASTER = 9;

const state: DatapathState = {
  bridge: { name: "weave", mac: BRIDGE_MAC, mtu: 1450, addresses: ["10.32.0.1/12"] },
  vxlan: { name: "vxlan-6784", vni: 1, port: 6784, local: "192.0.2.1" },
  ports: [{ name: PORT_NAME, hairpin: true, mac: HOME_MAC, addresses: ["10.32.0.4"] }],
  flood: ["192.0.2.2"],
  forwarding: [{ mac: REMOTE_MAC, vtep: "192.0.2.2" }],
  neighbours: [{ address: "10.32.0.5", mac: REMOTE_MAC }],
  routes: ["172.31.0.7"],
  firewall: { overlay: [], masquerade: [], exempt: [], portMaps: [], controlPort: 6783, controls: [] },
  prune: true,
};

let left: Left;
let drift: Drift;
beforeEach(() => {
  left = {
    state,
    whole: true,
    devices: { bridge: BRIDGE, bridgeName: "weave", vxlan: VXLAN },
    ports: new Map([[PORT, { name: PORT_NAME, mtu: 1450 }]]),
    underlay: { index: UPLINK, name: "eth0" },
  };
  drift = new Drift(left);
});

type Message = readonly [number, Buffer];
const { newLink, delLink, newAddress, delAddress, newNeighbour, delNeighbour, newRoute, delRoute } = NOTICE;

const quiet = { stp: false, mcastSnooping: false };
const bridge = (change: Parameters<typeof encodeLink>[1] = {}): Message => [
  newLink,
  encodeLink(BRIDGE, {
    ...{ name: "weave", mac: BRIDGE_MAC, mtu: 1450, up: true, info: encodeBridge(quiet) },
    ...change,
  }),
];
const vxlanInfo = (settings: { learning?: boolean; neighSuppress?: boolean } = {}): Buffer =>
  Buffer.concat([
    encodeVxlan({ vni: 1, port: 6784, local: "192.0.2.1", learning: false }),
    encodePort({ learning: false, neighSuppress: true, ...settings }),
  ]);
const vxlan = (change: Parameters<typeof encodeLink>[1] = {}): Message => [
  newLink,
  encodeLink(VXLAN, {
    ...{ name: "vxlan-6784", mac: vxlanMac(BRIDGE_MAC), mtu: 1450, up: true, master: BRIDGE },
    ...{ info: vxlanInfo(), ...change },
  }),
];
const port = (change: Parameters<typeof encodeLink>[1] = {}): Message => [
  newLink,
  // The kernel's order: the name first, which tells whose it is.
  Buffer.concat([
    encodeLink(PORT, { name: PORT_NAME, up: true }),
    encodeLink(0, {
      ...{ mac: hostEndMac(PORT_NAME), mtu: 1450, master: BRIDGE, info: encodePort({ hairpin: true }) },
      ...change,
    }).subarray(16),
  ]),
];
const fdbMaster = (payload: Buffer): Buffer => Buffer.concat([payload, attribute(NDA_MASTER, u32(BRIDGE))]);
const address = (index: number, cidr: string): Buffer => encodeAddress(index, wireAddress(cidr));
const multicast = (oif: number): Message => [
  newRoute,
  encodeRoute({ dst: "ff00::/8", oif, onlink: false, table: 255 }),
];
const gone = (index: number): Message => [delLink, encodeLink(index, {})];

const DRIFTS: readonly (readonly [string, readonly Message[], readonly string[]])[] = [
  ["another MAC of the bridge", [bridge({ mac: "02:00:00:00:00:01" })], ["bridge weave"]],
  ["another MTU of the bridge", [bridge({ mtu: 1400 })], ["bridge weave"]],
  ["a bridge that is down", [bridge({ up: false })], ["bridge weave"]],
  ["another name of the bridge", [bridge({ name: "foo" })], ["bridge weave"]],
  ["STP", [bridge({ info: encodeBridge({ ...quiet, stp: true }) })], ["bridge weave"]],
  ["a VXLAN device that left the bridge", [vxlan({ master: 0 })], ["VXLAN device vxlan-6784"]],
  ["one that learns", [vxlan({ info: vxlanInfo({ learning: true }) })], ["VXLAN device vxlan-6784"]],
  [
    "one that floods ARP",
    [vxlan({ info: vxlanInfo({ neighSuppress: false }) })],
    ["VXLAN device vxlan-6784"],
  ],
  ["one that is gone", [gone(VXLAN)], ["VXLAN device vxlan-6784"]],
  ["a port that left the bridge", [port({ master: 0 })], [`port ${PORT_NAME}`]],
  ["another MAC of a port", [port({ mac: "02:00:00:00:00:01" })], [`port ${PORT_NAME}`]],
  ["another MTU of a port", [port({ mtu: 1400 })], [`port ${PORT_NAME}`]],
  ["a port without hairpin", [port({ info: encodePort({ hairpin: false }) })], [`port ${PORT_NAME}`]],
  ["a flood entry", [[delNeighbour, encodeFlood(VXLAN, "192.0.2.2")]], ["flood entry 192.0.2.2"]],
  [
    "an FDB entry of the device",
    [[delNeighbour, encodeFdb(VXLAN, REMOTE_MAC, "192.0.2.2")]],
    [`FDB entry ${REMOTE_MAC}`],
  ],
  [
    "one of the bridge",
    [[delNeighbour, fdbMaster(encodeFdb(VXLAN, REMOTE_MAC, "192.0.2.2"))]],
    [`FDB entry ${REMOTE_MAC}`],
  ],
  [
    "one led elsewhere",
    [[newNeighbour, encodeFdb(VXLAN, REMOTE_MAC, "192.0.2.9")]],
    [`FDB entry ${REMOTE_MAC}`],
  ],
  [
    "one at the port of a container",
    [[delNeighbour, fdbMaster(encodeHome(PORT, HOME_MAC))]],
    [`FDB entry ${HOME_MAC}`],
  ],
  [
    "a neighbour entry",
    [[delNeighbour, encodeNeighbour(BRIDGE, "10.32.0.5", REMOTE_MAC)]],
    ["neighbour 10.32.0.5"],
  ],
  [
    "one with another MAC",
    [[newNeighbour, encodeNeighbour(BRIDGE, "10.32.0.5", BRIDGE_MAC)]],
    ["neighbour 10.32.0.5"],
  ],
  ["an address of the bridge", [[delAddress, address(BRIDGE, "10.32.0.1/12")]], ["address 10.32.0.1/12"]],
  [
    "a route for containers",
    [[delRoute, encodeRoute({ dst: "172.31.0.7/32", oif: BRIDGE, onlink: false, table: 6784 })]],
    ["route 172.31.0.7"],
  ],
  [
    "the route of the bridge's subnet",
    [[delRoute, encodeRoute({ dst: "10.32.0.0/12", oif: BRIDGE, onlink: false })]],
    ["route 10.32.0.0/12"],
  ],
  [
    "the rule to the routes",
    [[NOTICE.delRule, encodeRule({ family: 4, iif: "weave", table: 6784, priority: 6784 })]],
    ["route 172.31.0.7"],
  ],
  ["IPv6 on the VXLAN device", [multicast(VXLAN)], ["sysctl net.ipv6.conf.vxlan-6784.disable_ipv6"]],
  ["IPv6 on a port", [multicast(PORT)], [`sysctl net.ipv6.conf.${PORT_NAME}.disable_ipv6`]],
  [
    "an address, and not the route that goes with it",
    [
      [delAddress, address(BRIDGE, "10.32.0.1/12")],
      [delRoute, encodeRoute({ dst: "10.32.0.0/12", oif: BRIDGE, onlink: false })],
    ],
    ["address 10.32.0.1/12"],
  ],
  [
    "a bridge that is down, and not what that flushed",
    [bridge({ up: false }), [delNeighbour, encodeNeighbour(BRIDGE, "10.32.0.5", REMOTE_MAC)]],
    ["bridge weave"],
  ],
  [
    "the underlay on another interface",
    [[newAddress, address(OTHER, "192.0.2.1/24")]],
    ["underlay 192.0.2.1"],
  ],
  [
    "a bridge that is gone, as one thing",
    [
      [delAddress, address(BRIDGE, "10.32.0.1/12")],
      [delNeighbour, encodeNeighbour(BRIDGE, "10.32.0.5", REMOTE_MAC)],
      gone(BRIDGE),
    ],
    ["bridge weave"],
  ],
];

const NO_DRIFT: readonly (readonly [string, readonly Message[]])[] = [
  ["devices as they were left", [bridge(), vxlan(), port()]],
  [
    "what was taken away and is back",
    [
      [delAddress, address(BRIDGE, "10.32.0.1/12")],
      [newAddress, address(BRIDGE, "10.32.0.1/12")],
    ],
  ],
  ["a setting on its way to what is wanted", [bridge({ mtu: 1400 }), bridge()]],
  ["a port that goes with its container", [port({ master: 0 }), gone(PORT)]],
  ["a MAC that goes with its port", [[delNeighbour, fdbMaster(encodeHome(PORT, HOME_MAC))], gone(PORT)]],
  [
    "the MAC of a container bound to its port",
    [
      [delNeighbour, fdbMaster(encodeHome(PORT, HOME_MAC))],
      [newNeighbour, fdbMaster(encodeHome(PORT, HOME_MAC))],
    ],
  ],
  ["a MAC that nobody bound to a port", [[delNeighbour, fdbMaster(encodeHome(PORT, REMOTE_MAC))]]],
  ["a port nobody asked for", [[newLink, encodeLink(OTHER, { name: "vw0000000000ff", mtu: 9000 })]]],
  ["links of others", [[newLink, encodeLink(OTHER, { name: "docker0", mtu: 9000 })], gone(OTHER)]],
  [
    "our own FDB entry moving",
    [
      [delNeighbour, encodeFdb(VXLAN, REMOTE_MAC, "192.0.2.9")],
      [newNeighbour, encodeFdb(VXLAN, REMOTE_MAC, "192.0.2.2")],
    ],
  ],
  ["an FDB entry nobody wants", [[delNeighbour, encodeFdb(VXLAN, "02:a0:0a:20:00:99", "192.0.2.2")]]],
  ["a flood entry nobody wants", [[delNeighbour, encodeFlood(VXLAN, "192.0.2.9")]]],
  [
    "neighbours the host resolved itself",
    [[delNeighbour, encodeNeighbour(BRIDGE, "10.32.0.77", REMOTE_MAC)]],
  ],
  ["neighbours of other interfaces", [[delNeighbour, encodeNeighbour(OTHER, "10.32.0.5", REMOTE_MAC)]]],
  [
    "addresses of other tools",
    [
      [delAddress, address(BRIDGE, "192.168.0.1/24")],
      [delAddress, address(OTHER, "10.32.0.1/12")],
    ],
  ],
  ["routes of others", [[delRoute, encodeRoute({ dst: "10.32.0.0/12", oif: OTHER, onlink: false })]]],
  ["a route that came", [[newRoute, encodeRoute({ dst: "10.32.0.0/12", oif: BRIDGE, onlink: false })]]],
  ["IPv6 on interfaces of others", [multicast(OTHER), multicast(BRIDGE)]],
  ["the underlay where it was", [[newAddress, address(UPLINK, "192.0.2.1/24")]]],
];

describe("drift", () => {
  test.each(DRIFTS)("%s", (_, messages, objects) => {
    for (const [type, data] of messages) drift.notice(type, data);
    expect(drift.objects()).toEqual(objects);
  });

  test.each(NO_DRIFT)("is none: %s", (_, messages) => {
    for (const [type, data] of messages) drift.notice(type, data);
    expect(drift.objects()).toEqual([]);
  });

  test("a port's MTU is that of its first message", () => {
    left.ports.clear();
    drift.notice(...port({ mtu: 1300 }));
    expect(drift.objects()).toEqual([]);
    drift.notice(...port());
    expect(drift.objects()).toEqual([`port ${PORT_NAME}`]);
  });
});
