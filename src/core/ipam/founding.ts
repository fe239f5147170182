// When and by whom a cluster is founded: `--ipalloc-init`. Decides only that it is time; the ballot decides what.
import type { Init } from "../config.ts";
import type { Instant } from "../effects.ts";
import { fnv1a64 } from "../hash.ts";
import type { PeerRecord } from "../mesh/peer-record.ts";
import type { Random } from "../random.ts";
import type { Electorate } from "./ballot.ts";
import { type Configuration, founded, quorum, type Voter } from "./configuration.ts";

/** Candidates unchanged for so long; then the least name proposes. */
export const FOUND_SETTLE_MS = 500;
/** With enough of them, changes do not put it off any longer. */
export const FOUND_LATEST_MS = 2_000;
/** The least name has not done it: the others may. */
export const FOUND_ANYBODY_MS = 6_000;
/** A host that moves over waits so long for the cluster it is to join. That may be gone: two can give way to each other. */
export const MOVE_PATIENCE_MS = 60_000;

/** What a founding needs of the node around it. */
export interface FoundingHost {
  readonly self: Voter;
  readonly init: Init;
  /** The cluster to join; another one only when it is not found in time. */
  readonly expect: string | undefined;
  /** All ranges, as text. */
  readonly universes: string;
  records(): ReadonlyMap<string, PeerRecord>;
  reachable(): ReadonlySet<string>;
  /** Targets that are not this host itself. */
  otherTargets(): number;
}

/** How far a founding is, for who waits for it. */
export interface FoundingProgress {
  /** Names of the candidates that answer, this host among them. */
  readonly there: readonly string[];
  readonly expected: number;
  readonly needed: number;
}

/** Follows who answers; says when this host proposes. Asked only while there is no configuration. */
export class Founding {
  readonly #host: FoundingHost;
  #candidates = "";
  #since: Instant = 0;
  #enoughSince: Instant | undefined;
  /** When the cluster to join is given up for lost; undefined when there is none, or that has happened. */
  #patienceEnds: Instant | undefined;
  #stranded = false;

  constructor(host: FoundingHost) {
    this.#host = host;
  }

  /** This host has no cluster yet; whom it is to join is waited for from now on. */
  start(now: Instant): void {
    if (this.#host.expect !== undefined) this.#patienceEnds = now + MOVE_PATIENCE_MS;
  }

  /** When `strand` is due; undefined when no cluster is waited for. */
  get patienceEnds(): Instant | undefined {
    return this.#patienceEnds;
  }

  /** The cluster to join was not found in time. From then on this host may join any other, and stands for a founding. */
  get isStranded(): boolean {
    return this.#stranded;
  }

  /** Give the cluster to join up for lost when it is time. True when that is now. */
  strand(now: Instant): boolean {
    if (this.#patienceEnds === undefined || now < this.#patienceEnds) return false;
    this.#patienceEnds = undefined;
    this.#stranded = true;
    this.topologyChanged(now);
    return true;
  }

  /** How many hosts this one expects; undefined: it does not stand for election. */
  expected(): number | undefined {
    const { init, expect } = this.#host;
    const all = this.#host.otherTargets() + 1;
    if (this.#stranded) return Math.max(all, this.#homeless() + 1);
    if (init.kind !== "consensus" || expect !== undefined) return undefined;
    return init.expected ?? all;
  }

  /** Peers that answer and belong to no cluster either, whether or not they stand for election already. */
  #homeless(): number {
    const reachable = this.#host.reachable();
    return [...this.#host.records()].filter(
      ([name, { joined }]) => joined === undefined && reachable.has(name),
    ).length;
  }

  /** Founders with one list make one cluster without a word: its identity is a function of list and range. */
  bySeed(list: readonly string[]): Configuration {
    const names = [...new Set(list)].sort();
    const id = fnv1a64(`${names.join()} ${this.#host.universes}`).toString(16).padStart(16, "0");
    return founded(
      id,
      names.map((name) => ({ name, incarnation: "" })),
    );
  }

  electorate(): Electorate {
    return {
      kind: "candidates",
      expected: this.expected() ?? 1,
      peers: () => this.progress().there.filter((name) => name !== this.#host.self.name),
    };
  }

  progress(): FoundingProgress {
    const { self } = this.#host;
    const reachable = this.#host.reachable();
    const there = [self.name];
    let expected = this.expected() ?? 1;
    for (const [name, { candidate }] of this.#host.records()) {
      if (candidate === undefined || name === self.name || !reachable.has(name)) continue;
      there.push(name);
      expected = Math.max(expected, candidate);
    }
    return { there: there.sort(), expected, needed: quorum(expected) };
  }

  topologyChanged(now: Instant): void {
    if (this.expected() === undefined) return;
    const { there, needed } = this.progress();
    if (there.join() !== this.#candidates) {
      this.#candidates = there.join();
      this.#since = now;
    }
    if (there.length < needed) this.#enoughSince = undefined;
    else this.#enoughSince ??= now;
  }

  isDue(now: Instant): boolean {
    const due = this.nextDeadline();
    return due !== undefined && now >= due;
  }

  /** When this host proposes, as things are. */
  nextDeadline(): Instant | undefined {
    if (this.#enoughSince === undefined || this.expected() === undefined) return undefined;
    const { there, expected } = this.progress();
    if (there[0] !== this.#host.self.name) return this.#enoughSince + FOUND_ANYBODY_MS;
    if (there.length >= expected) return this.#since;
    return Math.min(this.#since + FOUND_SETTLE_MS, this.#enoughSince + FOUND_LATEST_MS);
  }
}

/** The identity of a new cluster: 64 bits in hex, like no other. */
export function freshCluster({ name, incarnation }: Voter, random: Random): string {
  const low = BigInt(random.below(2 ** 32));
  const high = BigInt(random.below(2 ** 32)) << 32n;
  return (fnv1a64(`${name} ${incarnation}`) ^ (high | low)).toString(16).padStart(16, "0");
}
