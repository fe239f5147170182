// Connections: who may stay, who is still alive. Owns links; whom to dial is the dialler's, and what flows over an
// established link is gossip's.
//
//   link:    greeting --hello accepted--> established --silent, closed, duplicate, full--> gone
import type { CloseReason, ConnId, DialId, PasswordCode, TransportEvent } from "../connection.ts";
import type { Effect, Instant } from "../effects.ts";
import { encodeFrame, type Frame, type Hello } from "../gossip/frames.ts";
import type { Random } from "../random.ts";
import {
  ALIVE_MS,
  DEFAULT_CONN_LIMIT,
  HELLO_TIMEOUT_MS,
  MAX_ESTABLISHED,
  MAX_LINKS,
  MAX_REFUSALS,
  PING_INTERVAL_MS,
  REFUSAL_SHOWN_MS,
  SILENT_MS,
} from "./constants.ts";
import { Dialler, type Sought, type Target } from "./dialler.ts";
import { cloneObjection, type Introduction, inFull, nameTaken, objection } from "./hello.ts";
import { Lag } from "./lag.ts";

/** One connection, from its opening on. */
export interface Link {
  readonly conn: ConnId;
  readonly target: Target | undefined;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly since: Instant;
  readonly nonce: string;
  /** How often this host's address had changed when it was opened. */
  readonly moves: number;
  /** Set once the other side's introduction was accepted. */
  peer: Hello | undefined;
  lastHeard: Instant;
  nextPing: Instant;
  pingSent: Instant;
  rttMs: number | undefined;
}

/** A connection whose other side has introduced itself and may stay. */
export interface EstablishedLink extends Link {
  peer: Hello;
}

/** Somebody who was turned away, for `status`. */
export interface Refusal extends CloseReason {
  readonly address: string;
  /** Of a peer that came as far as introducing itself. */
  readonly name: string | undefined;
  readonly uid: string | undefined;
  /** It dialled us. */
  readonly inbound: boolean;
  readonly since: Instant;
  readonly last: Instant;
}

/** An established connection came or went. */
export type LinkChange = {
  readonly type: "established" | "lost";
  readonly link: EstablishedLink;
  readonly reason?: CloseReason;
};

/** What a mesh asks of the rest of the node, and what it may do. */
export interface MeshSurroundings {
  /** Of a peer known by name. */
  incarnationOf(name: string): string | undefined;
  /** Over whatever connections there are. */
  isReachable(name: string): boolean;
  /** It says of itself that it has as many connections as it may. */
  isFull(name: string): boolean;
  readonly discovery: boolean;
  /** Connections beyond it must be needed. */
  readonly limit: number;
}

const ALONE: MeshSurroundings = {
  incarnationOf: () => undefined,
  isReachable: () => false,
  isFull: () => false,
  discovery: false,
  limit: DEFAULT_CONN_LIMIT,
};

/** All connections of this host. At most one established link per peer. */
export class Mesh {
  readonly #ours: Introduction;
  readonly #random: Random;
  readonly #around: MeshSurroundings;
  readonly #dialler: Dialler;
  readonly #lag = new Lag();
  readonly #links = new Map<ConnId, Link>();
  readonly #byPeer = new Map<string, EstablishedLink>();
  readonly #refusals = new Map<string, Refusal>();
  #moves = 0;
  /** Where this peer belongs; part of every introduction. */
  belongs: Pick<Hello, "cluster" | "epoch" | "joined"> = {};

