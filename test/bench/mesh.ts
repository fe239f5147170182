// What `npm run bench:mesh` measures, with the real core in simulated time: what a mesh that discovery makes costs each of
// its hosts, by their number and the limit of connections. Prints one line of JSON.
import { addition, costOf } from "../sim/cost.ts";
import type { Host } from "../sim/host.ts";
import { addressOf, World } from "../sim/world.ts";

const [peers = 50, limit = 32, seed = 1] = process.argv.slice(2).map(Number);
const QUIET_MS = 30_000;

const linksOf = (host: Host): number => host.node?.facts().mesh.links().length ?? 0;

async function main(): Promise<object> {
  const startedAt = performance.now();
  // All found together: one by one, each share of the range would be told to all.
  const names = Array.from({ length: peers }, (_, i) => `p${i}`);
  const world = new World({
    seed,
    peers: Array.from({ length: peers }, (_, i) => ({
      name: `p${i}`,
      seed: names,
      targets: i === 0 ? [] : [addressOf(0)],
    })),
    universe: "10.32.0.0/12",
    discovery: true,
    connLimit: limit,
    shareValues: true,
  });
  world.measures.begin();
  // Hosts are launched one after the other, 20 ms apart, as an operator's tool would.
  await world.startAll(20 * peers);
  let all = 0;
  const isJoined = (): boolean => world.hosts.every(({ node }) => node?.reachable().size === peers - 1);
  while (!isJoined() && all < 300_000) {
    await world.run(1_000);
    all += 1_000;
  }
  await world.run(QUIET_MS);
  const start = perHost(world);
  const links = world.hosts.map(linksOf);
  world.measures.begin();
  await world.run(QUIET_MS);
  const rest = perHost(world);
  const [host] = world.hosts.slice(1);
  const change = host && (await costOf(world, ...addition(host, "c")));
  world.measures.begin();
  const restarted = world.hosts[Math.floor(peers / 2)];
  restarted?.kill();
  await world.run(10_000);
  await restarted?.start();
  await world.run(QUIET_MS);
  return {
    peers,
    limit,
    links: { least: Math.min(...links), mean: mean(links), most: Math.max(...links) },
    joinedAfterS: all / 1_000,
    kibPerHost: {
      coldStart: start,
      perMinuteAtRest: (60_000 / QUIET_MS) * rest,
      oneContainer: kib((change?.total ?? 0) / peers),
      oneRestart: Math.round(10 * (perHost(world) - (rest * (10_000 + QUIET_MS)) / QUIET_MS)) / 10,
    },
    containerKnownAfterMs: change?.ms,
    seconds: Math.round((performance.now() - startedAt) / 1_000),
  };
}

/** All that was sent since the measures began. */
function perHost(world: World): number {
  let chars = 0;
  for (const sum of world.measures.frames.values()) chars += sum.chars;
  return kib(chars / world.hosts.length);
}

const kib = (chars: number): number => Math.round((10 * chars) / 1024) / 10;
const mean = (values: readonly number[]): number =>
  Math.round((10 * values.reduce((sum, value) => sum + value, 0)) / values.length) / 10;

process.stdout.write(`${JSON.stringify(await main())}\n`);
