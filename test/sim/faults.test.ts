// Ten peers under latency, loss, crashes, partitions and restarts from disk. WEAVE_SIM_SEED repeats one run.
import { describe, expect, it } from "vitest";
import { World } from "./world.ts";

const given = process.env["WEAVE_SIM_SEED"];
const fresh = Math.floor(Math.random() * 1e9);
const seeds = given === undefined ? [1, 2, 3, 4, 5, fresh] : [Number(given)];

describe("ten peers under faults", () => {
  it.each(seeds)("keep every promise (seed %i)", async (seed) => {
    const world = new World({ seed, peers: 10, universe: "10.32.0.0/24", lossProbability: 0.001 });
    await world.startAll();
    await world.run(30_000);
    for (let i = 0; i < 400; i++) {
      await world.disturb(true);
      await world.run(world.random.below(2_000));
    }
    await world.settle();
    await world.checkQuiet();
    console.log(`seed ${seed}: ${JSON.stringify(world.tally)}`);
    expect(world.tally.adds).toBeGreaterThan(20);
    expect(world.tally.refused).toBeLessThan(world.tally.adds / 2);
  });
});
