// How changes reach everybody. Changes travel along eager links as deltas; a link whose deltas brought nothing new is
// pruned to lazy and gets only fingerprints, so that the eager links become a spanning tree (the idea of Plumtree:
// Leitao, Pereira, Rodrigues 2007). While a link is busy, changes merge in its dirty set instead of queueing. Whatever is
// lost is found by comparing fingerprints and repaired origin by origin. Owns link states; the data belong to Node.
import type { ConnId } from "../connection.ts";
import { type Entry, OriginMap } from "../crdt/origin-map.ts";
import type { Effect, Instant } from "../effects.ts";
import type { Fingerprint } from "../hash.ts";
import { combine, type OwnedRange, type Ring } from "../ipam/ring.ts";
import {
  CHANNEL_PATTERN,
  encodeFrame,
  entryFromWire,
  entryToWire,
  type Frame,
  type FrameOf,
  MAX_ITEMS_PER_FRAME,
  rangeToWire,
} from "./frames.ts";

/** Every link compares fingerprints at least this often: what finds a lost change when nothing else happens. */
export const SUMS_INTERVAL_MS = 10_000;
/** A lazy link is told of a change this much later, once for all changes of that time. */
export const LAZY_DELAY_MS = 400;
/** Fingerprints that still differ after this are no longer "a change on its way" but a missed one. */
export const MISMATCH_PATIENCE_MS = 400;
/** Text of one push: large enough to be few, small enough that a heartbeat behind it is not late on a slow link. */
const PUSH_CHARS = 64 * 1024;
/** Channels of newer versions this peer relays without understanding them. */
const MAX_CHANNELS = 16;

interface LinkState {
  readonly conn: ConnId;
  eager: boolean;
  /** The other side belongs to another cluster: nothing but fingerprints and the ring is exchanged. */
  suspended: boolean;
  /** A delta is on its way out; the next waits for conn-sent. */
  busy: boolean;
  /** channel -> "origin\0key" -> where to find the entry when it is sent. */
  readonly dirty: Map<string, Map<string, { origin: string; key: string }>>;
  readonly dirtyRanges: Map<number, readonly OwnedRange[]>;
  sumsDue: Instant;
  theirs: ReadonlyMap<string, number>;
  /** The other side is of our epoch: rings can be compared. */
  sameEra: boolean;
  mismatchSince: Instant | undefined;
  /** Channels whose first comparison is not finished. */
  readonly awaiting: Set<string>;
  synced: boolean;
}

/** The data gossip spreads, owned by Node. */
export interface GossipData {
  readonly self: string;
  readonly channels: Map<string, OriginMap>;
  /** One per universe; undefined before the cluster is founded or found. */
  rings(): readonly (Ring | undefined)[];
  /** The epoch the rings belong to, and the fingerprint of its configuration. */
  era(): GossipEra | undefined;
}

export interface GossipEra {
  readonly cluster: string;
  readonly epoch: number;
  readonly decision: Fingerprint;
}

export class Gossip {
  readonly #data: GossipData;
  readonly #links = new Map<ConnId, LinkState>();

  constructor(data: GossipData) {
    this.#data = data;
  }

