// One simulated host: a disk that survives, a daemon that may die at any port call, and containers that outlive it.
// The core and the effect runner are the real ones.

import { createMemoryStore, type MemoryDisk, type MemoryStore } from "../../src/adapters/store-memory.ts";
import type { MemoryEndpoint, MemoryNetwork } from "../../src/adapters/transport-memory.ts";
import { macForAddress } from "../../src/core/address/mac.ts";
import { Universe } from "../../src/core/address/universe.ts";
import { decodeBody } from "../../src/core/gossip/frames.ts";
import { Node } from "../../src/core/node.ts";
import { type Random, seededRandom } from "../../src/core/random.ts";
import { readState } from "../../src/core/records.ts";
import { Runner } from "../../src/daemon/runner.ts";
import type { AddressWish } from "../../src/ports/attachments.ts";
import type { StoreOp } from "../../src/ports/store.ts";
import type { Transport } from "../../src/ports/transport.ts";
import { type HostClock, type LineFaults, unruly } from "./faults.ts";
import type { FrameReader } from "./frames.ts";
import type { Measures } from "./measures.ts";
import { piecesOf, type RingTuple } from "./ring-text.ts";
import { type Bug, type DirectStore, sabotagedStore, sabotagedTransport } from "./sabotage.ts";
import type { Schedule } from "./schedule.ts";
import type { Witness } from "./witness.ts";

export interface HostOptions {
  readonly name: string;
  readonly address: string;
  readonly universe: string;
  /** Addresses to join; none: this host founds. */
  readonly targets: readonly string[];
  readonly seed?: readonly string[];
}

/** The world a host stands in. */
export interface Surroundings {
  readonly network: MemoryNetwork;
  readonly schedule: Schedule;
  readonly random: Random;
  readonly witness: Witness;
  readonly measures: Measures;
  readonly reader: FrameReader;
  readonly lineFaults: LineFaults;
  /** A clock for a daemon that starts now. */
  clock(): HostClock;
  /** What is wrong with this host on purpose. */
  bugOf(name: string): Bug | undefined;
  /** Names of the hosts whose daemon runs. */
  running(): Iterable<string>;
  note(text: string): void;
  /** Something that must not be was seen where it would be swallowed. */
  broken(error: unknown): void;
  /** Every frame that leaves a host, for a trace. */
  onFrame(from: string, conn: number, text: string): void;
}

export class Host {
  readonly options: HostOptions;
  readonly disk: MemoryDisk;
  readonly #world: Surroundings;
  /** container -> its address: what runs here, whether or not the daemon lives. */
  readonly containers = new Map<string, string>();
  /** container -> the cluster its address is of: two clusters that were founded apart may hold one address twice. */
  readonly clusters = new Map<string, string>();
  /** Containers a power loss ended, until the daemon runs again. */
  readonly #diedWithHost = new Set<string>();
  /** The last fingerprints this host sent: when all are quiet, all say the same. */
  lastSums = "";
  runner: Runner | undefined;
  clock: HostClock | undefined;
  #endpoint: MemoryEndpoint | undefined;
  #store: MemoryStore | undefined;
  /** Port calls until the daemon dies in the middle of its effects. */
  #fuse = Number.POSITIVE_INFINITY;
  #boots = 0;

  constructor(options: HostOptions, disk: MemoryDisk, world: Surroundings) {
    this.options = options;
    this.disk = disk;
    this.#world = world;
  }

  get name(): string {
    return this.options.name;
  }

  get node(): Node | undefined {
    return this.runner?.node;
  }

