// Connections: whom to dial and when, who may stay, who is still alive. Owns targets and links; what flows over an
// established link is gossip's.
//
//   target:  waiting --dial--> dialing --conn-up--> (link) --lost--> waiting ...        self: never again
//   link:    greeting --hello accepted--> established --silent, closed, duplicate--> gone
import type { CloseReason, ConnId, DialId, TransportEvent } from "../connection.ts";
import type { Effect, Instant } from "../effects.ts";
import { encodeFrame, type Frame, type Hello } from "../gossip/frames.ts";
import type { Random } from "../random.ts";
import {
  ALIVE_MS,
  DIAL_BACKOFF_GROWTH,
  DIAL_BACKOFF_MAX_MS,
  DIAL_BACKOFF_MS,
  DIAL_STABLE_MS,
  HELLO_TIMEOUT_MS,
  MAX_LINKS,
  MAX_REFUSALS,
  PING_INTERVAL_MS,
  REFUSAL_SHOWN_MS,
  SILENT_MS,
} from "./constants.ts";
import { cloneObjection, type Introduction, nameTaken, objection } from "./hello.ts";

/** An address to dial, from `launch` or `connect`. */
export interface Target {
  readonly address: string;
  state: "waiting" | "dialing" | "connected" | "self";
  /** Consecutive failures. */
  failures: number;
  nextDial: Instant;
  /** Why it is not connected, and since when. */
  failure: (CloseReason & { readonly since: Instant }) | undefined;
  /** The peer found there last. */
  peer: string | undefined;
}

/** One connection, from its opening on. */
export interface Link {
  readonly conn: ConnId;
  readonly target: Target | undefined;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly since: Instant;
  readonly nonce: string;
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
  readonly name: string;
  readonly uid: string;
  readonly since: Instant;
  readonly last: Instant;
}

/** An established connection came or went. */
export type LinkChange = {
  readonly type: "established" | "lost";
  readonly link: EstablishedLink;
  readonly reason?: CloseReason;
};

/** All connections of this host. At most one established link per peer. */
export class Mesh {
  readonly #ours: Introduction;
  readonly #random: Random;
  readonly #targets = new Map<string, Target>();
  readonly #links = new Map<ConnId, Link>();
  readonly #byPeer = new Map<string, EstablishedLink>();
  readonly #dials = new Map<DialId, Target>();
  readonly #refusals = new Map<string, Refusal>();
  #nextDial: DialId = 1;
  /** Where this peer belongs; part of every introduction. */
  belongs: Pick<Hello, "cluster" | "epoch" | "joined"> = {};
  readonly #incarnationOf: (name: string) => string | undefined;

  /** `incarnationOf`: of a peer known by name. */
  constructor(
    ours: Introduction,
    random: Random,
    incarnationOf: (name: string) => string | undefined = () => undefined,
  ) {
    this.#ours = ours;
    this.#random = random;
    this.#incarnationOf = incarnationOf;
  }

