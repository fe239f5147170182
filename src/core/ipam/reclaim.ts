// The addresses of containers here that this host has no right to: it began anew (it was removed, or its cluster gave way), or
// gave all away to leave, and stayed. Each is asked of whoever owns it now. What is free comes back without a restart; what is
// not is named. Owns the list of those addresses; who holds them, and what is published, is the desk's.
//
//   waiting --the owner is asked--> asked --given--> regained (not here any more)
//      ^── no answer, or another owner ──┘ └─denied, twice by the same owner─> lost --every 10 s--> asked
import type { Effect, Instant } from "../effects.ts";
import { ASK_TIMEOUT_MS, type Pool } from "./pool.ts";
import type { OwnedRange } from "./ring.ts";

/** Questions under way at once: a host may come back with hundreds of containers, to owners that serve others too. */
export const MAX_RECLAIMS = 32;
/** A first denial may come from a former owner. By then the ring has told who it is now. */
export const DENIED_PAUSE_MS = 2_000;
/** The other container may end. */
export const LOST_RETRY_MS = 10_000;
/** Ids of these questions begin here; those of a pool count from one. */
export const FIRST_RECLAIM_ID = 2 ** 40;

/** An address in use here that this host has no right to yet. */
export interface FormerAddress {
  readonly universe: number;
  readonly offset: number;
  /** Without prefix. */
  readonly address: string;
  /** As in Space: the container's key, or the bridge. */
  readonly holder: string;
  /** It is the bridge's: where another host has it, the bridge keeps it for the containers here, and nobody need act. */
  readonly isBridge: boolean;
}

/** A question for exactly one address; the node adds cluster and epoch. */
export interface ReclaimAsk {
  readonly k: "ask";
  readonly universe: number;
  readonly start: number;
  readonly end: number;
  readonly id: number;
  /** A container has it: the owner is to tell when it cannot give it. */
  readonly held?: true;
  readonly young?: true;
}

/** What reclaiming needs of the node around it. */
export interface ReclaimHost {
  readonly self: string;
  readonly pools: readonly Pool[];
  reachable(): ReadonlySet<string>;
  isStale(range: OwnedRange): boolean;
  ask(owner: string, body: ReclaimAsk, out: Effect[]): void;
  /** The address is held here by right: write that down and publish it. */
  regained(former: FormerAddress, now: Instant, out: Effect[]): void;
  /** Another host has it in use: tell. Told once per owner. */
  lost(former: FormerAddress, by: string, out: Effect[]): void;
}

interface Entry extends FormerAddress {
  asked?: { readonly id: number; readonly owner: string; readonly until: Instant };
  /** Who said no, how often, and when to ask it again. */
  denied?: { readonly by: string; readonly times: number; readonly until: Instant };
}

/**
 * Invariants:
 * 1. An address leaves the list only when this host owns it and it is held here, or its container is gone.
 * 2. It is asked of the owner the ring names, alone, and never while it is stale: then the heir is to take it first.
 * 3. At most MAX_RECLAIMS questions are under way; one that is not answered is asked again.
 */
export class Reclaim {
  readonly #host: ReclaimHost;
  readonly #entries = new Map<string, Entry>();
  #nextId = FIRST_RECLAIM_ID;
  #due: Instant | undefined;
  /** What the last look was based on: these are new objects when they change. */
  #seen: readonly unknown[] | undefined;

  constructor(host: ReclaimHost) {
    this.#host = host;
  }

