import { describe, expect, it } from "vitest";
import { WeaveError } from "./errors.ts";
import type { Vote } from "./ipam/acceptor.ts";
import type { Configuration } from "./ipam/configuration.ts";
import { Ring } from "./ipam/ring.ts";
import {
  type AllocationRecord,
  allocationOp,
  configurationOps,
  doubtfulOp,
  entryOp,
  exposedOp,
  freedOp,
  identityOps,
  leftOp,
  rangesOp,
  readState,
  releaseOp,
  reusedOp,
  ringOp,
  targetsOp,
  voteOp,
  withLeft,
} from "./records.ts";
import type { StoreOp } from "./store-op.ts";

/** What a disk holds after these, values as JSON as a disk has them. */
function disk(...ops: readonly StoreOp[]): Map<string, unknown> {
  const records = new Map<string, unknown>();
  for (const op of ops) {
    if (op.type === "del") records.delete(op.key);
    else records.set(op.key, JSON.parse(JSON.stringify(op.value)));
  }
  return records;
}

const founding = { cluster: "c1", epoch: 1, founders: ["alice", "bob"] };
const configuration: Configuration = {
  cluster: "c1",
  epoch: 3,
  voters: [{ name: "alice", incarnation: "disk" }],
  remaining: { since: 2, names: ["alice", "bob"], heir: "alice" },
  lineage: [{ cluster: "c0", epoch: 2, by: "alice", removed: ["carol"], at: 5 }],
};
const vote: Vote = {
  epoch: 4,
  round: 7,
  promised: [7, "disk"],
  accepted: { round: [6, "other"], value: { ...configuration, epoch: 4 } },
};
const ring = Ring.found(256, founding.founders);
const allocation: AllocationRecord = {
  network: "weave",
  containerId: "c0ffee",
  ifname: "eth0",
  addresses: ["10.32.0.5/24"],
  slot: "0",
  moment: { bootId: "b", bootMs: 1.5 },
  committed: true,
  mac: "02:a0:0a:20:00:05",
  netns: "4026532000",
  hostIfname: "vethwe1",
  bandwidth: { ingress: { rate: 1e6, burst: 1e5 } },
};
const pending: AllocationRecord = {
  network: "weave",
  containerId: "c1",
  ifname: "eth0",
  addresses: ["10.32.0.6/24"],
  slot: "1",
  moment: { bootId: "b", bootMs: 2 },
  committed: false,
};
const own = { origin: "alice", key: "self", version: 3, value: { nickname: "a" } };
const removed = { origin: "7a:9f:c2:4d:5e:01", key: "0", version: 4, value: null };
const slashed = { origin: "bob", key: "a/b", version: 1, value: [1] };

const failure = (records: ReadonlyMap<string, unknown>): WeaveError => {
  try {
    readState(records);
  } catch (error) {
    if (error instanceof WeaveError) return error;
    throw error;
  }
  throw new Error("it was read");
};

describe("what a host left", () => {
  const voters = [{ name: "alice", incarnation: "i1" }];
  const ended = (cluster: string, epoch = 2) => ({ cluster, epoch, voters, joins: "c9" });

  it("is a few clusters, newest first, each once", () => {
    const all = ["c1", "c2", "c3", "c2", "c4", "c5"].map((cluster, i) => ended(cluster, i + 2));
    const left = all.reduce<ReturnType<typeof withLeft>>((before, one) => withLeft(before, one), []);
    expect(left.map(({ cluster, epoch }) => [cluster, epoch])).toEqual([
      ["c5", 7],
      ["c4", 6],
      ["c2", 5],
      ["c3", 4],
    ]);
    const op = leftOp(left);
    expect(readState(new Map([[op.key, op.type === "put" ? op.value : undefined]])).left).toEqual(left);
  });

  it("was one configuration at first", () => {
    const value = { configuration: { ...ended("c1"), voters: [["alice", "i1"]] }, joined: 1 };
    expect(readState(new Map([["left", value]])).left).toMatchObject([{ cluster: "c1", joins: "c9" }]);
  });
});

