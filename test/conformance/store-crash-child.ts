// The process of the store's crash test: writes numbered batches for ever and tells each acknowledged number on stdout.
// Bundled and started by store-level-world.ts with the arguments DIRECTORY FIRST; ends only by being killed.
import { writeSync } from "node:fs";
import { openLevelStore } from "../../src/adapters/store-level.ts";
import { numberedBatch } from "./store-batches.ts";

// Writes in flight at a time, so that some are merged and the kill falls between asked and acknowledged.
const IN_FLIGHT = 4;

const [dir, first] = process.argv.slice(2);
if (dir === undefined || first === undefined) throw new Error("usage: DIRECTORY FIRST");
const store = await openLevelStore(dir);
let next = Number(first);

async function write(): Promise<void> {
  for (;;) {
    const batch = next++;
    await store.write(numberedBatch(batch), { sync: batch % 8 === 0 });
    writeSync(1, `${batch}\n`);
  }
}

await Promise.all(Array.from({ length: IN_FLIGHT }, write));
