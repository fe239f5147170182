// One simulated host: a disk that survives, a daemon that may die at any port call, and containers that outlive it.
// The core, the effect runner and the routine for beginning anew are the real ones.

import { createMemoryStore, type MemoryDisk, type MemoryStore } from "../../src/adapters/store-memory.ts";
import type { MemoryEndpoint, MemoryNetwork } from "../../src/adapters/transport-memory.ts";
import { macForAddress } from "../../src/core/address/mac.ts";
import { Universe } from "../../src/core/address/universe.ts";
import { anewOf } from "../../src/core/aside.ts";
import { Node } from "../../src/core/node.ts";
import { type Random, seededRandom } from "../../src/core/random.ts";
import { readState, type StoredState } from "../../src/core/records.ts";
import { setAside } from "../../src/daemon/rejoin.ts";
import { type Rejoin, Runner } from "../../src/daemon/runner.ts";
import type { AddressWish } from "../../src/ports/attachments.ts";
import type { Transport } from "../../src/ports/transport.ts";
import { Eyes, type Onlookers, type Seen } from "./eyes.ts";
import { type HostClock, type LineFaults, unruly } from "./faults.ts";
import { type Bug, type DirectStore, sabotagedNode, sabotagedStore, sabotagedTransport } from "./sabotage.ts";

/** How a host is launched first. */
export interface HostOptions {
  readonly name: string;
  readonly address: string;
  readonly universe: string;
  /** Addresses to join; none: this host founds. */
  readonly targets: readonly string[];
  readonly seed?: readonly string[];
  /** Hosts expected at a founding; counted from the targets where absent. */
  readonly expected?: number;
  /** Of its first disk: a data directory that was copied has the same. */
  readonly incarnation?: string;
  /** `--conn-limit`. */
  readonly connLimit?: number;
}

/** The world a host stands in. */
export interface Surroundings extends Onlookers {
  readonly network: MemoryNetwork;
  readonly random: Random;
  readonly lineFaults: LineFaults;
  /** A clock for a daemon that starts now. */
  clock(): HostClock;
  /** Hosts dial the peers gossip tells of. */
  readonly discovery: boolean;
  /** What is wrong with this host on purpose. */
  bugOf(id: string): Bug | undefined;
  /** A disk like those of the others, without records. */
  freshDisk(): MemoryDisk;
  note(text: string): void;
  /** Virtual time stands still until this is over. */
  atOnce(what: Promise<void>): Promise<void>;
  /** Something that must not be was seen where it would be swallowed. */
  broken(error: unknown): void;
  /** Every frame that leaves a host, for a trace. */
  onFrame(from: string, conn: number, text: string): void;
}

/** A container that runs, with what it runs for. */
interface Running {
  readonly address: string;
  /** Two clusters that were founded apart may hold one address twice. */
  readonly cluster: string;
  /** Its host has begun anew, and has not got the address back. */
  readonly former?: true;
}

/** Outlives its daemons and its disks. */
export class Host implements Seen {
  readonly options: HostOptions;
  readonly #world: Surroundings;
  readonly #eyes: Eyes;
  disk: MemoryDisk;
  /** What runs here, whether or not the daemon lives. */
  readonly #running = new Map<string, Running>();
  /** Containers a power loss ended, until the daemon runs again. */
  readonly #diedWithHost = new Set<string>();
  runner: Runner | undefined;
  clock: HostClock | undefined;
  /** What the next first start is called and dials; a disk that is used says so itself. */
  #called: string;
  targets: readonly string[];
  peerName: string;
  incarnation = "";
  /** Names it had on disks that are lost: they own what nobody can give any more. */
  readonly lostNames: string[] = [];
  /** Times it began anew. */
  asides = 0;
  #endpoint: MemoryEndpoint | undefined;
  #store: MemoryStore | undefined;
  /** Port calls until the daemon dies in the middle of its effects. */
  #fuse = Number.POSITIVE_INFINITY;
  #boots = 0;
  #disks = 1;
  /** Ends of the whole host, with everything that ran on it. */
  #ends = 0;
  /** The daemon that lives, also while it begins anew. */
  #process: object | undefined;

