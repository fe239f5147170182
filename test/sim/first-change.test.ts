// The first change after hosts have met travels as fast as any other: meeting and giving space must not cost a link
// its place in the broadcast tree.
import { expect, it } from "vitest";
import { LAZY_DELAY_MS } from "../../src/core/gossip/gossip.ts";
import { addressOf, World } from "./world.ts";

it("spreads the first container after joining without waiting for fingerprints", async () => {
  const target = addressOf(0);
  const world = new World({
    seed: 5,
    universe: "10.32.0.0/16",
    peers: [
      { name: "alice", targets: [] },
      { name: "bob", targets: [target] },
    ],
  });
  await world.startAll();
  await world.run(5_000);
  for (const [here, there] of [
    ["alice", "bob"],
    ["bob", "alice"],
  ] as const) {
    await world.answer(world.host(here).add("first"));
    await world.run(LAZY_DELAY_MS / 2); // a lazy link would not have said anything by now
    const known = [...(world.host(there).node?.endpoints().byAddress.values() ?? [])];
    expect(known.filter((endpoint) => endpoint.peer === here)).toHaveLength(1);
  }
});