  /** Ask for these, too. */
  add(formers: readonly FormerAddress[]): void {
    for (const one of formers) if (!this.#entries.has(keyOf(one))) this.#entries.set(keyOf(one), { ...one });
    this.#seen = undefined;
  }

  /** Addresses not regained yet. */
  get size(): number {
    return this.#entries.size;
  }

  /** Those that another host has in use. `by` is its name. */
  lost(): readonly (FormerAddress & { readonly by: string })[] {
    return [...this.#entries.values()].flatMap(({ asked: _, denied, ...former }) =>
      denied !== undefined && denied.times > 1 ? [{ ...former, by: denied.by }] : [],
    );
  }

  /** Whoever had it here is gone. */
  forget(universe: number, offset: number): void {
    this.#entries.delete(keyOf({ universe, offset }));
  }

  /** After every input: rings or topology may be others. */
  tick(now: Instant, out: Effect[]): void {
    if (this.#entries.size === 0) return;
    const reachable = this.#host.reachable();
    const seen = [reachable, ...this.#host.pools.map((pool) => pool.ring?.ranges)];
    const same = this.#seen?.every((object, i) => object === seen[i]) === true;
    if (same && (this.#due === undefined || now < this.#due)) return;
    this.#seen = seen;
    for (const entry of this.#entries.values()) this.#settle(entry, now, out);
    let room = MAX_RECLAIMS - this.#underWay();
    for (const entry of this.#entries.values()) {
      if (room <= 0) break;
      if (this.#pursue(entry, reachable, now, out)) room--;
    }
    const dues = [...this.#entries.values()].flatMap(({ asked, denied }) => {
      const at = asked?.until ?? denied?.until;
      return at !== undefined && at > now ? [at] : [];
    });
    this.#due = dues.length === 0 ? undefined : Math.min(...dues);
  }

  nextDeadline(): Instant | undefined {
    return this.#entries.size === 0 ? undefined : this.#due;
  }

  /** An answer, after its gift, if it brought one, was merged. False when it is not to a question of ours. */
  answered(from: string, id: number, now: Instant, out: Effect[]): boolean {
    if (id < FIRST_RECLAIM_ID) return false;
    const entry = [...this.#entries.values()].find(({ asked }) => asked?.id === id && asked.owner === from);
    if (entry === undefined) return true;
    delete entry.asked;
    this.#seen = undefined; // there is room for another question
    if (this.#ownerOf(entry) === from) {
      const times = entry.denied?.by === from ? entry.denied.times + 1 : 1;
      const pauseMs = times > 1 ? LOST_RETRY_MS : DENIED_PAUSE_MS;
      entry.denied = { by: from, times, until: now + pauseMs };
      if (times === 2) this.#host.lost(entry, from, out);
    }
    this.tick(now, out);
    return true;
  }

  /** What the ring says now: it may be ours, or somebody else's to give than was asked. */
  #settle(entry: Entry, now: Instant, out: Effect[]): void {
    const owner = this.#ownerOf(entry);
    if (entry.asked !== undefined && (now >= entry.asked.until || entry.asked.owner !== owner))
      delete entry.asked;
    if (entry.denied !== undefined && owner !== undefined && entry.denied.by !== owner) delete entry.denied;
    if (owner !== this.#host.self) return;
    const claim = this.#host.pools[entry.universe]?.claim(entry.offset, entry.holder);
    if (claim === "ok" || claim === "already") {
      this.#entries.delete(keyOf(entry));
      this.#host.regained(entry, now, out);
    } else if (entry.denied === undefined) {
      // Another container of this host has it, by right.
      entry.denied = { by: owner, times: 2, until: now + LOST_RETRY_MS };
      this.#host.lost(entry, owner, out);
    } else if (now >= entry.denied.until) entry.denied = { ...entry.denied, until: now + LOST_RETRY_MS };
  }

  /** Ask for it, if there is somebody to ask now. */
  #pursue(entry: Entry, reachable: ReadonlySet<string>, now: Instant, out: Effect[]): boolean {
    if (entry.asked !== undefined || now < (entry.denied?.until ?? now)) return false;
    const owner = this.#ownerOf(entry);
    if (owner === undefined || owner === this.#host.self || !reachable.has(owner)) return false;
    const { universe, offset, isBridge } = entry;
    const id = this.#nextId++;
    const how = isBridge ? ({ young: true } as const) : ({ held: true } as const);
    const body: ReclaimAsk = { k: "ask", universe, start: offset, end: offset + 1, id, ...how };
    this.#host.ask(owner, body, out);
    entry.asked = { id, owner, until: now + ASK_TIMEOUT_MS };
    return true;
  }

  /** Undefined while nobody has a right to it. */
  #ownerOf({ universe, offset }: FormerAddress): string | undefined {
    const [range] = this.#host.pools[universe]?.ring?.within({ start: offset, end: offset + 1 }) ?? [];
    return range === undefined || this.#host.isStale(range) ? undefined : range.owner;
  }

  #underWay(): number {
    return [...this.#entries.values()].filter(({ asked }) => asked !== undefined).length;
  }
}

const keyOf = ({ universe, offset }: Pick<FormerAddress, "universe" | "offset">): string =>
  `${universe}/${offset}`;
