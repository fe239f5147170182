// Status objects for tests: a small cluster in good order, and one where all that can be long is as long as it gets.
import { type Status, status } from "../../../src/api/status.ts";

const T = "2026-01-31T12:00:00.123Z";

/** Three hosts, nothing wrong. */
export const healthy: Status = status.parse({
  ok: true,
  problems: [],
  version: "0.1.0",
  pid: 4711,
  since: T,
  name: "7a:01:02:03:04:05",
  nickname: "alice",
  cluster: "c0ffee00",
  listen: { host: "0.0.0.0", port: 6783 },
  underlay: "192.0.2.1",
  datapath: { bridge: "weave", vxlan: "vxlan-6784", vni: 7829110, port: 6784, mtu: 1450, settled: true },
  lost: [],
  exposed: [{ cidr: "10.32.0.1/12", masquerade: true }],
  targets: [
    { address: "192.0.2.2", state: "established", peer: "7a:01:02:03:04:06", nickname: "bob" },
    {
      address: "host9:7000",
      state: "retrying",
      since: "2026-01-31T12:00:00.000Z",
      failure: "getaddrinfo ENOTFOUND host9",
      nextTry: "2026-01-31T12:00:05.000Z",
    },
  ],
  discovery: true,
  connLimit: 32,
  connections: [
    {
      direction: "out",
      address: "192.0.2.2:6783",
      state: "established",
      peer: "7a:01:02:03:04:06",
      nickname: "bob",
      rttMs: 0.42,
      since: T,
    },
    { direction: "out", address: "192.0.2.1:6783", state: "self" },
    {
      direction: "in",
      address: "192.0.2.3:40112",
      state: "established",
      peer: "7a:01:02:03:04:07",
      nickname: "carol",
      since: T,
    },
  ],
  peers: [
    peer("7a:01:02:03:04:05", "alice", "192.0.2.1", { self: true, containers: 2 }),
    peer("7a:01:02:03:04:06", "bob", "192.0.2.2", {}),
    peer("7a:01:02:03:04:07", "carol", "192.0.2.3", { containers: 1 }),
  ],
  ipam: [
    {
      range: "10.32.0.0/12",
      defaultSubnet: "10.32.0.0/12",
      state: "ready",
      size: 1048576,
      owned: 524288,
      used: 3,
      owners: [
        owner("7a:01:02:03:04:05", "alice", 524288, ["10.32.0.0/13"], true),
        owner("7a:01:02:03:04:06", "bob", 524287, ["10.40.0.0/14", "10.44.0.0/14"], false),
        owner("7a:01:02:03:04:07", "carol", 1, [], false),
      ],
    },
  ],
  endpoints: [
    {
      address: "10.32.0.2",
      mac: "02:00:0a:20:00:02",
      peer: "7a:01:02:03:04:05",
      nickname: "alice",
      label: "web",
      local: true,
    },
    {
      address: "10.40.0.1",
      mac: "02:00:0a:28:00:01",
      peer: "7a:01:02:03:04:07",
      nickname: "carol",
      label: "db",
      local: false,
    },
  ],
});

const V6 = "2001:db8:1111:2222:3333:4444:5555:666";
const NAME = "n".repeat(60);
const NICKNAME = "nick ".repeat(40);

/** Addresses of 39 characters, names of 64, nicknames of 200, every optional field given. */
export const sprawling: Status = status.parse({
  ...healthy,
  ok: false,
  problems: [
    problem("target-unreachable", `[${V6}7]:6783`, "weave status connections"),
    problem("address-conflict", "10.32.0.9", "weave status endpoints"),
  ],
  name: NAME,
  nickname: NICKNAME,
  cluster: "c".repeat(64),
  listen: { host: "::", port: 6783 },
  access: {
    password: false,
    reach: "everywhere",
    addresses: Array.from({ length: 5 }, (_, at) => `${V6}${at}/64`),
  },
  underlay: `${V6}1`,
  exposed: Array.from({ length: 5 }, (_, at) => ({ cidr: `${V6}${at}/64`, masquerade: at % 2 === 0 })),
  targets: [
    {
      address: `[${V6}7]:6783`,
      state: "retrying",
      peer: "p".repeat(64),
      nickname: "n".repeat(255),
      since: "2026-01-31T12:00:00.000Z",
      failure: "x ".repeat(120),
      nextTry: "2026-01-31T12:00:05.000Z",
    },
  ],
  discovery: true,
  connLimit: 32,
  connections: Array.from({ length: 3 }, (_, at) => ({
    direction: "out",
    address: `[${V6}${at}]:6783`,
    state: "retrying",
    peer: `${NAME}${at}`,
    nickname: NICKNAME,
    rttMs: 1234.56,
    since: T,
    failure: `connect ECONNREFUSED ${V6}${at}:6783 `.repeat(4),
    nextTry: T,
  })),
  peers: Array.from({ length: 3 }, (_, at) => ({
    ...peer(`${NAME}${at}`, NICKNAME, `${V6}${at}`, { containers: 100000 }),
    reachable: false,
    unreachableSince: T,
    software: "10.20.30-nightly.20260131",
  })),
  ipam: [
    {
      ...healthy.ipam[0],
      range: `${V6}0/80`,
      defaultSubnet: `${V6}0/96`,
      size: 2 ** 48,
      owned: 2 ** 47,
      used: 2 ** 40,
      owners: [
        {
          ...owner(
            `${NAME}0`,
            NICKNAME,
            2 ** 47,
            Array.from({ length: 30 }, (_, at) => `${V6}${at % 10}/128`),
            false,
          ),
          reachable: false,
        },
      ],
    },
  ],
  endpoints: Array.from({ length: 2 }, (_, at) => ({
    address: `${V6}${at}`,
    mac: "02:00:0a:20:00:02",
    peer: `${NAME}${at}`,
    nickname: NICKNAME,
    label: "a label that goes on ".repeat(9),
    local: false,
  })),
});

/** A host that has just started, with nothing around it. */
export const empty: Status = status.parse({
  ...healthy,
  ok: false,
  problems: [problem("waiting-for-peers", "10.32.0.0/12", "weave status connections")],
  cluster: undefined,
  datapath: { ...healthy.datapath, settled: false },
  exposed: [],
  targets: [],
  discovery: true,
  connLimit: 32,
  connections: [],
  ipam: [{ ...healthy.ipam[0], state: "waiting", owned: 0, used: 0, owners: [] }],
  endpoints: [],
});

/** A problem as the daemon tells it. */
export function problem(code: string, object: string, command: string): Record<string, string> {
  return { code, object, since: T, message: `what is wrong with ${object}`, command };
}

function peer(name: string, nickname: string, underlay: string, more: Record<string, unknown>): object {
  const usual = {
    self: false,
    reachable: true,
    mtu: 1450,
    software: "0.1.0",
    connections: ["a", "b"],
    containers: 0,
  };
  return { name, nickname, underlay, ...usual, ...more };
}

function owner(name: string, nickname: string, addresses: number, ranges: string[], self: boolean): object {
  return { name, nickname, addresses, ranges, self, reachable: true };
}
