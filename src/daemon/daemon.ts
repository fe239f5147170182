// One running weaver: the core, its effect runner and the kernel that follows it, started and stopped in order.
// Constructs nothing that touches the world; cmd/weaver hands in the ports.

import type { NodeConfig } from "../core/config.ts";
import type { CoreEvent } from "../core/effects.ts";
import { Node } from "../core/node.ts";
import type { Random } from "../core/random.ts";
import type { StoredState } from "../core/records.ts";
import type { Attachments } from "../ports/attachments.ts";
import type { Clock } from "../ports/clock.ts";
import type { Kernel } from "../ports/kernel.ts";
import type { Logger } from "../ports/logger.ts";
import type { Store } from "../ports/store.ts";
import type { Transport } from "../ports/transport.ts";
import { createAttachments } from "./attachments.ts";
import { DatapathFollower } from "./follower.ts";
import { Runner } from "./runner.ts";

export interface DaemonPorts {
  readonly transport: Transport;
  readonly store: Store;
  readonly kernel: Kernel;
  readonly clock: Clock;
  readonly log: Logger;
  /** The daemon cannot keep its promises any more: end the process. */
  readonly onFatal: (error: unknown) => void;
}

export interface Daemon {
  readonly node: Node;
  readonly runner: Runner;
  readonly follower: DatapathFollower;
  readonly attachments: Attachments;
  /** Nothing is taken in any more, the kernel is left as it is, the store is closed. */
  stop(): Promise<void>;
}

/** Resolves when the kernel holds the datapath for the first time. Throws what that met. */
export async function startDaemon(
  config: NodeConfig,
  stored: StoredState,
  random: Random,
  ports: DaemonPorts,
): Promise<Daemon> {
  const { kernel, log, transport, store, clock, onFatal } = ports;
  const node = new Node(config, stored, random);
  const follower = new DatapathFollower(kernel, () => node.datapath(), log);
  const runner = new Runner(node, {
    transport,
    store,
    clock,
    datapathChanged: () => follower.changed(),
    onEvent: (event) => logEvent(log, event),
    onFatal,
  });
  await runner.start();
  await follower.settled();
  return {
    node,
    runner,
    follower,
    attachments: createAttachments(runner, node, follower, kernel),
    async stop() {
      runner.stop();
      await transport.shutdown();
      await follower.stop();
      await store.close();
      await kernel.close();
    },
  };
}

function logEvent(log: Logger, { kind, level, data }: CoreEvent): void {
  log[level](kind, data);
}
