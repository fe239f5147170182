// Which cluster this host belongs to, and what it hears and tells of the cluster's rings: founding, joining, giving way,
// giving and getting space. The rules are Pool's; here they meet disk, links and gossip.
import type { ConnId } from "../connection.ts";
import { type Effect, event, type Instant, persist } from "../effects.ts";
import { rangeFromWire, rangeToWire, type UnicastBody } from "../gossip/frames.ts";
import type { Gossip } from "../gossip/gossip.ts";
import { fnv1a64 } from "../hash.ts";
import type { Link, Mesh } from "../mesh/mesh.ts";
import type { Random } from "../random.ts";
import { ringOp } from "../records.ts";
import type { StoreOp } from "../store-op.ts";
import type { Pool } from "./pool.ts";
import type { Founding, OwnedRange } from "./ring.ts";

type Ask = Extract<UnicastBody, { k: "ask" }>;
type Answer = Extract<UnicastBody, { k: "answer" }>;

export class Membership {
  readonly #self: string;
  readonly #pools: readonly Pool[];
  readonly #mesh: Mesh;
  readonly #gossip: Gossip;
  readonly #random: Random;
  readonly #foreign = new Map<string, { readonly cluster: string; readonly since: Instant }>();
  #joinedNow = false;

  constructor(self: string, pools: readonly Pool[], mesh: Mesh, gossip: Gossip, random: Random) {
    this.#self = self;
    this.#pools = pools;
    this.#mesh = mesh;
    this.#gossip = gossip;
    this.#random = random;
  }

  get cluster(): string | undefined {
    return this.#pools[0]?.ring?.founding.cluster;
  }

  /** The ring came from another peer since the start. */
  get joinedNow(): boolean {
    return this.#joinedNow;
  }

  /** Neighbours of another cluster, by name. */
  get foreign(): ReadonlyMap<string, { readonly cluster: string; readonly since: Instant }> {
    return this.#foreign;
  }

  /** Start a cluster: alone, or with the founders of a seed list. */
  found(seed: readonly string[] | undefined, out: Effect[]): void {
    const founders = seed === undefined ? [this.#self] : [...new Set(seed)].sort();
    const range = this.#pools.map((pool) => pool.universe.text).join();
    // Founders with one list make one ring without a word: the identity is a function of list and range.
    const id =
      seed === undefined
        ? BigInt(this.#random.below(2 ** 32)) << 32n
        : fnv1a64(`${founders.join()} ${range}`);
    const low = seed === undefined ? BigInt(this.#random.below(2 ** 32)) : 0n;
    const cluster = (id | low).toString(16).padStart(16, "0");
    for (const [index, pool] of this.#pools.entries()) {
      pool.found({ cluster, epoch: 1, founders });
      out.push(persist([this.#ringRecord(index)], true));
    }
    this.#mesh.cluster = cluster;
    out.push(event("founded", "info", { cluster, founders: founders.join(), range }));
  }

  /** Ranges arrived. Returns whether they brought something. */
  heardRing(
    universe: number,
    founding: Founding,
    ranges: readonly OwnedRange[],
    from: ConnId | undefined,
    now: Instant,
    out: Effect[],
  ): boolean {
    const pool = this.#pools[universe];
    const heard = pool?.hear(founding, ranges);
    switch (heard?.kind) {
      case undefined: // a universe of a newer version
      case "nothing":
      case "foreign":
        return false;
      case "malformed":
        out.push(
          event("frame-refused", "warn", { from: String(from), why: "ranges out of order or bounds" }),
        );
        return false;
      case "adopted":
        this.#joinedNow = true;
        this.ringChanged(universe, heard.fresh, from, now, out);
        if (heard.instead !== undefined) {
          out.push(event("yielded", "info", { cluster: heard.instead, to: founding.cluster }));
        }
        out.push(event("joined", "info", { cluster: founding.cluster, universe }));
        this.#mesh.cluster = this.cluster;
        for (const link of this.#mesh.links()) {
          this.neighbourIs(link, this.#foreign.get(link.peer.name)?.cluster ?? founding.cluster, now, out);
        }
        return true;
      case "merged": {
        this.ringChanged(universe, heard.fresh, from, now, out);
        const received = heard.fresh.filter((r) => r.owner === this.#self);
        if (received.length > 0) {
          out.push(event("received", "info", { addresses: sizeOf(received) }));
          this.ringChanged(universe, pool?.join() ?? [], undefined, now, out);
        }
        return true;
      }
    }
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
    out.push(persist([this.#ringRecord(universe)], true));
    this.#gossip.ringChanged(universe, fresh, from, now);
  }

  /** A peer asks for space. Returns the answer to send, behind the gift's way to disk. */
  asked(
    from: string,
    { universe, start, end, id, young }: Ask,
    now: Instant,
    out: Effect[],
  ): Answer | undefined {
    const pool = this.#pools[universe];
    if (pool?.ring === undefined) return undefined;
    const fresh = pool.give({ start, end }, from, now, young === true);
    // A neighbour learns of it by the answer. Told twice, it would prune the link, and the next change would be late.
    this.ringChanged(universe, fresh, this.#mesh.linkTo(from)?.conn, now, out);
    const [gift] = fresh;
    if (gift !== undefined) out.push(event("gave", "info", { to: from, addresses: sizeOf(fresh) }));
    const { cluster, epoch, founders } = pool.ring.founding;
    const founding = { cluster, epoch, founders: [...founders] };
    return {
      k: "answer",
      universe,
      id,
      founding,
      ...(gift === undefined ? {} : { gift: rangeToWire(gift) }),
    };
  }

  answered(from: string, { universe, id, founding, gift }: Answer, now: Instant, out: Effect[]): void {
    const conn = this.#mesh.linkTo(from)?.conn; // the donor knows what it gave
    if (gift !== undefined) this.heardRing(universe, founding, [rangeFromWire(gift)], conn, now, out);
    this.#pools[universe]?.answered(id, gift !== undefined, now);
  }

  /** What a neighbour says it belongs to. With another cluster nothing but rings is exchanged. */
  neighbourIs(link: Link, cluster: string | undefined, now: Instant, out: Effect[]): void {
    const name = link.peer?.name;
    if (name === undefined) return;
    const foreign = cluster !== undefined && this.cluster !== undefined && cluster !== this.cluster;
    if (!foreign) this.#foreign.delete(name);
    else if (this.#foreign.get(name)?.cluster !== cluster) {
      this.#foreign.set(name, { cluster, since: now });
      out.push(event("foreign-cluster", "info", { peer: name, cluster }));
    }
    this.#gossip.suspend(link.conn, foreign, now);
  }

  neighbourLeft(name: string): void {
    this.#foreign.delete(name);
  }

  #ringRecord(index: number): StoreOp {
    const pool = this.#pools[index];
    if (pool?.ring === undefined) throw new Error(`no ring ${index}`);
    return ringOp(index, pool.universe.text, pool.ring);
  }
}

const sizeOf = (ranges: readonly OwnedRange[]): number => ranges.reduce((sum, r) => sum + r.end - r.start, 0);
