import { describe, expect, it } from "vitest";
import { createMemoryDisk, createMemoryStore } from "../../src/adapters/store-memory.ts";
import { anewOf } from "../../src/core/aside.ts";
import type { RejoinReason } from "../../src/core/effects.ts";
import { readState } from "../../src/core/records.ts";
import type { StoreOp } from "../../src/core/store-op.ts";
import { setAside } from "../../src/daemon/rejoin.ts";

const FRESH = "7a:00:00:00:00:01";
const silent = { debug() {}, info() {}, warn() {}, error() {} };

/** A host with these records; what is kept, and whether the process dies at the file. */
function rig(identity: object, more: Record<string, unknown> = {}) {
  const disk = createMemoryDisk();
  const store = createMemoryStore(disk);
  const puts = Object.entries({ identity, ...more });
  store.write(
    puts.map(([key, value]): StoreOp => ({ type: "put", key, value })),
    { sync: true },
  );
  const kept: [RejoinReason, number][] = [];
  return {
    disk,
    kept,
    aside: (reason: RejoinReason, expect?: string, keep?: () => Promise<string>) =>
      setAside(expect === undefined ? { reason } : { reason, expect }, {
        store,
        keep: keep ?? (async (records, why) => `file ${kept.push([why, records.size])}`),
        draw: () => ({ freshName: FRESH, digits: "3f2a", incarnation: "new" }),
        log: silent,
      }),
  };
}

const ring = {
  universe: "10.32.0.0/12",
  founding: { cluster: "c", epoch: 1, founders: ["alice"] },
  ranges: [[0, 4, 1, "alice"]],
};

describe("setting aside", () => {
  it("keeps the records in a file, and leaves a newcomer on the disk", async () => {
    const { aside, disk, kept } = rig(
      { name: "alice", nickname: "host1", incarnation: "old" },
      { "ring/0": ring },
    );
    const { records, file } = await aside("removed", "living");
    expect(file).toBe("file 1");
    expect(kept).toEqual([["removed", 2]]);
    expect(records).toEqual(disk.records());
    expect(readState(records)).toMatchObject({ name: "alice-3f2a", nickname: "host1", incarnation: "new" });
    expect(readState(records).rings.size).toBe(0);
    expect(anewOf(records)).toEqual({ base: "alice", newcomer: true, expect: "living" });
    disk.powerLoss();
    expect(disk.records()).toEqual(records);
  });

  it("changes nothing before the file is there", async () => {
    const { aside, disk } = rig({ name: "alice" }, { "ring/0": ring });
    const before = disk.records();
    const full = new Error("no space left on device");
    await expect(aside("removed", undefined, () => Promise.reject(full))).rejects.toBe(full);
    expect(disk.records()).toEqual(before);
  });

  it.each<[string, Record<string, unknown>, RejoinReason, string]>([
    ["alice", {}, "joins", "alice-3f2a"],
    ["alice-0000", { base: "alice" }, "name-taken", "alice-3f2a"],
    ["7a:aa:aa:aa:aa:aa", {}, "foreign", FRESH],
    ["alice", {}, "range", "alice"],
    ["alice-0000", { base: "alice" }, "range", "alice"],
    ["7a:aa:aa:aa:aa:aa", {}, "range", FRESH],
  ])("%s %j, for %s, becomes %s", async (name, more, reason, becomes) => {
    const { aside } = rig({ name }, { "ring/0": ring, ...more });
    const { records } = await aside(reason);
    expect(readState(records)).toMatchObject({ name: becomes, incarnation: "new" });
    expect(anewOf(records).newcomer).toBe(reason === "range" ? undefined : true);
  });
});
