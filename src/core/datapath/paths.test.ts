import { describe, expect, it } from "vitest";
import { macForName } from "../address/mac.ts";
import { type PathInput, pathsOf } from "./paths.ts";

const record = { nickname: "", uid: "", incarnation: "d", software: "", port: 6783, mtu: 1450, links: [] };
const input = (changes: Partial<PathInput> = {}): PathInput => ({
  self: "alice",
  underlay: "192.0.2.1",
  mtu: 1450,
  peers: new Map([
    ["alice", { ...record, underlay: "192.0.2.1" }],
    ["bob", { ...record, underlay: "192.0.2.2" }],
    ["carol", { ...record, underlay: "192.0.2.3", bridgeMac: "02:b0:00:00:00:0c" }],
  ]),
  exposed: [],
  endpoints: new Map(),
  ...changes,
});

describe("pathsOf", () => {
  it("asks bridges at the address made of their MAC, which is made of the name unless the peer says another", () => {
    const [, , second, third, fourth, fifth] = macForName("bob").split(":");
    expect(pathsOf(input()).map(({ peer, address, mtu }) => [peer, address, mtu])).toEqual([
      ["bob", expect.stringMatching(/^fe80::b0:/), 1450],
      ["carol", "fe80::b0:ff:fe00:c", 1450],
    ]);
    const low = `${Number.parseInt(`${fourth}${fifth}`, 16).toString(16)}`;
    expect(pathsOf(input())[0]?.address).toMatch(new RegExp(`${low}$`));
    expect([second, third].every(Boolean)).toBe(true);
  });

  it("with an MTU that IPv6 cannot have, asks exposed IPv4 addresses, where both sides have one", () => {
    const endpoints = new Map([
      ["10.40.0.1", { addresses: [], mac: "02:b0:00:00:00:0b", label: "expose", peer: "bob" }],
      ["10.48.0.9", { addresses: [], mac: "02:a0:0a:30:00:09", label: "web", peer: "carol" }],
    ]);
    const exposed = [{ cidr: "10.32.0.1/12", masquerade: true }];
    const [bob, carol] = pathsOf(input({ mtu: 1200, endpoints, exposed }));
    expect(bob).toMatchObject({ address: "10.40.0.1" });
    expect(carol).not.toHaveProperty("address");
    expect(carol?.lacking).toContain("weave expose there");
    expect(pathsOf(input({ mtu: 1200, endpoints }))[0]?.lacking).toContain("weave expose here");
  });
});
