// A simulated cluster under faults, everything from one seed. After every event it checks what must always hold; `settle`
// then heals everything and checks what must hold when all is quiet.
//
//   always: no address is held by two containers of one cluster; no offset is believed owned by two peers (alive or dead, disks count)
//   quiet:  all rings and all maps equal; every offset owned by somebody; every container known everywhere

import { createMemoryDisk } from "../../src/adapters/store-memory.ts";
import { createMemoryNetwork, type MemoryNetwork } from "../../src/adapters/transport-memory.ts";
import { type Random, seededRandom } from "../../src/core/random.ts";
import { Host, type HostOptions, ringText } from "./host.ts";
import { Schedule } from "./schedule.ts";

export interface WorldOptions {
  readonly seed: number;
  /** How many, in a chain with cross links behind p0, who founds; or each by name. */
  readonly peers: number | readonly Omit<HostOptions, "address" | "universe">[];
  readonly universe: string;
  readonly latencyMs?: { readonly min: number; readonly max: number };
  readonly lossProbability?: number;
}

export interface Tally {
  adds: number;
  refused: number;
  removes: number;
  crashes: number;
  partitions: number;
  events: number;
}

/** Events of one instant beyond which somebody answers himself for ever. */
const MAX_AT_ONCE = 50_000;

export class World {
  readonly schedule = new Schedule();
  readonly hosts: readonly Host[];
  readonly network: MemoryNetwork;
  readonly random: Random;
  readonly tally: Tally = { adds: 0, refused: 0, removes: 0, crashes: 0, partitions: 0, events: 0 };
  readonly #log: string[] = [];
  readonly #options: WorldOptions;
  #containers = 0;

  constructor(options: WorldOptions) {
    this.#options = options;
    this.random = seededRandom(options.seed);
    this.network = createMemoryNetwork({
      scheduler: this.schedule,
      random: seededRandom(options.seed + 1),
      link: {
        latencyMs: options.latencyMs ?? { min: 1, max: 50 },
        lossProbability: options.lossProbability ?? 0,
      },
    });
    const { peers, universe } = options;
    const chosen = typeof peers === "number" ? this.#chain(peers) : peers;
    this.hosts = chosen.map((host, i) => {
      const whole = { ...host, address: addressOf(i), universe };
      return new Host(whole, createMemoryDisk(), this.network, this.schedule, this.random, (text) =>
        this.#note(text),
      );
    });
  }

  /** The host of that name. */
  host(name: string): Host {
    const host = this.hosts.find((h) => h.options.name === name);
    if (host === undefined) throw new Error(`no host ${name}`);
    return host;
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

  /** Each joins one before it and some other: gossip must be relayed. */
  #chain(count: number): readonly Omit<HostOptions, "address" | "universe">[] {
    return Array.from({ length: count }, (_, i) => ({
      name: `p${i}`,
      targets: i === 0 ? [] : [...new Set([i - 1, this.random.below(i)])].map((j) => addressOf(j)),
    }));
  }

  /** Run virtual time on, checking after every event. */
  async run(forMs: number): Promise<void> {
    const until = this.schedule.now() + forMs;
    let instant = this.schedule.now();
    let atOnce = 0;
    while (this.schedule.step(until)) {
      this.tally.events++;
      atOnce = this.schedule.now() === instant ? atOnce + 1 : 0;
      instant = this.schedule.now();
      if (atOnce > MAX_AT_ONCE) this.fail("time stands still: something is due again and again");
      await Promise.resolve(); // answers of requests arrive between events
      this.check();
    }
  }

  async startAll(): Promise<void> {
    for (const host of this.hosts) {
      if (host.runner === undefined) await host.start();
      await this.run(this.random.below(100));
    }
  }

  /** One random thing happens. */
  async disturb(faults: boolean): Promise<void> {
    const host = this.#pick(this.hosts);
    const dice = this.random.below(faults ? 100 : 60);
    if (host.runner === undefined) {
      if (dice < 50) await host.start();
    } else if (dice < 40) {
      this.tally.adds++;
      void host.add(`c${this.#containers++}`).then((refusal) => {
        if (refusal !== undefined) this.tally.refused++;
      });
    } else if (dice < 60) {
      const container = this.#pick([...host.containers.keys()]);
      if (container !== undefined) {
        this.tally.removes++;
        void host.remove(container);
      }
    } else if (dice < 70) {
      this.tally.crashes++;
      host.kill();
    } else if (dice < 80) {
      this.tally.crashes++;
      host.lightFuse(1 + this.random.below(30));
    } else if (dice < 85) {
      this.tally.partitions++;
      const cut = this.random.below(this.hosts.length);
      const shuffled = [...this.hosts].sort((a, b) => (a.options.address < b.options.address ? -1 : 1));
      this.network.partition(
        [shuffled.slice(0, cut), shuffled.slice(cut)].map((g) => g.map((h) => h.options.address)),
      );
      this.#note(`partition at ${cut}`);
    } else if (dice < 92) {
      this.network.heal();
      this.#note("heal");
    }
  }

