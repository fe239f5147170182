// What this host hears and tells of its cluster's rings: merging, asking for space and giving it. Ring frames, questions
// and answers count between peers of one epoch only; who is behind or of another cluster gets the configuration instead
// (council.ts). The rules of allocation are Pool's; here they meet disk, links and gossip.
import type { ConnId } from "../connection.ts";
import { type Effect, event, type Instant, persist } from "../effects.ts";
import { type UnicastBody, universeToWire } from "../gossip/frames.ts";
import type { Gossip } from "../gossip/gossip.ts";
import type { Link, Mesh } from "../mesh/mesh.ts";
import { ringOp } from "../records.ts";
import type { StoreOp } from "../store-op.ts";
import type { Council, Era } from "./council.ts";
import type { Pool } from "./pool.ts";
import type { OwnedRange } from "./ring.ts";

type Ask = Extract<UnicastBody, { k: "ask" }>;
type Answer = Extract<UnicastBody, { k: "answer" }>;

/** A neighbour of another cluster, or one that was removed from ours. */
export interface Foreign {
  readonly cluster: string;
  readonly nickname: string;
  readonly since: Instant;
}

/** An address held here that a host which began anew has in use as well. */
export interface Contested {
  readonly address: string;
  readonly holder: string;
  readonly by: string;
  readonly since: Instant;
  readonly last: Instant;
}

/** Who lost an address asks for it every 10 s (reclaim.ts): silence means that its container is gone. */
const CONTESTED_SHOWN_MS = 25_000;

/** Rings as this host exchanges them with others. */
export class Membership {
  readonly #self: string;
  readonly #pools: readonly Pool[];
  readonly #mesh: Mesh;
  readonly #gossip: Gossip;
  readonly #council: Council;
  readonly #came: (universe: number, ranges: readonly OwnedRange[], out: Effect[]) => void;
  readonly #foreign = new Map<string, Foreign>();
  readonly #contested = new Map<string, Contested>();
  /** What each neighbour said last of where it belongs. */
  readonly #said = new Map<ConnId, Era | undefined>();

  /** `came` is told of ranges that are ours from then on, however we heard of it. */
  constructor(
    self: string,
    pools: readonly Pool[],
    mesh: Mesh,
    gossip: Gossip,
    council: Council,
    came: (universe: number, ranges: readonly OwnedRange[], out: Effect[]) => void,
  ) {
    this.#self = self;
    this.#pools = pools;
    this.#mesh = mesh;
    this.#gossip = gossip;
    this.#council = council;
    this.#came = came;
  }

  /** Neighbours of another cluster, by name. */
  get foreign(): ReadonlyMap<string, Foreign> {
    return this.#foreign;
  }

