// One simulated host: a disk that survives, a daemon that may die at any port call, and containers that outlive it.
// The core and the effect runner are the real ones.

import { createMemoryStore, type MemoryDisk, type MemoryStore } from "../../src/adapters/store-memory.ts";
import type { MemoryEndpoint, MemoryNetwork } from "../../src/adapters/transport-memory.ts";
import { macForAddress } from "../../src/core/address/mac.ts";
import { Universe } from "../../src/core/address/universe.ts";
import { decodeBody, decodeFrame, rangeFromWire } from "../../src/core/gossip/frames.ts";
import { combine, type OwnedRange } from "../../src/core/ipam/ring.ts";
import { Node } from "../../src/core/node.ts";
import { type Random, seededRandom } from "../../src/core/random.ts";
import { readState } from "../../src/core/records.ts";
import { Runner } from "../../src/daemon/runner.ts";
import type { AddressWish } from "../../src/ports/attachments.ts";
import type { Clock } from "../../src/ports/clock.ts";
import type { Store } from "../../src/ports/store.ts";
import type { Transport } from "../../src/ports/transport.ts";
import type { Schedule } from "./schedule.ts";

export interface HostOptions {
  readonly name: string;
  readonly address: string;
  readonly universe: string;
  /** Addresses to join; none: this host founds. */
  readonly targets: readonly string[];
  readonly seed?: readonly string[];
}

export class Host {
  readonly options: HostOptions;
  readonly disk: MemoryDisk;
  readonly #network: MemoryNetwork;
  readonly #schedule: Schedule;
  readonly #random: Random;
  readonly #onEvent: (text: string) => void;
  /** container -> its address: what runs here, whether or not the daemon lives. */
  readonly containers = new Map<string, string>();
  /** container -> the cluster its address is of: two clusters that were founded apart may hold one address twice. */
  readonly clusters = new Map<string, string>();
  runner: Runner | undefined;
  #endpoint: MemoryEndpoint | undefined;
  #store: MemoryStore | undefined;
  /** Port calls until the daemon dies in the middle of its effects. */
  #fuse = Number.POSITIVE_INFINITY;
  #boots = 0;

  constructor(
    options: HostOptions,
    disk: MemoryDisk,
    network: MemoryNetwork,
    schedule: Schedule,
    random: Random,
    onEvent: (text: string) => void,
  ) {
    this.options = options;
    this.disk = disk;
    this.#network = network;
    this.#schedule = schedule;
    this.#random = random;
    this.#onEvent = onEvent;
  }

  get node(): Node | undefined {
    return this.runner?.node;
  }

