// One machine of a scenario: its disk, the containers that run on it, and a weaver in between that comes and goes. The real
// command line, configuration, core, effect runner and routine for beginning anew, on a network, a disk and a clock in memory:
// what cmd/weaver composes, without kernel, API and time.

import { readLaunchOptions } from "../../cmd/launch-options.ts";
import { createMemoryDisk, createMemoryStore, type MemoryStore } from "../../src/adapters/store-memory.ts";
import type { MemoryEndpoint, MemoryNetwork } from "../../src/adapters/transport-memory.ts";
import { macForAddress } from "../../src/core/address/mac.ts";
import { anewOf } from "../../src/core/aside.ts";
import type { NodeConfig } from "../../src/core/config.ts";
import { Node } from "../../src/core/node.ts";
import { type Random, seededRandom } from "../../src/core/random.ts";
import { readState, type StoredState } from "../../src/core/records.ts";
import type { Reply, Request } from "../../src/core/requests.ts";
import { resolveConfig } from "../../src/daemon/config.ts";
import type { LaunchOptions } from "../../src/daemon/options.ts";
import { type AsidePorts, setAside } from "../../src/daemon/rejoin.ts";
import { type Rejoin, Runner } from "../../src/daemon/runner.ts";
import type { AddressWish } from "../../src/ports/attachments.ts";
import type { Clock } from "../../src/ports/clock.ts";
import type { HostFacts } from "../../src/ports/kernel.ts";
import type { Schedule } from "../sim/schedule.ts";

/** What a machine needs of the world. */
export interface Surroundings {
  readonly network: MemoryNetwork;
  readonly schedule: Schedule;
  readonly random: Random;
  note(text: string): void;
  /** The daemon ended because of this. */
  broken(error: unknown): void;
}

/** Of a launch, as commander hands them on. */
interface GivenOptions {
  readonly name?: string;
  readonly ipallocRange?: string;
  readonly ipallocInit?: string;
  readonly connLimit?: string;
  readonly discovery?: false;
  readonly resume?: true;
}

/** A daemon while it runs. */
interface Process {
  readonly store: MemoryStore;
  readonly options: LaunchOptions;
  endpoint: MemoryEndpoint | undefined;
  runner: Runner | undefined;
}

/** One host: its machine and its containers outlive its daemons. */
export class Machine {
  readonly hostname: string;
  readonly address: string;
  readonly #world: Surroundings;
  #disk = createMemoryDisk();
  #disks = 1;
  #boots = 0;
  #process: Process | undefined;
  /** Container -> its address: what runs here, whether or not the daemon does. */
  readonly #containers = new Map<string, string>();
  /** Containers that ended while the daemon was away: the CNI forwarder notes them in the journal. */
  readonly #journal: string[] = [];
  /** What the disk says, as long as no daemon can change it. */
  #read: StoredState | undefined;
  /** Why it began anew, each time. */
  readonly asides: string[] = [];

  constructor(hostname: string, address: string, world: Surroundings) {
    this.hostname = hostname;
    this.address = address;
    this.#world = world;
  }

  get isRunning(): boolean {
    return this.#process !== undefined;
  }

  /** The node of now; undefined while the daemon is away or begins anew. */
  get node(): Node | undefined {
    return this.#process?.runner?.node;
  }

  /** What it is called by its peers; undefined before its first launch. */
  get peerName(): string | undefined {
    return this.node?.config.name ?? this.#stored.name;
  }

  /** Its configuration, and the epoch it came in with; with the daemon away, as the disk has them. */
  get membership(): StoredState["configuration"] {
    const { node } = this;
    if (node === undefined) return this.#stored.configuration;
    const { configuration, joined } = node.facts().council;
    return configuration && { configuration, joined: joined ?? 0 };
  }

