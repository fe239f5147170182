import { describe, expect, it } from "vitest";
import { Universe } from "../core/address/universe.ts";
import { WeaveError } from "../core/errors.ts";
import { readState, type StoredState } from "../core/records.ts";
import type { HostFacts } from "../ports/kernel.ts";
import {
  checkChosen,
  checkTarget,
  containerMtu,
  plainTarget,
  resolveConfig,
  type Surroundings,
} from "./config.ts";
import { type LaunchOptions, launchOptions } from "./options.ts";

const options = (given: Partial<LaunchOptions> = {}): LaunchOptions => launchOptions.parse(given);
const founding = { cluster: "c1", epoch: 1, founders: ["alice"] };

const stored = (name?: string, ...ranges: string[]): StoredState => ({
  ...readState(new Map()),
  name,
  rings: new Map(ranges.map((universe, i) => [i, { universe, founding, ranges: [] }])),
  ...(ranges.length === 0 ? {} : { ranges }),
});

const host: HostFacts = {
  routes: [{ dst: "192.0.2.0/24", dev: "eth0" }],
  addresses: [
    { dev: "eth0", address: "192.0.2.1", mtu: 1500 },
    { dev: "eth1", address: "198.51.100.1", mtu: 9000 },
    { dev: "eth1", address: "2001:db8::1", mtu: 9000 },
  ],
  defaultSource: { address: "192.0.2.1", mtu: 1500 },
  missing: [],
};

/** The same without a default route. */
const { defaultSource: _, ...routeless } = host;

const around = (facts: HostFacts = host, state = stored()): Surroundings => ({
  stored: state,
  facts,
  hostname: "host-a",
  software: "0.1.0",
  uid: "uid",
  again: { stop: "weave stop", launch: "weave launch" },
  freshName: "alice",
  incarnation: "new disk",
  anew: {},
});

const seed = (...names: string[]) => ({ kind: "seed" as const, names });

const refused = (run: () => unknown): WeaveError => {
  try {
    run();
  } catch (error) {
    if (error instanceof WeaveError) return error;
    throw error;
  }
  throw new Error("it was accepted");
};

