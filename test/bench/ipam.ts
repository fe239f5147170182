// What `npm run bench:ipam` measures inside one process: the allocator, the node, the daemon with its store, and the merge
// of large rings. Prints its figures as JSON. scripts/bench/ipam.mjs bundles and runs it, and knows the targets.
import { openLevelStore } from "../../src/adapters/store-level.ts";
import { createMemoryNetwork } from "../../src/adapters/transport-memory.ts";
import { macForAddress } from "../../src/core/address/mac.ts";
import { Pool } from "../../src/core/ipam/pool.ts";
import { type OwnedRange, Ring } from "../../src/core/ipam/ring.ts";
import { REUSE_REST_MS } from "../../src/core/ipam/space.ts";
import { Node } from "../../src/core/node.ts";
import { seededRandom } from "../../src/core/random.ts";
import { readState } from "../../src/core/records.ts";
import type { Request } from "../../src/core/requests.ts";
import { Daemon } from "../../src/daemon/daemon.ts";
import { createMemoryKernel } from "../../src/kernel/memory/memory-kernel.ts";
import type { Store } from "../../src/ports/store.ts";
import { plainConfig } from "../support/node-config.ts";

const [directory = "", extent = "full"] = process.argv.slice(2);
/** How much is done. */
const COUNTS =
  extent === "quick"
    ? { takes: 100_000, containers: 2_000, merges: 10 }
    : { takes: 500_000, containers: 20_000, merges: 30 };
const RANGE = "10.32.0.0/12";
const ENTRIES = 10_000;
/** Calls under way at a time: a kubelet starting all its pods. */
const AT_ONCE = 32;
/** Containers at a time; then they go, and others come. Ten times what a kubelet runs by default. */
const LIVING = 1_000;

const { config, universe, subnet } = ofRange();

/** Work per second. */
const perSecond = (count: number, work: () => void): number => {
  const from = performance.now();
  work();
  return (count / (performance.now() - from)) * 1_000;
};
const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
const milliseconds = (work: () => void): number => {
  const from = performance.now();
  work();
  return performance.now() - from;
};

function ofRange() {
  const config = plainConfig("a", RANGE);
  const [universe] = config.universes;
  const subnet = universe?.subnet(RANGE);
  if (universe === undefined || subnet === undefined) throw new Error(RANGE);
  return { config, universe, subnet };
}

const holder = (n: number): string => `weave/container-${n}/eth0`;

/** Never used offsets, and, with that many in use, freed ones that have rested. */
function allocator(): { fresh: number; reused: number; naive: number } {
  const { takes } = COUNTS;
  const naive = perSecond(takes, () => {
    const held = new Map<number, string>();
    for (let n = 1; n <= takes; n++) held.set(n, holder(n));
  });
  const pool = new Pool(universe, "a");
  pool.found(["a"]);
  const fresh = perSecond(takes, () => {
    for (let n = 0; n < takes; n++)
      if (pool.take(subnet, holder(n), 0, false) === undefined) throw new Error("full");
  });
  // All of the range is used up, so that only what is freed and rested can be had.
  while (pool.take(subnet, "other", 0, false) !== undefined);
  for (let offset = 1; offset <= takes; offset++) pool.space.free(offset, 0);
  const reused = perSecond(takes, () => {
    for (let n = 0; n < takes; n++)
      if (pool.take(subnet, holder(n), REUSE_REST_MS, false) === undefined) throw new Error("full");
  });
  return { fresh, reused, naive };
}

const keyOf = (n: number) => ({ network: "weave", containerId: `container-${n}`, ifname: "eth0" });
/** The MAC weave gives by default. */
const factsOf = (n: number, [cidr = ""]: readonly string[]) => ({
  netns: `4026531${n}:${n}`,
  link: { mac: macForAddress(cidr.split("/")[0] ?? ""), hostIfname: `vw${n}`, hairpin: true },
});
const ADDRESSES = ["10.32.0.1/12"];
const MOMENT = { bootId: "bench", bootMs: 1 };

/** The whole core, without store and kernel: an address reserved, its endpoint published. */
function node(): number {
  const core = new Node(config, readState(new Map()), seededRandom(1));
  core.start(1);
  let request = 0;
  const ask = (what: Request): void => {
    core.handle({ type: "request", id: ++request, request: what }, 2);
  };
  const rates: number[] = [];
  for (let first = 0; first < COUNTS.containers; first += LIVING) {
    const keys = Array.from({ length: LIVING }, (_, n) => keyOf(first + n));
    rates.push(
      perSecond(LIVING, () => {
        for (const [n, key] of keys.entries()) {
          ask({ kind: "allocate", key, moment: MOMENT, terms: {} });
          ask({ kind: "commit", key, facts: factsOf(n, core.find(key)?.addresses ?? []) });
        }
      }),
    );
    for (const key of keys) ask({ kind: "release", key });
  }
  return median(rates);
}