  /** Of a daemon that is away. */
  get #stored(): StoredState {
    this.#read ??= readState(this.#disk.records());
    return this.#read;
  }

  get containers(): ReadonlyMap<string, string> {
    return this.#containers;
  }

  /** Its containers with an address that is theirs, and not only was before this host began anew. */
  get holders(): ReadonlyMap<string, string> {
    if (this.asides.length === 0) return this.#containers;
    const isFormer = (container: string): boolean => {
      const record = this.#disk.record(`allocation/weave/${container}/eth0`);
      return typeof record === "object" && record !== null && "former" in record;
    };
    return new Map([...this.#containers].filter(([container]) => !isFormer(container)));
  }

  record(key: string): unknown {
    return this.#disk.record(key);
  }

  /** `weave launch`. Throws what the command line and the configuration refuse. */
  async launch(peers: readonly string[], given: GivenOptions): Promise<void> {
    if (this.#process !== undefined) throw new Error(`${this.hostname} runs already`);
    const options = readLaunchOptions({ ...given, logLevel: "info" }, peers);
    const store = createMemoryStore(this.#disk);
    this.#read = undefined;
    const process: Process = { store, options, endpoint: undefined, runner: undefined };
    this.#process = process;
    try {
      let config = await this.#configure(process);
      if (config.otherRange !== undefined) {
        await this.#setAside(process, { reason: "range" });
        config = await this.#configure(process);
      }
      await this.#run(process, config.config);
    } catch (error) {
      this.#process = undefined;
      store.crash();
      throw error;
    }
    for (const container of this.#journal.splice(0)) await this.#release(container);
  }

  /** kill -9. Containers go on. */
  kill(): void {
    const process = this.#process;
    if (process === undefined) throw new Error(`${this.hostname} does not run`);
    this.#process = undefined;
    process.runner?.stop();
    this.#read = undefined;
    process.store.crash();
    process.endpoint?.crash();
    this.#world.note(`${this.hostname} killed`);
  }

  /** The disk is gone, and with it everything that ran here. */
  burn(): void {
    if (this.#process !== undefined) this.kill();
    this.#disk = createMemoryDisk();
    this.#read = undefined;
    this.#disks++;
    this.#containers.clear();
    this.#journal.length = 0;
    this.asides.length = 0;
  }

  /** Ask the daemon; while it begins anew, the answer waits. */
  async request(request: Request): Promise<Reply> {
    while (this.#process?.runner === undefined) {
      if (this.#process === undefined) return { ok: false, code: "not-running", message: "no daemon" };
      await this.#soon();
    }
    return this.#process.runner.request(request);
  }

  /** ADD, as the CNI plugin does it. */
  async add(container: string, wish: AddressWish): Promise<Reply> {
    const key = keyOf(container);
    const moment = { bootId: this.hostname, bootMs: this.#world.schedule.now() };
    const allocated = await this.request({ kind: "allocate", key, moment, terms: {}, ...wish });
    const address = allocated.ok ? withoutPrefix(allocated.attachment?.addresses[0] ?? "") : "";
    if (!allocated.ok) return allocated;
    this.#containers.set(container, address);
    const link = { mac: macForAddress(address), hostIfname: container, hairpin: true };
    const committed = await this.request({ kind: "commit", key, facts: { netns: container, link } });
    return committed.ok ? allocated : committed;
  }

  /** DEL; with the daemon away, the CNI forwarder's. */
  async del(container: string): Promise<void> {
    if (!this.#containers.delete(container)) throw new Error(`there is no ${container} on ${this.hostname}`);
    if (this.#process === undefined) this.#journal.push(container);
    else await this.#release(container);
  }

  async #release(container: string): Promise<void> {
    await this.request({ kind: "release", key: keyOf(container) });
  }

  async #configure({ store, options }: Process) {
    const { address, hostname } = this;
    const records = await store.load();
    return resolveConfig(options, {
      stored: readState(records),
      anew: anewOf(records),
      facts: {
        ...FACTS,
        addresses: [{ dev: "eth0", address, mtu: 1500 }],
        defaultSource: { address, mtu: 1500 },
      },
      hostname,
      software: "scenario",
      again: { stop: "weave stop", launch: "weave launch" },
      uid: `${hostname}-process-${this.#boots++}`,
      ...this.#draw(),
    });
  }

  async #run(process: Process, config: NodeConfig): Promise<void> {
    const { network, random, note, broken } = this.#world;
    const stored = readState(await process.store.load());
    const endpoint = network.endpoint(this.address);
    const runner = new Runner(new Node(config, stored, seededRandom(random.below(2 ** 32))), {
      transport: endpoint,
      store: process.store,
      clock: this.#clock(),
      datapathChanged: () => {},
      onEvent: ({ kind, data }) => note(`${this.hostname} ${kind} ${JSON.stringify(data)}`),
      onRejoin: (order) => {
        process.runner = undefined;
        this.#read = undefined;
        this.#beginAnew(process, order).catch(broken);
      },
      onFatal: broken,
    });
    process.endpoint = endpoint;
    process.runner = runner;
    await runner.start();
  }

  /** As src/daemon/daemon.ts does it. */
  async #beginAnew(process: Process, order: Rejoin): Promise<void> {
    await process.endpoint?.shutdown();
    if (this.#process !== process) return; // killed meanwhile
    await this.#setAside(process, order);
    const { targets: _, ...config } = (await this.#configure(process)).config;
    if (this.#process === process) await this.#run(process, config);
  }

  async #setAside({ store }: Process, order: Rejoin): Promise<void> {
    const { note } = this.#world;
    const log = (message: string, data?: object) =>
      note(`${this.hostname} ${message} ${JSON.stringify(data)}`);
    const ports: AsidePorts = {
      store,
      keep: async (_, reason) => `aside-${reason}.json`,
      draw: () => this.#draw(),
      log: { debug: log, info: log, warn: log, error: log },
    };
    await setAside(order, ports);
    this.#read = undefined;
    this.asides.push(order.reason);
  }

  /** A random name, in the product; here the host's, so that the scenario can speak of it. */
  #draw() {
    const digits = this.#world.random
      .below(2 ** 16)
      .toString(16)
      .padStart(4, "0");
    const freshName = this.#disks === 1 ? this.hostname : `${this.hostname}.${this.#disks}`;
    return {
      freshName,
      digits,
      incarnation: `${this.hostname}-${digits}-${this.#world.random.below(2 ** 32)}`,
    };
  }

  #clock(): Clock {
    const { schedule } = this.#world;
    let current: object | undefined;
    return {
      now: () => schedule.now(),
      setAlarm: (at, ring) => {
        const mine = {};
        current = mine;
        if (at !== undefined) schedule.at(at, () => current === mine && ring());
      },
    };
  }

  #soon(): Promise<void> {
    const { schedule } = this.#world;
    return new Promise((resolve) => schedule.at(schedule.now() + 10, resolve));
  }
}

const FACTS: HostFacts = { routes: [], addresses: [], missing: [] };

const keyOf = (container: string) => ({ network: "weave", containerId: container, ifname: "eth0" });

const withoutPrefix = (cidr: string): string => cidr.split("/")[0] ?? cidr;