  constructor(options: HostOptions, disk: MemoryDisk, world: Surroundings) {
    this.options = options;
    this.disk = disk;
    this.#world = world;
    this.#called = options.name;
    this.peerName = options.name;
    this.targets = options.targets;
    this.#eyes = new Eyes(this, world);
  }

  /** What the world calls it, whatever its peers do. */
  get id(): string {
    return this.options.name;
  }

  get node(): Node | undefined {
    return this.runner?.node;
  }

  /** Its daemon lives. */
  get isUp(): boolean {
    return this.#process !== undefined;
  }

  /** container -> its address. */
  get containers(): ReadonlyMap<string, string> {
    return new Map([...this.#running].map(([container, { address }]) => [container, address]));
  }

  get containerCount(): number {
    return this.#running.size;
  }

  /** Containers whose address this host has no right to any more, or not yet again. */
  get formers(): ReadonlySet<string> {
    return new Set([...this.#running].flatMap(([container, { former }]) => (former ? [container] : [])));
  }

  /** The last fingerprints this host sent. */
  get lastSums(): string {
    return this.#eyes.lastSums;
  }

  async start(): Promise<void> {
    const process = {};
    this.#process = process;
    this.#fuse = Number.POSITIVE_INFINITY;
    this.#store = createMemoryStore(this.disk);
    await this.#run(process, true);
    // What weaver does before it serves anybody: interfaces of ADDs cut short go, with their addresses. And the runtime
    // deletes what did not survive a reboot.
    await this.#tidy((containerId) => this.#diedWithHost.has(containerId));
    this.#diedWithHost.clear();
  }

  async #run(process: object, first: boolean): Promise<void> {
    const { network, note } = this.#world;
    const bug = this.#world.bugOf(this.id);
    const inner = this.#store;
    if (inner === undefined) throw new Error(`${this.id} has no store open`);
    const store = sabotagedStore(bug, this.#watched(inner));
    const records = await store.load();
    if (this.#process !== process) return;
    const node = this.#mind(records, readState(records), first);
    sabotagedNode(bug, node);
    this.#endpoint = network.endpoint(this.options.address);
    this.clock = this.#world.clock();
    const transport = sabotagedTransport(bug, node, this.#endpoint, this.#world.reader);
    this.runner = new Runner(node, {
      transport: this.#fused(transport),
      store: this.#fusedStore(store),
      clock: this.clock,
      datapathChanged: () => {},
      onEvent: (event) => note(`${this.id} ${event.kind} ${JSON.stringify(event.data)}`),
      onRejoin: (order) => {
        this.runner = undefined;
        void this.#world.atOnce(this.#beginAnew(process, order, store));
      },
      onFatal: (error) => this.#world.broken(error),
    });
    note(`${this.id} starts as ${this.peerName}`);
    this.#eyes.found();
    await this.runner.start();
  }

  #mind(records: ReadonlyMap<string, unknown>, stored: StoredState, first: boolean): Node {
    const universe = Universe.parse(this.options.universe);
    if (typeof universe === "string") throw new Error(universe);
    const { address, seed, expected, connLimit } = this.options;
    const { random, reader } = this.#world;
    const given = this.#disks === 1 ? this.options.incarnation : undefined;
    const { newcomer, expect } = anewOf(records);
    const name = stored.name ?? this.#called;
    this.peerName = name;
    this.incarnation = stored.incarnation ?? given ?? `${this.id}-disk-${random.below(2 ** 32)}`;
    const init =
      newcomer === true && stored.configuration === undefined
        ? ({ kind: "observer" } as const)
        : seed === undefined || this.#disks > 1 // a founder's name founds once
          ? ({ kind: "consensus", ...(expected === undefined ? {} : { expected }) } as const)
          : ({ kind: "seed", names: seed } as const);
    return new Node(
      {
        name,
        nickname: this.#called,
        software: "sim",
        uid: `${this.id}-at-${address}-boot-${this.#boots++}`,
        universes: [universe],
        defaultSubnets: [this.options.universe],
        incarnation: this.incarnation,
        init,
        ...(expect === undefined ? {} : { expect }),
        ...(stored.name === undefined && first ? { targets: this.targets } : {}),
        foundCommand: `weave stop && weave launch --ipalloc-init seed=${name}`,
        port: 6783,
        discovery: this.#world.discovery,
        ...(connLimit === undefined ? {} : { connLimit }),
        vni: 1,
        vxlanPort: 6784,
        bridgeName: "weave",
        vxlanName: "vxlan-6784",
        underlay: { address, pinned: true },
        mtu: 1450,
      },
      stored,
      seededRandom(random.below(2 ** 32)),
      reader,
    );
  }

  /** As src/daemon/daemon.ts does it: containers go on, and ask for their addresses under another name. */
  async #beginAnew(process: object, order: Rejoin, store: DirectStore): Promise<void> {
    const { note, random, witness } = this.#world;
    this.asides++;
    note(`${this.id} begins anew (${order.reason})`);
    const log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
    await this.#endpoint?.shutdown();
    if (this.#process !== process) return;
    const before = this.peerName;
    await setAside(order, {
      store: this.#fusedStore(store),
      keep: async () => "aside.json",
      draw: () => ({
        freshName: `${this.id}.${this.#disks}`,
        digits: random
          .below(2 ** 16)
          .toString(16)
          .padStart(4, "0"),
        incarnation: `${this.id}-disk-${random.below(2 ** 32)}`,
      }),
      log,
    });
    if (this.#process !== process) return;
    witness.diskLost(before);
    // Alone, without its voters' word: the others it had know nothing of it.
    if (order.reason === "joins") this.lostNames.push(before);
    await this.#run(process, false);
    await this.#tidy(() => false);
  }

  /** Addresses that were given and not used go back. */
  async #tidy(isGone: (container: string) => boolean): Promise<void> {
    const gone = (this.node?.attachments() ?? []).filter(
      ({ committed, containerId }) => !committed || isGone(containerId),
    );
    for (const { containerId } of gone) await this.remove(containerId);
  }

  /** kill -9. Containers go on. */
  kill(): void {
    this.#process = undefined;
    this.runner?.stop();
    this.runner = undefined;
    this.#store?.crash();
    this.#endpoint?.crash();
    this.#endpoint = undefined;
    this.#world.measures.down(this.id, this.#world.schedule.now());
    this.#world.note(`${this.id} killed`);
  }

  /** The host loses power: what was not synced to its disk is gone, and so are its containers. */
  powerLoss(): void {
    this.kill();
    this.#ends++;
    this.disk.powerLoss();
    for (const container of [...this.#running.keys()]) {
      this.#diedWithHost.add(container);
      this.#gone(container);
    }
    this.#world.note(`${this.id} lost power`);
  }

  /** The host burns, and is set up again with an empty disk, to be launched with this name and these targets. */
  loseDisk(called: string, targets: readonly string[]): void {
    if (this.isUp) this.kill();
    this.#ends++;
    for (const container of [...this.#running.keys()]) this.#gone(container);
    this.#diedWithHost.clear();
    this.#world.witness.diskLost(this.peerName);
    this.lostNames.push(this.peerName);
    this.disk = this.#world.freshDisk();
    this.#disks++;
    this.#called = called;
    this.peerName = called;
    this.targets = targets;
    this.#eyes.found();
    this.#world.note(`${this.id} lost its disk, and is to be ${called}`);
  }

  /** Die at the n-th port call from now, in the middle of an effect list. */
  lightFuse(calls: number): void {
    this.#fuse = calls;
  }

  /** `weave connect`. */
  async connect(...targets: string[]): Promise<void> {
    await this.runner?.request({ kind: "connect", targets, replace: false });
  }

  /** What the CNI plugin does for ADD. Returns why it was refused. */
  async add(container: string, wish: AddressWish = {}): Promise<string | undefined> {
    const key = { network: "weave", containerId: container, ifname: "eth0" };
    const moment = { bootId: this.id, bootMs: this.#world.schedule.now() };
    const { runner } = this;
    const ends = this.#ends;
    const allocated = await runner?.request({ kind: "allocate", key, moment, terms: {}, ...wish });
    const address = allocated?.ok === true ? allocated.attachment?.addresses[0] : undefined;
    if (address === undefined) return allocated?.ok === false ? allocated.code : "daemon away";
    if (ends !== this.#ends) return "host away";
    this.#runs(container, { address, cluster: this.#eyes.cluster });
    const mac = macForAddress(address.split("/")[0] ?? "");
    const facts = { netns: container, link: { mac, hostIfname: container, hairpin: true } };
    const committed = await runner?.request({ kind: "commit", key, facts });
    if (committed?.ok === false && committed.code === "cancelled" && this.isUp) await this.remove(container);
    return undefined;
  }

  /** And for DEL: the link goes first, whatever becomes of the daemon; then the release. */
  async remove(container: string): Promise<void> {
    const { runner } = this;
    if (runner === undefined) return;
    this.#gone(container);
    if (this.#world.bugOf(this.id) === "keeps-released") return;
    await runner.request({
      kind: "release",
      key: { network: "weave", containerId: container, ifname: "eth0" },
    });
  }

  #runs(container: string, running: Running): void {
    const { address, cluster, former } = running;
    this.#running.set(container, running);
    const holder = { host: this.id, container, peer: this.peerName, ...(former ? { former } : {}) };
    this.#world.witness.held(cluster, address, holder);
  }

  #gone(container: string): void {
    const running = this.#running.get(container);
    if (running === undefined) return;
    this.#running.delete(container);
    this.#world.witness.released(running.cluster, running.address, { host: this.id, container });
  }

  // --- what its eyes saw ---

  entitled(container: string): void {
    const running = this.#running.get(container);
    if (running?.former !== true) return;
    this.#gone(container);
    this.#runs(container, { address: running.address, cluster: this.#eyes.cluster });
  }

  /** The cluster goes on under another name, or was given up: whoever has an address, has it there. */
  moved(cluster: string): void {
    for (const [container, running] of [...this.#running]) {
      if (running.former === true) continue;
      this.#gone(container);
      this.#runs(container, { ...running, cluster });
    }
  }

  disowned(container: string): void {
    const running = this.#running.get(container);
    if (running === undefined || running.former === true) return;
    this.#gone(container);
    this.#runs(container, { ...running, former: true });
  }

  // --- its ports ---

  #burn(): boolean {
    if (!this.isUp) return false;
    if (--this.#fuse > 0) return true;
    this.kill();
    return false;
  }

  #fused(plain: Transport): Transport {
    const { lineFaults, random, schedule, measures } = this.#world;
    const calm = lineFaults.reorder + lineFaults.duplicate + lineFaults.lostOnTheWay === 0;
    const inner = calm ? plain : unruly(plain, lineFaults, random, schedule);
    return {
      onEvent: (listener) => inner.onEvent(listener),
      dial: (dial, target) => this.#burn() && inner.dial(dial, target),
      send: (conn, text, options) => {
        if (!this.#burn()) return;
        this.#eyes.says(text);
        measures.sent(text, this.id, conn);
        this.#world.onFrame(this.id, conn, text);
        inner.send(conn, text, options);
      },
      close: (conn, reason) => this.#burn() && inner.close(conn, reason),
      shutdown: () => inner.shutdown(),
    };
  }

  #fusedStore(inner: DirectStore): DirectStore {
    return {
      load: () => inner.load(),
      write: (ops, options) => {
        // Dying "at" a write is dying just before or just after it: a batch is atomic.
        if (this.#fuse <= 1 && this.#world.random.below(2) === 0) inner.write(ops, options);
        return this.#burn() ? inner.write(ops, options) : undefined;
      },
      close: () => inner.close(),
    };
  }

  /** What really reaches the disk is seen. */
  #watched(inner: MemoryStore): DirectStore {
    return {
      load: () => inner.load(),
      write: (ops, options) => {
        inner.write(ops, options);
        this.#eyes.wrote(ops);
        return undefined;
      },
      close: () => inner.close(),
    };
  }
}
