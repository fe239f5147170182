// What neighbours say, and where it goes: each frame is decoded, judged by how far its connection is, and handed to the
// machine whose it is. Decides nothing itself.
import type { Cluster } from "./cluster.ts";
import { eraOf } from "./cluster.ts";
import type { Entry } from "./crdt/origin-map.ts";
import { type Effect, event, type Instant } from "./effects.ts";
import type { Desk } from "./endpoints/desk.ts";
import { ENDPOINTS } from "./endpoints/endpoint.ts";
import { type Codec, decodeBody, type FrameOf, rangeFromWire } from "./gossip/frames.ts";
import type { Gossip } from "./gossip/gossip.ts";
import { configurationFromWire } from "./ipam/configuration-wire.ts";
import type { LinkChange, Mesh } from "./mesh/mesh.ts";
import type { OwnRecord } from "./mesh/own-record.ts";
import { PEERS } from "./mesh/peer-record.ts";

/** The machines of a node, and what only the node can do. */
export interface InboundHost {
  readonly self: string;
  readonly codec: Codec;
  readonly mesh: Mesh;
  readonly gossip: Gossip;
  readonly cluster: Cluster;
  readonly desk: Desk;
  readonly own: OwnRecord;
  linkChanges(changes: readonly LinkChange[], now: Instant, out: Effect[]): void;
  /** Persist and pass on what became effective in a channel; it came by the connection `from`. */
  spread(channel: string, fresh: readonly Entry[], from: number, now: Instant, out: Effect[]): void;
  /** Hand a message on to the neighbour nearest its addressee. */
  forward(frame: FrameOf<"to">, out: Effect[]): void;
}

/** Takes every frame that arrives. */
export class Inbound {
  readonly #host: InboundHost;

  constructor(host: InboundHost) {
    this.#host = host;
  }

  /** One frame, as text. "passing": nothing but gossip can follow from it. */
  frame(conn: number, text: string, now: Instant, out: Effect[]): "passing" | "telling" {
    const link = this.#host.mesh.link(conn);
    if (link === undefined) return "passing"; // closed by us a moment ago
    this.#host.mesh.heard(link, now);
    const frame = this.#host.codec.decode(text);
    if (frame === "unknown") return "passing"; // of a newer version
    if ("refused" in frame) {
      out.push(
        event("frame-refused", "warn", {
          from: link.peer?.name ?? link.remoteAddress,
          why: String(frame.refused),
        }),
      );
      if (link.peer === undefined)
        this.#host.linkChanges(
          this.#host.mesh.drop(link, { code: "malformed", message: String(frame.refused) }, now, out),
          now,
          out,
        );
      return "telling";
    }
    if (frame.t === "hello") {
      this.#host.linkChanges(this.#host.mesh.hello(link, frame, now, out), now, out);
      return "telling";
    }
    if (link.peer === undefined) {
      this.#host.linkChanges(
        this.#host.mesh.drop(
          link,
          { code: "protocol", message: "spoke before it introduced itself" },
          now,
          out,
        ),
        now,
        out,
      );
      return "telling";
    }
    switch (frame.t) {
      case "ping":
        this.#host.mesh.ping(link, frame, out);
        return "passing";
      case "pong":
        this.#host.mesh.pong(link, now);
        return "passing";
      case "sums":
        this.#host.cluster.membership.neighbourIs(link, eraOf(frame), now, out);
        this.#host.gossip.sums(conn, frame, now, out);
        if (this.#host.cluster.isBehind(frame)) this.#host.cluster.tell(link, now, out);
        break;
      case "config": {
        const theirs = configurationFromWire(frame.configuration);
        this.#host.cluster.membership.neighbourIs(link, theirs, now, out);
        if (this.#host.cluster.council.heard(theirs, frame.yields === true, now, out) === "older")
          this.#host.cluster.tell(link, now, out);
        break;
      }
      case "digest":
        this.#host.gossip.digest(conn, frame, now, out);
        break;
      case "buckets":
        this.#host.gossip.buckets(conn, frame, out);
        break;
      case "have":
        this.#host.gossip.have(conn, frame, now);
        return "passing";
      case "want":
        this.#host.gossip.want(conn, frame, out);
        return "passing";
      case "push":
        this.#pushed(conn, frame, now, out);
        break;
      case "ring": {
        const ranges = frame.ranges.map(rangeFromWire);
        const { universe = 0 } = frame;
        this.#host.cluster.membership.heardRing(universe, frame, ranges, conn, now, out);
        if (frame.repair === true) this.#host.gossip.ringArrived(conn, universe, frame.parts, now, out);
        break;
      }
      case "prune":
      case "graft":
        break; // of protocol 1, where trees were found by trial
      case "to":
        if (frame.to === this.#host.self)
          this.#host.cluster.addressed(frame.from, decodeBody(frame.body), now, out);
        else if (frame.hops > 0) this.#host.forward({ ...frame, hops: frame.hops - 1 }, out);
        break;
    }
    return "telling";
  }

  #pushed(conn: number, frame: FrameOf<"push">, now: Instant, out: Effect[]): void {
    const map = this.#host.gossip.channel(frame.channel);
    if (map === undefined) return;
    const entries = this.#host.gossip.push(conn, frame);
    const self = this.#host.self;
    // A clone somewhere beyond our neighbours would answer each of our answers for ever.
    const admitted = entries.filter((entry) => this.#host.cluster.admits(frame.channel, entry));
    const isCloned = this.#host.own.cloneSince(now) !== undefined;
    const heard = isCloned ? admitted.filter((e) => e.origin !== self) : admitted;
    if (frame.channel === ENDPOINTS)
      this.#host.desk.mind(
        heard.filter((e) => e.origin === self),
        now,
        out,
      );
    if (frame.channel === PEERS) this.#host.own.heard(admitted);
    const { fresh, refused } = map.merge(heard);
    if (refused > 0) out.push(event("entries-refused", "warn", { channel: frame.channel, refused }));
    this.#host.spread(frame.channel, fresh, conn, now, out);
    for (const { origin, key } of fresh) {
      if (origin !== self) continue;
      if (frame.channel === PEERS) this.#host.own.echoed(now);
      out.push(event("spoke-again", "info", { channel: frame.channel, key }));
    }
  }
}
