// The life of a simulated cluster from its first launch to the last check: containers come and go, faults strike, then all
// heals and everything is compared. What the command `npm run sim` and the tests of many peers run.
import { type Fault, type LineFaults, NO_LINE_FAULTS } from "./faults.ts";
import type { Host } from "./host.ts";
import { Operators } from "./operators.ts";
import type { Bug } from "./sabotage.ts";
import { World, type WorldOptions } from "./world.ts";

/** Everything a life follows from. */
export interface LifeOptions {
  readonly seed: number;
  readonly peers: number;
  /** Simulated, from when all are up. */
  readonly minutes: number;
  readonly faults: ReadonlySet<Fault>;
  /** ADDs and DELs during these minutes. */
  readonly operations: number;
  readonly universe: string;
  readonly bug?: Bug;
  readonly trace?: (line: string) => void;
  /** Told what phase begins. */
  readonly say?: (text: string) => void;
}

/** Containers a host runs on average once it has lived for a while. */
const CONTAINERS = 3;
/** How often each fault strikes, per simulated minute. */
const PER_MINUTE = {
  /** Of a hundred peers, or of fewer; of four hundred twice as often. */
  crash: 1,
  partition: 1,
  clockskew: 1,
  /**
   * Of ten peers or more, however many: each is told to everybody. Of fewer, each is struck as often as one of ten: were it
   * more often than a voter's ten minutes of patience, hardly any epoch would have a quorum, and nearly all be forced.
   */
  removal: 0.7,
  leaving: 0.3,
  diskloss: 0.7,
} as const;
const FEW_PEERS = 10;
/** A partition of more peers cuts off no more than one of so many: each connection that breaks is told to all. */
const MANY = 100;
const MINUTE_MS = 60_000;
const SECOND_MS = 1_000;

/** Frames that break their connection, when "loss" is on: a connection breaks every some thousand frames. */
const LOSS = 0.0001;
/** Bugs of which one host is enough, and all of them too much: nothing would work at all. */
const FEW: ReadonlySet<Bug> = new Set([
  "usurps",
  "gives-to-nobody",
  "deaf-to-rings",
  "deaf-to-endpoints",
  "tells-before-disk",
  "forgets-gifts",
  "forgets-votes",
  "gives-what-is-not-its-own",
  "deaf-to-decisions",
] as const);
const LINE: LineFaults = { reorder: 0.01, duplicate: 0.01, lostOnTheWay: 0.02 };

/** One run, from launch to the last check. Throws Violation when a promise was broken. */
export class Life {
  readonly world: World;
  readonly #options: LifeOptions;
  readonly #operators: Operators;
  #partitionEnds: number | undefined;

  constructor(options: LifeOptions) {
    this.#options = options;
    const { seed, peers, universe, faults, bug, trace } = options;
    const world: WorldOptions = {
      seed,
      peers,
      universe,
      // Of many peers each loss is told to all: a thousand peers lose no more connections than a hundred do.
      lossProbability: faults.has("loss") ? LOSS * Math.min(1, 30 / peers) : 0,
      lineFaults: {
        ...NO_LINE_FAULTS,
        ...(faults.has("reorder") ? { reorder: LINE.reorder } : {}),
        ...(faults.has("duplicate") ? { duplicate: LINE.duplicate } : {}),
        ...(faults.has("loss") ? { lostOnTheWay: LINE.lostOnTheWay } : {}),
      },
      clockSkew: faults.has("clockskew"),
      shareValues: peers > MANY,
      // One by one each share would be told to all, and each of all would write down the ring of all.
      foundTogether: peers > MANY,
      ...(bug === undefined
        ? {}
        : { bug: { bug, ...(FEW.has(bug) ? { host: `p${Math.min(2, peers - 1)}` } : {}) } }),
      ...(trace === undefined ? {} : { trace }),
    };
    this.world = new World(world);
    this.#operators = new Operators(this.world);
  }

