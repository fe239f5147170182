// What every Store must do, as a suite that is given a place on a disk. Run for the memory and the LevelDB store by
// store.test.ts.
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { seededRandom } from "../../src/core/random.ts";
import type { Store, StoreOp } from "../../src/ports/store.ts";
import { firstWrong, numberedBatch, survivors } from "./store-batches.ts";

export interface StoreWorld {
  open(): Promise<Store>;
  /**
   * Another process opens the place, writes numberedBatch(first), first + 1, ... one after the other, and is killed
   * with SIGKILL once the batch `killAfter` was acknowledged. Resolves with the last acknowledged number when it is dead.
   */
  writeAndKill(first: number, killAfter: number): Promise<number>;
  dispose(): Promise<void>;
}

// Lives of the crash test. Each costs a process with LevelDB.
const LIVES = 8;

export function storeSuite(name: string, createWorld: () => Promise<StoreWorld>): void {
  describe(`store: ${name}`, () => {
    let world: StoreWorld;
    const opened: Store[] = [];

    beforeEach(async () => {
      world = await createWorld();
    });
    afterEach(async () => {
      await Promise.all(opened.splice(0).map((store) => store.close()));
      await world.dispose();
    });

    async function open(): Promise<Store> {
      const store = await world.open();
      opened.push(store);
      return store;
    }

    async function reopen(store: Store): Promise<Store> {
      await store.close();
      return open();
    }

    it("is empty at first", async () => {
      expect([...(await (await open()).load())]).toEqual([]);
    });

    it.each([true, false])("keeps what was written over a reopening (sync %s)", async (sync) => {
      const value = {
        text: "grüße 🎉 \u0000\n",
        number: -1.5e300,
        list: [null, true, [], {}],
        nested: { a: { b: 1 } },
      };
      let store = await open();
      await store.write(
        [
          { type: "put", key: "peer/alice", value },
          { type: "put", key: "schema", value: 1 },
          { type: "put", key: "empty", value: null },
        ],
        { sync },
      );
      for (let i = 0; i < 2; i++) {
        expect(await store.load()).toEqual(
          new Map<string, unknown>([
            ["empty", null],
            ["peer/alice", value],
            ["schema", 1],
          ]),
        );
        store = await reopen(store);
      }
    });

    it("loads in key order", async () => {
      const store = await open();
      const keys = ["b", "a/b", "a", "a/B", "a0", "a/", "a/b/c", "~", "a-b", "Z", "0"];
      await store.write(
        keys.map((key): StoreOp => ({ type: "put", key, value: key })),
        { sync: false },
      );
      await store.write([{ type: "put", key: "a/a", value: "late" }], { sync: false });
      // As bytes: "/" stands after "-" and before "0".
      const sorted = ["0", "Z", "a", "a-b", "a/", "a/B", "a/a", "a/b", "a/b/c", "a0", "b", "~"];
      expect([...(await store.load()).keys()]).toEqual(sorted);
      expect([...(await (await reopen(store)).load()).keys()]).toEqual(sorted);
    });

    it("overwrites and deletes, also what is not there", async () => {
      const store = await open();
      const write = (...ops: StoreOp[]) => store.write(ops, { sync: false });
      await write({ type: "put", key: "a", value: 1 }, { type: "put", key: "b", value: 1 });
      await write(
        { type: "put", key: "a", value: 2 },
        { type: "del", key: "b" },
        { type: "del", key: "never" },
      );
      expect([...(await store.load())]).toEqual([["a", 2]]);
      expect([...(await (await reopen(store)).load())]).toEqual([["a", 2]]);
    });

    it("takes the operations of a batch in their order", async () => {
      const store = await open();
      await store.write(
        [
          { type: "put", key: "a", value: 1 },
          { type: "del", key: "a" },
          { type: "put", key: "a", value: 3 },
          { type: "put", key: "b", value: 4 },
          { type: "del", key: "b" },
        ],
        { sync: true },
      );
      await store.write([], { sync: true });
      expect([...(await store.load())]).toEqual([["a", 3]]);
    });

    it("takes batches in the order of the calls, without waiting in between", async () => {
      const store = await open();
      const writes = Array.from({ length: 500 }, (_, i) =>
        store.write([{ type: "put", key: `k/${i % 3}`, value: i }], { sync: i % 50 === 0 }),
      );
      const settled = writes.map((write, i) => Promise.resolve(write).then(() => i));
      expect(await Promise.all(settled)).toHaveLength(500);
      const expected = [
        ["k/0", 498],
        ["k/1", 499],
        ["k/2", 497],
      ];
      expect([...(await store.load())]).toEqual(expected);
      expect([...(await (await reopen(store)).load())]).toEqual(expected);
    });

    it("loads what was asked to be written before", async () => {
      const store = await open();
      const written = store.write([{ type: "put", key: "a", value: 1 }], { sync: true });
      expect([...(await store.load())]).toEqual([["a", 1]]);
      await written;
    });

    it("shares no object with its caller", async () => {
      const store = await open();
      const value = { list: [1] };
      const written = store.write([{ type: "put", key: "a", value }], { sync: false });
      value.list.push(2);
      await written;
      const loaded = await store.load();
      expect(loaded.get("a")).toEqual({ list: [1] });
      Object.assign(loaded.get("a") ?? {}, { list: "changed" });
      expect((await store.load()).get("a")).toEqual({ list: [1] });
    });

    it("refuses a value that has no JSON form, and the whole batch with it", async () => {
      const store = await open();
      const ops: StoreOp[] = [
        { type: "put", key: "a", value: 1 },
        { type: "put", key: "b", value: undefined },
      ];
      expect(() => store.write(ops, { sync: false })).toThrow(/"b"/);
      expect([...(await store.load())]).toEqual([]);
    });

    it("finishes what was asked of it before it closes, and takes nothing after", async () => {
      const store = await open();
      const writes = Array.from({ length: 50 }, (_, i) =>
        store.write([{ type: "put", key: `k/${i}`, value: i }], { sync: false }),
      );
      await Promise.all([store.close(), ...writes]);
      await expect(
        (async () => store.write([{ type: "put", key: "late", value: 1 }], { sync: false }))(),
      ).rejects.toMatchObject({ code: "storage" });
      expect((await (await open()).load()).size).toBe(50);
    });

    it("refuses a second opener while it is open", async () => {
      const store = await open();
      await store.write([{ type: "put", key: "a", value: 1 }], { sync: false });
      await expect(world.open()).rejects.toMatchObject({ code: "already-running" });
      expect([...(await (await reopen(store)).load())]).toEqual([["a", 1]]);
    });

    it("keeps whole batches, and each acknowledged one, whenever its process is killed", async () => {
      const seed = Number(process.env["WEAVE_SEED"] ?? Date.now() % 1_000_000);
      const random = seededRandom(seed);
      let last = 0;
      for (let life = 0; life < LIVES; life++) {
        const acknowledged = await world.writeAndKill(last + 1, last + 1 + random.below(40));
        const store = await open();
        const records = await store.load();
        const told = `repeat with WEAVE_SEED=${seed}, life ${life}`;
        last = survivors(records);
        expect(last, told).toBeGreaterThanOrEqual(acknowledged);
        expect(firstWrong(records, last), told).toBeUndefined();
        await store.close();
      }
    });

    it("starts again after it was killed in the middle of nothing", async () => {
      await world.writeAndKill(1, 1);
      const store = await open();
      await store.write(numberedBatch(1000), { sync: true });
      expect((await (await reopen(store)).load()).get("last")).toBe(1000);
    });
  });
}
