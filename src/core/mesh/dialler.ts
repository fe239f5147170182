// Whom to dial, and when: addresses an operator gave, and peers found through gossip. Owns targets, their failures and the
// pauses between attempts. What becomes of an open connection is Mesh's.
//
//   target:  waiting --dial--> dialing --conn-up--> (link) --lost--> waiting ...        self: never again
import type { CloseReason, DialId, PasswordCode } from "../connection.ts";
import type { Effect, Instant } from "../effects.ts";
import type { Random } from "../random.ts";
import {
  DIAL_BACKOFF_GROWTH,
  DIAL_BACKOFF_LONE_MS,
  DIAL_BACKOFF_MAX_MS,
  DIAL_BACKOFF_MS,
  DIAL_STABLE_MS,
  DIAL_TURN_MS,
  MAX_FOUND_DIALS,
  PASSWORD_PAUSE_MS,
} from "./constants.ts";
import { hostOf, PASSWORD_CODES } from "./password.ts";

/** An address to dial. */
export interface Target {
  readonly address: string;
  /** From `launch` or `connect`; otherwise it was found through gossip, and `peer` is who should be there. */
  readonly given: boolean;
  state: "waiting" | "dialing" | "connected" | "self";
  /** Consecutive failures. */
  failures: number;
  nextDial: Instant;
  /** Why it is not connected, and since when. */
  failure: (CloseReason & { readonly since: Instant }) | undefined;
  /** The peer found there last. */
  peer: string | undefined;
  /** Dialled only while it is; a given one always is. */
  wanted: boolean;
  /** There is no path to this peer: it goes before those there is one to. */
  urgent: boolean;
}

/** A peer that gossip tells of, and that should be connected (discovery.ts). */
export interface Sought {
  readonly name: string;
  readonly address: string;
  /** There is no path to it. */
  readonly urgent: boolean;
}

/** Failures that may be over when the network is another; a refusal is not. */
const PASSING: ReadonlySet<string> = new Set(["dial-failed", "connection-lost", "silent", "address-gone"]);

/** What a dialler must know of the mesh around it. */
export interface DiallerHost {
  readonly self: string;
  readonly random: Random;
  /** Peers are found through gossip, too: news of them ends a long pause. */
  readonly discovery: boolean;
  /** A connection would be of no use: its peer is connected, or there is room for none and a path to it. */
  isNeedless(target: Target): boolean;
}

/** All targets of this host. */
export class Dialler {
  readonly #host: DiallerHost;
  readonly #given = new Map<string, Target>();
  /** By the name of the peer. */
  readonly #found = new Map<string, Target>();
  readonly #dials = new Map<DialId, Target>();
  #nextDial: DialId = 1;

  constructor(host: DiallerHost) {
    this.#host = host;
  }