/** Runs `work` for 0 to count-1, so many at a time. Work per second. */
async function concurrently(count: number, work: (n: number) => Promise<unknown>): Promise<number> {
  let next = 0;
  const from = performance.now();
  const worker = async (): Promise<void> => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return (count / (performance.now() - from)) * 1_000;
}

/** Calls of the API as the CNI verbs make them: allocate, then commit; both are in LevelDB when they resolve. */
async function api(): Promise<{ allocate: number; both: number; store: number }> {
  const store = await openLevelStore(`${directory}/api`);
  const network = createMemoryNetwork({
    scheduler: { now: () => 0, at: () => {} },
    random: seededRandom(1),
  });
  const silent = { debug() {}, info() {}, warn() {}, error() {} };
  const daemon = await Daemon.start(config, readState(await store.load()), {
    store,
    kernel: createMemoryKernel(),
    log: silent,
    clock: { now: () => Date.now(), setAlarm: () => {} },
    random: seededRandom(1),
    openTransport: async () => network.endpoint("192.0.2.1"),
    keep: async () => "",
    draw: () => ({ freshName: "b", digits: "0000", incarnation: "bench2" }),
    reconfigure: async () => config,
    onName: () => {},
    onFatal: (error) => {
      throw error;
    },
  });
  const { attachments } = daemon;
  const rates = { allocate: [] as number[], both: [] as number[], store: [] as number[] };
  const reference = await openLevelStore(`${directory}/bare`);
  for (let first = 0; first < COUNTS.containers; first += LIVING) {
    const addresses: (readonly string[])[] = [];
    const allocating = await concurrently(LIVING, async (n) => {
      const { signal } = new AbortController(); // each call has a caller of its own
      const attachment = await attachments.allocate(keyOf(first + n), {}, {}, MOMENT, signal);
      addresses[n] = attachment.addresses;
    });
    const committing = await concurrently(LIVING, (n) =>
      attachments.commit(keyOf(first + n), factsOf(n, addresses[n] ?? [])),
    );
    if (attachments.all().length !== LIVING) throw new Error("not all were allocated");
    await concurrently(LIVING, (n) => attachments.release(keyOf(first + n)));
    rates.allocate.push(allocating);
    rates.both.push(1 / (1 / allocating + 1 / committing));
    rates.store.push(await bareStore(reference));
  }
  await reference.close();
  await daemon.stop();
  return { allocate: median(rates.allocate), both: median(rates.both), store: median(rates.store) };
}

/** What the store alone takes: such a record for each container, one after the other. */
async function bareStore(store: Store): Promise<number> {
  const facts = factsOf(1, ADDRESSES);
  const value = { ...keyOf(1), ...facts, addresses: ADDRESSES, slot: "1", moment: MOMENT, committed: true };
  const from = performance.now();
  for (let n = 0; n < LIVING; n++)
    await store.write([{ type: "put", key: `allocation/${n}`, value }], { sync: false });
  return (LIVING / (performance.now() - from)) * 1_000;
}

/** A ring of so many entries of a thousand owners, versions at random. */
function ringOf(seed: number): readonly OwnedRange[] {
  const random = seededRandom(seed);
  const step = universe.size / ENTRIES;
  return Array.from({ length: ENTRIES }, (_, n) => ({
    start: Math.floor(n * step),
    end: Math.floor((n + 1) * step),
    owner: `peer-${random.below(1_000)}`,
    version: 1 + random.below(1_000),
    made: 1,
  }));
}

/** The obvious way: one range after the other, each compared with all that is held. */
function naiveMerge(held: readonly OwnedRange[], incoming: readonly OwnedRange[]): OwnedRange[] {
  let merged = [...held];
  for (const range of incoming) {
    const at = merged.findIndex((r) => r.start === range.start);
    if ((merged[at]?.version ?? 0) < range.version) merged = merged.with(at, range);
  }
  return merged;
}

/** A large ring merged into another one as large, half of it newer; and one gift heard of by a peer with such a ring. */
function merge(): { whole: number; naive: number; one: number } {
  const [mine, theirs] = [ringOf(1), ringOf(2)];
  const whole: number[] = [];
  const one: number[] = [];
  for (let n = 0; n < COUNTS.merges; n++) {
    const pool = new Pool(universe, "peer-1");
    pool.restore(mine);
    pool.ring?.fingerprint();
    whole.push(
      milliseconds(() => {
        pool.hear(theirs);
        pool.ring?.fingerprint();
      }),
    );
    const start = universe.size / 2 + 17 * n;
    const gift = [{ start, end: start + 8, owner: "peer-2", version: 5_000, made: 1 }];
    one.push(
      milliseconds(() => {
        pool.hear(gift);
        pool.ring?.fingerprint();
      }),
    );
  }
  const check = new Ring(universe.size);
  check.merge(mine);
  check.merge(theirs);
  if (check.ranges.length < ENTRIES / 2) throw new Error("a ring too simple");
  const naive = milliseconds(() => void naiveMerge(mine, theirs));
  return { whole: median(whole), naive, one: median(one) };
}

const figures = { allocator: allocator(), node: node(), merge: merge(), api: await api() };
console.log(JSON.stringify(figures));
