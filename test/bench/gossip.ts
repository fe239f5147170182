// What `npm run bench:gossip` measures, with the real core in simulated time: how fast and at what cost an update reaches a
// thousand peers, beside flooding over the same connections, and how long 200 peers launched at once need to their first
// addresses. Prints one line of JSON.
import { addition, claim, costOf } from "../sim/cost.ts";
import type { Host } from "../sim/host.ts";
import { addressOf, World } from "../sim/world.ts";

/** One way. */
const LATENCY_MS = 50;
const latencyMs = { min: LATENCY_MS, max: LATENCY_MS };

const [spreading = 1_000, updates = 20, cold = 200] = process.argv.slice(2).map(Number);

/** Updates one after the other in a cluster that is otherwise quiet. */
async function spread(peers: number, count: number): Promise<object> {
  const world = new World({
    seed: 1,
    peers,
    universe: "10.32.0.0/12",
    latencyMs,
    shareValues: true,
    foundTogether: true,
  });
  await world.startAll(5 * peers);
  await world.run(60_000);
  const costs: { ms: number; perPeer: number; perLink: number }[] = [];
  let repairs = 0;
  const floods: { ms: number; perPeer: number }[] = [];
  for (let i = 0; i < count; i++) {
    const host = world.pick(world.hosts);
    const { ms, total, mostOnOneLink, repairs: needless } = await costOf(world, ...addition(host, `c${i}`));
    repairs += needless;
    costs.push({ ms: ms ?? Number.POSITIVE_INFINITY, perPeer: total / peers, perLink: mostOnOneLink });
    floods.push(flood(world, host, PUSH_CHARS));
  }
  const [, donor] = world.hosts;
  const taker = world.hosts.at(-1);
  const gift = donor && taker && (await costOf(world, ...claim(donor, taker, "one")));
  return {
    peers,
    slowest: Math.max(...costs.map(({ ms }) => ms)),
    perPeer: mean(costs.map(({ perPeer }) => perPeer)),
    perLink: Math.max(...costs.map(({ perLink }) => perLink)),
    repairs,
    gift: gift?.mostOnOneLink,
    flooding: {
      slowest: Math.max(...floods.map(({ ms }) => ms)),
      perPeer: mean(floods.map(({ perPeer }) => perPeer)),
    },
  };
}

/** A push frame with one endpoint, as it is here. */
const PUSH_CHARS = 190;

/** The same over the same connections by naive flooding: whoever hears of it tells all neighbours but the one it has it from. */
function flood(
  { hosts }: World,
  origin: Host,
  chars: number,
): { readonly ms: number; readonly perPeer: number } {
  const neighbours = new Map(
    hosts.map(({ peerName, node }) => [
      peerName,
      node
        ?.facts()
        .mesh.links()
        .map(({ peer }) => peer.name) ?? [],
    ]),
  );
  const heardAt = new Map([[origin.peerName, 0]]);
  let sent = 0;
  for (const [name, at] of heardAt) {
    const others = neighbours.get(name) ?? [];
    sent += others.length - (at === 0 ? 0 : 1);
    for (const other of others) if (!heardAt.has(other)) heardAt.set(other, at + LATENCY_MS);
  }
  return { ms: Math.max(...heardAt.values()), perPeer: (sent * chars) / hosts.length };
}

/** All at the same moment, each with the names of ten others; a container is asked for on each at once. */
async function coldStart(peers: number): Promise<object> {
  const draw = new World({ seed: 2, peers: 1, universe: "10.32.0.0/12" }).random;
  const names = Array.from({ length: peers }, (_, i) => `p${i}`);
  const world = new World({
    seed: 2,
    universe: "10.32.0.0/12",
    latencyMs,
    shareValues: true,
    peers: names.map((name, i) => ({
      name,
      expected: peers,
      targets: [...new Set(Array.from({ length: 10 }, () => draw.below(peers)))]
        .filter((j) => j !== i)
        .map(addressOf),
    })),
  });
  for (const host of world.hosts) await host.start();
  const begun = world.schedule.now();
  let waiting = [...world.hosts];
  const asked = new Set<Host>();
  while (waiting.length > 0 && world.schedule.now() - begun < 60_000) {
    for (const host of waiting) {
      if (asked.has(host)) continue;
      asked.add(host);
      void host.add(`first-${host.id}`).then(() => asked.delete(host));
    }
    await world.run(20);
    waiting = waiting.filter((host) => host.containerCount === 0);
  }
  const clusters = new Set(world.hosts.map(({ node }) => node?.cluster));
  return {
    peers,
    ms: waiting.length === 0 ? world.schedule.now() - begun : Number.POSITIVE_INFINITY,
    without: waiting.length,
    clusters: clusters.size,
    epoch: world.hosts[0]?.node?.facts().council.era?.epoch,
  };
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

const start = await coldStart(cold);
const update = await spread(spreading, updates);
process.stdout.write(`${JSON.stringify({ start, update })}\n`);