describe("resolveConfig", () => {
  it("without a word: fresh name, host name, default range, the default route's address and what it leaves", () => {
    const { config, warnings } = resolveConfig(options(), around());
    expect(warnings).toEqual([]);
    expect(config).toMatchObject({
      name: "alice",
      nickname: "host-a",
      uid: "uid",
      defaultSubnets: ["10.32.0.0/12"],
      port: 6783,
      vxlanPort: 6784,
      bridgeName: "weave",
      vxlanName: "vxlan-6784",
      underlay: { address: "192.0.2.1", pinned: false },
      mtu: 1450,
    });
    expect(config.universes.map((u) => u.text)).toEqual(["10.32.0.0/12"]);
    expect(config).not.toHaveProperty("targets");
    expect(config).not.toHaveProperty("expect");
    expect(config).toMatchObject({ init: { kind: "consensus" }, incarnation: "new disk" });
  });

  it("what the disk holds is used again, what is said now goes first", () => {
    const before = { ...stored("bob", "10.50.0.0/16"), nickname: "old" };
    expect(resolveConfig(options(), around(host, before)).config).toMatchObject({
      name: "bob",
      nickname: "old",
      defaultSubnets: ["10.50.0.0/16"],
    });
    const said = options({ nickname: "new", peers: [], init: seed("bob"), defaultSubnet: "10.50.1.0/24" });
    expect(resolveConfig(said, around(host, before)).config).toMatchObject({
      nickname: "new",
      targets: [], // no peer at all is a word, too
      init: { kind: "seed", names: ["bob"] },
      defaultSubnets: ["10.50.1.0/24"],
    });
  });

  it("a range of each family, in one order whatever they were given in; a default subnet for either or both", () => {
    const range = "fd00:77::/80,10.32.0.0/12";
    const { config } = resolveConfig(options({ range, defaultSubnet: "fd00:77::1:0/112" }), around());
    expect(config.universes.map((u) => u.text)).toEqual(["10.32.0.0/12", "fd00:77::/80"]);
    expect(config.defaultSubnets).toEqual(["10.32.0.0/12", "fd00:77::1:0/112"]);
    const alone = resolveConfig(options({ range: "fd00:77::/80" }), around()).config;
    expect(alone.defaultSubnets).toEqual(["fd00:77::/80"]);
  });

  it("both ranges of the disk are used again", () => {
    const before = stored("bob", "10.50.0.0/16", "fd00:50::/80");
    const { config } = resolveConfig(options(), around(host, before));
    expect(config.universes.map((u) => u.text)).toEqual(["10.50.0.0/16", "fd00:50::/80"]);
  });

  it("another range than the one on disk is taken, and told: that state is to be set aside", () => {
    const before = stored("bob", "10.50.0.0/16", "fd00:50::/80");
    const less = resolveConfig(options({ range: "10.50.0.0/16" }), around(host, before));
    expect(less.otherRange).toBe("10.50.0.0/16,fd00:50::/80");
    expect(less.config.universes.map((u) => u.text)).toEqual(["10.50.0.0/16"]);
    const same = resolveConfig(options({ range: "fd00:50::/80,10.50.0.0/16" }), around(host, before));
    expect(same).not.toHaveProperty("otherRange");
    expect(resolveConfig(options(), around(host, before))).not.toHaveProperty("otherRange");
    expect(resolveConfig(options({ range: "10.50.0.0/16" }), around())).not.toHaveProperty("otherRange");
  });

  it("a host that began anew has its new name, also under the --name it was called before", () => {
    const before = { ...stored("bob-3f2a", "10.50.0.0/16"), incarnation: "second disk" };
    const anew = { ...around(host, before), anew: { base: "bob", expect: "living" } };
    const { config, warnings } = resolveConfig(options({ name: "bob" }), anew);
    expect(config).toMatchObject({ name: "bob-3f2a", incarnation: "second disk", expect: "living" });
    expect(warnings).toEqual([expect.stringMatching(/this host is bob-3f2a since it began anew/)]);
    expect(resolveConfig(options({ name: "bob-3f2a" }), anew).warnings).toEqual([]);
    const newcomer = {
      ...around(host, { ...stored("bob-3f2a") }),
      anew: { base: "bob", newcomer: true } as const,
    };
    const init = seed("bob");
    expect(resolveConfig(options({ init }), newcomer).config.init).toEqual({ kind: "observer" });
    expect(resolveConfig(options({ init }), anew).config.init).toEqual(init);
    expect(refused(() => resolveConfig(options({ name: "carol" }), anew))).toMatchObject({
      code: "state-mismatch",
    });
  });

  it.each<LaunchOptions["init"]>([
    { kind: "consensus", expected: 3 },
    { kind: "observer" },
    { kind: "seed", names: ["alice"] },
  ])("--ipalloc-init %j is passed on", (init) => {
    expect(resolveConfig(options({ init, peers: ["bob"] }), around()).config.init).toEqual(init);
  });

  it("a default subnet may be larger than the range", () => {
    const said = options({ range: "10.32.5.0/24", defaultSubnet: "10.32.0.0/16" });
    expect(resolveConfig(said, around()).config.defaultSubnets).toEqual(["10.32.0.0/16"]);
  });

  it.each<[string, Partial<LaunchOptions>, Surroundings, string, RegExp, RegExp]>([
    [
      "a host that lacks something, all of it named",
      {},
      around({
        ...host,
        missing: [
          { what: "nft", brings: "package nftables" },
          { what: "vxlan", brings: "CONFIG_VXLAN" },
        ],
      }),
      "feature-missing",
      /nft \(package nftables\); vxlan \(CONFIG_VXLAN\)/,
      /package nftables/,
    ],
    [
      "another peer's data directory",
      { name: "bob" },
      around(host, stored("alice")),
      "state-mismatch",
      /belongs to peer alice, not to bob/,
      /without --name/,
    ],
    ["no range", { range: "text" }, around(), "bad-address", /not a CIDR|is not a CIDR/, /10\.32\.0\.0\/12/],
    ["a range's host bits", { range: "10.32.0.1/12" }, around(), "bad-address", /host bits/, /ipalloc-range/],
    ["a tiny range", { range: "10.32.0.0/31" }, around(), "bad-address", /too small/, /ipalloc-range/],
    ["a huge range", { range: "fd00::/64" }, around(), "bad-address", /too large/, /ipalloc-range/],
    ["link-local addresses", { range: "fe80::/80" }, around(), "bad-address", /fe80::\/10/, /fd00:77::\/80/],
    [
      "two ranges of one family",
      { range: "10.32.0.0/12,10.64.0.0/12" },
      around(),
      "bad-address",
      /one range of each family/,
      /fd00:77::\/80/,
    ],
    [
      "a default subnet of no range",
      { range: "10.32.0.0/12", defaultSubnet: "fd00::/80" },
      around(),
      "bad-address",
      /fd00::\/80 does not overlap the range 10\.32\.0\.0\/12/,
      /choose/,
    ],
    [
      "two default subnets of one range",
      { defaultSubnet: "10.32.1.0/24,10.32.2.0/24" },
      around(),
      "bad-address",
      /10\.32\.2\.0\/24 is the second/,
      /one for each family/,
    ],
    [
      "the default range where a route leads",
      {},
      around({ ...host, routes: [{ dst: "10.40.0.0/16", dev: "tun0" }] }),
      "range-overlap",
      /10\.32\.0\.0\/12 overlaps the route 10\.40\.0\.0\/16 dev tun0/,
      /ipalloc-range/,
    ],
    [
      "the default range inside a route without a device",
      {},
      around({ ...host, routes: [{ dst: "10.0.0.0/8", dev: "" }] }),
      "range-overlap",
      /route 10\.0\.0\.0\/8 of this host/,
      /ipalloc-range/,
    ],
    [
      "a default subnet elsewhere",
      { defaultSubnet: "10.48.0.0/16" },
      around(),
      "bad-address",
      /10\.48\.0\.0\/16 does not overlap the range 10\.32\.0\.0\/12/,
      /subnet of --ipalloc-range/,
    ],
    [
      "a default subnet without prefix",
      { defaultSubnet: "10.32.0.0" },
      around(),
      "bad-address",
      /--ipalloc-default-subnet/,
      /./,
    ],
    [
      "a default subnet of text",
      { defaultSubnet: "text/8" },
      around(),
      "bad-address",
      /--ipalloc-default-subnet/,
      /./,
    ],
    [
      "a host name to listen on",
      { host: "eth0" },
      around(),
      "bad-address",
      /not an IP address/,
      /address of this host/,
    ],
    [
      "another host's address",
      { host: "192.0.2.9" },
      around(),
      "bad-address",
      /not an address of this host/,
      /192\.0\.2\.1, 198/,
    ],
    [
      "an IPv6 address that only looks like ours",
      { host: "::c000:201" },
      around(),
      "bad-address",
      /not an address of this host/,
      /./,
    ],
    [
      "an address on a host without any",
      { host: "192.0.2.9" },
      around({ ...host, addresses: [] }),
      "bad-address",
      /./,
      /none/,
    ],
    [
      "more MTU than the underlay carries",
      { mtu: 1451 },
      around(),
      "mtu-invalid",
      /1500 less 50.* is 1450/,
      /--mtu 1450/,
    ],
    [
      "more MTU than an IPv6 underlay carries",
      { mtu: 8931, host: "2001:db8::1" },
      around(),
      "mtu-invalid",
      /less 70/,
      /8930/,
    ],
    [
      "a peer that is none",
      { peers: ["192.0.2.2", "a b"] },
      around(),
      "bad-request",
      /"a b" is not a peer address/,
      /HOST:PORT/,
    ],
  ])("refuses %s", (_, given, surroundings, code, message, hint) => {
    const error = refused(() => resolveConfig(options(given), surroundings));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
    expect(error.hint).toMatch(hint);
  });

  it.each<[string, Partial<LaunchOptions>, Surroundings, RegExp]>([
    [
      "a chosen range where a route leads",
      { range: "10.32.0.0/12" },
      around({ ...host, routes: [{ dst: "10.40.0.0/16", dev: "tun0" }] }),
      /overlaps the route 10\.40\.0\.0\/16 dev tun0.*not reachable from here/,
    ],
    [
      "a range already in use where a route leads",
      {},
      around({ ...host, routes: [{ dst: "10.40.0.0/16", dev: "tun0" }] }, stored("alice", "10.32.0.0/12")),
      /overlaps the route/,
    ],
    [
      "a seed without this host",
      { init: seed("bob", "carol") },
      around(),
      /seed=bob,carol does not name this host \(alice\)/,
    ],
    ["an observer that nobody is named to", { init: { kind: "observer" } }, around(), /until one connects/],
    ["no network yet", {}, around({ ...routeless, addresses: [] }), /no network address yet/],
  ])("warns of %s, and goes on", (_, given, surroundings, warning) => {
    const { warnings } = resolveConfig(options(given), surroundings);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(warning);
  });

  it.each<[string, Partial<LaunchOptions>, Surroundings]>([
    ["the bridge's own route", {}, around({ ...host, routes: [{ dst: "10.32.0.0/12", dev: "weave" }] })],
    ["a default route", {}, around({ ...host, routes: [{ dst: "0.0.0.0/0", dev: "eth0" }] })],
    ["a route beside the range", {}, around({ ...host, routes: [{ dst: "10.48.0.0/12", dev: "eth0" }] })],
    ["a seed with this host", { init: seed("alice", "bob") }, around()],
    ["an observer with peers", { init: { kind: "observer" }, peers: ["bob"] }, around()],
    ["a seed once there is a ring", { init: seed("bob") }, around(host, stored("alice", "10.32.0.0/12"))],
  ])("says nothing about %s", (_, given, surroundings) => {
    expect(resolveConfig(options(given), surroundings).warnings).toEqual([]);
  });

  it.each<[string, Partial<LaunchOptions>, HostFacts, unknown, number]>([
    ["the address given", { host: "198.51.100.1" }, host, { address: "198.51.100.1", pinned: true }, 8950],
    ["an IPv6 address given", { host: "2001:db8::1" }, host, { address: "2001:db8::1", pinned: true }, 8930],
    [
      "loopback, which no list has",
      { host: "127.0.0.2" },
      host,
      { address: "127.0.0.2", pinned: true },
      65485,
    ],
    ["0.0.0.0 is no choice", { host: "0.0.0.0" }, host, { address: "192.0.2.1", pinned: false }, 1450],
    [
      "the first address without a default route",
      {},
      routeless,
      { address: "192.0.2.1", pinned: false },
      1450,
    ],
    [
      "never the bridge's",
      {},
      {
        ...routeless,
        addresses: [
          { dev: "weave", address: "10.32.0.1", mtu: 1450 },
          { dev: "eth0", address: "192.0.2.1", mtu: 1400 },
        ],
      },
      { address: "192.0.2.1", pinned: false },
      1350,
    ],
    [
      "IPv4 even where the default route is IPv6",
      {},
      { ...host, defaultSource: { address: "2001:db8::1", mtu: 9000 } },
      { address: "192.0.2.1", pinned: false },
      1450,
    ],
    ["a smaller MTU", { mtu: 1300 }, host, { address: "192.0.2.1", pinned: false }, 1300],
  ])("the underlay is %s", (_, given, facts, underlay, mtu) => {
    expect(resolveConfig(options(given), around(facts)).config).toMatchObject({ underlay, mtu });
  });
});

