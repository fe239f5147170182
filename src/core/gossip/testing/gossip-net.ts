// For tests of gossip: peers with channels and a ring, joined by connections that may lose frames, in virtual time.
import { type ConnId, MAX_FRAME_CHARS } from "../../connection.ts";
import { type Json, OriginMap } from "../../crdt/origin-map.ts";
import type { Effect, Instant } from "../../effects.ts";
import { Ring } from "../../ipam/ring.ts";
import { decodeFrame, type Frame, type FrameOf, rangeFromWire } from "../frames.ts";
import { Gossip, LAZY_DELAY_MS } from "../gossip.ts";

/** The channel all peers have. */
export const CHANNEL = "endpoints";
/** Where all of them belong at first. */
export const era = { cluster: "c1", epoch: 1, decision: 7 };

/** A frame as it leaves. */
interface Sent {
  readonly conn: ConnId;
  readonly frame: Frame;
  readonly ack: boolean;
}

export const kinds = (sends: readonly Sent[]): string[] => sends.map(({ frame }) => frame.t);
export const pushes = (sends: readonly Sent[]): FrameOf<"push">[] =>
  sends.flatMap(({ frame }) => (frame.t === "push" ? [frame] : []));

/** Channels of peers in which there is something else than in those of the first. */
export const differences = (first: Peer, ...others: readonly Peer[]): string[] =>
  others.flatMap((peer) =>
    [...first.channels]
      .filter(([channel, map]) => peer.map(channel).fingerprint() !== map.fingerprint())
      .map(([channel]) => `${peer.name} ${channel}`),
  );

/** Gossip and its data, with what Node does around them. */
export class Peer {
  readonly name: string;
  readonly channels = new Map<string, OriginMap>();
  ring: Ring | undefined;
  era = era;
  readonly gossip: Gossip;
  readonly #out: Effect[] = [];

  constructor(name: string, ring?: Ring) {
    this.name = name;
    this.channels.set(CHANNEL, new OriginMap(name));
    this.ring = ring;
    this.gossip = new Gossip({
      self: name,
      channels: this.channels,
      rings: () => [this.ring],
      era: () => this.era,
    });
  }

  map(channel = CHANNEL): OriginMap {
    const map = this.gossip.channel(channel);
    if (map === undefined) throw new Error(`${this.name} has no room for ${channel}`);
    return map;
  }

  /** Writes an own entry, and has it passed on. */
  say(key: string, value: Exclude<Json, null>, now: Instant, channel = CHANNEL): void {
    const entry = this.map(channel).put(key, value);
    if (entry !== undefined) this.gossip.changed(channel, [entry], undefined, now);
  }

  /** A frame arrives. */
  hear(conn: ConnId, frame: Frame, now: Instant): void {
    const { gossip } = this;
    switch (frame.t) {
      case "sums":
        gossip.sums(conn, frame, now, this.#out);
        break;
      case "digest":
        gossip.digest(conn, frame, now, this.#out);
        break;
      case "buckets":
        gossip.buckets(conn, frame, this.#out);
        break;
      case "have":
        gossip.have(conn, frame, now);
        break;
      case "want":
        gossip.want(conn, frame, this.#out);
        break;
      case "push": {
        const { fresh } = this.map(frame.channel).merge(gossip.push(conn, frame));
        gossip.changed(frame.channel, fresh, conn, now);
        break;
      }
      case "ring": {
        this.ring ??= new Ring(1 << 20);
        const universe = frame.universe ?? 0;
        const ranges = frame.ranges.map(rangeFromWire);
        const fresh = this.ring.merge(ranges);
        gossip.ringTold(conn, universe, ranges, now);
        gossip.ringChanged(universe, fresh, conn, now);
        if (frame.repair === true) gossip.ringArrived(conn, universe, frame.parts, now, this.#out);
        break;
      }
      default:
        throw new Error(`${frame.t} is not gossip`);
    }
  }

  /** What it sends now, by connection. Every frame is one the other side takes. */
  sends(now: Instant): Sent[] {
    this.gossip.tick(now, this.#out);
    return this.#out.splice(0).flatMap((effect) => {
      if (effect.type !== "send") throw new Error(effect.type);
      if (effect.text.length > MAX_FRAME_CHARS)
        throw new Error(`a frame of ${effect.text.length} characters`);
      const frame = decodeFrame(effect.text);
      if (frame === "unknown" || "refused" in frame) throw new Error(JSON.stringify(frame));
      return [{ conn: effect.conn, frame, ack: effect.ack }];
    });
  }
}

/** Peers joined by numbered connections; frames arrive at once, in virtual time, unless they are lost. */
export class Net {
  readonly log: string[] = [];
  readonly #ends: (readonly [Peer, Peer])[] = [];
  now: Instant = 0;
  /** Whether a frame is lost, though its connection lives. */
  loses: (frame: Frame, from: Peer) => boolean = () => false;

  /** The connection's number, the same on both sides. */
  join(a: Peer, b: Peer): ConnId {
    const conn = this.#ends.push([a, b]) - 1;
    a.gossip.linkUp(conn, false, this.now, true);
    b.gossip.linkUp(conn, false, this.now, false);
    return conn;
  }

  /** Joined, and each has all of the other. */
  inStep(a: Peer, b: Peer): ConnId {
    const conn = this.join(a, b);
    this.run(LAZY_DELAY_MS);
    if (!a.gossip.isSynced() || !b.gossip.isSynced()) throw new Error("not in step");
    this.took();
    return conn;
  }

  /** The connection is lost, on both sides at once. */
  cut(conn: ConnId): void {
    for (const peer of this.#ends[conn] ?? []) peer.gossip.linkDown(conn, this.now);
  }

  /** Lets so much time pass. */
  run(forMs: number): void {
    const until = this.now + forMs;
    for (;;) {
      this.#exchange();
      const due = this.#peers().flatMap((peer) => peer.gossip.nextDeadline() ?? []);
      const next = Math.min(...due);
      if (next > until) break;
      this.now = Math.max(next, this.now);
    }
    this.now = until;
  }

  /** Kinds of frames that went over since the last look. */
  took(): string[] {
    return this.log.splice(0).sort();
  }

  #peers(): Peer[] {
    return [...new Set(this.#ends.flat())];
  }

  #exchange(): void {
    for (let quiet = false; !quiet; ) {
      quiet = true;
      for (const peer of this.#peers()) {
        for (const { conn, frame, ack } of peer.sends(this.now)) {
          quiet = false;
          const other = this.#ends[conn]?.find((end) => end !== peer);
          const items = frame.t === "push" ? ` ${frame.entries.length}` : "";
          const repair = "repair" in frame && frame.repair === true ? " repair" : "";
          this.log.push(`${peer.name}: ${frame.t}${repair}${items}`);
          if (!this.loses(frame, peer)) other?.hear(conn, frame, this.now);
          if (ack) peer.gossip.sent(conn);
        }
      }
    }
  }
}

/** Three peers that have not met, and the net to join them by. */
export const strangers = (): [alice: Peer, bob: Peer, carol: Peer, net: Net] => [
  new Peer("alice"),
  new Peer("bob"),
  new Peer("carol"),
  new Net(),
];
