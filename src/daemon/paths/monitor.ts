// When which path is probed, and what the answers say about it. Pure: told the time, the paths and what happened to each
// echo; answers with the echoes to send. All peers share one schedule, so a thousand of them cost no more than RATE allows.
//
//   unverified ──answered──> yes ──3 full-size echoes lost──> no ──one answered──> yes
//        └────────────────3 lost────────────────────────────> no    (drops-large: small ones are answered; no-answer: none)
import type { PathState, PathTarget } from "../../core/datapath/paths.ts";
import type { Instant } from "../../core/effects.ts";
import type { Random } from "../../core/random.ts";
import type { Echo } from "../../ports/echo.ts";

/** Between two full-size echoes to a peer whose path is good, ±25 %, if RATE leaves time for it. */
const INTERVAL_MS = 4_000;
/** A new peer is asked within this. */
const FIRST_MS = 500;
/** Twice the way round the world, and time for a busy host. */
const TIMEOUT_MS = 1_000;
/** So many in a row must be lost: of a path that loses 1 % of all, one in a million counts as broken by mistake. */
const MISSES = 3;
/** Between two looks at a broken path: that it was mended is to be told soon. */
const BROKEN_MS = 2_000;
/** After an echo that could not be sent: the bridge is being put back, its MTU changes. */
const REFUSED_MS = 2_000;
/** Rounds per second over all peers. A round is one echo, of a suspicious or broken path three. */
const RATE = 20;
/** Who is woken so late has lost answers by itself, and judges nothing by them. */
const LATE_MS = 500;
/** Of the small echo: passes wherever anything does (IPv4 hosts take 576 bytes, less 70 for VXLAN). */
const SMALL_BYTES = 128;
/** How exactly the size that passes is searched. */
const STEP_BYTES = 8;

const SLOT_MS = 1_000 / RATE;

/** Echoes sent together. */
interface Round {
  readonly sentAt: Instant;
  readonly full: number;
  readonly small?: number;
  /** Looks for the size that passes. */
  readonly middle?: { readonly id: number; readonly bytes: number };
  smallAnswered: boolean;
  middleAnswered: boolean;
}

interface Path {
  target: PathTarget;
  state: PathState;
  nextAt: Instant;
  round: Round | undefined;
  misses: number;
  /** Of a path that drops large packets: this size was answered, that was not. */
  range: { readonly passes: number; readonly fails: number } | undefined;
}

/** The paths to all peers, and their probing. */
export class PathMonitor {
  readonly #random: Random;
  readonly #paths = new Map<string, Path>();
  /** Echo under way -> whose. */
  readonly #echoes = new Map<number, Path>();
  /** No round begins before. */
  #slotAt: Instant = Number.NEGATIVE_INFINITY;
  #lastId = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** What is known of each peer's path. */
  states(): ReadonlyMap<string, PathState> {
    return new Map([...this.#paths].map(([peer, { state }]) => [peer, state]));
  }

  /** These are the paths now. One that leads elsewhere, or is to carry more or less than before, is judged anew. */
  follow(targets: readonly PathTarget[], now: Instant): void {
    const named = new Set(targets.map(({ peer }) => peer));
    for (const [peer, path] of this.#paths) {
      if (named.has(peer)) continue;
      this.#end(path);
      this.#paths.delete(peer);
    }
    for (const target of targets) {
      const path = this.#paths.get(target.peer);
      if (path !== undefined && isSame(path.target, target)) continue;
      if (path !== undefined) this.#end(path);
      this.#paths.set(target.peer, {
        target,
        state: unverified(target, now, target.lacking ?? "not probed yet"),
        nextAt:
          target.address === undefined ? Number.POSITIVE_INFINITY : now + this.#random.next() * FIRST_MS,
        round: undefined,
        misses: 0,
        range: undefined,
      });
    }
  }

