// How many entries the ring has after 100,000 gifts, joins and removals: at most 8 per peer. Pools as on real hosts, each
// with a ring of its own; containers come and go on all of them meanwhile, and addresses in use cannot be given away.
import { describe, expect, it } from "vitest";
import { Universe } from "../address/universe.ts";
import { seededRandom } from "../random.ts";
import { Pool, TIDY_NEXT_MS, TIDY_PAUSE_MS } from "./pool.ts";
import { type OwnedRange, Ring } from "./ring.ts";

const MAX_ENTRIES_PER_PEER = 8;

interface Peer {
  readonly name: string;
  readonly pool: Pool;
  readonly held: number[];
  /** Changes of the ring it has heard of. */
  heard: number;
  tidyAt: number;
}

interface Options {
  readonly seed: number;
  readonly range: string;
  readonly peers: number;
  /** Containers of all peers together. */
  readonly containers: number;
  /** Gifts, joins and removals altogether. */
  readonly changes: number;
}

/** Time from one random ask to the next. */
const STEP_MS = 1_000;

class Cluster {
  readonly #universe: Universe;
  readonly #random;
  readonly #peers: Peer[] = [];
  /** What everybody hears sooner or later: before it does something, in this test. */
  readonly #ring: Ring;
  readonly #changes: (readonly OwnedRange[])[] = [];
  readonly #holders = new Map<number, string>();
  readonly #options: Options;
  #serial = 0;
  #now = 0;
  gifts = 0;
  removals = 0;
  joins = 0;
  tidied = 0;

