// The mesh that discovery makes: everybody finds everybody as far as the limits allow, it holds together whoever refuses
// whom, and it closes again after whatever happened.
import { describe, expect, it } from "vitest";
import type { Host } from "./host.ts";
import { addressOf, World } from "./world.ts";

const linksOf = (host: Host): readonly string[] =>
  host.node
    ?.facts()
    .mesh.links()
    .map(({ peer }) => peer.name) ?? [];

/** Running hosts that have no path to each other. */
function separated(world: World): readonly string[] {
  const up = world.hosts.filter((host) => host.isUp);
  return up.flatMap((host) => {
    const reachable = host.node?.reachable();
    return up
      .filter((other) => other !== host && reachable?.has(other.peerName) !== true)
      .map((other) => `${host.id} -> ${other.id}`);
  });
}

/** Run on until all that run have a path to all. */
async function joined(world: World, withinMs: number): Promise<number> {
  const since = world.schedule.now();
  while (separated(world).length > 0) {
    if (world.schedule.now() - since > withinMs)
      world.fail(`after ${withinMs / 1000} s still apart: ${separated(world).slice(0, 10).join(", ")}`);
    await world.run(250);
  }
  return world.schedule.now() - since;
}

const star = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ name: `p${i}`, targets: i === 0 ? [] : [addressOf(0)] }));

describe("discovery", () => {
  it("connects everybody who joined one of them with everybody", async () => {
    const world = new World({ seed: 5, peers: star(8), universe: "10.32.0.0/16", discovery: true });
    await world.startAll();
    await world.run(10_000);
    for (const host of world.hosts) expect(linksOf(host), host.id).toHaveLength(7);
  });

  it("is off where it is not wanted: hosts keep to their targets", async () => {
    const world = new World({ seed: 5, peers: star(5), universe: "10.32.0.0/16" });
    await world.startAll();
    await world.run(30_000);
    expect(world.hosts.map((host) => linksOf(host).length)).toEqual([4, 1, 1, 1, 1]);
    expect(separated(world)).toEqual([]);
  });

  it("brings those together that knew each other only through a host that is gone", async () => {
    const world = new World({
      seed: 6,
      peers: star(4),
      universe: "10.32.0.0/16",
      discovery: true,
    });
    await world.startAll();
    await world.run(10_000);
    for (const host of world.hosts) host.kill();
    for (const host of world.hosts.slice(1)) await host.start();
    await joined(world, 15_000);
    await world.run(10_000);
    for (const host of world.hosts.slice(1)) expect(linksOf(host), host.id).toHaveLength(2);
  });

  it("does not dial who was removed", async () => {
    const dials: string[] = [];
    const world = new World({
      seed: 7,
      peers: star(4),
      universe: "10.32.0.0/16",
      discovery: true,
    });
    await world.startAll();
    await world.run(10_000);
    world.host("p3").kill();
    await world.run(20_000);
    const { runner } = world.host("p1");
    await world.answer(runner?.request({ kind: "remove", peers: ["p3"] }) ?? Promise.reject());
    await world.run(5_000);
    for (const host of world.hosts.slice(0, 3))
      for (const { address } of host.node?.facts().mesh.found() ?? [])
        if (address === addressOf(3)) dials.push(host.id);
    expect(dials).toEqual([]);
  });
});

it("two halves that are full close again, although everybody would have to be refused", async () => {
  const world = new World({
    seed: 8,
    peers: star(6),
    universe: "10.32.0.0/16",
    discovery: true,
    connLimit: 2,
  });
  await world.startAll();
  await joined(world, 30_000);
  const halves = [world.hosts.slice(0, 3), world.hosts.slice(3)];
  world.network.partition(halves.map((half) => half.map((host) => host.options.address)));
  await world.run(120_000);
  // Each half is a triangle: nobody has room.
  for (const host of world.hosts) expect(linksOf(host), host.id).toHaveLength(2);
  world.heal();
  await joined(world, 120_000);
  await world.run(30_000);
  expect(separated(world)).toEqual([]);
});

describe.each([1, 2, 3, 4])("with connection limits (seed %i)", (seed) => {
  it("the mesh holds together through kills, partitions and restarts", async () => {
    const count = 24;
    const world = new World({
      seed,
      peers: count,
      universe: "10.32.0.0/16",
      discovery: true,
      connLimit: (i) => 2 + ((i * 7 + seed) % 5),
    });
    await world.startAll(5_000);
    await joined(world, 30_000);
    for (let round = 0; round < 9; round++) {
      if (round % 3 === 0) {
        world.partition(0.5);
        await world.run(1_000 * (5 + world.random.below(60)));
        world.heal();
      } else {
        const dead = world.hosts.filter(() => world.random.next() < 0.3);
        for (const host of dead) host.kill();
        await world.run(world.random.below(40_000));
        for (const host of dead) await host.start();
      }
      await joined(world, 120_000);
    }
    await world.run(60_000);
    expect(separated(world)).toEqual([]);
    // More than the limit only where a connection is all that holds somebody.
    const over = world.hosts.map((host) => linksOf(host).length - (host.options.connLimit ?? 0));
    expect(Math.max(...over)).toBeLessThanOrEqual(2);
    await world.checkQuiet();
  });
});
