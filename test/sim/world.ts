// A simulated cluster, everything from one seed. The witness checks what must always hold, after every event and where
// something changed; `settle` heals everything, and `checkQuiet` (quiet.ts) checks what must hold when all is quiet.

import { createMemoryDisk, type MemoryDisk } from "../../src/adapters/store-memory.ts";
import { createMemoryNetwork, type MemoryNetwork } from "../../src/adapters/transport-memory.ts";
import { type Random, seededRandom } from "../../src/core/random.ts";
import { Decrees } from "./decrees.ts";
import { HostClock, type LineFaults, NO_LINE_FAULTS } from "./faults.ts";
import { FrameReader } from "./frames.ts";
import { Host, type HostOptions, type Surroundings } from "./host.ts";
import { Measures } from "./measures.ts";
import { checkQuiet } from "./quiet.ts";
import type { Bug } from "./sabotage.ts";
import { Schedule } from "./schedule.ts";
import { frameText } from "./trace.ts";
import { Witness } from "./witness.ts";

/** What a world is made of. */
export interface WorldOptions {
  readonly seed: number;
  /** How many, in a chain with cross links behind p0, who founds; or each by name. */
  readonly peers: number | readonly Omit<HostOptions, "address" | "universe">[];
  readonly universe: string;
  readonly latencyMs?: { readonly min: number; readonly max: number };
  /** All are founders, by a list that each of them has; otherwise the first is, and the others join it. */
  readonly foundTogether?: boolean;
  readonly lossProbability?: number;
  readonly lineFaults?: LineFaults;
  /** Each daemon's clock is off by up to an hour and runs up to 2 % wrong. */
  readonly clockSkew?: boolean;
  /** Hosts dial all the peers gossip tells of, up to their limits: otherwise only targets, so that links stay few. */
  readonly discovery?: boolean;
  /** `--conn-limit` of all, or of the i-th host. */
  readonly connLimit?: number | ((i: number) => number);
  /** Disks keep what they are given, for very many hosts. */
  readonly shareValues?: boolean;
  /** A host that is wrong on purpose; without one, all of them. */
  readonly bug?: { readonly host?: string; readonly bug: Bug };
  /** Told of everything that happens, with its time. */
  readonly trace?: (line: string) => void;
}

/** Events of one instant beyond which somebody answers himself for ever. */
const MAX_AT_ONCE = 50_000;
const HOUR_MS = 3_600_000;
/** Turns of the promise queue that something may need which takes no virtual time. */
const MAX_TURNS = 1_000;

/** Hosts, their network, and those who watch them, in virtual time. */
export class World implements Surroundings {
  readonly schedule = new Schedule();
  readonly hosts: readonly Host[];
  readonly network: MemoryNetwork;
  readonly random: Random;
  readonly measures = new Measures();
  readonly reader: FrameReader;
  readonly witness: Witness;
  readonly decrees = new Decrees((what) => this.fail(what));
  readonly lineFaults: LineFaults;
  readonly options: WorldOptions;
  readonly discovery: boolean;
  readonly #log: string[] = [];
  readonly #byName = new Map<string, Host>();
  #containers = 0;
  /** How much is under way that takes no virtual time. */
  #busy = 0;

