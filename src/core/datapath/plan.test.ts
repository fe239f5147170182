import { describe, expect, it } from "vitest";
import { linkLocalOf, macForName } from "../address/mac.ts";
import type { Endpoint } from "../endpoints/endpoint.ts";
import type { PeerRecord } from "../mesh/peer-record.ts";
import { type PlanInput, plan } from "./plan.ts";

/** What there is of a peer's bridge, exposed or not. */
const [bob, carol] = ["bob", "carol"].map((name) => ({
  mac: macForName(name),
  address: linkLocalOf(macForName(name)) ?? "",
})) as [Bridge, Bridge];
type Bridge = { readonly mac: string; readonly address: string };
const BRIDGES = [bob, carol];
/** The entries besides. */
const containers = <T extends { readonly mac: string }>(entries: readonly T[]): readonly T[] =>
  entries.filter(({ mac }) => !BRIDGES.some((bridge) => bridge.mac === mac));

const peer = (underlay: string, mtu = 1450): PeerRecord => ({
  nickname: "",
  uid: "",
  incarnation: "disk",
  software: "",
  underlay,
  port: 6783,
  mtu,
  links: [],
});
const endpoint = (on: string, mac: string): Endpoint => ({ addresses: [], mac, label: "", peer: on });
const bridgeMac = "02:b0:00:00:00:0a";

/** Alice, who knows bob and carol. */
const input = (changes: Partial<PlanInput> = {}): PlanInput => ({
  self: "alice",
  bridgeName: "weave",
  bridgeMac,
  vxlanName: "vxlan-6784",
  vni: 7,
  vxlanPort: 6784,
  controlPort: 6783,
  underlay: "192.0.2.1",
  mtu: 1450,
  universes: ["10.32.0.0/12"],
  ports: [],
  portMaps: [],
  masquerade: [],
  exempt: [],
  exposed: [],
  peers: new Map([
    ["alice", peer("192.0.2.1")],
    ["bob", peer("192.0.2.2")],
    ["carol", peer("192.0.2.3")],
  ]),
  endpoints: new Map(),
  here: new Map(),
  prune: true,
  ...changes,
});

