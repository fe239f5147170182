// A network in memory, in virtual time: the Transport port for the simulator and for tests.
// Repeats exactly from its scheduler and seed; proven to be a true transport by test/conformance/transport.ts.
//
// It behaves as TCP does: loss never drops a frame, it breaks the connection; a partition holds frames back until it
// heals or one end gives up.
import { WeaveError } from "../core/errors.ts";
import type { Random } from "../core/random.ts";
import type { Transport } from "../ports/transport.ts";
import { Endpoint, type Item, type Wire } from "./transport-memory/endpoint.ts";
import { Pipe, type Scheduler } from "./transport-memory/pipe.ts";

export type { Scheduler } from "./transport-memory/pipe.ts";

export interface LinkOptions {
  /** One way, uniformly distributed over whole milliseconds, both ends included. */
  readonly latencyMs: { readonly min: number; readonly max: number };
  /** Probability per frame (and per dial) that the connection breaks (the dial is not answered). */
  readonly lossProbability: number;
}

export interface MemoryNetworkOptions {
  readonly scheduler: Scheduler;
  readonly random: Random;
  /** For links not set apart by `setLink`. Absent: 1 ms, no loss. */
  readonly link?: LinkOptions;
}

export interface MemoryEndpoint extends Transport {
  readonly address: string;
  /**
   * The process dies, as by kill -9: the other sides hear "connection-lost" after a latency, this side nothing any
   * more. The address may be taken again at once. For a host that loses power, partition it off first.
   */
  crash(): void;
}

export interface MemoryNetwork {
  /** A listening transport on port 6783 of `address`. Throws port-in-use while another lives there. */
  endpoint(address: string): MemoryEndpoint;
  /** Both directions between two addresses. */
  setLink(one: string, other: string, link: LinkOptions): void;
  /** Cuts the ways between groups, replacing the partition before. Addresses in no group form one of their own. */
  partition(groups: readonly (readonly string[])[]): void;
  heal(): void;
}

export function createMemoryNetwork(options: MemoryNetworkOptions): MemoryNetwork {
  return new Network(options);
}

class Network implements MemoryNetwork, Wire {
  readonly scheduler: Scheduler;
  readonly #listening = new Map<string, Endpoint>();
  readonly #random: Random;
  readonly #defaultLink: LinkOptions;
  readonly #links = new Map<string, LinkOptions>();
  readonly #groups = new Map<string, number>();
  readonly #pipes = new Set<Pipe<Item>>();
  #held: { readonly from: string; readonly to: string; readonly run: () => void }[] = [];

  constructor(options: MemoryNetworkOptions) {
    this.scheduler = options.scheduler;
    this.#random = options.random;
    this.#defaultLink = options.link ?? { latencyMs: { min: 1, max: 1 }, lossProbability: 0 };
  }

  endpoint(address: string): MemoryEndpoint {
    if (this.#listening.has(address)) {
      throw new WeaveError("port-in-use", `cannot listen on ${address}: another endpoint lives there`);
    }
    const endpoint = new Endpoint(this, address);
    this.#listening.set(address, endpoint);
    return endpoint;
  }

  setLink(one: string, other: string, link: LinkOptions): void {
    this.#links.set(`${one} ${other}`, link);
    this.#links.set(`${other} ${one}`, link);
  }

  partition(groups: readonly (readonly string[])[]): void {
    this.#groups.clear();
    groups.forEach((addresses, index) => {
      for (const address of addresses) this.#groups.set(address, index);
    });
    for (const pipe of this.#pipes) pipe.resume();
    const held = this.#held;
    this.#held = [];
    for (const { from, to, run } of held) this.travel(from, to, run);
  }

  heal(): void {
    this.partition([]);
  }

  find(address: string): Endpoint | undefined {
    return this.#listening.get(address);
  }

  leave(endpoint: Endpoint): void {
    if (this.find(endpoint.address) === endpoint) this.#listening.delete(endpoint.address);
  }

  lost(from: string, to: string): boolean {
    const { lossProbability } = this.#link(from, to);
    return lossProbability > 0 && this.#random.next() < lossProbability;
  }

  travel(from: string, to: string, run: () => void): void {
    this.scheduler.at(this.scheduler.now() + this.#latency(from, to), () => {
      if (this.#blocked(from, to)) this.#held.push({ from, to, run });
      else run();
    });
  }

  pipe(from: string, to: string, deliver: (item: Item) => void): Pipe<Item> {
    const pipe = new Pipe<Item>({
      scheduler: this.scheduler,
      latencyMs: () => this.#latency(from, to),
      blocked: () => this.#blocked(from, to),
      deliver,
    });
    this.#pipes.add(pipe);
    return pipe;
  }

  drop(pipe: Pipe<Item>): void {
    pipe.discard();
    this.#pipes.delete(pipe);
  }

  #blocked(from: string, to: string): boolean {
    return this.#groups.get(from) !== this.#groups.get(to);
  }

  #latency(from: string, to: string): number {
    const { min, max } = this.#link(from, to).latencyMs;
    return min + this.#random.below(max - min + 1);
  }

  #link(from: string, to: string): LinkOptions {
    return this.#links.get(`${from} ${to}`) ?? this.#defaultLink;
  }
}
