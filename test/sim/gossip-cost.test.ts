// What one change costs each connection, at ten peers and at two hundred: it must not grow with their number.
// Not counted: heartbeats, and the fingerprints every connection sends each ten seconds; what these lead to must be nothing,
// also where they meet a change on its way. `npm run bench:gossip` looks at a thousand peers.
import { describe, expect, it } from "vitest";
import { seededRandom } from "../../src/core/random.ts";
import { addition, claim, costOf } from "./cost.ts";
import { addressOf, World } from "./world.ts";

const MOST_PER_LINK = 512;

/** Each with a name as real hosts draw them, behind one before it and up to two others. */
function named(peers: number): ConstructorParameters<typeof World>[0]["peers"] {
  const random = seededRandom(peers);
  return Array.from({ length: peers }, (_, i) => ({
    name: `0e:72:52:16:${hex(i >> 8)}:${hex(i & 255)}`,
    targets:
      i === 0
        ? []
        : [...new Set([i - 1, random.below(i), ...(peers > 20 ? [random.below(i)] : [])])].map(addressOf),
  }));
}
const hex = (byte: number): string => byte.toString(16).padStart(2, "0");

async function quiet(peers: number, universe: string): Promise<World> {
  const world = new World({ seed: 3, peers: named(peers), universe, shareValues: peers > 50 });
  await world.startAll(20 * peers);
  await world.run(60_000);
  return world;
}

describe.each([
  [10, "10.32.0.0/12"],
  [10, "fd00:77::/80"],
  [200, "10.32.0.0/12"],
])("among %i peers with %s", (peers, universe) => {
  it("a container or a gift costs at most 512 bytes on any connection", async () => {
    const world = await quiet(peers, universe);
    for (let i = 0; i < 20; i++) {
      const host = world.pick(world.hosts);
      const cost = await costOf(world, ...addition(host, `c${i}`));
      expect(cost.ms).toBeDefined();
      expect(cost.repairs, `container ${i}`).toBe(0);
      expect(cost.mostOnOneLink).toBeGreaterThan(0);
      expect(cost.mostOnOneLink, `container ${i}`).toBeLessThanOrEqual(MOST_PER_LINK);
    }
    let measured = 0;
    for (let i = 0; i < 30 && measured < 8; i++) {
      const [donor, taker] = [world.pick(world.hosts), world.pick(world.hosts)];
      if (donor === taker) continue;
      const before = world.witness.gifts;
      const cost = await costOf(world, ...claim(donor, taker, `claims${i}`));
      expect(cost.ms).toBeDefined();
      expect(cost.repairs, `gift ${i}`).toBe(0);
      if (world.witness.gifts > before + 1) continue; // somebody tidied in the same moment: gifts of its own
      measured++;
      expect(cost.mostOnOneLink, `gift ${i}`).toBeLessThanOrEqual(MOST_PER_LINK);
    }
    expect(measured).toBeGreaterThan(2);
  });
});
