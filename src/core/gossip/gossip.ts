// How changes reach everybody. Changes travel at once along eager links, which are a tree (mesh/topology.ts); over the other
// links peers tell a little later which versions there are, and whoever did not get one asks for it (as in Plumtree: Leitao,
// Pereira, Rodrigues 2007, whose trees are found by trial). While a link is busy, changes merge in its dirty set instead of
// queueing. Whatever is lost all the same is found by comparing fingerprints, of everything, then of groups of origins,
// then of origins: what is sent depends on what differs, not on how many peers there are. Owns link states; the data
// belong to Node.
import type { ConnId } from "../connection.ts";
import { BUCKETS, charsOf, type Entry, type OriginDigest, OriginMap } from "../crdt/origin-map.ts";
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
  universeToWire,
} from "./frames.ts";
import { partSums, withinParts } from "./ring-parts.ts";

/** Every link compares fingerprints at least this often: what finds a lost change when nothing else happens. */
export const SUMS_INTERVAL_MS = 10_000;
/** A lazy link is told of a version this much later, once for all changes of that time; from one side, then the other. */
export const LAZY_DELAY_MS = 400;
/** A version that a lazy link told this long ago, and that has not come since, is asked for. */
export const MISSED_PATIENCE_MS = 400;
/** By then a change is everywhere, among a thousand peers: before, it explains why fingerprints differ. */
export const MISMATCH_PATIENCE_MS = 1_000;
/** After a change was sent the next ones gather for so long: of many at once each frame carries many, and one alone never waits. */
export const PUSH_PAUSE_MS = 20;
/** Text of one push: large enough to be few, small enough that a heartbeat behind it is not late on a slow link. */
const PUSH_CHARS = 64 * 1024;
/** Channels of newer versions this peer relays without understanding them. */
const MAX_CHANNELS = 16;

interface LinkState {
  readonly conn: ConnId;
  eager: boolean;
  /** The other side belongs to another cluster, or was removed: of gossip only fingerprints are exchanged. */
  suspended: boolean;
  /** A delta is on its way out; the next waits for conn-sent. */
  busy: boolean;
  /** Nor does it go before then. */
  pausedUntil: Instant;
  /** channel -> "origin\0key" -> where to find the entry when it is sent. */
  readonly dirty: Map<string, Map<string, { origin: string; key: string }>>;
  readonly dirtyRanges: Map<number, readonly OwnedRange[]>;
  /** Lazy: channel -> origins whose versions are to be told, and ranges, which are told as they are. */
  readonly news: Map<string, Set<string>>;
  readonly newsRanges: Map<number, readonly OwnedRange[]>;
  newsDue: Instant | undefined;
  /** "channel\0origin" -> a version they have and we had not when they told. */
  readonly missing: Map<string, { channel: string; origin: string; version: number }>;
  missingSince: Instant | undefined;
  /** Of two sides that have news, or see a difference, this one tells or asks first, so that not everything goes twice. */
  readonly asksFirst: boolean;
  sumsDue: Instant;
  theirs: ReadonlyMap<string, number>;
  /** The other side is of our epoch: rings can be compared. */
  sameEra: boolean;
  mismatchSince: Instant | undefined;
  /** A change may explain the difference: the other side was asked for its fingerprints as they are now. */
  doubtedAt: Instant | undefined;
  /** Channels we asked about and have no answer for. */
  readonly asked: Set<string>;
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

/** What neighbours compare before they compare rings. */
export interface GossipEra {
  readonly cluster: string;
  readonly epoch: number;
  readonly decision: Fingerprint;
}

/** Sends on every link what the other side lacks, and finds out what that is. */
export class Gossip {
  readonly #data: GossipData;
  readonly #encode: typeof encodeFrame;
  readonly #links = new Map<ConnId, LinkState>();
  /** "channel\0origin" -> when somebody was asked for what we miss of it. */
  readonly #asked = new Map<string, Instant>();
  /** Universe -> ranges given away that nobody has told yet, and until when that is left to their takers. */
  readonly #given = new Map<number, { readonly ranges: readonly OwnedRange[]; readonly due: Instant }>();
  /** Channel or ring -> when our fingerprint of it became another. */
  readonly #changedAt = new Map<string, Instant>();