  constructor(options: WorldOptions) {
    this.options = options;
    this.discovery = options.discovery ?? false;
    this.random = seededRandom(options.seed);
    this.lineFaults = options.lineFaults ?? NO_LINE_FAULTS;
    this.network = createMemoryNetwork({
      scheduler: this.schedule,
      random: seededRandom(options.seed + 1),
      link: {
        latencyMs: options.latencyMs ?? { min: 1, max: 50 },
        lossProbability: options.lossProbability ?? 0,
      },
    });
    const { peers, universe } = options;
    this.reader = new FrameReader(typeof peers === "number" ? peers : peers.length);
    const chosen = typeof peers === "number" ? this.#chain(peers) : peers;
    const names = chosen.map(({ name }) => name);
    const clones = new Set(names.filter((name, i) => names.indexOf(name) !== i));
    this.witness = new Witness((what) => this.fail(what), clones, this.decrees);
    this.hosts = chosen.map((host, i) => {
      const { connLimit: limit } = options;
      const connLimit = typeof limit === "function" ? limit(i) : limit;
      const given = { ...(connLimit === undefined ? {} : { connLimit }) };
      const whole = { ...host, ...given, address: addressOf(i), universe };
      return new Host(whole, this.freshDisk(), this);
    });
    for (const host of this.hosts) if (!this.#byName.has(host.id)) this.#byName.set(host.id, host);
  }

  freshDisk(): MemoryDisk {
    return createMemoryDisk({ shareValues: this.options.shareValues ?? false });
  }

  /** What was done and what it cost. */
  get tally(): Measures {
    return this.measures;
  }

  /** The host that was launched under that name, whatever it is called by now. */
  host(name: string): Host {
    const host = this.#byName.get(name);
    if (host === undefined) throw new Error(`no host ${name}`);
    return host;
  }

  *running(): Generator<string> {
    for (const host of this.hosts) if (host.isUp) yield host.id;
  }

  clock(): HostClock {
    if (this.options.clockSkew !== true) return new HostClock(this.schedule, { rate: 1, offset: 0 });
    const rate = 0.98 + 0.04 * this.random.next();
    return new HostClock(this.schedule, { rate, offset: this.random.below(2 * HOUR_MS) });
  }

  bugOf(id: string): Bug | undefined {
    const { bug } = this.options;
    return (bug?.host ?? id) === id ? bug?.bug : undefined;
  }

  readonly note = (text: string): void => {
    const line = `${this.schedule.now()} ${text}`;
    this.options.trace?.(line);
    this.#log.push(line);
    if (this.#log.length > 200) this.#log.splice(0, 100);
  };

  onFrame(from: string, conn: number, text: string): void {
    const { trace } = this.options;
    if (trace === undefined) return;
    const link = this.host(from).node?.facts().mesh.link(conn);
    trace(
      `${this.schedule.now()} ${from} -> ${link?.peer?.name ?? link?.remoteAddress ?? "?"} ${frameText(text)}`,
    );
  }

  /** Run on until the answer is there. */
  async answer<T>(asked: Promise<T>): Promise<T> {
    let done = false;
    const finished = asked.finally(() => (done = true));
    for (let rounds = 0; !done; rounds++) {
      if (rounds > 60_000) this.fail("no answer in ten minutes");
      await this.run(10);
    }
    return finished;
  }

  /** Each joins one before it and another, or two: gossip must be relayed. */
  #chain(count: number): readonly Omit<HostOptions, "address" | "universe">[] {
    const isMedium = count > 20 && count <= 100;
    const names = Array.from({ length: count }, (_, i) => `p${i}`);
    return Array.from({ length: count }, (_, i) => ({
      name: `p${i}`,
      ...(this.options.foundTogether === true ? { seed: names } : {}),
      targets:
        i === 0
          ? []
          : [...new Set([i - 1, this.random.below(i), ...(isMedium ? [this.random.below(i)] : [])])].map(
              (j) => addressOf(j),
            ),
    }));
  }

  /** Run virtual time on. */
  async run(forMs: number): Promise<void> {
    const until = this.schedule.now() + forMs;
    let instant = this.schedule.now();
    let atOnce = 0;
    while (this.schedule.step(until)) {
      this.measures.events++;
      atOnce = this.schedule.now() === instant ? atOnce + 1 : 0;
      instant = this.schedule.now();
      if (atOnce > MAX_AT_ONCE * Math.max(1, this.hosts.length / 10))
        this.fail("time stands still: something is due again and again");
      await Promise.resolve(); // answers of requests arrive between events
      for (let turns = 0; this.#busy > 0 && turns < MAX_TURNS; turns++) await Promise.resolve();
      if (this.#error !== undefined) this.throwPending();
    }
  }

  async startAll(withinMs = 100 * this.hosts.length): Promise<void> {
    for (const host of this.hosts) {
      if (!host.isUp) await host.start();
      this.throwPending();
      await this.run(this.random.below((2 * withinMs) / this.hosts.length));
    }
  }

  /** A new container on a host; refusals are counted. */
  add(host: Host): void {
    this.measures.adds++;
    void host.add(`c${this.#containers++}`).then((refusal) => {
      if (refusal !== undefined) this.measures.refusedFor(refusal);
    }, this.broken);
  }

  remove(host: Host, container: string): void {
    this.measures.removes++;
    host.remove(container).catch(this.broken);
  }

  /** Something goes on that takes no time, however many promises it is made of. */
  async atOnce(what: Promise<void>): Promise<void> {
    this.#busy++;
    try {
      await what;
    } catch (error) {
      this.broken(error);
    } finally {
      this.#busy--;
    }
  }

  /** The first violation: it may be seen inside a promise or a port, where the core would swallow it. */
  #error: unknown;
  readonly broken = (error: unknown): void => {
    this.#error ??= error;
  };

  /** Throws what went wrong so far. */
  throwPending(): void {
    if (this.#error !== undefined) throw this.#error;
  }

  /** One random thing happens. */
  async disturb(faults: boolean): Promise<void> {
    this.throwPending();
    const host = this.pick(this.hosts);
    const dice = this.random.below(faults ? 100 : 60);
    if (!host.isUp) {
      if (dice < 50) await host.start();
    } else if (dice < 40) this.add(host);
    else if (dice < 60) {
      const container = this.pick([...host.containers.keys()]);
      if (container !== undefined) this.remove(host, container);
    } else if (dice < 70) this.crash(host);
    else if (dice < 80) {
      this.measures.crashes++;
      host.lightFuse(1 + this.random.below(30));
    } else if (dice < 85) this.partition(this.random.next());
    else if (dice < 92) this.heal();
  }

  /** Half of them are power losses. */
  crash(host: Host): void {
    this.measures.crashes++;
    if (this.random.below(2) === 0) {
      this.measures.powerLosses++;
      host.powerLoss();
    } else host.kill();
  }

  /** Some share of the hosts, chosen by chance, is cut off from the rest. */
  partition(share: number): void {
    this.measures.partitions++;
    this.measures.interrupted();
    const cut = new Set(this.hosts.filter(() => this.random.next() < share));
    const rest = this.hosts.filter((host) => !cut.has(host));
    this.network.partition([[...cut], rest].map((group) => group.map((h) => h.options.address)));
    this.note(`partition: ${[...cut].map((h) => h.id).join(" ")} | the rest`);
  }

  heal(): void {
    this.measures.interrupted();
    this.network.heal();
    this.note("heal");
  }

  /** Everything heals, everybody runs, operators `mend` what they must, time passes. */
  async settle(mend: () => Promise<void> = async () => {}): Promise<void> {
    this.heal();
    for (const host of this.hosts) host.lightFuse(Number.POSITIVE_INFINITY);
    for (const host of this.hosts) if (!host.isUp) await host.start();
    await mend();
    // What a runtime does after a crash: containers it does not know to be up are deleted.
    await this.run(240_000);
    for (const host of this.hosts) {
      for (const { containerId } of host.node?.attachments() ?? []) {
        if (!host.containers.has(containerId)) await Promise.all([host.remove(containerId), this.run(1)]);
      }
    }
    await this.run(60_000);
    this.throwPending();
  }

  async checkQuiet(): Promise<void> {
    this.throwPending();
    checkQuiet(this);
  }

  fail(what: string): never {
    const violation = new Violation(
      `${what}\nafter ${this.measures.events} events at ${this.schedule.now()} ms; repeat with WEAVE_SEED=${this.options.seed}\n${this.#log.slice(-25).join("\n")}`,
      what,
      this.measures.events,
    );
    this.broken(violation);
    throw violation;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.random.below(list.length)] as T;
  }
}

/** Something that must not be. */
export class Violation extends Error {
  readonly what: string;
  readonly event: number;

  constructor(message: string, what: string, event: number) {
    super(message);
    this.what = what;
    this.event = event;
  }
}

/** Address of the i-th host. */
export const addressOf = (i: number): string => `10.0.${Math.floor(i / 250)}.${(i % 250) + 1}`;