describe("readState", () => {
  it("an empty disk is a host that never was", () => {
    expect(readState(new Map())).toEqual({
      name: undefined,
      nickname: undefined,
      incarnation: undefined,
      targets: undefined,
      bridgeMac: undefined,
      ranges: undefined,
      configuration: undefined,
      vote: undefined,
      left: [],
      doubtful: [],
      rings: new Map(),
      exposed: [],
      allocations: [],
      freed: [],
      entries: new Map(),
    });
  });

  it("brings back all that was written", () => {
    const records = disk(
      ...identityOps("alice", "host-a", "disk"),
      targetsOp(["192.0.2.2:6783", "bob"]),
      ringOp(0, "10.32.0.0/24", ring),
      rangesOp(["10.32.0.0/24", "fd00::/80"]),
      ...configurationOps(configuration, 2),
      voteOp(vote),
      doubtfulOp("10.32.0.77"),
      exposedOp([{ cidr: "10.32.0.1/24", masquerade: true }]),
      allocationOp(allocation),
      allocationOp(pending),
      freedOp("10.32.0.9", 2_000),
      freedOp("fd00::9", 1_000),
      entryOp("peers", own),
      entryOp("endpoints", removed),
      entryOp("later", slashed),
      entryOp("peers", { ...own, origin: "bob" }),
    );
    expect(readState(records)).toEqual({
      name: "alice",
      nickname: "host-a",
      incarnation: "disk",
      bridgeMac: undefined,
      ranges: ["10.32.0.0/24", "fd00::/80"],
      configuration: { configuration, joined: 2 },
      vote,
      left: [],
      doubtful: ["10.32.0.77"],
      targets: ["192.0.2.2:6783", "bob"],
      rings: new Map([[0, { universe: "10.32.0.0/24", ranges: ring.ranges }]]),
      exposed: [{ cidr: "10.32.0.1/24", masquerade: true }],
      allocations: [allocation, pending],
      freed: [
        { address: "fd00::9", at: 1_000 }, // longest ago first
        { address: "10.32.0.9", at: 2_000 },
      ],
      entries: new Map([
        ["peers", [own, { ...own, origin: "bob" }]],
        ["endpoints", [removed]],
        ["later", [slashed]],
      ]),
    });
  });

  it("what was released or used again is gone", () => {
    const records = disk(
      allocationOp(allocation),
      freedOp("10.32.0.5", 1),
      releaseOp(allocation),
      reusedOp("10.32.0.5"),
    );
    expect(records.size).toBe(0);
  });

  it("a later word takes the place of an earlier one", () => {
    const records = disk(
      allocationOp({ ...allocation, committed: false }),
      allocationOp(allocation),
      entryOp("peers", own),
      entryOp("peers", { ...own, version: 4 }),
    );
    const state = readState(records);
    expect(state.allocations).toEqual([allocation]);
    expect(state.entries.get("peers")?.map((e) => e.version)).toEqual([4]);
  });

  it("records of kinds it does not know are left alone", () => {
    expect(() => readState(new Map([["later/x", { anything: 1 }]]))).not.toThrow();
  });

  it("of schema 1 the cluster was in its rings", () => {
    const record = { universe: "10.32.0.0/24", founding, ranges: [[0, 256, 3, "bob"]] };
    const { configuration: read, rings, ranges } = readState(new Map<string, unknown>([["ring/0", record]]));
    expect(ranges).toEqual(["10.32.0.0/24"]);
    expect(rings.get(0)?.ranges).toEqual([{ start: 0, end: 256, version: 3, owner: "bob", made: 1 }]);
    const voters = ["alice", "bob"].map((name) => ({ name, incarnation: "" }));
    const founders = founding.founders;
    expect(read).toEqual({ configuration: { cluster: "c1", epoch: 1, voters, founders }, joined: 1 });
  });

  it("a directory of a newer weaver is refused, with what to do", () => {
    const error = failure(new Map([["schema", { version: 3 }]]));
    expect(error.code).toBe("state-mismatch");
    expect(error.message).toMatch(/newer weaver \(schema 3, this one reads 2\)/);
    expect(error.hint).toMatch(/install that version/);
  });

  it("the schema is judged first: what a newer weaver wrote need not parse", () => {
    const records = new Map<string, unknown>([
      ["allocation/a/b/c", { later: 1 }],
      ["schema", { version: 3 }],
    ]);
    expect(failure(records).code).toBe("state-mismatch");
  });

  it.each([
    ["schema", {}],
    ["schema", { version: "1" }],
    ["identity", { nickname: "a" }],
    ["identity", { name: "" }],
    ["targets", "bob"],
    ["targets", [1]],
    ["exposed", [{ cidr: "10.32.0.1/24" }]],
    ["ring/0", { universe: "10.32.0.0/24", founding, ranges: [[0, 256, "alice"]] }],
    ["ring/0", { universe: "10.32.0.0/24", founding: { ...founding, cluster: 0 }, ranges: [] }],
    ["allocation/weave/c1/eth0", { ...pending, addresses: [] }],
    ["allocation/weave/c1/eth0", { ...pending, committed: undefined }],
    ["allocation/weave/c1/eth0", null],
    ["freed/10.32.0.9", "yesterday"],
    ["entry/peers/bob/self", { version: 0, value: 1 }],
    ["entry/peers/bob/self", { value: 1 }],
  ])("a damaged %s is named, not dropped: %j", (key, value) => {
    const error = failure(new Map([[key, value]]));
    expect(error.code).toBe("storage");
    expect(error.message).toContain(`"${key}"`);
    expect(error.hint).toMatch(/damaged/);
  });
});
