import { describe, expect, it } from "vitest";
import { macForName } from "./address/mac.ts";
import { anewOf, asideOps, nextName } from "./aside.ts";
import { readState } from "./records.ts";
import type { StoreOp } from "./store-op.ts";

const allocation = {
  network: "weave",
  containerId: "c1",
  ifname: "eth0",
  addresses: ["10.32.0.2/12"],
  slot: "0",
  moment: { bootId: "b", bootMs: 1 },
  committed: true,
};

const records: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ["schema", { version: 1 }],
  ["identity", { name: "alice", nickname: "host1", incarnation: "old" }],
  ["targets", ["192.0.2.2"]],
  ["configuration", { any: "thing" }],
  ["vote", { epoch: 2, round: 1 }],
  [
    "ring/0",
    {
      universe: "10.32.0.0/12",
      founding: { cluster: "c", epoch: 1, founders: ["alice"] },
      ranges: [[0, 4, 1, "alice"]],
    },
  ],
  ["entry/peers/alice/self", { version: 3, value: null }],
  ["entry/endpoints/bob/0", { version: 1, value: null }],
  ["freed/10.32.0.9", 5],
  ["doubtful/10.32.0.7", { since: 5 }],
  ["expect", "elsewhere"],
  ["exposed", [{ cidr: "10.32.0.1/12", masquerade: true }]],
  ["allocation/weave/c1/eth0", allocation],
]);
const identity = {
  name: "alice-3f2a",
  nickname: "host1",
  incarnation: "new",
  base: "alice",
  newcomer: true,
} as const;

describe("a state set aside", () => {
  it("keeps containers, bridge and targets, and nothing of the former self", () => {
    expect(Object.fromEntries(applied(asideOps(records, identity, "living")))).toEqual({
      schema: { version: expect.any(Number) },
      identity: { name: "alice-3f2a", nickname: "host1", incarnation: "new" },
      base: "alice",
      mac: macForName("alice"),
      newcomer: true,
      expect: "living",
      targets: ["192.0.2.2"],
      exposed: [{ cidr: "10.32.0.1/12", masquerade: true, former: true }],
      "allocation/weave/c1/eth0": { ...allocation, former: true },
    });
  });

  it("remembers the end of its cluster, besides those it had left before", () => {
    const ends = (cluster: string, joins: string) => ({
      configuration: { cluster, epoch: 2, voters: [["alice", "i1"]], joins },
      joined: 1,
    });
    const moved = new Map<string, unknown>([
      ["identity", { name: "alice" }],
      ["configuration", ends("second", "third")],
      ["left", ends("first", "second")],
    ]);
    const { left } = readState(applied(asideOps(moved, identity, "third"), moved));
    expect(left.map(({ cluster, joins }) => [cluster, joins])).toEqual([
      ["second", "third"],
      ["first", "second"],
    ]);
  });

  it("expects no cluster unless one is named", () => {
    const records = applied(asideOps(new Map([["expect", "elsewhere"]]), identity));
    expect(anewOf(records)).toEqual({ base: "alice", newcomer: true });
  });

  it("is read back as the state of a host that knows nobody yet", () => {
    const state = readState(applied(asideOps(records, identity, "living")));
    expect(state).toMatchObject({
      name: "alice-3f2a",
      incarnation: "new",
      freed: [],
      targets: ["192.0.2.2"],
    });
    expect(state.rings.size + state.entries.size).toBe(0);
    expect(state.allocations).toHaveLength(1);
  });

  it("may be set aside again, after a crash or another removal", () => {
    const once = applied(asideOps(records, identity, "living"));
    expect(applied(asideOps(once, identity, "living"), once)).toEqual(once);
  });

  it("tells what it was called and what it waits for", () => {
    expect(anewOf(applied(asideOps(records, identity, "living")))).toEqual({
      base: "alice",
      newcomer: true,
      expect: "living",
    });
    const { newcomer: _, ...founder } = identity;
    const once = applied(asideOps(records, identity, "living"));
    expect(anewOf(applied(asideOps(once, founder), once))).toEqual({ base: "alice" });
    expect(anewOf(new Map())).toEqual({});
    expect(anewOf(new Map<string, unknown>([["expect", { damaged: true }]]))).toEqual({});
  });
});

describe("the next name", () => {
  const draw = { digits: "3f2a", fresh: "7a:01:02:03:04:05" };

  it("is like the one the operator gave, however often it changes", () => {
    expect(nextName("alice", undefined, draw)).toEqual({ name: "alice-3f2a", base: "alice" });
    expect(nextName("alice-0000", "alice", draw)).toEqual({ name: "alice-3f2a", base: "alice" });
  });

  it("is drawn where the former one was", () => {
    expect(nextName("7a:aa:bb:cc:dd:ee", undefined, draw)).toEqual({ name: draw.fresh });
  });

  it("is never longer than a name may be", () => {
    expect(nextName("n".repeat(64), undefined, draw).name).toBe(`${"n".repeat(59)}-3f2a`);
  });
});

function applied(ops: readonly StoreOp[], from = records): ReadonlyMap<string, unknown> {
  const map = new Map(from);
  for (const op of ops) {
    if (op.type === "put") map.set(op.key, op.value);
    else map.delete(op.key);
  }
  return map;
}