  async start(): Promise<void> {
    const universe = Universe.parse(this.options.universe);
    if (typeof universe === "string") throw new Error(universe);
    const { name, address, targets, seed } = this.options;
    const inner = createMemoryStore(this.disk);
    this.#store = inner;
    const stored = readState(await inner.load());
    const node = new Node(
      {
        name,
        nickname: name,
        software: "sim",
        uid: `${name}-at-${address}-boot-${this.#boots++}`,
        universes: [universe],
        defaultSubnets: [this.options.universe],
        incarnation: stored.incarnation ?? `${name}-disk`,
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
      seededRandom(this.#random.below(2 ** 32)),
    );
    this.#fuse = Number.POSITIVE_INFINITY;
    this.#endpoint = this.#network.endpoint(address);
    this.runner = new Runner(node, {
      transport: this.#fused(this.#endpoint),
      store: this.#fusedStore(inner),
      clock: this.#clock(),
      datapathChanged: () => {},
      onEvent: (event) => this.#onEvent(`${name} ${event.kind} ${JSON.stringify(event.data)}`),
      onFatal: (error) => {
        throw error;
      },
    });
    await this.runner.start();
    // What weaver does before it serves anybody: interfaces of ADDs cut short go, with their addresses.
    const cutShort = this.runner.node.attachments().filter(({ committed }) => !committed);
    for (const { containerId } of cutShort) await this.remove(containerId);
  }

  /** The ring as the disk has it. */
  async storedRing(): Promise<string> {
    return ringText(readState((await this.#store?.load()) ?? new Map()).rings.get(0)?.ranges);
  }

  /** kill -9. Containers go on. */
  kill(): void {
    this.runner?.stop();
    this.runner = undefined;
    this.#store?.crash();
    this.#endpoint?.crash();
    this.#endpoint = undefined;
    this.#onEvent(`${this.options.name} killed`);
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
    const moment = { bootId: this.options.name, bootMs: this.#schedule.now() };
    const { runner } = this;
    const allocated = await runner?.request({ kind: "allocate", key, moment, terms: {}, ...wish });
    const address = allocated?.ok === true ? allocated.attachment?.addresses[0] : undefined;
    if (address === undefined) return allocated?.ok === false ? allocated.code : "daemon away";
    this.containers.set(container, address);
    this.clusters.set(container, runner?.node.cluster ?? "none");
    const mac = macForAddress(address.split("/")[0] ?? "");
    const facts = { netns: container, link: { mac, hostIfname: container, hairpin: true } };
    await runner?.request({ kind: "commit", key, facts });
    return undefined;
  }

  /** And for DEL: the link goes first, whatever becomes of the daemon; then the release. */
  async remove(container: string): Promise<void> {
    const { runner } = this;
    if (runner === undefined) return;
    this.containers.delete(container);
    await runner.request({
      kind: "release",
      key: { network: "weave", containerId: container, ifname: "eth0" },
    });
  }

  /** Persist before send: whatever a ring frame or a gift tells must be on the disk when it leaves. */
  #checkPersisted(text: string): void {
    const frame = decodeFrame(text);
    if (frame === "unknown" || "refused" in frame) return;
    const told =
      frame.t === "ring"
        ? frame
        : frame.t === "to" && frame.from === this.options.name
          ? giftOf(frame.body)
          : undefined;
    if (told === undefined) return;
    const stored = readState(this.disk.records()).rings.get(told.universe);
    const isOurs = stored?.founding.cluster === told.founding.cluster;
    const { fresh } = combine(isOurs ? stored.ranges : [], told.ranges.map(rangeFromWire));
    if (fresh.length > 0) {
      throw new Error(`${this.options.name} told ${ringText(fresh)} before it was on its disk`);
    }
  }

  #burn(): boolean {
    if (this.runner === undefined) return false;
    if (--this.#fuse > 0) return true;
    this.kill();
    return false;
  }

  #fused(inner: Transport): Transport {
    return {
      onEvent: (listener) => inner.onEvent(listener),
      dial: (dial, target) => this.#burn() && inner.dial(dial, target),
      send: (conn, text, options) => {
        if (!this.#burn()) return;
        this.#checkPersisted(text);
        inner.send(conn, text, options);
      },
      close: (conn, reason) => this.#burn() && inner.close(conn, reason),
      shutdown: () => inner.shutdown(),
    };
  }

  #fusedStore(inner: MemoryStore): Store {
    return {
      load: () => inner.load(),
      write: (ops, options) => {
        // Dying "at" a write is dying just before or just after it: a batch is atomic.
        if (this.#fuse <= 1 && this.#random.below(2) === 0) inner.write(ops, options);
        return this.#burn() ? inner.write(ops, options) : undefined;
      },
      close: () => inner.close(),
    };
  }

  #clock(): Clock {
    let current: object | undefined;
    return {
      now: () => this.#schedule.now(),
      setAlarm: (at, ring) => {
        const mine = {};
        current = mine;
        if (at !== undefined) this.#schedule.at(at, () => current === mine && ring());
      },
    };
  }
}

function giftOf(body: unknown) {
  const answer = decodeBody(body);
  if (answer?.k !== "answer" || answer.gift === undefined) return undefined;
  return { universe: answer.universe, founding: answer.founding, ranges: [answer.gift] };
}

export const ringText = (ranges: readonly OwnedRange[] | undefined): string =>
  ranges?.map((r) => `${r.start}-${r.end}:${r.owner}@${r.version}`).join(" ") ?? "none";
