import { rm } from "node:fs/promises";
import { afterAll, beforeAll } from "vitest";
import { createMemoryDisk, createMemoryStore } from "../../src/adapters/store-memory.ts";
import { type StoreWorld, storeSuite } from "./store.ts";
import { numberedBatch } from "./store-batches.ts";
import { buildCrashChild, createLevelWorld } from "./store-level-world.ts";

async function createMemoryWorld(): Promise<StoreWorld> {
  const disk = createMemoryDisk();
  return {
    open: async () => createMemoryStore(disk),
    async writeAndKill(first, killAfter) {
      const store = createMemoryStore(disk);
      for (let batch = first; batch <= killAfter; batch++) {
        store.write(numberedBatch(batch), { sync: batch % 8 === 0 });
      }
      store.crash();
      store.write(numberedBatch(killAfter + 1), { sync: true });
      return killAfter;
    },
    async dispose() {},
  };
}

let childScript = "";
beforeAll(async () => {
  childScript = await buildCrashChild();
});
afterAll(() => rm(childScript, { force: true }));

storeSuite("memory", createMemoryWorld);
storeSuite("LevelDB", () => createLevelWorld(childScript));
