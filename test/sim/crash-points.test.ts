// A daemon that dies at every single point of a life: at the n-th call to the world outside, for each n. What it was about
// to say is lost, what it had said stands; after its restart no promise may be broken.
import { describe, expect, it } from "vitest";
import { addressOf, World } from "./world.ts";

/** More port calls than the life below makes: the last runs are undisturbed and prove it. */
const POINTS = 90;

async function life(victim: "alice" | "bob", point: number): Promise<{ crashed: boolean }> {
  const world = new World({
    seed: 11,
    universe: "10.32.0.0/26",
    peers: [
      { name: "alice", targets: [] },
      { name: "bob", targets: [addressOf(0)] },
    ],
  });
  const [alice, bob] = [world.host("alice"), world.host("bob")];
  await alice.start();
  await bob.start();
  let crashed = false;
  const doomed = world.host(victim);
  doomed.lightFuse(point);
  const live = async (): Promise<void> => {
    if (doomed.runner !== undefined) return;
    crashed = true;
    await doomed.start();
  };
  await world.run(3_000); // bob gets its share
  await live();
  for (const host of [alice, bob]) {
    for (const container of ["one", "two"]) {
      void host.add(`${host.options.name}-${container}`);
      await world.run(500);
      await live();
    }
    void host.remove(`${host.options.name}-one`);
    await world.run(500);
    await live();
  }
  // Whoever believes to own what it gave away, or forgot what it handed out, gives itself away here.
  for (let i = 0; i < 40; i++) {
    for (const host of [alice, bob]) void host.add(`${host.options.name}-more-${i}`);
    await world.run(20);
    await live();
  }
  await world.settle();
  await world.checkQuiet();
  return { crashed };
}

describe.each(["alice", "bob"] as const)("%s dies", (victim) => {
  it("at any point, and breaks no promise", async () => {
    let crashes = 0;
    for (let point = 1; point <= POINTS; point++) {
      try {
        if ((await life(victim, point)).crashed) crashes++;
      } catch (error) {
        throw new Error(`when it died at call ${point}: ${error instanceof Error ? error.message : error}`);
      }
    }
    expect(crashes).toBeGreaterThan(POINTS / 2);
  });
});