  linkUp(conn: ConnId, suspended: boolean, now: Instant): void {
    this.#links.set(conn, {
      conn,
      eager: true,
      suspended,
      busy: false,
      dirty: new Map(),
      dirtyRanges: new Map(),
      sumsDue: now,
      theirs: new Map(),
      sameEra: false,
      mismatchSince: undefined,
      awaiting: new Set(),
      synced: false,
    });
  }

  /** A branch of the tree broke: the lazy links take over, and compare at once. */
  linkDown(conn: ConnId, now: Instant): void {
    if (this.#links.get(conn)?.eager === true) this.#compareAll(now);
    this.#links.delete(conn);
  }

  /** This host has come to another epoch: all are told, and rings compared anew. */
  eraChanged(now: Instant): void {
    for (const link of this.#links.values()) {
      link.dirtyRanges.clear();
      link.sumsDue = now;
    }
  }

  /** The whole rings, unasked: to a newcomer, right behind the configuration. */
  introduce(conn: ConnId, out: Effect[]): void {
    const link = this.#links.get(conn);
    if (link === undefined) return;
    this.#data.rings().forEach((ring, universe) => {
      if (ring !== undefined) this.#sendRanges(link, universe, ring.ranges, true, out);
    });
  }

  /** Cluster or ring appeared or was exchanged. */
  suspend(conn: ConnId, suspended: boolean, now: Instant): void {
    const link = this.#links.get(conn);
    if (link === undefined || link.suspended === suspended) return;
    link.suspended = suspended;
    link.dirty.clear();
    link.dirtyRanges.clear();
    link.synced = false;
    link.sumsDue = now;
  }

  /** Whether nothing waits to be sent, nor is on its way out. */
  isFlushed(): boolean {
    for (const link of this.#links.values())
      if (link.busy || link.dirty.size > 0 || link.dirtyRanges.size > 0) return false;
    return true;
  }

  /** Whether some neighbour has told us all it knew when we met. */
  isSynced(): boolean {
    for (const link of this.#links.values()) if (link.synced) return true;
    return false;
  }

  isEager(conn: ConnId): boolean {
    return this.#links.get(conn)?.eager ?? false;
  }

  /** Entries became effective here: pass them on, except to where they came from. */
  changed(channel: string, entries: readonly Entry[], from: ConnId | undefined, now: Instant): void {
    for (const link of this.#links.values()) {
      if (link.suspended) continue;
      const news = link.conn === from ? entries.filter((e) => e.origin === this.#data.self) : entries;
      if (news.length === 0) continue;
      if (!link.eager) {
        link.sumsDue = Math.min(link.sumsDue, now + LAZY_DELAY_MS);
        continue;
      }
      const keys = link.dirty.get(channel) ?? new Map<string, { origin: string; key: string }>();
      link.dirty.set(channel, keys);
      for (const { origin, key } of news) keys.set(`${origin}\0${key}`, { origin, key });
    }
  }

  ringChanged(universe: number, ranges: readonly OwnedRange[], from: ConnId | undefined, now: Instant): void {
    if (ranges.length === 0) return;
    for (const link of this.#links.values()) {
      if (link.suspended || link.conn === from) continue;
      if (link.eager)
        link.dirtyRanges.set(universe, combine(link.dirtyRanges.get(universe) ?? [], ranges).merged);
      else link.sumsDue = Math.min(link.sumsDue, now + LAZY_DELAY_MS);
    }
  }

  sent(conn: ConnId): void {
    const link = this.#links.get(conn);
    if (link !== undefined) link.busy = false;
  }

  /** Entries arrived. Returns them for the merge, or nothing when they are not wanted from there. */
  push(conn: ConnId, frame: FrameOf<"push">): readonly Entry[] {
    const link = this.#links.get(conn);
    return link === undefined || link.suspended ? [] : frame.entries.map(entryFromWire);
  }

  /** After a delta was merged: if it brought nothing, this link is not on our tree. */
  judge(conn: ConnId, brought: boolean, repair: boolean, out: Effect[]): void {
    const link = this.#links.get(conn);
    if (link === undefined || brought || repair || !link.eager || link.suspended) return;
    link.eager = false;
    this.#send(link, { t: "prune" }, false, out);
  }

  pruned(conn: ConnId): void {
    const link = this.#links.get(conn);
    if (link !== undefined) link.eager = false;
  }

  grafted(conn: ConnId): void {
    const link = this.#links.get(conn);
    if (link !== undefined) link.eager = true;
  }

  /** Their fingerprints. */
  sums(conn: ConnId, { cluster, epoch, sums }: FrameOf<"sums">, now: Instant, out: Effect[]): void {
    const link = this.#links.get(conn);
    if (link === undefined) return;
    const ours = this.#data.era();
    link.sameEra = ours !== undefined && ours.cluster === cluster && ours.epoch === epoch;
    const first = !link.synced; // a suspended link never is: both sides see each other's ring anew, and may yield later
    // What can never be compared (a bad name, one channel too many) must not keep the link from being in sync.
    link.theirs = new Map(
      Object.entries(sums).filter(
        ([name]) => universeOf(name) !== undefined || this.channel(name) !== undefined,
      ),
    );
    const differing = this.#differing(link);
    if (differing.length === 0) {
      link.mismatchSince = undefined;
      link.synced = !link.suspended;
    } else if (first) this.#compare(link, differing, now, out);
    else link.mismatchSince ??= now;
  }

  /** Their digest of a channel: send what they lack, and answer with ours so that they can do the same. */
  digest(conn: ConnId, frame: FrameOf<"digest">, now: Instant, out: Effect[]): void {
    const link = this.#links.get(conn);
    if (link === undefined || link.suspended) return;
    const map = this.channel(frame.channel);
    if (map === undefined) return;
    const theirs = new Map(frame.origins.map(([origin, version, sum]) => [origin, { version, sum }]));
    const differing: string[] = [];
    const missing: Entry[] = [];
    for (const { origin, version, fingerprint: sum } of map.digest()) {
      const other = theirs.get(origin);
      if (other?.sum === sum) continue;
      // An answer lists only the origins that differ: silence about the rest means they are equal.
      if (other === undefined && frame.answer === true) continue;
      differing.push(origin);
      if (other === undefined || version >= other.version) {
        missing.push(
          ...map.entriesSince(origin, other === undefined || version === other.version ? 0 : other.version),
        );
      }
    }
    for (const origin of theirs.keys()) if (map.digestOf(origin).version === 0) differing.push(origin);
    this.#repair(link, frame.channel, missing, out);
    if (frame.answer === true) this.#finished(link, frame.channel, now);
    else {
      const origins = differing.map((origin): [string, number, number] => {
        const own = map.digestOf(origin);
        return [origin, own.version, own.fingerprint];
      });
      this.#send(link, { t: "digest", channel: frame.channel, origins, answer: true }, false, out);
    }
  }

  /** A ring arrived from there as a repair. */
  ringArrived(conn: ConnId, universe: number, now: Instant): void {
    const link = this.#links.get(conn);
    if (link !== undefined) this.#finished(link, ringChannel(universe), now);
  }

  /** The map of a channel; an unknown one is kept and relayed without being understood, up to a number. */
  channel(name: string): OriginMap | undefined {
    let map = this.#data.channels.get(name);
    if (map === undefined && CHANNEL_PATTERN.test(name) && this.#data.channels.size < MAX_CHANNELS) {
      map = new OriginMap(this.#data.self);
      this.#data.channels.set(name, map);
    }
    return map;
  }

  /** Compare with everybody now: the cluster or the tree changed. */
  #compareAll(now: Instant): void {
    for (const link of this.#links.values()) {
      link.eager = true;
      link.sumsDue = now;
    }
  }

  tick(now: Instant, out: Effect[]): void {
    for (const link of this.#links.values()) {
      if (link.mismatchSince !== undefined && now - link.mismatchSince >= MISMATCH_PATIENCE_MS) {
        link.mismatchSince = undefined;
        const differing = this.#differing(link);
        if (differing.length > 0) {
          if (!link.eager) this.#send(link, { t: "graft" }, false, out);
          link.eager = true;
          this.#compare(link, differing, now, out);
        }
      }
      this.#flush(link, now, out);
    }
  }

  /** Send what is waiting wherever a link is free. Called after every input. */
  flush(now: Instant, out: Effect[]): void {
    for (const link of this.#links.values()) this.#flush(link, now, out);
  }

  nextDeadline(): Instant | undefined {
    let next: Instant | undefined;
    for (const link of this.#links.values()) {
      const due = Math.min(
        link.sumsDue,
        link.mismatchSince === undefined ? link.sumsDue : link.mismatchSince + MISMATCH_PATIENCE_MS,
      );
      next = next === undefined ? due : Math.min(next, due);
    }
    return next;
  }

  #flush(link: LinkState, now: Instant, out: Effect[]): void {
    if (!link.busy && !link.suspended) this.#sendDelta(link, out);
    if (now >= link.sumsDue) {
      link.sumsDue = now + SUMS_INTERVAL_MS;
      const sums = Object.fromEntries(this.#sums());
      this.#send(link, { t: "sums", sums, ...this.#data.era() }, false, out);
    }
  }

  #sendDelta(link: LinkState, out: Effect[]): void {
    for (const [universe, ranges] of link.dirtyRanges) {
      link.dirtyRanges.delete(universe);
      if (this.#data.rings()[universe] === undefined) continue;
      this.#sendRanges(link, universe, ranges, false, out);
      return;
    }
    for (const [channel, keys] of link.dirty) {
      const map = this.#data.channels.get(channel);
      const batch: Entry[] = [];
      let chars = 0;
      for (const [id, { origin, key }] of keys) {
        if (batch.length >= MAX_ITEMS_PER_FRAME || chars > PUSH_CHARS) break;
        keys.delete(id);
        const entry = map?.entry(origin, key);
        if (entry === undefined) continue;
        batch.push(entry);
        chars += JSON.stringify(entry.value).length + 200;
      }
      if (keys.size === 0) link.dirty.delete(channel);
      if (batch.length === 0) continue;
      this.#send(link, { t: "push", channel, entries: batch.map(entryToWire) }, true, out);
      return;
    }
  }

  #compare(link: LinkState, differing: readonly string[], now: Instant, out: Effect[]): void {
    for (const name of differing) {
      link.awaiting.add(name);
      const universe = universeOf(name);
      if (universe !== undefined) {
        const ring = this.#data.rings()[universe];
        // With no ring here there is nothing to send; with none there, nothing to wait for.
        if (ring !== undefined) this.#sendRanges(link, universe, ring.ranges, true, out);
        if ((link.theirs.get(name) ?? 0) === 0) this.#finished(link, name, now);
      } else if (!link.suspended) {
        const origins = (this.channel(name)?.digest() ?? []).map((d): [string, number, number] => [
          d.origin,
          d.version,
          d.fingerprint,
        ]);
        this.#send(link, { t: "digest", channel: name, origins }, false, out);
      }
    }
  }

  #finished(link: LinkState, channel: string, now: Instant): void {
    if (!link.awaiting.delete(channel) || link.awaiting.size > 0 || link.suspended) return;
    link.synced = true;
    link.sumsDue = Math.min(link.sumsDue, now + LAZY_DELAY_MS);
  }

  #repair(link: LinkState, channel: string, entries: readonly Entry[], out: Effect[]): void {
    let batch: Entry[] = [];
    let chars = 0;
    const ship = (): void => {
      if (batch.length > 0)
        this.#send(link, { t: "push", channel, entries: batch.map(entryToWire), repair: true }, false, out);
      batch = [];
      chars = 0;
    };
    for (const entry of entries) {
      batch.push(entry);
      chars += JSON.stringify(entry.value).length + 200;
      if (batch.length >= MAX_ITEMS_PER_FRAME || chars > PUSH_CHARS) ship();
    }
    ship();
  }

  #sendRanges(
    link: LinkState,
    universe: number,
    ranges: readonly OwnedRange[],
    repair: boolean,
    out: Effect[],
  ): void {
    const era = this.#data.era();
    if (era === undefined) return;
    const { cluster, epoch } = era;
    for (let i = 0; i === 0 || i < ranges.length; i += MAX_ITEMS_PER_FRAME) {
      const wire = ranges.slice(i, i + MAX_ITEMS_PER_FRAME).map(rangeToWire);
      const last = i + MAX_ITEMS_PER_FRAME >= ranges.length;
      this.#send(
        link,
        { t: "ring", universe, cluster, epoch, ranges: wire, ...(repair ? { repair } : {}) },
        last && !repair,
        out,
      );
    }
  }

  #differing(link: LinkState): readonly string[] {
    const ours = this.#sums();
    const names = new Set([...ours.keys(), ...link.theirs.keys()]);
    return [...names].filter((name) => {
      if (universeOf(name) !== undefined && !link.sameEra) return false; // the one behind gets the configuration first
      return (ours.get(name) ?? 0) !== (link.theirs.get(name) ?? 0);
    });
  }

  #sums(): ReadonlyMap<string, number> {
    const sums = new Map<string, number>();
    for (const [name, map] of this.#data.channels) sums.set(name, map.fingerprint());
    this.#data.rings().forEach((ring, universe) => {
      if (ring !== undefined) sums.set(ringChannel(universe), ring.fingerprint());
    });
    return sums;
  }

  #send(link: LinkState, frame: Frame, ack: boolean, out: Effect[]): void {
    if (ack) link.busy = true;
    out.push({ type: "send", conn: link.conn, text: encodeFrame(frame), ack });
  }
}

const ringChannel = (universe: number): string => `ring/${universe}`;

function universeOf(channel: string): number | undefined {
  return /^ring\/[0-7]$/.test(channel) ? Number(channel.slice(5)) : undefined;
}