describe("plan", () => {
  it("states the whole of it", () => {
    const state = plan(
      input({
        exposed: [{ cidr: "10.32.0.1/12", masquerade: true }],
        endpoints: new Map([
          ["10.32.0.1", endpoint("alice", bridgeMac)],
          ["10.32.0.5", endpoint("alice", "02:a0:0a:20:00:05")],
          ["10.40.0.1", endpoint("bob", "02:a0:0a:28:00:01")],
        ]),
        here: new Map([["10.32.0.5", "02:a0:0a:20:00:05"]]),
      }),
    );
    expect(state).toEqual({
      bridge: { name: "weave", mac: bridgeMac, mtu: 1450, addresses: ["10.32.0.1/12"] },
      vxlan: { name: "vxlan-6784", vni: 7, port: 6784, local: "192.0.2.1" },
      ports: [],
      flood: ["192.0.2.2", "192.0.2.3"],
      forwarding: [
        { mac: bob.mac, vtep: "192.0.2.2" },
        { mac: carol.mac, vtep: "192.0.2.3" },
        { mac: "02:a0:0a:28:00:01", vtep: "192.0.2.2" },
      ],
      neighbours: [
        { address: "10.32.0.5", mac: "02:a0:0a:20:00:05" },
        bob,
        carol,
        { address: "10.40.0.1", mac: "02:a0:0a:28:00:01" },
      ],
      routes: [],
      firewall: {
        overlay: ["10.32.0.0/12"],
        masquerade: ["10.32.0.0/12"],
        exempt: [],
        portMaps: [],
        controlPort: 6783,
        controls: [],
      },
      prune: true,
    });
  });

  it("names the daemons that listen at another port than ours", () => {
    const peers = new Map([
      ["bob", { ...peer("192.0.2.2"), port: 7000 }],
      ["carol", peer("192.0.2.3")],
    ]);
    expect(plan(input({ peers })).firewall.controls).toEqual([{ address: "192.0.2.2", port: 7000 }]);
  });

  it("floods to every other peer once, in order, and never to its own underlay", () => {
    const peers = new Map([
      ["carol", peer("192.0.2.9")],
      ["bob", peer("192.0.2.10")],
      ["dave", peer("192.0.2.10")], // bob again, after it lost its name
      ["erin", peer("192.0.2.1")], // claims our address
      ["alice", peer("192.0.2.1")],
    ]);
    expect(plan(input({ peers })).flood).toEqual(["192.0.2.10", "192.0.2.9"]);
  });

  it("alone it floods to nobody", () => {
    expect(plan(input({ peers: new Map() }))).toMatchObject({ flood: [], forwarding: [], neighbours: [] });
  });

  it.each([
    ["its own", 1400, [1450, 9000], 1400],
    ["another's", 1450, [1450, 1372], 1372],
  ])("runs at the least MTU of all: %s", (_, mtu, [bob, carol], least) => {
    const peers = new Map([
      ["alice", peer("192.0.2.1", 68)], // an old word of our own does not count
      ["bob", peer("192.0.2.2", bob)],
      ["carol", peer("192.0.2.3", carol)],
    ]);
    expect(plan(input({ mtu, peers })).bridge.mtu).toBe(least);
  });

  it.each([
    ["a container's", "02:a0:0a:20:00:05"],
    ["the bridge's", bridgeMac],
  ])("a MAC that is %s here is forwarded to nobody, whoever claims it", (_, mac) => {
    const state = plan(
      input({
        endpoints: new Map([
          ["10.40.0.1", endpoint("bob", mac)], // before our own is seen
          ["10.40.0.2", endpoint("bob", "02:a0:0a:28:00:02")],
        ]),
        here: new Map([["10.32.0.5", "02:a0:0a:20:00:05"]]), // announced or not
      }),
    );
    expect(containers(state.forwarding)).toEqual([{ mac: "02:a0:0a:28:00:02", vtep: "192.0.2.2" }]);
  });

  it("with an MTU that IPv6 cannot have, bridges have no link-local neighbours", () => {
    const state = plan(input({ mtu: 1279 }));
    expect(state.neighbours).toEqual([]);
    expect(state.forwarding).toHaveLength(2);
    expect(plan(input({ mtu: 1280 })).neighbours).toEqual([bob, carol]);
  });

  it("a bridge has the MAC its peer says, or else that of its name; never one that is ours", () => {
    const peers = new Map([
      ["bob", { ...peer("192.0.2.2"), bridgeMac: "02:b0:00:00:00:0b" }],
      ["carol", { ...peer("192.0.2.3"), bridgeMac }],
    ]);
    expect(plan(input({ peers }))).toMatchObject({
      forwarding: [{ mac: "02:b0:00:00:00:0b", vtep: "192.0.2.2" }],
      neighbours: [{ mac: "02:b0:00:00:00:0b", address: "fe80::b0:ff:fe00:b" }],
    });
  });

  it("an address that a container here has stays here, whoever announces it", () => {
    const here = new Map([["10.32.0.5", "02:a0:0a:20:00:05"]]);
    const endpoints = new Map([["10.32.0.5", endpoint("bob", "02:bb:00:00:00:01")]]);
    const state = plan(input({ here, endpoints }));
    expect(containers(state.neighbours)).toEqual([{ address: "10.32.0.5", mac: "02:a0:0a:20:00:05" }]);
    expect(state.routes).toEqual([]);
  });

  it("several addresses of one MAC are one forwarding entry and a neighbour each", () => {
    const one = endpoint("bob", "02:a0:0a:28:00:01");
    const state = plan(
      input({
        endpoints: new Map([
          ["10.40.0.1", one],
          ["10.40.0.2", one],
        ]),
      }),
    );
    expect(containers(state.forwarding)).toHaveLength(1);
    expect(containers(state.neighbours).map((n) => n.address)).toEqual(["10.40.0.1", "10.40.0.2"]);
  });

  it("the bridge's own addresses are no neighbours of it, another peer's bridge is", () => {
    const state = plan(
      input({
        exposed: [{ cidr: "10.32.0.1/12", masquerade: false }],
        endpoints: new Map([
          ["10.32.0.1", endpoint("alice", bridgeMac)],
          ["10.40.0.1", endpoint("bob", "02:b0:00:00:00:0b")],
        ]),
      }),
    );
    expect(containers(state.neighbours)).toEqual([{ address: "10.40.0.1", mac: "02:b0:00:00:00:0b" }]);
  });

  it("endpoints of a peer whose record has not come are left out, whole", () => {
    const endpoints = new Map([["10.41.0.1", endpoint("dave", "02:a0:0a:29:00:01")]]);
    const { forwarding, neighbours } = plan(input({ endpoints }));
    expect([containers(forwarding), containers(neighbours)]).toEqual([[], []]);
  });

  it("leads to endpoints of others outside the ranges and outside the subnets of the bridge", () => {
    const on = (peer: string) => endpoint(peer, "02:a0:09:00:02:02");
    const endpoints = new Map([
      ["9.0.1.2", on("alice")], // here
      ["9.0.2.2", on("bob")],
      ["9.0.3.2", on("dave")], // unknown peer
      ["9.0.1.130", on("bob")], // in a subnet of our bridge
      ["10.40.0.1", on("bob")], // in the range
      ["192.0.2.3", on("bob")], // carol's host
      ["fd09::2", on("bob")],
    ]);
    const exposed = [{ cidr: "9.0.1.1/24", masquerade: false }];
    expect(plan(input({ endpoints, exposed })).routes).toEqual(["9.0.2.2", "fd09::2"]);
  });

  it("masquerades each network once, and only where it was asked for", () => {
    const exposed = [
      { cidr: "10.32.0.1/12", masquerade: true },
      { cidr: "10.32.0.2/12", masquerade: true },
      { cidr: "10.50.0.1/24", masquerade: false },
      { cidr: "10.60.0.1/24", masquerade: true },
    ];
    const { firewall, bridge } = plan(input({ exposed }));
    expect(firewall.masquerade).toEqual(["10.32.0.0/12", "10.60.0.0/24"]);
    expect(bridge.addresses).toHaveLength(4);
  });

  it("keeps what the kernel holds beyond it until gossip has synced", () => {
    expect(plan(input({ prune: false })).prune).toBe(false);
  });
});