  /** Everything heals, everybody runs, time passes. */
  async settle(): Promise<void> {
    this.network.heal();
    for (const host of this.hosts) host.lightFuse(Number.POSITIVE_INFINITY);
    for (const host of this.hosts) if (host.runner === undefined) await host.start();
    // What a runtime does after a crash: containers it does not know to be up are deleted.
    await this.run(240_000);
    for (const host of this.hosts) {
      for (const { containerId } of host.node?.attachments() ?? []) {
        if (!host.containers.has(containerId)) await Promise.all([host.remove(containerId), this.run(1)]);
      }
    }
    await this.run(60_000);
  }

  check(): void {
    const held = new Map<string, string>();
    for (const host of this.hosts) {
      for (const [container, address] of host.containers) {
        const place = `${host.clusters.get(container)} ${address}`;
        const other = held.get(place);
        if (other !== undefined)
          this.fail(`${place} is held by ${other} and by ${host.options.name}/${container}`);
        held.set(place, `${host.options.name}/${container}`);
      }
    }
    const believers: { start: number; end: number; name: string; cluster: string }[] = [];
    for (const host of this.hosts) {
      for (const { start, end } of host.node?.facts().pools[0]?.owned ?? []) {
        believers.push({ start, end, name: host.options.name, cluster: host.node?.cluster ?? "none" });
      }
    }
    believers.sort((a, b) => (a.cluster === b.cluster ? a.start - b.start : a.cluster < b.cluster ? -1 : 1));
    believers.forEach((range, i) => {
      const next = believers[i + 1];
      const clones = next?.name === range.name;
      if (next?.cluster === range.cluster && !clones && next.start < range.end)
        this.fail(`${range.name} and ${next.name} both own offset ${next.start}`);
    });
  }

  async checkQuiet(): Promise<void> {
    this.check();
    const [first] = this.hosts;
    const rings = this.hosts.map((h) => ringText(h.node?.facts().pools[0]?.ring?.ranges));
    for (const [i, ring] of rings.entries()) {
      if (ring !== rings[0]) this.fail(`ring of p${i} differs: ${ring} / ${rings[0]}`);
    }
    const owned = (first?.node?.facts().pools[0]?.ring?.ranges ?? []).reduce(
      (sum, r) => sum + r.end - r.start,
      0,
    );
    const size = first?.node?.config.universes[0]?.size;
    if (owned !== size) this.fail(`${owned} of ${size} offsets have an owner`);
    for (const host of this.hosts) {
      const view = host.node?.endpoints().byAddress;
      const truth = this.hosts
        .flatMap((h) => [...h.containers.values()].map((cidr) => `${cidr.split("/")[0]}@${h.options.name}`))
        .sort();
      const seen = [...(view ?? [])].map(([address, endpoint]) => `${address}@${endpoint.peer}`).sort();
      const missing = truth.filter((t) => !seen.includes(t) && this.#committed(t));
      const extra = seen.filter((s) => !truth.includes(s));
      if (missing.length + extra.length > 0)
        this.fail(`${host.options.name} lacks ${missing.join()} and invents ${extra.join()}`);
      if ((await host.storedRing()) !== rings[0])
        this.fail(`ring on the disk of ${host.options.name} differs from its memory`);
    }
  }

  fail(what: string): never {
    throw new Error(
      `${what}\nafter ${this.tally.events} events at ${this.schedule.now()} ms; repeat with WEAVE_SEED=${this.#options.seed}\n${this.#log.slice(-25).join("\n")}`,
    );
  }

  #committed(endpoint: string): boolean {
    const [address, name] = endpoint.split("@");
    const host = this.hosts.find((h) => h.options.name === name);
    return (
      host?.node
        ?.attachments()
        .some((a) => a.mac !== undefined && a.addresses.some((cidr) => cidr.startsWith(`${address}/`))) ??
      false
    );
  }

  #pick<T>(list: readonly T[]): T {
    return list[this.random.below(list.length)] as T;
  }

  #note(text: string): void {
    this.#log.push(`${this.schedule.now()} ${text}`);
    if (this.#log.length > 200) this.#log.splice(0, 100);
  }
}

/** Address of the i-th host. */
export const addressOf = (i: number): string => `10.0.0.${i + 1}`;