  /** Ranges arrived. Returns whether they brought something. */
  heardRing(
    universe: number,
    era: Era,
    ranges: readonly OwnedRange[],
    from: ConnId | undefined,
    now: Instant,
    out: Effect[],
  ): boolean {
    const pool = this.#pools[universe];
    if (pool === undefined || !this.#council.isOurs(era)) return false; // a universe of a newer version, or an epoch apart
    const first = pool.ring === undefined;
    const fresh = pool.hear(ranges);
    if (fresh === "malformed") {
      const why = "ranges out of order or bounds, or of a later epoch";
      out.push(event("frame-refused", "warn", { from: String(from), why }));
      return false;
    }
    if (from !== undefined) this.#gossip.ringTold(from, universe, ranges, now);
    if (fresh.length === 0) return false;
    const received = fresh.filter((r) => r.owner === this.#self);
    if (first && received.length > 0) {
      // A newcomer owns nothing before it asked: the name is one of a disk that was lost.
      this.#council.rejoin("name-taken", out);
      return false;
    }
    this.ringChanged(universe, fresh, from, now, out);
    if (first) out.push(event("joined", "info", { cluster: era.cluster, universe }));
    if (received.length > 0) {
      out.push(event("received", "info", { addresses: sizeOf(received) }));
      this.#came(universe, received, out);
      this.ringChanged(universe, pool.join(), undefined, now, out);
    }
    return true;
  }

  /** A ring is on disk, fsynced, before anybody can hear of it: gossip sends only what it finds after this. */
  ringChanged(
    universe: number,
    fresh: readonly OwnedRange[],
    from: ConnId | undefined,
    now: Instant,
    out: Effect[],
  ): void {
    if (fresh.length === 0) return;
    out.push(persist(this.ringRecords(universe), true));
    this.#gossip.ringChanged(universe, fresh, from, now);
  }

  /** The records of a ring as it is now; nothing when there is none. */
  ringRecords(universe: number): readonly StoreOp[] {
    const pool = this.#pools[universe];
    return pool?.ring === undefined ? [] : [ringOp(universe, pool.universe.text, pool.ring)];
  }

  /** A peer asks for space. Returns the answer to send, behind the gift's way to disk. */
  asked(from: string, ask: Ask, now: Instant, out: Effect[]): Answer | undefined {
    const { universe = 0, start, end, id } = ask;
    const pool = this.#pools[universe];
    const { era } = this.#council;
    if (pool?.ring === undefined || era === undefined || !this.#council.isOurs(ask)) return undefined;
    const fresh = pool.give({ start, end }, from, now, ask.young === true || ask.held === true);
    if (fresh.length > 0) out.push(persist(this.ringRecords(universe), true));
    this.#gossip.ringGiven(universe, fresh, now);
    // It may have asked before, in an epoch that is over: then the answer was lost on it, and the gift was made.
    const [gift] = fresh.length > 0 ? fresh : pool.allOf({ start, end }, from);
    if (ask.held === true && gift === undefined) this.#contest(pool, start, from, now, out);
    if (fresh.length > 0) out.push(event("gave", "info", { to: from, addresses: sizeOf(fresh) }));
    const answer: Answer = { k: "answer", ...era, ...universeToWire(universe), id };
    return gift === undefined ? answer : { ...answer, gift: [gift.start, gift.end, gift.version, gift.made] };
  }

  answered({ universe = 0, id, cluster, epoch, gift }: Answer, now: Instant, out: Effect[]): void {
    if (!this.#council.isOurs({ cluster, epoch })) return;
    if (gift !== undefined) {
      const [start, end, version, made] = gift;
      const range = { start, end, version, owner: this.#self, made };
      this.heardRing(universe, { cluster, epoch }, [range], undefined, now, out); // the donor, too, waits to be told
    }
    this.#pools[universe]?.answered(id, gift !== undefined, now);
  }

  /** What a neighbour says it belongs to. With another cluster, and with who was removed, only configurations are exchanged. */
  neighbourIs(link: Link, era: Era | undefined, now: Instant, out: Effect[]): void {
    this.#said.set(link.conn, era);
    this.#judge(link, now, out);
  }

  /** We belong somewhere else, or to another epoch: every neighbour is judged anew. */
  moved(now: Instant, out: Effect[]): void {
    for (const link of this.#mesh.links()) this.#judge(link, now, out);
  }

  saidBy(link: Link): Era | undefined {
    return this.#said.get(link.conn);
  }

  /** Whether a neighbour has not said that it has this configuration. */
  lacks(link: Link, { cluster, epoch }: Era): boolean {
    const said = this.#said.get(link.conn);
    return said?.cluster !== cluster || said.epoch < epoch;
  }

  neighbourLeft(link: Link): void {
    this.#said.delete(link.conn);
    if (link.peer !== undefined) this.#foreign.delete(link.peer.name);
  }

  /** Addresses held here that others have in use from before they began anew. */
  contested(now: Instant): readonly Contested[] {
    return [...this.#contested.values()].filter(({ last }) => now - last < CONTESTED_SHOWN_MS);
  }

  #contest(pool: Pool, offset: number, by: string, now: Instant, out: Effect[]): void {
    const holder = pool.space.holderOf(offset);
    if (holder === undefined) return;
    const address = pool.universe.addressAt(offset);
    const before = this.#contested.get(address);
    if (before === undefined) out.push(event("lost", "warn", { address, holder, by }));
    this.#contested.set(address, { address, holder, by, since: before?.since ?? now, last: now });
  }

  #judge(link: Link, now: Instant, out: Effect[]): void {
    if (link.peer === undefined) return;
    const { name, joined } = link.peer;
    const theirs = this.#said.get(link.conn);
    const ours = this.#council.era;
    const strange =
      theirs !== undefined &&
      (ours === undefined ? !this.#council.isWelcome(theirs.cluster) : theirs.cluster !== ours.cluster);
    const removed =
      theirs !== undefined && !strange && !this.#council.roster.isMember(name, joined ?? theirs.epoch);
    if (!strange) this.#foreign.delete(name);
    else if (this.#foreign.get(name)?.cluster !== theirs.cluster) {
      this.#foreign.set(name, { cluster: theirs.cluster, nickname: link.peer.nickname, since: now });
      out.push(event("foreign-cluster", "info", { peer: name, cluster: theirs.cluster }));
    }
    this.#gossip.suspend(link.conn, strange || removed, now);
  }
}

const sizeOf = (ranges: readonly OwnedRange[]): number => ranges.reduce((sum, r) => sum + r.end - r.start, 0);