  /** Everything in order. Throws Violation. */
  async run(): Promise<void> {
    const { world } = this;
    const { say = () => {}, minutes, peers } = this.#options;
    say(`launching ${peers} peers`);
    await world.startAll(Math.max(2 * SECOND_MS, (peers > MANY ? 2 : 20) * peers));
    await world.run(10 * SECOND_MS);
    world.measures.begin();
    say(`living for ${minutes} minutes`);
    await this.#live(minutes * MINUTE_MS);
    say("healing");
    await world.settle(() => this.#operators.mend());
    say("comparing");
    await world.checkQuiet();
  }

  async #live(forMs: number): Promise<void> {
    const { world } = this;
    const { operations, faults, peers, say = () => {} } = this.#options;
    const end = world.schedule.now() + forMs;
    const pause = forMs / operations;
    const tens = Math.min(1, peers / FEW_PEERS);
    const hundreds = Math.max(1, Math.sqrt(peers / MANY));
    let done = 0;
    const tenth = Math.ceil(forMs / MINUTE_MS / 10);
    let minute = tenth;
    /** Moments of faults come at random, as often as their rate says. */
    const due = (perMinute: number, stepMs: number): boolean =>
      world.random.next() < (perMinute * stepMs) / MINUTE_MS;
    const stepMs = Math.max(pause, 10);
    while (world.schedule.now() < end) {
      for (; done < operations && done * pause < forMs - (end - world.schedule.now()); done++)
        this.#operate();
      if (faults.has("crash") && due(PER_MINUTE.crash * hundreds, stepMs)) this.#crash();
      if (faults.has("partition")) this.#part(due(PER_MINUTE.partition, stepMs));
      if (faults.has("clockskew") && due(PER_MINUTE.clockskew * hundreds, stepMs))
        world.pick(world.hosts).clock?.jump(world.random.below(MINUTE_MS));
      if (faults.has("removal")) {
        if (due(PER_MINUTE.removal * tens, stepMs)) this.#operators.remove();
        if (due(PER_MINUTE.leaving * tens, stepMs)) this.#operators.leave();
      }
      if (faults.has("diskloss") && due(PER_MINUTE.diskloss * tens, stepMs)) this.#operators.burn();
      this.#operators.act();
      await this.#launch(stepMs);
      await world.run(stepMs);
      if (world.schedule.now() < end - forMs + minute * MINUTE_MS) continue;
      say(`lived for ${minute} of ${forMs / MINUTE_MS} minutes`);
      minute += tenth;
    }
  }

  /** An ADD or a DEL somewhere, so that hosts have about as many containers as they should. */
  #operate(): void {
    const { world } = this;
    let host = world.pick(world.hosts);
    for (let tries = 0; !host.isUp && tries < 10; tries++) host = world.pick(world.hosts);
    if (!host.isUp) return;
    const have = host.containerCount;
    if (world.random.below(2 * CONTAINERS) >= have) world.add(host);
    else world.remove(host, world.pick([...host.containers.keys()]));
  }

  #crash(): void {
    const { world } = this;
    const host = world.pick(world.hosts);
    if (!host.isUp) return;
    if (world.random.below(2) === 0) world.crash(host);
    else {
      world.measures.crashes++;
      host.lightFuse(1 + world.random.below(30));
    }
  }

  /** Mostly a few are cut off for a while, now and then half of all. */
  #part(strikes: boolean): void {
    const { world } = this;
    const now = world.schedule.now();
    if (this.#partitionEnds !== undefined) {
      if (now < this.#partitionEnds) return;
      this.#partitionEnds = undefined;
      world.heal();
    } else if (strikes) {
      this.#partitionEnds = now + (5 + world.random.below(60)) * SECOND_MS;
      const few = Math.min(0.3, (1 + world.random.below(10)) / 100);
      const half = world.random.below(5) === 0 && this.#options.peers <= MANY;
      world.partition(half ? 0.5 : few * Math.min(1, MANY / this.#options.peers));
    }
  }

  /** Those that are down come back after a while. */
  async #launch(stepMs: number): Promise<void> {
    const { world } = this;
    const down: Host[] = world.hosts.filter((host) => !host.isUp);
    for (const host of down)
      if (world.random.next() < stepMs / (15 * SECOND_MS)) {
        await host.start();
        world.throwPending();
      }
  }
}