describe("checkChosen", () => {
  const range = Universe.parse("10.32.0.0/12");
  const check = (address: string) => () => {
    if (typeof range === "string") throw new Error(range);
    checkChosen(address, [range], host, ["203.0.113.7"]);
  };

  it.each(["172.20.0.2/24", "9.0.1.2/25", "fd20::2/64", "10.32.0.5/24"])("accepts %s", (address) => {
    expect(check(address)).not.toThrow();
  });

  it.each<[string, string, RegExp]>([
    ["127.0.0.1/8", "bad-address", /not an address/],
    ["0.0.0.0/0", "bad-address", /not an address/],
    ["224.1.1.1/4", "bad-address", /not an address/],
    ["fe80::1/64", "bad-address", /not an address/],
    ["192.0.2.1/24", "range-overlap", /192\.0\.2\.0\/24 dev eth0/],
    ["192.0.2.200/24", "range-overlap", /192\.0\.2\.0\/24 dev eth0/],
    ["203.0.113.7/24", "range-overlap", /a host of this network/],
  ])("refuses %s: %s", (address, code, words) => {
    expect(refused(check(address))).toMatchObject({ code, message: expect.stringMatching(words) });
  });
});

describe("checkTarget", () => {
  it.each([
    "192.0.2.2",
    "192.0.2.2:6783",
    "host",
    "host.example:1",
    "[2001:db8::1]:65535",
    "2001:db8::1",
    "[::1]",
  ])("takes %s", (text) => {
    expect(() => checkTarget(text)).not.toThrow();
  });

  it.each([
    "",
    " host",
    "-host",
    "host-",
    "host:0",
    "host:65536",
    "host:port",
    "host:",
    "192.0.2",
    "192.0.2.256",
    "192.0.2.2/24",
    "[host]:1",
    "[2001:db8::1",
    "2001:db8::1]:1",
    "http://host",
    "a,b",
  ])("refuses %j, with how to write it", (text) => {
    const error = refused(() => checkTarget(text));
    expect(error.code).toBe("bad-request");
    expect(error.message).toContain(`"${text}"`);
    expect(error.hint).toMatch(/HOST:PORT/);
  });
});

it.each([
  ["host:6783", "host"],
  ["Host", "host"],
  ["host:7000", "host:7000"],
  ["192.0.2.1:6783", "192.0.2.1"],
  ["[2001:db8::1]:6783", "2001:db8::1"],
  ["2001:db8::1", "2001:db8::1"],
  ["[2001:db8::1]:7000", "[2001:db8::1]:7000"],
])("%s is the target %s where 6783 is meant", (text, plain) => {
  expect(plainTarget(text, 6783)).toBe(plain);
});

it.each([
  ["what the underlay leaves", undefined, 1400, "192.0.2.1", 1350],
  ["less over IPv6", undefined, 1500, "2001:db8::1", 1430],
  ["--mtu, while that is less", 1300, 1500, "192.0.2.1", 1300],
  ["less than --mtu, when the underlay carries less", 1300, 1320, "192.0.2.1", 1270],
  ["never less than the least", undefined, 600, "192.0.2.1", 576],
] as const)("an underlay that changes leaves containers %s", (_, asked, carries, address, left) => {
  expect(containerMtu(asked, carries, address)).toBe(left);
});