  /** Add targets, or make them the only ones. A target named again is tried at once. Live connections stay. */
  setTargets(addresses: readonly string[], replace: boolean, now: Instant): void {
    if (replace)
      for (const address of this.#targets.keys())
        if (!addresses.includes(address)) this.#targets.delete(address);
    for (const address of addresses) {
      const held = this.#targets.get(address);
      if (held === undefined) {
        this.#targets.set(address, {
          address,
          state: "waiting",
          failures: 0,
          nextDial: now,
          failure: undefined,
          peer: undefined,
        });
      } else if (held.state === "waiting" || held.state === "self") {
        Object.assign(held, { state: "waiting", failures: 0, nextDial: now });
      }
    }
  }

  targets(): readonly Target[] {
    return [...this.#targets.values()];
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
    const target = event.dial === undefined ? undefined : this.#dials.get(event.dial);
    if (event.dial !== undefined) this.#dials.delete(event.dial);
    const link: Link = {
      conn: event.conn,
      target,
      remoteAddress: event.remoteAddress,
      remotePort: event.remotePort,
      localAddress: event.localAddress,
      since: now,
      nonce: this.#nonce(),
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
      ...this.belongs,
    };
    send(out, link, hello);
  }

  dialFailed(dial: DialId, message: string, now: Instant): Target | undefined {
    const target = this.#dials.get(dial);
    this.#dials.delete(dial);
    if (target !== undefined) this.#failed(target, { code: "dial-failed", message }, now);
    return target;
  }

  /** The introduction of the other side. */
  hello(link: Link, theirs: Hello, now: Instant, out: Effect[]): readonly LinkChange[] {
    if (link.peer !== undefined)
      return this.drop(link, { code: "protocol", message: "introduced itself twice" }, now, out);
    const rival = this.#byPeer.get(theirs.name);
    const known = this.#incarnationOf(theirs.name) ?? theirs.incarnation;
    const taken = known === theirs.incarnation || rival !== undefined ? undefined : nameTaken(theirs.name);
    const problem = objection(this.#ours, theirs) ?? taken;
    if (problem !== undefined) {
      if (problem.code !== "self") this.#refuse(link, theirs, problem, now);
      if (link.target !== undefined && problem.code === "self") link.target.state = "self";
      return this.drop(link, problem, now, out);
    }
    const accepted: EstablishedLink = Object.assign(link, { peer: theirs });
    if (link.target !== undefined) link.target.peer = theirs.name;
    if (rival === undefined) return this.#establish(accepted);
    if (rival.peer.uid !== theirs.uid && now - rival.lastHeard < ALIVE_MS) {
      // Both are alive, so this is no restart. A peer that did restart is let in when its old connection is silent.
      const clone = cloneObjection(theirs.name);
      this.#refuse(link, theirs, clone, now);
      return this.drop(link, clone, now, out);
    }
    // Of two connections to one process both sides keep the one whose nonces sort first.
    if (rival.peer.uid === theirs.uid && pair(rival) < pair(accepted)) {
      this.#settled(link.target, theirs.name);
      return this.drop(link, DUPLICATE, now, out);
    }
    return [...this.drop(rival, DUPLICATE, now, out), ...this.#establish(accepted)];
  }

  down(conn: ConnId, reason: CloseReason, now: Instant): readonly LinkChange[] {
    const link = this.#links.get(conn);
    return link === undefined ? [] : this.#gone(link, reason, now);
  }

  /** End a link from this side. */
  drop(link: Link, reason: CloseReason, now: Instant, out: Effect[]): readonly LinkChange[] {
    out.push({ type: "close", conn: link.conn, reason });
    return this.#gone(link, reason, now);
  }

  heard(link: Link, now: Instant): void {
    link.lastHeard = now;
  }

  ping(link: Link, n: number, out: Effect[]): void {
    send(out, link, { t: "pong", n });
  }

  pong(link: Link, now: Instant): void {
    link.rttMs = Math.max(0, now - link.pingSent);
  }

  /** Do what is due. `lateMs`: how long this process was away; silence during that time proves nothing. */
  tick(now: Instant, lateMs: number, out: Effect[]): readonly LinkChange[] {
    const changes: LinkChange[] = [];
    for (const target of this.#targets.values()) if (this.#due(target, now)) this.#dial(target, out);
    for (const link of [...this.#links.values()]) {
      if (lateMs > 1_000) link.lastHeard = Math.min(now, link.lastHeard + lateMs);
      const limit = link.peer === undefined ? HELLO_TIMEOUT_MS : SILENT_MS;
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
        link.pingSent = now;
        link.nextPing = now + PING_INTERVAL_MS;
        send(out, link, { t: "ping", n: 0 });
      }
    }
    return changes;
  }

  nextDeadline(): Instant | undefined {
    let next = Number.POSITIVE_INFINITY;
    for (const target of this.#targets.values()) {
      if (target.state === "waiting" && !this.#met(target)) next = Math.min(next, target.nextDial);
    }
    for (const link of this.#links.values()) {
      const limit = link.peer === undefined ? HELLO_TIMEOUT_MS : SILENT_MS;
      next = Math.min(next, link.lastHeard + limit, link.peer === undefined ? next : link.nextPing);
    }
    return Number.isFinite(next) ? next : undefined;
  }

  #due(target: Target, now: Instant): boolean {
    return target.state === "waiting" && now >= target.nextDial && !this.#met(target);
  }

  /** The peer behind this target is connected some other way (it dialled us). */
  #met(target: Target): boolean {
    return target.peer !== undefined && this.#byPeer.has(target.peer);
  }

  #dial(target: Target, out: Effect[]): void {
    const dial = this.#nextDial++;
    target.state = "dialing";
    this.#dials.set(dial, target);
    out.push({ type: "dial", dial, target: target.address });
  }

  #establish(link: EstablishedLink): readonly LinkChange[] {
    this.#byPeer.set(link.peer.name, link);
    for (const [key, { uid }] of this.#refusals) if (uid === link.peer.uid) this.#refusals.delete(key);
    this.#settled(link.target, link.peer.name);
    return [{ type: "established", link }];
  }

  #settled(target: Target | undefined, peer: string): void {
    if (target !== undefined) Object.assign(target, { state: "connected", failure: undefined, peer });
  }

  #gone(link: Link, reason: CloseReason, now: Instant): readonly LinkChange[] {
    this.#links.delete(link.conn);
    const { target, peer } = link;
    const established = peer !== undefined && this.#byPeer.get(peer.name)?.conn === link.conn;
    if (established) this.#byPeer.delete(peer.name);
    if (target !== undefined && target.state !== "self") {
      if (reason.code === "self") target.state = "self";
      else if (reason.code === DUPLICATE.code)
        Object.assign(target, { state: "waiting", failures: 0, nextDial: now + DIAL_BACKOFF_MS });
      else {
        if (peer !== undefined && now - link.since > DIAL_STABLE_MS) target.failures = 0;
        this.#failed(target, reason, now);
      }
    }
    // Targets whose peer is known to be connected by this very link.
    for (const other of this.#targets.values()) {
      if (!established || other.peer !== peer.name || other === target) continue;
      if (other.state === "connected" || (other.state === "waiting" && other.nextDial <= now))
        Object.assign(other, { state: "waiting", nextDial: now + this.#pause(1) });
    }
    return established ? [{ type: "lost", link: Object.assign(link, { peer }), reason }] : [];
  }

  #failed(target: Target, reason: CloseReason, now: Instant): void {
    target.failures++;
    target.state = "waiting";
    target.nextDial = now + this.#pause(target.failures);
    target.failure = { ...reason, since: target.failure?.since ?? now };
  }

  /** Exponential, with +-50 % jitter so that a whole fleet does not dial in step. */
  #pause(failures: number): number {
    const base = Math.min(DIAL_BACKOFF_MS * DIAL_BACKOFF_GROWTH ** (failures - 1), DIAL_BACKOFF_MAX_MS);
    return base * (0.5 + this.#random.next());
  }

  #refuse(link: Link, { name, uid }: Hello, reason: CloseReason, now: Instant): void {
    const key = `${link.remoteAddress} ${name} ${reason.code}`;
    const since = this.#refusals.get(key)?.since ?? now;
    this.#refusals.delete(key);
    this.#refusals.set(key, { ...reason, address: link.remoteAddress, name, uid, since, last: now });
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

const DUPLICATE: CloseReason = { code: "duplicate", message: "another connection between the two is kept" };

/** The same text on both sides of a connection. */
const pair = (link: EstablishedLink): string => [link.nonce, link.peer.nonce].sort().join();

function send(out: Effect[], link: Link, frame: Frame): void {
  out.push({ type: "send", conn: link.conn, text: encodeFrame(frame), ack: false });
}
