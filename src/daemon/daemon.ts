// The daemon's heart: a node and its runner on the host's ports, with the kernel following. When the node orders to begin
// anew (rejoin), its state is set aside and another node takes its place, as after a restart, while kernel, containers and
// everybody who talks to this daemon stay. Composed and served by cmd/weaver.

import { type Anew, anewOf } from "../core/aside.ts";
import type { NodeConfig } from "../core/config.ts";
import type { DatapathState } from "../core/datapath/state.ts";
import type { CoreEvent } from "../core/effects.ts";
import { Node } from "../core/node.ts";
import type { Random } from "../core/random.ts";
import { readState, type StoredState } from "../core/records.ts";
import type { Reply, Request } from "../core/requests.ts";
import type { Attachments } from "../ports/attachments.ts";
import type { Clock } from "../ports/clock.ts";
import type { Kernel } from "../ports/kernel.ts";
import type { Meter } from "../ports/meter.ts";
import type { Transport } from "../ports/transport.ts";
import { createAttachments } from "./attachments.ts";
import { DatapathFollower } from "./follower.ts";
import { withFormer } from "./keep.ts";
import { meteredRequest, meteredTransport } from "./metered.ts";
import { type AsidePorts, setAside } from "./rejoin.ts";
import { type Rejoin, Runner } from "./runner.ts";

/** A host that is turned away again and again begins anew no more often than this. */
const REJOIN_PAUSE_MS = 5_000;
/** So long after a rejoin the kernel holds also what the former node knew (keep.ts). */
const REJOIN_KEEP_MS = 30_000;

/** The outside of a daemon. */
export interface DaemonPorts extends AsidePorts {
  /** Called again after each rejoin, when the former transport is shut down. */
  readonly openTransport: () => Promise<Transport>;
  readonly kernel: Kernel;
  readonly clock: Clock;
  readonly random: Random;
  /** What this host is to be, after its state was set aside. */
  readonly reconfigure: (stored: StoredState, anew: Anew) => Promise<NodeConfig>;
  /** A node with this name runs, and its identity is on disk. */
  readonly onName: (name: string) => void;
  /** The daemon cannot keep its promises any more: end the process. */
  readonly onFatal: (error: unknown) => void;
  /** Absent: nothing is counted. */
  readonly meter?: Meter;
}

/** A node with its runner and the kernel that follows it, replaced by another one whenever the host begins anew. */
export class Daemon {
  readonly follower: DatapathFollower;
  readonly attachments: Attachments;
  readonly #ports: DaemonPorts;
  #node: Node;
  #runner: Runner | undefined;
  #transport: Transport | undefined;
  /** While this host begins anew; never rejects. */
  #rejoining: Promise<void> | undefined;
  /** Ends the pause before that. */
  #hurry: (() => void) | undefined;
  #rejoinedAt = Number.NEGATIVE_INFINITY;
  /** What the former node wanted, and until when it counts. */
  #former: { readonly state: DatapathState; readonly timer: NodeJS.Timeout } | undefined;
  #stopped = false;

  /** Resolves when the kernel holds the datapath for the first time. Throws what that met, or the transport. */
  static async start(config: NodeConfig, stored: StoredState, ports: DaemonPorts): Promise<Daemon> {
    const daemon = new Daemon(config, stored, ports);
    try {
      await daemon.#run();
      await daemon.follower.settled();
    } catch (error) {
      daemon.#runner?.stop();
      await daemon.#transport?.shutdown();
      await daemon.follower.stop();
      throw error;
    }
    return daemon;
  }

  private constructor(config: NodeConfig, stored: StoredState, ports: DaemonPorts) {
    this.#ports = ports;
    this.#node = new Node(config, stored, ports.random);
    this.follower = new DatapathFollower(ports.kernel, () => this.#wanted(), ports.log);
    this.attachments = createAttachments(this, this.follower, ports.kernel);
  }

  /** The node of now. Not to be kept: another one may take its place. */
  get node(): Node {
    return this.#node;
  }

  /** Ask the core; while this host begins anew, the answer waits. */
  async request(request: Request, signal?: AbortSignal): Promise<Reply> {
    return meteredRequest(request, this.#ports.meter, async () => {
      while (this.#rejoining !== undefined) await this.#rejoining;
      if (this.#runner !== undefined) return this.#runner.request(request, signal);
      return { ok: false, code: "cancelled", message: "weaver is stopping" };
    });
  }

  /** The host has these addresses now, and is reached at `underlay`, which leaves containers `mtu`; absent: as before. */
  addressesAre(addresses: readonly string[], underlay: string, mtu?: number): void {
    this.#runner?.post({
      ...{ type: "addresses" as const, addresses, underlay },
      ...(mtu === undefined ? {} : { mtu }),
    });
  }

  /** Nothing is taken in any more, the kernel is left as it is, the store is closed. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#former?.timer);
    this.#runner?.stop();
    this.#hurry?.();
    while (this.#rejoining !== undefined) await this.#rejoining;
    await this.#transport?.shutdown();
    await this.follower.stop();
    await this.#ports.store.close();
    await this.#ports.kernel.close();
  }

  /** Open the transport and start the node. */
  async #run(): Promise<void> {
    const { store, clock, log, meter, onFatal, openTransport } = this.#ports;
    const opened = await openTransport();
    const transport = meter === undefined ? opened : meteredTransport(opened, meter);
    this.#transport = transport;
    const runner = new Runner(this.#node, {
      transport,
      store,
      clock,
      datapathChanged: () => this.follower.changed(),
      onEvent: ({ level, kind, data }: CoreEvent) => {
        if (kind === "disconnected") meter?.connectionEnded();
        log[level](kind, data);
      },
      onRejoin: (order) => this.#rejoin(order),
      onFatal,
    });
    this.#runner = runner;
    await runner.start();
    this.#ports.onName(this.#node.config.name);
  }

  /** A node may order it during its own start, that is before the former rejoin is over. */
  #rejoin(order: Rejoin): void {
    this.#runner = undefined;
    const rejoining = (this.#rejoining ?? Promise.resolve())
      .then(() => this.#beginAnew(order))
      .catch(this.#ports.onFatal)
      .then(() => {
        if (this.#rejoining === rejoining) this.#rejoining = undefined;
      });
    this.#rejoining = rejoining;
  }

  async #beginAnew(order: Rejoin): Promise<void> {
    await this.#transport?.shutdown();
    await this.#pause(this.#rejoinedAt + REJOIN_PAUSE_MS - performance.now());
    if (this.#stopped) return;
    const { records } = await setAside(order, this.#ports);
    const stored = readState(records);
    const config = await this.#ports.reconfigure(stored, anewOf(records));
    this.#keep(this.#wanted());
    this.#node = new Node(config, stored, this.#ports.random);
    this.#rejoinedAt = performance.now();
    await this.#run();
  }

  /** What the kernel is to hold. */
  #wanted(): DatapathState {
    const now = this.#node.datapath();
    return this.#former === undefined ? now : withFormer(now, this.#former.state);
  }

  #keep(state: DatapathState): void {
    clearTimeout(this.#former?.timer);
    const timer = setTimeout(() => {
      this.#former = undefined;
      this.follower.changed();
    }, REJOIN_KEEP_MS);
    this.#former = { state, timer };
  }

  async #pause(ms: number): Promise<void> {
    if (ms <= 0 || this.#stopped) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#hurry = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#hurry = undefined;
  }
}