  /** Judge what is overdue and begin what is due: the echoes to send. */
  tick(now: Instant): readonly Echo[] {
    const due = this.nextDeadline();
    if (due === undefined || now < due) return [];
    const late = now - due > LATE_MS;
    const ready: Path[] = [];
    for (const path of this.#paths.values()) {
      const { round } = path;
      if (round !== undefined && late) {
        this.#end(path);
        path.nextAt = now;
      } else if (round !== undefined && now >= round.sentAt + TIMEOUT_MS) this.#missed(path, round, now);
      if (path.round === undefined && path.nextAt <= now) ready.push(path);
    }
    ready.sort((a, b) => a.nextAt - b.nextAt);
    const [first] = ready;
    if (first === undefined || now < this.#slotAt) return [];
    this.#slotAt = now + SLOT_MS;
    return this.#begin(first, now);
  }

  nextDeadline(): Instant | undefined {
    let next: Instant | undefined;
    for (const { round, nextAt } of this.#paths.values()) {
      const at = round === undefined ? Math.max(nextAt, this.#slotAt) : round.sentAt + TIMEOUT_MS;
      if (next === undefined || at < next) next = at;
    }
    return next === Number.POSITIVE_INFINITY ? undefined : next;
  }

  /** An echo came back. */
  answered(id: number, rttMs: number, now: Instant): void {
    const path = this.#echoes.get(id);
    const round = path?.round;
    if (path === undefined || round === undefined) return;
    this.#echoes.delete(id);
    if (id === round.small) round.smallAnswered = true;
    if (id === round.middle?.id) round.middleAnswered = true;
    if (id !== round.full) return;
    this.#end(path);
    path.misses = 0;
    path.range = undefined;
    path.nextAt = round.sentAt + INTERVAL_MS * (0.75 + this.#random.next() / 2);
    const { mtu } = path.target;
    const since = path.state.verified === "yes" ? path.state.since : now;
    path.state = { verified: "yes", since, mtu, rttMs };
  }

  /** An echo could not be sent: nothing follows for the path, and nothing is known of it. */
  refused(id: number, why: string, now: Instant): void {
    const path = this.#echoes.get(id);
    if (path === undefined) return;
    this.#end(path);
    path.misses = 0;
    path.nextAt = now + REFUSED_MS;
    const reason = `the echo could not be sent: ${why}`;
    if (path.state.reason !== reason) path.state = unverified(path.target, now, reason);
  }

  #begin(path: Path, now: Instant): readonly Echo[] {
    const { address, mtu } = path.target;
    if (address === undefined) return [];
    const echo = (bytes: number): Echo => {
      this.#lastId = (this.#lastId + 1) % 2 ** 32;
      this.#echoes.set(this.#lastId, path);
      return { id: this.#lastId, address, bytes };
    };
    const full = echo(mtu);
    const small = path.misses === 0 ? undefined : echo(Math.min(SMALL_BYTES, mtu));
    const middle = path.range === undefined ? undefined : echo(middleOf(path.range));
    path.round = {
      sentAt: now,
      full: full.id,
      ...(small === undefined ? {} : { small: small.id }),
      ...(middle === undefined ? {} : { middle: { id: middle.id, bytes: middle.bytes } }),
      smallAnswered: false,
      middleAnswered: false,
    };
    return [full, small, middle].filter((one) => one !== undefined);
  }

  /** The full-size echo of a round was not answered in time. */
  #missed(path: Path, round: Round, now: Instant): void {
    this.#end(path);
    path.misses++;
    path.nextAt = now;
    if (path.misses < MISSES) return;
    const { mtu } = path.target;
    const fault = round.smallAnswered ? "drops-large" : "no-answer";
    path.range = fault === "drops-large" ? narrowed(path.range, round, mtu) : undefined;
    const found = path.range !== undefined && path.range.fails - path.range.passes <= STEP_BYTES;
    if (found || path.range === undefined) path.nextAt = now + BROKEN_MS;
    const since = path.state.fault === fault ? path.state.since : now;
    const passes = found && path.range !== undefined ? { passes: path.range.passes } : {};
    path.state = { verified: "no", since, mtu, fault, ...passes };
  }

  /** No answer to the round under way counts any more. */
  #end(path: Path): void {
    const { round } = path;
    for (const id of [round?.full, round?.small, round?.middle?.id])
      if (id !== undefined) this.#echoes.delete(id);
    path.round = undefined;
  }
}

function unverified({ mtu }: PathTarget, since: Instant, reason: string): PathState {
  return { verified: "unverified", since, mtu, reason };
}

const isSame = (one: PathTarget, other: PathTarget): boolean =>
  (["address", "underlay", "mtu", "lacking"] as const).every((key) => one[key] === other[key]);

/** What to try next; once that is found exactly enough, what passed: it may not any more. */
function middleOf({ passes, fails }: NonNullable<Path["range"]>): number {
  return fails - passes > STEP_BYTES ? (passes + fails) >> 1 : passes;
}

/** What a round says of the size that passes. */
function narrowed(
  range: Path["range"],
  { middle, middleAnswered }: Round,
  mtu: number,
): NonNullable<Path["range"]> {
  if (range === undefined || middle === undefined) return { passes: Math.min(SMALL_BYTES, mtu), fails: mtu };
  if (middleAnswered) return { ...range, passes: middle.bytes };
  if (middle.bytes === range.passes) return { passes: Math.min(SMALL_BYTES, mtu), fails: middle.bytes };
  return { ...range, fails: middle.bytes };
}
