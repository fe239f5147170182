// Fifty peers under every fault the simulator knows. WEAVE_SEED=N repeats one run; WEAVE_SIM_RUNS=N adds runs with fresh seeds.
import { describe, expect, it } from "vitest";
import { FAULTS } from "./faults.ts";
import { Life } from "./life.ts";

const given = process.env["WEAVE_SEED"];
const fresh = Array.from({ length: Number(process.env["WEAVE_SIM_RUNS"] ?? 0) }, () =>
  Math.floor(Math.random() * 1e9),
);
const seeds = given === undefined ? [1, 2, 3, ...fresh] : [Number(given)];

describe("fifty peers under all faults", () => {
  it.each(seeds)("keep every promise (seed %i)", async (seed) => {
    const faults = new Set(FAULTS);
    const life = new Life({
      seed,
      peers: 50,
      minutes: 3,
      operations: 1_500,
      universe: "10.32.0.0/20",
      faults,
    });
    await life.run();
    const { measures } = life.world;
    expect(measures.adds).toBeGreaterThan(300);
    expect(measures.refused).toBeLessThan(measures.adds / 2);
    expect(measures.crashes + measures.partitions).toBeGreaterThan(0);
    expect(measures.removals + measures.diskLosses + measures.leavings).toBeGreaterThan(0);
  });
});