  constructor(options: Options) {
    this.#options = options;
    this.#random = seededRandom(options.seed);
    const universe = Universe.parse(options.range);
    if (!(universe instanceof Universe)) throw new Error(options.range);
    this.#universe = universe;
    this.#ring = Ring.found(universe.size, ["p0"]);
    while (this.#peers.length < options.peers) this.#join();
  }

  get entriesPerPeer(): number {
    return this.#ring.ranges.length / this.#peers.length;
  }

  /** Of the peer that has most. */
  get worst(): number {
    return Math.max(...this.#peers.map(({ name }) => this.#ring.rangesOf(name).length));
  }

  get changes(): number {
    return this.gifts + this.joins + this.removals;
  }

  step(): void {
    this.#now += STEP_MS;
    this.#containers();
    const chance = this.#random.next();
    if (chance < 0.01) {
      if (this.#peers.length < this.#options.peers) this.#join();
      else this.#remove();
    } else this.#randomAsk();
    for (const peer of this.#peers) if (this.#now >= peer.tidyAt) this.#tidy(peer);
  }

  /** Every offset has one owner, who lives, and all agree. */
  check(): void {
    for (const peer of this.#peers) this.#hear(peer);
    const living = new Set(this.#peers.map(({ name }) => name));
    for (const { owner } of this.#ring.ranges) expect(living).toContain(owner);
    const size = this.#ring.ranges.reduce((sum, r) => sum + r.end - r.start, 0);
    expect(size).toBe(this.#universe.size);
    for (const { pool, held, name } of this.#peers) {
      expect(pool.ring?.fingerprint()).toBe(this.#ring.fingerprint());
      for (const offset of held) expect(this.#ring.ownerOf(offset)).toBe(name);
    }
  }

  /** Bursts of containers, up to their number. */
  #containers(): void {
    const burst = 1 + this.#random.below(20);
    const some = this.#one();
    const more = this.#holders.size < this.#options.containers && this.#random.next() < 0.6;
    for (let i = 0; i < burst; i++) {
      if (more) this.#start(some);
      else this.#stop(this.#one());
    }
  }

  #start(peer: Peer): void {
    this.#hear(peer);
    const subnet = this.#subnet(this.#universe.text);
    for (;;) {
      const offset = peer.pool.take(subnet, peer.name, this.#now, false);
      if (offset !== undefined) {
        expect(this.#holders.get(offset)).toBeUndefined();
        this.#holders.set(offset, peer.name);
        peer.held.push(offset);
        return;
      }
      const others = new Set(this.#peers.map(({ name }) => name).filter((name) => name !== peer.name));
      const next = peer.pool.nextDonor(subnet, false, others, this.#now);
      if (typeof next === "string") return;
      const given = this.#ask(peer, this.#named(next.donor), subnet.range, false);
      peer.pool.answered(next.id, given, this.#now);
    }
  }

  #stop(peer: Peer): void {
    const offset = peer.held.splice(this.#random.below(peer.held.length), 1)[0];
    if (offset === undefined) return;
    this.#holders.delete(offset);
    peer.pool.space.free(offset, this.#now);
  }

  /** Of anybody for the default subnet, of an owner for a small subnet or for one address. */
  #randomAsk(): void {
    const { size } = this.#universe;
    const chance = this.#random.next();
    if (chance < 0.6) {
      this.#ask(this.#one(), this.#one(), { start: 0, end: size }, false);
      return;
    }
    const block = chance < 0.9 ? 2 ** (4 + this.#random.below(6)) : 1;
    const start = Math.floor((this.#random.next() * size) / block) * block;
    const donor = this.#ring.ownerOf(start);
    if (donor !== undefined)
      this.#ask(this.#one(), this.#named(donor), { start, end: start + block }, block === 1);
  }

  #ask(taker: Peer, donor: Peer, wanted: { start: number; end: number }, evenIfYoung: boolean): boolean {
    this.#hear(donor);
    const fresh = donor.pool.give(wanted, taker.name, this.#now, evenIfYoung);
    if (fresh.length === 0) return false;
    this.gifts++;
    this.#spread(fresh);
    this.#hear(taker);
    this.#spread(taker.pool.join());
    return true;
  }

  #tidy(peer: Peer): void {
    this.#hear(peer);
    peer.tidyAt = this.#now + TIDY_PAUSE_MS;
    const others = new Set(this.#peers.map(({ name }) => name));
    const fragment = peer.pool.nextFragment(others, this.#now);
    if (fragment === undefined) return;
    const before = this.#ring.ranges.length;
    const given = this.#ask(peer, this.#named(fragment.donor), fragment.range, false);
    peer.pool.answered(fragment.id, given, this.#now);
    if (!given) return;
    peer.tidyAt = this.#now + TIDY_NEXT_MS;
    this.tidied++;
    expect(this.#ring.ranges.length).toBeLessThan(before);
  }

  #join(): void {
    const name = `p${this.#serial++}`;
    const pool = new Pool(this.#universe, name);
    const tidyAt = this.#now + this.#random.below(TIDY_PAUSE_MS);
    const peer = { name, pool, held: [], heard: this.#changes.length, tidyAt };
    peer.pool.restore(this.#ring.ranges);
    this.#peers.push(peer);
    if (this.#peers.length === 1) return;
    this.joins++;
    const subnet = this.#subnet(this.#universe.text);
    const next = peer.pool.nextDonor(subnet, false, new Set(this.#peers.map((one) => one.name)), this.#now);
    if (typeof next !== "string")
      peer.pool.answered(next.id, this.#ask(peer, this.#named(next.donor), subnet.range, false), this.#now);
  }

  /** One dies, another gets what it had. */
  #remove(): void {
    this.removals++;
    const [gone] = this.#peers.splice(this.#random.below(this.#peers.length), 1);
    const heir = this.#one();
    this.#hear(heir);
    if (gone === undefined) return;
    for (const offset of gone.held) {
      this.#holders.delete(offset);
      heir.pool.space.doubt(offset);
    }
    const taken = this.#ring
      .rangesOf(gone.name)
      .map((r) => ({ ...r, owner: heir.name, version: r.version + 1 }));
    const heard = heir.pool.hear(taken);
    if (heard === "malformed") throw new Error("malformed");
    this.#spread(heard);
    this.#spread(heir.pool.join());
  }

  #spread(fresh: readonly OwnedRange[]): void {
    if (fresh.length === 0) return;
    this.#ring.merge(fresh);
    this.#changes.push(fresh);
  }

  #hear(peer: Peer): void {
    const behind = this.#changes.length - peer.heard;
    if (behind > 20) peer.pool.hear(this.#ring.ranges);
    else for (let i = 0; i < behind; i++) peer.pool.hear(this.#changes[peer.heard + i] ?? []);
    peer.heard = this.#changes.length;
  }

  #one(): Peer {
    const peer = this.#peers[this.#random.below(this.#peers.length)];
    if (peer === undefined) throw new Error("nobody is left");
    return peer;
  }

  #named(name: string): Peer {
    const peer = this.#peers.find((one) => one.name === name);
    if (peer === undefined) throw new Error(`no ${name}`);
    return peer;
  }

  #subnet(text: string) {
    const subnet = this.#universe.subnet(text);
    if (subnet === undefined) throw new Error(text);
    return subnet;
  }
}

/** The greatest numbers seen on the way. */
function run(options: Options): { cluster: Cluster; average: number; worst: number } {
  const cluster = new Cluster(options);
  let [average, worst] = [0, 0];
  for (let n = 0; cluster.changes < options.changes; n++) {
    cluster.step();
    if (n % 100 !== 0) continue;
    average = Math.max(average, cluster.entriesPerPeer);
    worst = Math.max(worst, cluster.worst);
  }
  cluster.check();
  return { cluster, average, worst };
}

// WEAVE_CHANGES=100000 makes all of them long: some minutes.
const changes = Number(process.env["WEAVE_CHANGES"] ?? 5_000);
const seed = Number(process.env["WEAVE_SEED"] ?? Date.now() % 2 ** 31);

describe(`the ring after many gifts, joins and removals (WEAVE_SEED=${seed})`, () => {
  it.each([
    { peers: 10, range: "10.32.0.0/16", containers: 1_000, changes: 100_000 },
    { peers: 10, range: "10.32.0.0/12", containers: 1_000, changes },
    { peers: 50, range: "10.32.0.0/16", containers: 2_500, changes },
    { peers: 50, range: "fd00:77::/80", containers: 2_500, changes },
    { peers: 200, range: "10.32.0.0/12", containers: 5_000, changes: changes / 5 },
  ])(
    "has at most 8 entries per peer at any time: $peers peers, $range, $changes changes",
    (options) => {
      const { cluster, average, worst } = run({ ...options, seed });
      const { gifts, tidied, entriesPerPeer } = cluster;
      console.log(JSON.stringify({ ...options, seed, gifts, tidied, entriesPerPeer, average, worst }));
      expect(average).toBeLessThanOrEqual(MAX_ENTRIES_PER_PEER);
    },
    600_000,
  );
});