  /** Those an operator gave. */
  given(): readonly Target[] {
    return [...this.#given.values()];
  }

  /** Those found through gossip, wanted or tried in vain. */
  found(): readonly Target[] {
    return [...this.#found.values()];
  }

  /** Add targets, or make them the only ones. A target named again is tried at once. */
  setGiven(addresses: readonly string[], replace: boolean, now: Instant): void {
    if (replace) this.forget([...this.#given.keys()].filter((address) => !addresses.includes(address)));
    for (const address of addresses) {
      const held = this.#given.get(address);
      if (held === undefined) this.#given.set(address, fresh(address, true, now));
      else if (held.state === "waiting" || held.state === "self")
        Object.assign(held, { state: "waiting", failures: 0, nextDial: now });
    }
  }

  /** These are dialled no more; what is connected stays. */
  forget(addresses: readonly string[]): void {
    for (const address of addresses) this.#given.delete(address);
  }

  /** Gossip tells of these peers; of no others. What failed is remembered for as long as a peer is `known`. */
  seek(sought: readonly Sought[], known: (name: string) => boolean, now: Instant): void {
    const wanted = new Set(sought.map(({ name }) => name));
    for (const [name, target] of this.#found) {
      if (wanted.has(name)) continue;
      target.wanted = false;
      const isSpent = target.state === "waiting" && (target.failures === 0 || !known(name));
      if (isSpent || (target.state === "self" && !known(name))) this.#found.delete(name);
    }
    for (const { name, address, urgent } of sought) {
      const held = this.#found.get(name);
      if (held?.address === address) Object.assign(held, { wanted: true, urgent });
      else
        this.#found.set(name, {
          ...fresh(address, false, now + this.#turn(name)),
          peer: name,
          urgent,
        });
    }
  }

  /** Whether this one would be dialled, sooner or later. */
  isDialled(target: Target): boolean {
    return target.state === "dialing" || this.#isWaiting(target);
  }

  /** Gossip tells that there is a path to a peer again: it is tried soon, and by those who found it after it has tried. */
  cameBack(name: string, now: Instant): void {
    for (const target of this.#given.values()) if (target.peer === name) this.#hurry(target, now);
    const found = this.#found.get(name);
    if (found !== undefined) this.#hurry(found, now + DIAL_TURN_MS);
  }

  /** The network is another than it was: nothing that failed before says anything now. */
  retryAll(now: Instant): void {
    for (const target of this.#all()) this.#hurry(target, now);
  }

  /** A host that was launched anew and came in by itself may now be met at the targets where passwords did not fit. */
  retryRefused(remoteAddress: string, now: Instant): void {
    for (const target of this.#all())
      if (
        target.state === "waiting" &&
        PASSWORD_CODES.has(target.failure?.code ?? "") &&
        hostOf(target.address) === remoteAddress
      )
        target.nextDial = now;
  }

  /** Dial who is due. */
  tick(now: Instant, out: Effect[]): void {
    for (const target of this.#given.values()) if (this.#due(target, now)) this.#dial(target, out);
    let free = MAX_FOUND_DIALS - this.#foundDials();
    for (const urgent of [true, false])
      for (const target of this.#found.values())
        if (free > 0 && target.urgent === urgent && this.#due(target, now)) {
          this.#dial(target, out);
          free--;
        }
  }

  nextDeadline(): Instant | undefined {
    let next = Number.POSITIVE_INFINITY;
    for (const target of this.#given.values())
      if (this.#isWaiting(target)) next = Math.min(next, target.nextDial);
    // One that ends lets the next begin: nothing is due before.
    if (this.#foundDials() < MAX_FOUND_DIALS)
      for (const target of this.#found.values())
        if (this.#isWaiting(target)) next = Math.min(next, target.nextDial);
    return Number.isFinite(next) ? next : undefined;
  }

  /** A dial ended with a connection: its target. */
  answered(dial: DialId): Target | undefined {
    const target = this.#dials.get(dial);
    this.#dials.delete(dial);
    return target;
  }

  dialFailed(dial: DialId, message: string, now: Instant, code?: PasswordCode): Target | undefined {
    const target = this.answered(dial);
    if (target !== undefined) this.failed(target, { code: code ?? "dial-failed", message }, now);
    return target;
  }

  failed(target: Target, reason: CloseReason, now: Instant): void {
    target.failures++;
    target.state = "waiting";
    target.nextDial =
      now +
      (PASSWORD_CODES.has(reason.code) ? this.#jitter(PASSWORD_PAUSE_MS) : this.#pause(target.failures));
    target.failure = { ...reason, since: target.failure?.since ?? now };
  }

  /** Its peer is connected. */
  settled(target: Target | undefined, peer: string): void {
    if (target !== undefined) Object.assign(target, { state: "connected", failure: undefined, peer });
  }

  /** Its link is gone; `lived`: how long its peer was known there, undefined when it never introduced itself. */
  lost(target: Target, reason: CloseReason, lived: number | undefined, now: Instant): void {
    if (target.state === "self") return;
    if (reason.code === "self") target.state = "self";
    else if (reason.code === "duplicate")
      Object.assign(target, { state: "waiting", failures: 0, nextDial: now + DIAL_BACKOFF_MS });
    else {
      if (lived !== undefined && lived > DIAL_STABLE_MS) target.failures = 0;
      this.failed(target, reason, now);
    }
  }

  /** The link to a peer is gone, whoever had dialled: who waited for it begins again. */
  peerLost(peer: string, except: Target | undefined, now: Instant): void {
    for (const target of this.#all()) {
      if (target.peer !== peer || target === except) continue;
      if (target.state === "connected" || (target.state === "waiting" && target.nextDial <= now))
        Object.assign(target, { state: "waiting", nextDial: now + this.#pause(1) });
    }
  }

  #due(target: Target, now: Instant): boolean {
    return this.#isWaiting(target) && now >= target.nextDial;
  }

  #isWaiting(target: Target): boolean {
    return target.state === "waiting" && target.wanted && !this.#host.isNeedless(target);
  }

  #dial(target: Target, out: Effect[]): void {
    const dial = this.#nextDial++;
    target.state = "dialing";
    this.#dials.set(dial, target);
    out.push({ type: "dial", dial, target: target.address });
  }

  #hurry(target: Target, now: Instant): void {
    if (target.state !== "waiting" || !PASSING.has(target.failure?.code ?? "")) return;
    Object.assign(target, { failures: 0, nextDial: now + this.#host.random.below(1_000) });
  }

  *#all(): Generator<Target> {
    yield* this.#given.values();
    yield* this.#found.values();
  }

  #foundDials(): number {
    let dials = 0;
    for (const { given } of this.#dials.values()) if (!given) dials++;
    return dials;
  }

  /** Both ends find each other at the same time: one of them goes first. */
  #turn(peer: string): number {
    const { self, random } = this.#host;
    return (self < peer ? 0 : DIAL_TURN_MS) + random.below(DIAL_TURN_MS / 4);
  }

  /** Exponential, with +-50 % jitter so that a whole fleet does not dial in step. */
  #pause(failures: number): number {
    const longest = this.#host.discovery ? DIAL_BACKOFF_MAX_MS : DIAL_BACKOFF_LONE_MS;
    return this.#jitter(Math.min(DIAL_BACKOFF_MS * DIAL_BACKOFF_GROWTH ** (failures - 1), longest));
  }

  #jitter(ms: number): number {
    return ms * (0.5 + this.#host.random.next());
  }
}

function fresh(address: string, given: boolean, nextDial: Instant): Target {
  return {
    address,
    given,
    state: "waiting",
    failures: 0,
    nextDial,
    failure: undefined,
    peer: undefined,
    wanted: true,
    urgent: false,
  };
}
