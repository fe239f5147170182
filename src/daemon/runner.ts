// The effect runner: hands inputs to the core one at a time and runs its effects strictly in order, finishing each
// persist before the next effect. The daemon and the simulator use this one; only the ports differ. With ports that answer
// at once it never waits, so that a simulated world stays deterministic and fast.
import type { CoreEvent, Effect, Input, RejoinReason } from "../core/effects.ts";
import type { Node } from "../core/node.ts";
import type { Reply, Request } from "../core/requests.ts";
import type { Clock } from "../ports/clock.ts";
import type { Store, StoreOp } from "../ports/store.ts";
import type { Transport } from "../ports/transport.ts";

/** What effects are carried out on, and where inputs come from. */
export interface RunnerPorts {
  readonly transport: Transport;
  readonly store: Store;
  readonly clock: Clock;
  /** The datapath the core wants has changed. */
  readonly datapathChanged: () => void;
  readonly onEvent: (event: CoreEvent) => void;
  /** The node is done: its state is to be set aside, and another one to be run by another runner (rejoin.ts). */
  readonly onRejoin: (order: Rejoin) => void;
  /** The store failed: nothing may be promised any more, the process must end. */
  readonly onFatal: (error: unknown) => void;
}

/** The effect of that name. */
export interface Rejoin {
  readonly reason: RejoinReason;
  /** The cluster to join. */
  readonly expect?: string;
}

/** Hands inputs to a node one at a time, and carries its effects out in order. */
export class Runner {
  readonly node: Node;
  readonly #ports: RunnerPorts;
  readonly #inputs: Input[] = [];
  #effects: readonly Effect[] = [];
  #at = 0;
  #running = false;
  #stopped = false;
  #onIdle: (() => void) | undefined;
  #nextRequest = 1;
  readonly #waiting = new Map<number, (reply: Reply) => void>();

  constructor(node: Node, ports: RunnerPorts) {
    this.node = node;
    this.#ports = ports;
  }

  /** Resolves when the effects of the start have been run. Inputs are taken from the call on. */
  start(): Promise<void> {
    this.#ports.transport.onEvent((event) => this.post(event));
    this.#effects = this.node.start(this.#ports.clock.now());
    return new Promise((resolve) => {
      this.#onIdle = resolve;
      this.#drain();
    });
  }

  /** No input is taken and no effect run after this; waiting requests are answered as cancelled. */
  stop(why = "weaver is stopping"): void {
    this.#stopped = true;
    this.#onIdle?.();
    this.#ports.clock.setAlarm(undefined, () => {});
    for (const answer of this.#waiting.values()) answer({ ok: false, code: "cancelled", message: why });
    this.#waiting.clear();
  }

  post(input: Input): void {
    if (this.#stopped) return;
    this.#inputs.push(input);
    this.#drain();
  }

  /** Ask the core; `signal` tells it that the caller went away. */
  request(request: Request, signal?: AbortSignal): Promise<Reply> {
    if (this.#stopped || signal?.aborted === true) {
      return Promise.resolve({
        ok: false,
        code: "cancelled",
        message: "the caller went away or weaver is stopping",
      });
    }
    const id = this.#nextRequest++;
    return new Promise((resolve) => {
      // The core answers a cancelled request, too: with what it had granted before it heard of the cancellation, so that
      // the caller can give it back.
      const cancel = (): void => this.post({ type: "cancel", id });
      signal?.addEventListener("abort", cancel, { once: true });
      this.#waiting.set(id, (reply) => {
        signal?.removeEventListener("abort", cancel);
        resolve(reply);
      });
      this.post({ type: "request", id, request });
    });
  }

  #drain(): void {
    if (this.#running) return;
    this.#running = true;
    while (!this.#stopped) {
      const pause = this.#runEffects();
      if (pause !== undefined) {
        pause.then(
          () => {
            this.#running = false;
            this.#drain();
          },
          (error: unknown) => this.#fail(error),
        );
        return;
      }
      const input = this.#stopped ? undefined : this.#inputs.shift();
      if (input === undefined) break;
      this.#effects = this.node.handle(input, this.#ports.clock.now());
      this.#at = 0;
    }
    this.#running = false;
    this.#onIdle?.();
    if (!this.#stopped) this.#setAlarm();
  }

  /** Run until the list is done, or until a persist must be waited for. */
  #runEffects(): Promise<void> | undefined {
    for (let effect = this.#effects[this.#at]; effect !== undefined; effect = this.#effects[this.#at]) {
      if (this.#stopped) return undefined;
      if (effect.type === "persist") {
        const pause = this.#persist();
        if (pause !== undefined) return pause;
      } else {
        this.#at++;
        this.#run(effect);
      }
    }
    return undefined;
  }

  /** This persist and those right behind it, as one batch: they become true together. */
  #persist(): Promise<void> | undefined {
    const ops: StoreOp[] = [];
    let sync = false;
    for (let effect = this.#effects[this.#at]; effect?.type === "persist"; effect = this.#effects[this.#at]) {
      ops.push(...effect.ops);
      sync ||= effect.sync;
      this.#at++;
    }
    try {
      return ops.length === 0 ? undefined : this.#ports.store.write(ops, { sync });
    } catch (error) {
      this.#fail(error);
      return undefined;
    }
  }

  #run(effect: Exclude<Effect, { type: "persist" }>): void {
    const { transport } = this.#ports;
    switch (effect.type) {
      case "send":
        transport.send(effect.conn, effect.text, { ack: effect.ack });
        break;
      case "dial":
        transport.dial(effect.dial, effect.target);
        break;
      case "close":
        transport.close(effect.conn, effect.reason);
        break;
      case "reply":
        this.#waiting.get(effect.id)?.(effect.reply);
        this.#waiting.delete(effect.id);
        break;
      case "datapath":
        this.#ports.datapathChanged();
        break;
      case "event":
        this.#ports.onEvent(effect.event);
        break;
      case "rejoin": {
        const { type: _, ...order } = effect;
        this.stop("this host begins anew; try again");
        this.#ports.onRejoin(order);
        break;
      }
    }
  }

  #setAlarm(): void {
    const { clock } = this.#ports;
    const at = this.node.nextDeadline();
    // One that has passed already rings at once, and is not late by what passed before it was set.
    const scheduled = Math.max(at ?? 0, clock.now());
    clock.setAlarm(at, () => this.post({ type: "deadline", scheduled }));
  }

  #fail(error: unknown): void {
    this.stop();
    this.#ports.onFatal(error);
  }
}
