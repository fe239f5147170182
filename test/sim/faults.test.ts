// Ten peers under latency, loss, crashes, partitions and restarts from disk.
// WEAVE_SEED=N repeats one run; WEAVE_SIM_RUNS=N adds N runs with fresh seeds.
import { describe, expect, it } from "vitest";
import { World } from "./world.ts";

const given = process.env["WEAVE_SEED"];
const runs = Number(process.env["WEAVE_SIM_RUNS"] ?? 1);
const fresh = Array.from({ length: runs }, () => Math.floor(Math.random() * 1e9));
const seeds = given === undefined ? [1, 2, 3, 4, 5, ...fresh] : [Number(given)];

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
    expect(world.tally.adds, JSON.stringify(world.tally)).toBeGreaterThan(20);
    expect(world.tally.refused, JSON.stringify(world.tally)).toBeLessThan(world.tally.adds / 2);
    expect(world.tally.crashes + world.tally.partitions).toBeGreaterThan(10);
  });
});