  constructor(data: GossipData, encode = encodeFrame) {
    this.#data = data;
    this.#encode = encode;
  }

  /** `asksFirst`: true on one side of the link, false on the other. */
  linkUp(conn: ConnId, suspended: boolean, now: Instant, asksFirst = true): void {
    this.#links.set(conn, {
      conn,
      eager: true,
      suspended,
      busy: false,
      pausedUntil: now,
      dirty: new Map(),
      dirtyRanges: new Map(),
      news: new Map(),
      newsRanges: new Map(),
      newsDue: undefined,
      missing: new Map(),
      missingSince: undefined,
      asksFirst,
      sumsDue: now,
      theirs: new Map(),
      sameEra: false,
      mismatchSince: undefined,
      doubtedAt: undefined,
      asked: new Set(),
      awaiting: new Set(),
      synced: false,
    });
  }

  /** A branch of the tree broke: what was on it is missed here or there. */
  linkDown(conn: ConnId, now: Instant): void {
    if (this.#links.get(conn)?.eager === true) for (const link of this.#links.values()) link.sumsDue = now;
    this.#links.delete(conn);
  }

  /** This host has come to another epoch: all are told, and rings compared anew. */
  eraChanged(now: Instant): void {
    this.#given.clear();
    for (const link of this.#links.values()) {
      link.dirtyRanges.clear();
      link.newsRanges.clear();
      link.sumsDue = now;
    }
  }

  /** The whole rings, unasked: to a newcomer, right behind the configuration. */
  introduce(conn: ConnId, out: Effect[]): void {
    const link = this.#links.get(conn);
    if (link === undefined) return;
    this.#data.rings().forEach((ring, universe) => {
      if (ring !== undefined) this.#sendRanges(link, universe, ring.ranges, {}, out);
    });
  }

  /** Cluster or ring appeared or was exchanged. */
  suspend(conn: ConnId, suspended: boolean, now: Instant): void {
    const link = this.#links.get(conn);
    if (link === undefined || link.suspended === suspended) return;
    link.suspended = suspended;
    for (const waiting of [
      link.dirty,
      link.dirtyRanges,
      link.news,
      link.newsRanges,
      link.missing,
      link.asked,
      link.awaiting,
    ])
      waiting.clear();
    link.mismatchSince = undefined;
    link.doubtedAt = undefined;
    link.synced = false;
    link.sumsDue = now;
  }

  /** Whether nothing waits to be sent, nor is on its way out. */
  isFlushed(): boolean {
    if (this.#given.size > 0) return false;
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
    if (entries.length > 0) this.#changedAt.set(channel, now);
    for (const link of this.#links.values()) {
      if (link.suspended) continue;
      const news = link.conn === from ? entries.filter((e) => e.origin === this.#data.self) : entries;
      if (news.length === 0) continue;
      if (!link.eager) {
        const origins = link.news.get(channel) ?? new Set<string>();
        link.news.set(channel, origins);
        for (const { origin } of news) origins.add(origin);
        link.newsDue ??= now + lazyDelay(link);
        continue;
      }
      const keys = link.dirty.get(channel) ?? new Map<string, { origin: string; key: string }>();
      link.dirty.set(channel, keys);
      for (const { origin, key } of news) keys.set(`${origin}\0${key}`, { origin, key });
    }
  }

  ringChanged(universe: number, ranges: readonly OwnedRange[], from: ConnId | undefined, now: Instant): void {
    if (ranges.length === 0) return;
    this.#changedAt.set(ringChannel(universe), now);
    for (const link of this.#links.values()) {
      if (link.suspended || link.conn === from) continue;
      const waiting = link.eager ? link.dirtyRanges : link.newsRanges;
      waiting.set(universe, combine(waiting.get(universe) ?? [], ranges).merged);
      if (!link.eager) link.newsDue ??= now + lazyDelay(link);
    }
  }

  /**
   * This host gave ranges away. The answer tells the taker, and the taker everybody, with what it makes of them: if both did,
   * each link would carry it twice. When nothing is heard of it, the donor does.
   */
  ringGiven(universe: number, ranges: readonly OwnedRange[], now: Instant): void {
    if (ranges.length === 0) return;
    this.#changedAt.set(ringChannel(universe), now);
    const before = this.#given.get(universe);
    const all = combine(before?.ranges ?? [], ranges).merged;
    this.#given.set(universe, { ranges: all, due: before?.due ?? now + LAZY_DELAY_MS });
  }

  /** They said so of a ring: what waits for them and is no newer, they have. */
  ringTold(conn: ConnId, universe: number, ranges: readonly OwnedRange[], now: Instant): void {
    this.#pass(universe, ranges, conn, now);
    const link = this.#links.get(conn);
    for (const waiting of link === undefined ? [] : [link.dirtyRanges, link.newsRanges]) {
      const before = waiting.get(universe);
      if (before === undefined) continue;
      const { fresh } = combine(ranges, before);
      if (fresh.length === 0) waiting.delete(universe);
      else waiting.set(universe, fresh);
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

  /** Whether this link is part of the tree. What waits on it goes the way it was to go. */
  setEager(conn: ConnId, eager: boolean): void {
    const link = this.#links.get(conn);
    if (link !== undefined) link.eager = eager;
  }

  /** Their fingerprints. */
  sums(conn: ConnId, { cluster, epoch, sums, ask }: FrameOf<"sums">, now: Instant, out: Effect[]): void {
    const link = this.#links.get(conn);
    if (link === undefined) return;
    const ours = this.#data.era();
    link.sameEra = ours !== undefined && ours.cluster === cluster && ours.epoch === epoch;
    const first = !link.synced; // a suspended link never is: what it missed is compared when the clusters are one
    // What can never be compared (a bad name, one channel too many) must not keep the link from being in sync.
    link.theirs = new Map(
      Object.entries(sums).filter(
        ([name]) => universeOf(name) !== undefined || this.channel(name) !== undefined,
      ),
    );
    const differing = this.#differing(link);
    const isAnswer = link.doubtedAt !== undefined && now - link.doubtedAt < MISMATCH_PATIENCE_MS;
    link.doubtedAt = undefined;
    if (differing.length === 0) {
      link.mismatchSince = undefined;
      link.synced = !link.suspended;
    } else if (first) this.#compare(link, differing, "meeting", now, out);
    else if (isAnswer) this.#compare(link, differing, "repair", now, out);
    else {
      link.mismatchSince ??= now;
      if (ask === true) link.sumsDue = now;
    }
  }

  /** They hold origins up to these versions. What we miss may be on its way by another link. */
  have(conn: ConnId, { channel, origins }: FrameOf<"have">, now: Instant): void {
    const link = this.#links.get(conn);
    const map = this.channel(channel);
    if (link === undefined || link.suspended || map === undefined) return;
    for (const [origin, version] of origins) {
      const ours = map.versionOf(origin);
      if (ours <= version) link.news.get(channel)?.delete(origin);
      if (ours >= version) continue;
      link.missing.set(`${channel}\0${origin}`, { channel, origin, version });
      link.missingSince ??= now;
    }
  }

  /** They miss what origins said above these versions. */
  want(conn: ConnId, { channel, origins }: FrameOf<"want">, out: Effect[]): void {
    const link = this.#links.get(conn);
    const map = this.channel(channel);
    if (link === undefined || link.suspended || map === undefined) return;
    const entries = origins.flatMap(([origin, version]) => map.entriesSince(origin, version));
    this.#repair(link, channel, entries, out);
  }

  /** Their fingerprints of groups of origins, or of parts of a ring: answer for those that differ. */
  buckets(conn: ConnId, { channel, sums }: FrameOf<"buckets">, out: Effect[]): void {
    const link = this.#links.get(conn);
    if (link === undefined || link.suspended || link.asked.has(channel)) return;
    link.mismatchSince = undefined;
    const differing = (ours: readonly Fingerprint[]): number[] =>
      ours.flatMap((sum, i) => (sum === sums[i] ? [] : [i]));
    const universe = universeOf(channel);
    if (universe !== undefined) {
      const ring = this.#data.rings()[universe];
      if (ring === undefined) return;
      const parts = differing(partSums(ring));
      const found = withinParts(ring, new Set(parts));
      this.#sendRanges(link, universe, found, parts.length === 0 ? {} : { parts }, out);
      return;
    }
    const map = this.channel(channel);
    if (map === undefined) return;
    const buckets = differing(map.bucketSums());
    if (buckets.length === 0)
      this.#send(link, { t: "digest", channel, origins: [], answer: true }, false, out);
    else {
      link.asked.add(channel);
      const origins = map.digest(new Set(buckets)).map(digestToWire);
      this.#send(link, { t: "digest", channel, buckets, origins }, false, out);
    }
  }

  /**
   * Their digest of a channel: send what they lack, and answer with ours of what they may know better, so that they can
   * do the same. Each side ends with an answer from the other, behind everything it was to get.
   */
  digest(conn: ConnId, frame: FrameOf<"digest">, now: Instant, out: Effect[]): void {
    const link = this.#links.get(conn);
    if (link === undefined || link.suspended) return;
    const { channel } = frame;
    const map = this.channel(channel);
    if (map === undefined) return;
    link.mismatchSince = undefined;
    const missing: Entry[] = [];
    const better: [string, number, number][] = [];
    for (const [origin, version, sum] of frame.origins) {
      const own = map.digestOf(origin);
      if (own.fingerprint === sum) continue;
      if (version >= own.version) better.push(digestToWire(own));
      if (own.version >= version)
        missing.push(...map.entriesSince(origin, own.version === version ? 0 : version));
    }
    if (frame.answer === true) {
      this.#repair(link, channel, missing, out);
      this.#finished(link, channel, now);
      if (frame.origins.length > 0)
        this.#send(link, { t: "digest", channel, origins: [], answer: true }, false, out);
      return;
    }
    // Of what it does not list the other side knows nothing.
    const listed = new Set(frame.origins.map(([origin]) => origin));
    for (const { origin } of map.digest(frame.buckets === undefined ? undefined : new Set(frame.buckets)))
      if (!listed.has(origin)) missing.push(...map.entriesSince(origin, 0));
    this.#repair(link, channel, missing, out);
    this.#send(link, { t: "digest", channel, origins: better, answer: true }, false, out);
    if (better.length === 0) this.#finished(link, channel, now);
  }

  /** A ring, or what they have of `parts` of it, arrived from there as a repair. */
  ringArrived(
    conn: ConnId,
    universe: number,
    parts: readonly number[] | undefined,
    now: Instant,
    out: Effect[],
  ): void {
    const link = this.#links.get(conn);
    if (link === undefined) return;
    link.mismatchSince = undefined;
    this.#finished(link, ringChannel(universe), now);
    const ring = this.#data.rings()[universe];
    if (parts === undefined || ring === undefined || link.suspended) return;
    const wanted = parts.length === 0 ? ring.ranges : withinParts(ring, new Set(parts));
    this.#sendRanges(link, universe, wanted, {}, out);
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

  /** Do what is due, and send what waits wherever a link is free. Called after every input. */
  tick(now: Instant, out: Effect[]): void {
    for (const [universe, { ranges, due }] of this.#given) {
      if (now < due) continue;
      this.#given.delete(universe);
      this.ringChanged(universe, ranges, undefined, now);
    }
    for (const link of this.#links.values()) {
      if (link.missingSince !== undefined && now - link.missingSince >= MISSED_PATIENCE_MS)
        this.#ask(link, now, out);
      if (link.mismatchSince !== undefined && now - link.mismatchSince >= patience(link))
        this.#judge(link, link.mismatchSince, now, out);
      this.#flush(link, now, out);
    }
  }

  nextDeadline(): Instant | undefined {
    let next: Instant | undefined;
    for (const { due } of this.#given.values()) next = Math.min(next ?? due, due);
    for (const link of this.#links.values()) {
      const waits = !link.busy && !link.suspended && (link.dirty.size > 0 || link.dirtyRanges.size > 0);
      const due = Math.min(
        link.sumsDue,
        waits ? link.pausedUntil : link.sumsDue,
        link.newsDue ?? link.sumsDue,
        link.missingSince === undefined ? link.sumsDue : link.missingSince + MISSED_PATIENCE_MS,
        link.mismatchSince === undefined ? link.sumsDue : link.mismatchSince + patience(link),
      );
      next = next === undefined ? due : Math.min(next, due);
    }
    return next;
  }

  #flush(link: LinkState, now: Instant, out: Effect[]): void {
    if (!link.busy && now >= link.pausedUntil && !link.suspended) {
      this.#sendDelta(link, out);
      if (link.busy && link.dirty.size + link.dirtyRanges.size === 0) link.pausedUntil = now + PUSH_PAUSE_MS;
    }
    if (link.newsDue !== undefined && now >= link.newsDue) this.#sendNews(link, out);
    if (now >= link.sumsDue) this.#sendSums(link, {}, now, out);
  }

  #sendSums(link: LinkState, ask: { readonly ask?: true }, now: Instant, out: Effect[]): void {
    link.sumsDue = now + SUMS_INTERVAL_MS;
    const sums = Object.fromEntries(this.#sums());
    this.#send(link, { t: "sums", sums, ...this.#data.era(), ...ask }, false, out);
  }

  #sendDelta(link: LinkState, out: Effect[]): void {
    for (const [universe, ranges] of link.dirtyRanges) {
      link.dirtyRanges.delete(universe);
      if (this.#data.rings()[universe] === undefined) continue;
      this.#sendRanges(link, universe, ranges, "change", out);
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
        chars += charsOf(entry) + 200;
      }
      if (keys.size === 0) link.dirty.delete(channel);
      if (batch.length === 0) continue;
      this.#send(link, { t: "push", channel, entries: batch.map(entryToWire) }, true, out);
      return;
    }
  }

  #sendNews(link: LinkState, out: Effect[]): void {
    link.newsDue = undefined;
    for (const [universe, ranges] of link.newsRanges) {
      const ring = this.#data.rings()[universe];
      if (ring !== undefined) this.#sendRanges(link, universe, ranges, "news", out);
    }
    link.newsRanges.clear();
    for (const [channel, names] of link.news) {
      const map = this.#data.channels.get(channel);
      const origins = [...names].map((origin): [string, number] => [origin, map?.versionOf(origin) ?? 0]);
      for (let i = 0; i < origins.length; i += MAX_ITEMS_PER_FRAME) {
        const some = origins.slice(i, i + MAX_ITEMS_PER_FRAME);
        this.#send(link, { t: "have", channel, origins: some }, false, out);
      }
    }
    link.news.clear();
  }

  /** Of what was given: the part that `ranges` say nothing newer of stays, the rest is passed on. */
  #pass(universe: number, ranges: readonly OwnedRange[], from: ConnId, now: Instant): void {
    const given = this.#given.get(universe);
    if (given === undefined) return;
    const { fresh: untold } = combine(ranges, given.ranges);
    if (untold.length === 0) this.#given.delete(universe);
    else this.#given.set(universe, { ...given, ranges: untold });
    this.ringChanged(universe, combine(untold, given.ranges).fresh, from, now);
  }

  /** Ask for what we heard of and did not get. */
  #ask(link: LinkState, now: Instant, out: Effect[]): void {
    const wanted = new Map<string, [string, number][]>();
    link.missingSince = undefined;
    for (const [id, { channel, origin, version }] of link.missing) {
      const ours = this.channel(channel)?.versionOf(origin) ?? 0;
      if (ours < version && now - (this.#asked.get(id) ?? 0) < MISSED_PATIENCE_MS) {
        link.missingSince = now; // another one was asked a moment ago
        continue;
      }
      link.missing.delete(id);
      if (ours >= version) continue;
      this.#asked.set(id, now);
      const origins = wanted.get(channel) ?? [];
      wanted.set(channel, origins);
      origins.push([origin, ours]);
    }
    if (link.missing.size === 0)
      for (const [id, at] of this.#asked) if (now - at > MISSED_PATIENCE_MS) this.#asked.delete(id);
    for (const [channel, origins] of wanted) {
      for (let i = 0; i < origins.length; i += MAX_ITEMS_PER_FRAME) {
        const some = origins.slice(i, i + MAX_ITEMS_PER_FRAME);
        this.#send(link, { t: "want", channel, origins: some }, false, out);
      }
    }
  }

  /**
   * Fingerprints differed for a while. Where ours became another a moment before, theirs may have been sent before they
   * heard of it: they are asked for what they have now, and say nothing if it is the same. (Where ours were late, the change
   * has come by now, and there is no difference.)
   */
  #judge(link: LinkState, since: Instant, now: Instant, out: Effect[]): void {
    link.mismatchSince = undefined;
    const differing = this.#differing(link);
    const settledAt = since - MISMATCH_PATIENCE_MS;
    const missed = differing.filter((name) => (this.#changedAt.get(name) ?? settledAt) <= settledAt);
    this.#compare(link, missed, "repair", now, out);
    if (missed.length === differing.length) return;
    link.doubtedAt = now;
    this.#sendSums(link, { ask: true }, now, out);
  }

  /**
   * What is small goes whole; of what is large one side asks group by group. At a meeting both sides do so at once, a repair
   * begins on one side.
   */
  #compare(
    link: LinkState,
    differing: readonly string[],
    as: "meeting" | "repair",
    now: Instant,
    out: Effect[],
  ): void {
    const asks = as === "repair" || link.asksFirst;
    for (const name of differing) {
      link.awaiting.add(name);
      const universe = universeOf(name);
      if (universe !== undefined) {
        const ring = this.#data.rings()[universe];
        const known = (link.theirs.get(name) ?? 0) !== 0;
        // With no ring here there is nothing to send; with none there, nothing to wait for.
        if (ring !== undefined && known && !link.suspended && ring.ranges.length > BUCKETS) {
          if (asks) this.#askBuckets(link, name, partSums(ring), out);
        } else if (ring !== undefined)
          this.#sendRanges(link, universe, ring.ranges, as === "repair" && known ? { parts: [] } : {}, out);
        if (!known) this.#finished(link, name, now);
      } else if (!link.suspended) {
        const map = this.channel(name);
        if (map !== undefined && map.originCount > BUCKETS) {
          if (asks) this.#askBuckets(link, name, map.bucketSums(), out);
        } else {
          link.asked.add(name);
          const origins = (map?.digest() ?? []).map(digestToWire);
          this.#send(link, { t: "digest", channel: name, origins }, false, out);
        }
      }
    }
  }

  #askBuckets(link: LinkState, channel: string, sums: readonly Fingerprint[], out: Effect[]): void {
    link.asked.add(channel);
    this.#send(link, { t: "buckets", channel, sums: [...sums] }, false, out);
  }

  #finished(link: LinkState, channel: string, now: Instant): void {
    link.asked.delete(channel);
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
      chars += charsOf(entry) + 200;
      if (batch.length >= MAX_ITEMS_PER_FRAME || chars > PUSH_CHARS) ship();
    }
    ship();
  }

  #sendRanges(
    link: LinkState,
    universe: number,
    ranges: readonly OwnedRange[],
    /** A change waits for conn-sent, news on a lazy link does not; the others are repairs. */
    as: "change" | "news" | { readonly parts?: number[] },
    out: Effect[],
  ): void {
    const era = this.#data.era();
    if (era === undefined) return;
    const { cluster, epoch } = era;
    for (let i = 0; i === 0 || i < ranges.length; i += MAX_ITEMS_PER_FRAME) {
      const wire = ranges.slice(i, i + MAX_ITEMS_PER_FRAME).map(rangeToWire);
      const last = i + MAX_ITEMS_PER_FRAME >= ranges.length;
      const repair =
        typeof as === "string"
          ? {}
          : { repair: true, ...(last && as.parts !== undefined ? { parts: as.parts } : {}) };
      this.#send(
        link,
        { t: "ring", ...universeToWire(universe), cluster, epoch, ranges: wire, ...repair },
        last && as === "change",
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
    out.push({ type: "send", conn: link.conn, text: this.#encode(frame), ack });
  }
}

/** A side that is not to tell first waits to be told. */
const lazyDelay = (link: LinkState): number => LAZY_DELAY_MS * (link.asksFirst ? 1 : 2);

/** A side that is not to ask first waits to be asked. */
const patience = (link: LinkState): number => MISMATCH_PATIENCE_MS * (link.asksFirst ? 1 : 2);

const digestToWire = ({ origin, version, fingerprint: sum }: OriginDigest): [string, number, number] => [
  origin,
  version,
  sum,
];

const ringChannel = (universe: number): string => `ring/${universe}`;

function universeOf(channel: string): number | undefined {
  return /^ring\/[0-7]$/.test(channel) ? Number(channel.slice(5)) : undefined;
}