  async start(): Promise<void> {
    const universe = Universe.parse(this.options.universe);
    if (typeof universe === "string") throw new Error(universe);
    const { name, address, targets, seed } = this.options;
    const { network, random, note } = this.#world;
    const bug = this.#world.bugOf(name);
    const inner = createMemoryStore(this.disk);
    this.#store = inner;
    const store = sabotagedStore(bug, inner);
    const stored = readState(await store.load());
    const node = new Node(
      {
        name,
        nickname: name,
        software: "sim",
        uid: `${name}-at-${address}-boot-${this.#boots++}`,
        universes: [universe],
        defaultSubnets: [this.options.universe],
        incarnation: stored.incarnation ?? `${name}-disk-${random.below(2 ** 32)}`,
        init: seed === undefined ? { kind: "consensus" } : { kind: "seed", names: seed },
        ...(stored.name === undefined ? { targets } : {}),
        foundCommand: `weave stop && weave launch --ipalloc-init seed=${name}`,
        port: 6783,
        vni: 1,
        vxlanPort: 6784,
        bridgeName: "weave",
        vxlanName: "vxlan-6784",
        underlay: { address, pinned: true },
        mtu: 1450,
      },
      stored,
      seededRandom(random.below(2 ** 32)),
      this.#world.reader.decode,
    );
    this.#fuse = Number.POSITIVE_INFINITY;
    this.#endpoint = network.endpoint(address);
    this.clock = this.#world.clock();
    this.runner = new Runner(node, {
      transport: this.#fused(sabotagedTransport(bug, name, this.#endpoint, this.#world.reader)),
      store: this.#fusedStore(store),
      clock: this.clock,
      datapathChanged: () => {},
      onEvent: (event) => note(`${name} ${event.kind} ${JSON.stringify(event.data)}`),
      onRejoin: ({ reason }) =>
        this.#world.broken(new Error(`${name} begins anew (${reason}), which is not simulated yet`)),
      onFatal: (error) => this.#world.broken(error),
    });
    note(`${name} starts`);
    this.#witnessDisk();
    await this.runner.start();
    // What weaver does before it serves anybody: interfaces of ADDs cut short go, with their addresses. And the runtime
    // deletes what did not survive a reboot.
    const gone = this.runner.node
      .attachments()
      .filter(({ committed, containerId }) => !committed || this.#diedWithHost.has(containerId));
    this.#diedWithHost.clear();
    for (const { containerId } of gone) await this.remove(containerId);
  }

  /** kill -9. Containers go on. */
  kill(): void {
    this.runner?.stop();
    this.runner = undefined;
    this.#store?.crash();
    this.#endpoint?.crash();
    this.#endpoint = undefined;
    this.#world.measures.down(this.name, this.#world.schedule.now());
    this.#world.note(`${this.name} killed`);
  }

  /** The host loses power: what was not synced to its disk is gone, and so are its containers. */
  powerLoss(): void {
    this.kill();
    this.disk.powerLoss();
    for (const container of [...this.containers.keys()]) {
      this.#diedWithHost.add(container);
      this.#gone(container);
    }
    this.#world.note(`${this.name} lost power`);
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
    const moment = { bootId: this.name, bootMs: this.#world.schedule.now() };
    const { runner } = this;
    const allocated = await runner?.request({ kind: "allocate", key, moment, terms: {}, ...wish });
    const address = allocated?.ok === true ? allocated.attachment?.addresses[0] : undefined;
    if (address === undefined) return allocated?.ok === false ? allocated.code : "daemon away";
    const cluster = runner?.node.cluster ?? "none";
    this.containers.set(container, address);
    this.clusters.set(container, cluster);
    this.#world.witness.held(cluster, address, { host: this.name, container });
    const mac = macForAddress(address.split("/")[0] ?? "");
    const facts = { netns: container, link: { mac, hostIfname: container, hairpin: true } };
    await runner?.request({ kind: "commit", key, facts });
    return undefined;
  }

  /** And for DEL: the link goes first, whatever becomes of the daemon; then the release. */
  async remove(container: string): Promise<void> {
    const { runner } = this;
    if (runner === undefined) return;
    this.#gone(container);
    if (this.#world.bugOf(this.name) === "keeps-released") return;
    await runner.request({
      kind: "release",
      key: { network: "weave", containerId: container, ifname: "eth0" },
    });
  }

  #gone(container: string): void {
    const address = this.containers.get(container);
    if (address === undefined) return;
    this.containers.delete(container);
    const cluster = this.clusters.get(container) ?? "none";
    this.clusters.delete(container);
    this.#world.witness.released(cluster, address, { host: this.name, container });
  }

  #burn(): boolean {
    if (this.runner === undefined) return false;
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
        this.#witnessWords(text);
        measures.sent(text);
        this.#world.onFrame(this.name, conn, text);
        inner.send(conn, text, options);
      },
      close: (conn, reason) => this.#burn() && inner.close(conn, reason),
      shutdown: () => inner.shutdown(),
    };
  }

  #fusedStore(inner: DirectStore): DirectStore {
    const write: DirectStore["write"] = (ops, options) => {
      inner.write(ops, options);
      this.#witnessWrite(ops);
      return undefined;
    };
    return {
      load: () => inner.load(),
      write: (ops, options) => {
        // Dying "at" a write is dying just before or just after it: a batch is atomic.
        if (this.#fuse <= 1 && this.#world.random.below(2) === 0) write(ops, options);
        return this.#burn() ? write(ops, options) : undefined;
      },
      close: () => inner.close(),
    };
  }

  // --- what the witness is told ---

  /** What a restart finds. */
  #witnessDisk(): void {
    const ring = this.disk.record("ring/0");
    if (ring !== undefined) this.#witnessRing(0, ring);
  }

  #witnessWrite(ops: readonly StoreOp[]): void {
    const { measures, schedule } = this.#world;
    for (const op of ops) {
      if (op.type === "put" && op.key.startsWith("ring/"))
        // What was really written, which a bug may have changed.
        this.#witnessRing(Number(op.key.slice(5)), this.disk.record(op.key));
      else if (op.key.startsWith("entry/")) {
        const own = op.key.startsWith(`${this.name}/`, op.key.indexOf("/", 6) + 1);
        measures.wrote(this.name, op, own, schedule.now(), () => this.#world.running());
      }
    }
  }

  #witnessRing(universe: number, value: unknown): void {
    const stored = piecesOf(value);
    if (stored !== undefined)
      this.#world.witness.ringWritten(this.name, universe, stored.cluster ?? this.#cluster(), stored.pieces);
  }

  /** Persist before send: whatever a ring frame or a gift tells must be on the disk when it leaves. */
  #witnessWords(text: string): void {
    if (text.startsWith(`{"t":"sums"`)) this.lastSums = text;
    const isUnicast = text.startsWith(`{"t":"to"`);
    if (!isUnicast && !text.startsWith(`{"t":"ring"`)) return;
    const frame = this.#world.reader.decode(text);
    if (frame === "unknown" || "refused" in frame) return;
    if (frame.t === "ring") this.#told(frame.universe, frame.cluster, frame.ranges);
    if (frame.t !== "to" || frame.from !== this.name) return;
    const answer = decodeBody(frame.body);
    if (answer?.k === "answer" && answer.gift !== undefined)
      this.#told(answer.universe, answer.cluster, [answer.gift]);
  }

  #told(universe: number, cluster: string, ranges: readonly RingTuple[]): void {
    const told = piecesOf({ ranges });
    if (told !== undefined) this.#world.witness.told(this.name, universe, cluster, told.pieces);
  }

  #cluster(): string {
    return this.node?.cluster ?? "none";
  }
}
