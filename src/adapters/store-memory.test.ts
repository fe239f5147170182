// What only a disk in memory can show: a power loss. The rest is in test/conformance/store.ts.
import { describe, expect, it } from "vitest";
import { createMemoryDisk, createMemoryStore } from "./store-memory.ts";

describe("memory disk", () => {
  const put = (key: string) => [{ type: "put", key, value: key } as const];

  it("loses unsynced batches to a power loss, not to kill -9", () => {
    const disk = createMemoryDisk();
    const first = createMemoryStore(disk);
    first.write(put("a"), { sync: false });
    first.write(put("b"), { sync: true });
    first.write(put("c"), { sync: false });
    first.crash();
    expect([...disk.records().keys()]).toEqual(["a", "b", "c"]);
    const second = createMemoryStore(disk);
    second.write(put("d"), { sync: false });
    expect(disk.unsyncedBatches).toBe(2);
    disk.powerLoss();
    expect([...disk.records().keys()]).toEqual(["a", "b"]);
    expect(disk.unsyncedBatches).toBe(0);
  });

  it("may keep the first of them by chance, and what it kept stays", () => {
    const disk = createMemoryDisk();
    const store = createMemoryStore(disk);
    for (const key of ["a", "b", "c"]) store.write(put(key), { sync: false });
    disk.powerLoss(1);
    disk.powerLoss();
    expect([...disk.records().keys()]).toEqual(["a"]);
  });

  it("is out of reach for the dead", () => {
    const disk = createMemoryDisk();
    const dead = createMemoryStore(disk);
    dead.crash();
    const alive = createMemoryStore(disk);
    dead.write(put("ghost"), { sync: true });
    dead.crash();
    expect(disk.records().size).toBe(0);
    expect(() => createMemoryStore(disk)).toThrow(/in use/);
    alive.write(put("a"), { sync: true });
    expect(disk.records().size).toBe(1);
  });
});
