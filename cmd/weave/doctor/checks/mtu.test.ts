import { describe, expect, it } from "vitest";
import { healthy } from "../../testing/statuses.ts";
import { judgeMtu, type MtuFacts } from "./mtu.ts";

const facts: MtuFacts = {
  status: healthy,
  addresses: [{ dev: "eth0", address: "192.0.2.1", mtu: 1500 }],
  links: [],
};
const device = {
  ...{ index: 5, name: "vxlan-6784", kind: "vxlan", up: true, mtu: 1450, port: 6784 },
  ...{ local: "192.0.2.1", advertised: false },
};
const peersWith = (mtu: number): typeof healthy.peers =>
  healthy.peers.map((peer) => (peer.nickname === "bob" ? { ...peer, mtu } : peer));

describe("MTU", () => {
  it("fits every underlay", () => {
    expect(judgeMtu(facts)).toEqual({
      findings: [],
      notes: [],
      saw: "containers have 1450, this underlay leaves 1450, peers' 1450",
    });
  });

  it("does not fit this host's", () => {
    const addresses = [{ dev: "eth0", address: "192.0.2.1", mtu: 1400 }];
    expect(judgeMtu({ ...facts, addresses }).findings).toMatchObject([
      { code: "mtu-too-large", object: "eth0", command: "weave stop && weave launch --mtu 1350" },
    ]);
  });

  it("does not fit a peer's", () => {
    const status = { ...healthy, peers: peersWith(1400) };
    expect(judgeMtu({ ...facts, status }).findings).toMatchObject([
      { code: "mtu-too-large", object: "bob", command: "weave stop && weave launch --mtu 1400" },
    ]);
  });

  it("is lowered for all by one", () => {
    const status = { ...healthy, datapath: { ...healthy.datapath, mtu: 1400 }, peers: peersWith(1400) };
    const { findings, notes } = judgeMtu({ ...facts, status });
    expect(findings).toEqual([]);
    expect(notes).toMatchObject([{ code: "mtu-lowered", object: "bob" }]);
  });

  it("IPv6 takes 20 more", () => {
    const address = "2001:db8::1";
    const addresses = [{ dev: "eth0", address, mtu: 1500 }];
    const told = (mtu: number): number => {
      const status = { ...healthy, underlay: address, datapath: { ...healthy.datapath, mtu } };
      return judgeMtu({ ...facts, addresses, status: { ...status, peers: [] } }).findings.length;
    };
    expect([told(1430), told(1431)]).toEqual([0, 1]);
  });

  it.each([
    [
      "path-mtu",
      "bob loses them; launch weave on one of the two hosts with --mtu 1346",
      "weave stop && weave launch --mtu 1346",
    ],
    ["path-mtu", "bob loses them; launch weave on one of the two hosts with --mtu 789", "ping bob"],
    ["path-down", "bob does not answer", "ping bob"],
    ["peer-unreachable", "bob is away", undefined],
  ])("what the daemon tells of paths: %s, %s", (code, message, command) => {
    const status = { ...healthy, problems: [{ code, object: "bob", message, command: "ping bob" }] };
    const { findings } = judgeMtu({ ...facts, status });
    expect(findings).toEqual(command === undefined ? [] : [{ code, object: "bob", message, command }]);
  });

  it("of what a daemon left behind", () => {
    const left = { ...facts, status: undefined, links: [device] };
    expect(judgeMtu(left).findings).toEqual([]);
    expect(judgeMtu({ ...left, links: [{ ...device, mtu: 1451 }] }).findings).toMatchObject([
      { code: "mtu-too-large", object: "eth0" },
    ]);
    expect(judgeMtu({ ...left, links: [] })).toEqual({ findings: [], saw: "no containers' MTU yet" });
  });
});
