// Ten hosts, each with the addresses of all, parted: every one of them notices when the others have been silent for long
// enough, and is back soon after the parting ends.
import { describe, expect, it } from "vitest";
import { SILENT_MS } from "../../src/core/mesh/constants.ts";
import { addressOf, World } from "./world.ts";

const COUNT = 10;
const FEW = 4;

describe("ten hosts that all dial each other", () => {
  it.each([1, 2, 3, 4, 5, 6])("see who is left, and who is back (seed %i)", async (seed) => {
    const targets = Array.from({ length: COUNT }, (_, i) => addressOf(i));
    const peers = targets.map((_, i) => ({ name: `h${i}`, targets, expected: COUNT }));
    const w = new World({ seed, peers, universe: "10.32.0.0/12", latencyMs: { min: 1, max: 2 } });
    const unseen = (sees: (host: number) => number): readonly string[] =>
      w.hosts.flatMap(({ id, node }, i) => {
        const count = node?.reachable().size;
        return count === sees(i) ? [] : [`${id} sees ${count}`];
      });
    await w.startAll(1_000);
    await w.run(60_000);
    expect(unseen(() => COUNT - 1)).toEqual([]);

    w.network.partition([targets.slice(0, FEW), targets.slice(FEW)]);
    await w.run(SILENT_MS + 2_000);
    expect(unseen((i) => (i < FEW ? FEW : COUNT - FEW) - 1)).toEqual([]);

    w.network.heal();
    await w.run(10_000);
    expect(unseen(() => COUNT - 1)).toEqual([]);
  });
});