  constructor(ours: Introduction, random: Random, around: Partial<MeshSurroundings> = {}) {
    this.#ours = ours;
    this.#random = random;
    this.#around = { ...ALONE, ...around };
    this.#dialler = new Dialler({
      self: ours.name,
      random,
      discovery: this.#around.discovery,
      isNeedless: ({ peer }) =>
        peer !== undefined &&
        (this.#byPeer.has(peer) ||
          ((this.#isFull() || this.#around.isFull(peer)) && this.#around.isReachable(peer))),
    });
  }

  /** Connections beyond it must be needed. */
  get limit(): number {
    return this.#around.limit;
  }

  /** Add targets, or make them the only ones. A target named again is tried at once. Live connections stay. */
  setTargets(addresses: readonly string[], replace: boolean, now: Instant): void {
    this.#dialler.setGiven(addresses, replace, now);
  }

  /** These addresses are dialled no more. Live connections stay. */
  forgetTargets(addresses: readonly string[]): void {
    this.#dialler.forget(addresses);
  }

  /** Those an operator gave. */
  targets(): readonly Target[] {
    return this.#dialler.given();
  }

  /** False for one whose peer is connected already, or has a path from here where a limit leaves no room, here or there. */
  isDialled(target: Target): boolean {
    return this.#dialler.isDialled(target);
  }

  /** Those found through gossip. */
  found(): readonly Target[] {
    return this.#dialler.found();
  }

  /** Peers to be connected to, as far as gossip tells. `known`: whether it tells of a peer at all. */
  seek(sought: readonly Sought[], known: (name: string) => boolean, now: Instant): void {
    this.#dialler.seek(sought, known, now);
  }

  /** Gossip tells that there is a path to this peer again. */
  cameBack(peer: string, now: Instant): void {
    this.#dialler.cameBack(peer, now);
  }

  /**
   * This host has these addresses now: connections from another one are dead. Then, or when the address it is reached at
   * `moved`, everybody is dialled anew.
   */
  addressesAre(
    addresses: ReadonlySet<string>,
    moved: boolean,
    now: Instant,
    out: Effect[],
  ): readonly LinkChange[] {
    const dead = [...this.#links.values()].filter(
      ({ localAddress }) => !addresses.has(localAddress) && !LOCAL.test(localAddress),
    );
    if (dead.length === 0 && !moved) return [];
    this.#moves++;
    const changes: LinkChange[] = [];
    for (const link of dead) {
      const reason = {
        code: "address-gone",
        message: `${link.localAddress} is no address of this host any more`,
      };
      changes.push(...this.drop(link, reason, now, out));
    }
    this.#dialler.retryAll(now);
    return changes;
  }

  /** Established links, one per peer. */
  links(): readonly EstablishedLink[] {
    return [...this.#byPeer.values()];
  }

  linkTo(peer: string): EstablishedLink | undefined {
    return this.#byPeer.get(peer);
  }

  link(conn: ConnId): Link | undefined {
    return this.#links.get(conn);
  }

  refusals(now: Instant): readonly Refusal[] {
    return [...this.#refusals.values()].filter((r) => now - r.last < REFUSAL_SHOWN_MS);
  }

  up(event: Extract<TransportEvent, { type: "conn-up" }>, now: Instant, out: Effect[]): void {
    const target = event.dial === undefined ? undefined : this.#dialler.answered(event.dial);
    const link: Link = {
      conn: event.conn,
      target,
      remoteAddress: event.remoteAddress,
      remotePort: event.remotePort,
      localAddress: event.localAddress,
      since: now,
      nonce: this.#nonce(),
      moves: this.#moves,
      peer: undefined,
      lastHeard: now,
      nextPing: now + PING_INTERVAL_MS,
      pingSent: now,
      rttMs: undefined,
    };
    if (this.#links.size >= MAX_LINKS && target === undefined) {
      out.push({
        type: "close",
        conn: event.conn,
        reason: { code: "full", message: `already ${MAX_LINKS} connections` },
      });
      return;
    }
    this.#links.set(event.conn, link);
    const hello: Hello = {
      ...this.#ours,
      t: "hello",
      nonce: link.nonce,
      links: this.#byPeer.size,
      moves: this.#moves,
      ...this.belongs,
    };
    send(out, link, hello);
  }

  dialFailed(dial: DialId, message: string, now: Instant, code?: PasswordCode): Target | undefined {
    return this.#dialler.dialFailed(dial, message, now, code);
  }

  /** The transport turned somebody away. True when that is not known yet. */
  refused(
    { remoteAddress, reason }: Extract<TransportEvent, { type: "conn-refused" }>,
    now: Instant,
  ): boolean {
    const known = this.refusals(now).some((r) => r.address === remoteAddress && r.code === reason.code);
    this.#refuse({ address: remoteAddress, name: undefined, uid: undefined, inbound: true, ...reason }, now);
    return !known;
  }

  /** The introduction of the other side. */
  hello(link: Link, theirs: Hello, now: Instant, out: Effect[]): readonly LinkChange[] {
    if (link.peer !== undefined)
      return this.drop(link, { code: "protocol", message: "introduced itself twice" }, now, out);
    const rival = this.#byPeer.get(theirs.name);
    const known = this.#around.incarnationOf(theirs.name) ?? theirs.incarnation;
    const taken = known === theirs.incarnation || rival !== undefined ? undefined : nameTaken(theirs.name);
    const problem = objection(this.#ours, theirs) ?? taken;
    if (problem !== undefined) {
      if (problem.code !== "self") this.#refuse(strangerOn(link, theirs, problem), now);
      if (link.target !== undefined && problem.code === "self") link.target.state = "self";
      return this.drop(link, problem, now, out);
    }
    if (link.target?.given === false && link.target.peer !== theirs.name) {
      const message = `${theirs.nickname} answers where ${link.target.peer ?? "another peer"} is known to be`;
      return this.drop(link, { code: "other-peer", message }, now, out);
    }
    const accepted: EstablishedLink = Object.assign(link, { peer: theirs });
    if (link.target !== undefined) link.target.peer = theirs.name;
    if (rival === undefined)
      return this.#hasRoomFor(theirs)
        ? this.#establish(accepted, now)
        : this.drop(link, this.#fullness(), now, out);
    if (rival.peer.uid !== theirs.uid && now - rival.lastHeard < ALIVE_MS) {
      // Both are alive, so this is no restart. A peer that did restart is let in when its old connection is silent.
      const clone = cloneObjection(theirs.name);
      this.#refuse(strangerOn(link, theirs, clone), now);
      return this.drop(link, clone, now, out);
    }
    if (rival.peer.uid === theirs.uid && isKept(rival, accepted)) {
      this.#dialler.settled(link.target, theirs.name);
      return this.drop(link, DUPLICATE, now, out);
    }
    return [...this.drop(rival, DUPLICATE, now, out), ...this.#establish(accepted, now)];
  }

  down(conn: ConnId, reason: CloseReason, now: Instant): readonly LinkChange[] {
    const link = this.#links.get(conn);
    return link === undefined ? [] : this.#gone(link, inFull(reason, this.#ours.name), now);
  }

  /** End a link from this side. */
  drop(link: Link, reason: CloseReason, now: Instant, out: Effect[]): readonly LinkChange[] {
    out.push({ type: "close", conn: link.conn, reason });
    return this.#gone(link, reason, now);
  }

  heard(link: Link, now: Instant): void {
    link.lastHeard = now;
  }

  /** `rtt`: what the other side has measured. */
  ping(link: Link, { n, rtt }: { readonly n: number; readonly rtt?: number }, out: Effect[]): void {
    if (rtt !== undefined) link.rttMs = rtt;
    send(out, link, { t: "pong", n });
  }

  pong(link: Link, now: Instant): void {
    link.rttMs = Math.max(0, now - link.pingSent);
  }

  /**
   * Do what is due. `lateMs`: how much later than nextDeadline() this is, negative when it is earlier. Silence during that
   * time proves nothing, and a process that is late is given more time for a while (lag.ts).
   */
  tick(now: Instant, lateMs: number, out: Effect[]): readonly LinkChange[] {
    const changes: LinkChange[] = [];
    if (lateMs >= 0) this.#lag.note(lateMs, now);
    this.#dialler.tick(now, out);
    for (const link of [...this.#links.values()]) {
      if (lateMs > 1_000) link.lastHeard = Math.min(now, link.lastHeard + lateMs);
      const limit = this.#patience(link);
      if (now - link.lastHeard >= limit) {
        changes.push(
          ...this.drop(
            link,
            { code: "silent", message: `nothing heard for ${Math.round(limit / 1000)} s` },
            now,
            out,
          ),
        );
      } else if (link.peer !== undefined && now >= link.nextPing) {
        link.nextPing = now + PING_INTERVAL_MS;
        if (this.#ours.name < link.peer.name) this.#ping(link, now, out);
      }
    }
    return changes;
  }

  nextDeadline(): Instant | undefined {
    let next = this.#dialler.nextDeadline() ?? Number.POSITIVE_INFINITY;
    for (const link of this.#links.values()) {
      // On the side that answers, too: how late this is tells how long the process was away.
      const look = link.peer === undefined ? next : link.nextPing;
      next = Math.min(next, link.lastHeard + this.#patience(link), look);
    }
    return Number.isFinite(next) ? next : undefined;
  }

  /** One side of a link asks, the other answers: both hear something each PING_INTERVAL_MS. */
  #ping(link: Link, now: Instant, out: Effect[]): void {
    link.pingSent = now;
    send(out, link, { t: "ping", n: 0, ...(link.rttMs === undefined ? {} : { rtt: link.rttMs }) });
  }

  #patience({ peer }: Link): number {
    return (peer === undefined ? HELLO_TIMEOUT_MS : SILENT_MS) + this.#lag.grace;
  }

  #isFull(): boolean {
    return this.#byPeer.size >= this.#around.limit;
  }

  /** Whoever has no other way to us is let in; another one has to give way afterwards (discovery.ts). */
  #hasRoomFor({ name, links = 1 }: Hello): boolean {
    if (this.#byPeer.size >= MAX_ESTABLISHED) return false;
    return !this.#isFull() || links === 0 || this.#byPeer.size === 0 || !this.#around.isReachable(name);
  }

  #fullness(): CloseReason {
    return {
      code: "full",
      message: `connection limit reached (${this.#around.limit}); there is a path over other peers`,
    };
  }

  /** End connections that can be spared beyond the limit. */
  spare(peers: readonly string[], now: Instant, out: Effect[]): readonly LinkChange[] {
    return peers.flatMap((name) => {
      const link = this.#byPeer.get(name);
      return link === undefined ? [] : this.drop(link, this.#fullness(), now, out);
    });
  }

  #establish(link: EstablishedLink, now: Instant): readonly LinkChange[] {
    // The first one after none: whatever was in the way of all is gone.
    if (this.#byPeer.size === 0) this.#dialler.retryAll(now);
    this.#byPeer.set(link.peer.name, link);
    for (const [key, { uid, address }] of this.#refusals)
      if (uid === link.peer.uid || (uid === undefined && address === link.remoteAddress))
        this.#refusals.delete(key);
    this.#dialler.settled(link.target, link.peer.name);
    this.#dialler.retryRefused(link.remoteAddress, now);
    return [{ type: "established", link }];
  }

  #gone(link: Link, reason: CloseReason, now: Instant): readonly LinkChange[] {
    this.#links.delete(link.conn);
    const { target, peer } = link;
    const established = peer !== undefined && this.#byPeer.get(peer.name)?.conn === link.conn;
    if (established) this.#byPeer.delete(peer.name);
    const lived = peer === undefined ? undefined : now - link.since;
    if (target !== undefined) this.#dialler.lost(target, reason, lived, now);
    if (established) this.#dialler.peerLost(peer.name, target, now);
    return established ? [{ type: "lost", link: Object.assign(link, { peer }), reason }] : [];
  }

  #refuse(refusal: Omit<Refusal, "since" | "last">, now: Instant): void {
    const key = `${refusal.address} ${refusal.name ?? ""} ${refusal.code}`;
    const former = this.#refusals.get(key);
    this.#refusals.delete(key);
    this.#refusals.set(key, {
      ...refusal,
      inbound: refusal.inbound || former?.inbound === true,
      since: former?.since ?? now,
      last: now,
    });
    for (const oldest of this.#refusals.keys()) {
      if (this.#refusals.size <= MAX_REFUSALS) break;
      this.#refusals.delete(oldest);
    }
  }

  #nonce(): string {
    return Math.floor(this.#random.next() * 2 ** 48)
      .toString(16)
      .padStart(12, "0");
  }
}

/** Loopback and link-local: not among the addresses a host is reached at, and not missed there. */
const LOCAL = /^(127\.|169\.254\.|::1$|fe80:)/i;
const strangerOn = (
  { remoteAddress, target }: Link,
  { name, uid }: Hello,
  { code, message }: CloseReason,
) => ({
  ...{ address: remoteAddress, name, uid },
  ...{ inbound: target === undefined, code, message },
});

const DUPLICATE: CloseReason = { code: "duplicate", message: "another connection between the two is kept" };

/**
 * Of two connections to one process both sides keep the same: the one made after the last change of an address, or else
 * the one whose nonces sort first.
 */
function isKept(rival: EstablishedLink, other: EstablishedLink): boolean {
  const moves = (link: EstablishedLink): number => link.moves + (link.peer.moves ?? 0);
  const pair = (link: EstablishedLink): string => [link.nonce, link.peer.nonce].sort().join();
  return moves(rival) === moves(other) ? pair(rival) < pair(other) : moves(rival) > moves(other);
}

function send(out: Effect[], link: Link, frame: Frame): void {
  out.push({ type: "send", conn: link.conn, text: encodeFrame(frame), ack: false });
}
