// One decision: single-decree Paxos (Lamport, Paxos Made Simple) on the configuration of one epoch. Knows no rings, no
// gossip and no cluster: council.ts makes one per epoch, checks whom it listens to, and tells everybody what is decided.
//
//           propose / accepted, and no end heard for LINGER_MS
//     idle ────────────────────────────────────────> preparing ──quorum of promises──> accepting ──quorum──> decided
//                                                     ^     │ refused, or PHASE_MS         │ the same
//                                                     └──── pausing <──────────────────────┘
import type { Instant } from "../effects.ts";
import type { Random } from "../random.ts";
import { Acceptor, type Vote } from "./acceptor.ts";
import {
  type AcceptBody,
  type Accepted,
  type AcceptedBody,
  type BallotBody,
  type BallotHead,
  type PromiseBody,
  precedes,
  type Round,
  sameRound,
} from "./ballot-body.ts";
import type { Configuration, Voter } from "./configuration.ts";
import { type Electorate, Roll } from "./electorate.ts";

export type { Vote } from "./acceptor.ts";
export type { AcceptBody, AcceptedBody, BallotBody, PrepareBody, PromiseBody, Round } from "./ballot-body.ts";
export type { Electorate } from "./electorate.ts";

/** Promises or accepts outstanding: as for a gift, far more than two round trips. */
export const PHASE_MS = 2_000;
/** After a quorum, wait for more promises: each is a founder and then has space of its own. */
export const FOUND_GATHER_MS = 300;
/** A refused ballot waits at random, doubling, so that rivals do not overtake each other for ever. */
export const RIVAL_PAUSE_MS = { least: 250, most: 8_000 } as const;
/** A voter that accepted and heard no end proposes itself, so that nothing hangs half decided. */
export const LINGER_MS = 10_000;

/** What follows from an input, in this order: on disk (sync), then sent, then decided. */
export interface Step {
  readonly persist?: Vote;
  readonly send: readonly { readonly to: string; readonly body: BallotBody }[];
  readonly decided?: Configuration;
}

/** What to propose if nothing was accepted before. At a founding the promisers are the founders, oneself included. */
export type Proposal = (promisers: readonly Voter[]) => Configuration;

type State = "idle" | "preparing" | "accepting" | "pausing" | "decided";

/** The try under way, kept until the next one: late votes for it still count. */
interface Try {
  readonly round: Round;
  readonly asked: readonly string[];
  readonly promises: Map<string, { readonly voter: Voter; readonly accepted: Accepted | undefined }>;
  readonly votes: Set<string>;
  value?: Configuration;
  /** Founding: more promises are awaited until then. */
  gather?: Instant;
}

/**
 * Invariants, R1 and R2 of docs/ipam.md:
 * 1. At most one value is ever decided, by whomever, however messages are lost, repeated and reordered.
 * 2. A step is written down before any message of it leaves. Made anew from the last Vote written, a ballot may have
 *    forgotten that it proposed, and nothing else.
 * 3. Each voter of the electorate counts once, whatever it repeats. Who is none is neither asked, heard nor answering.
 */
export class Ballot {
  readonly #self: Voter;
  readonly #epoch: number;
  readonly #roll: Roll;
  readonly #acceptor: Acceptor;
  readonly #random: Random;
  #state: State = "idle";
  #proposal: Proposal | undefined;
  #try: Try | undefined;
  #failures = 0;
  /** End of the phase or pause. */
  #deadline: Instant = 0;
  /** When to finish what hangs half decided. */
  #finishAt: Instant = 0;
  #undecidedSince: Instant | undefined;
  #send: { readonly to: string; readonly body: BallotBody }[] = [];
  #decided: Configuration | undefined;

  /** `stored` is the last Vote written; one on another epoch is ignored. */
  constructor(
    self: Voter,
    epoch: number,
    electorate: Electorate,
    stored: Vote | undefined,
    random: Random,
    now: Instant,
  ) {
    this.#self = self;
    this.#epoch = epoch;
    this.#roll = new Roll(self, electorate);
    this.#acceptor = new Acceptor(epoch, stored);
    this.#random = random;
    if (this.#acceptor.vote.accepted !== undefined) this.#undecided(now);
  }

  get state(): State {
    return this.#state;
  }

  /** Accepted something then, and heard no end of it. */
  get undecidedSince(): Instant | undefined {
    return this.#state === "decided" ? undefined : this.#undecidedSince;
  }

  /** Get something decided. A proposal under way is replaced, as long as nobody was asked to accept it. */
  propose(proposal: Proposal, now: Instant): Step {
    this.#proposal = proposal;
    if (this.#state === "idle") this.#prepare(now);
    return this.#step();
  }

  /** Nobody waits for it any more. What was sent already may still be decided. */
  withdraw(): void {
    this.#proposal = undefined;
    if (this.#state === "preparing" || this.#state === "pausing") this.#state = "idle";
  }

  heard(from: string, body: BallotBody, now: Instant): Step {
    const voter: Voter = { name: from, incarnation: body.incarnation };
    if (body.epoch === this.#epoch) {
      this.#acceptor.saw(body.round[0]);
      switch (body.k) {
        case "prepare":
          this.#roll.saw(voter, body.expected);
          if (this.#roll.selfVotes) this.#prepared(from, body.round, now);
          break;
        case "accept":
          if (this.#roll.selfVotes) this.#asked(from, body, now);
          break;
        case "promise":
          this.#roll.saw(voter, body.expected);
          if (this.#roll.admits(voter)) this.#promised(voter, body, now);
          break;
        case "accepted":
          if (this.#roll.admits(voter)) this.#accepted(voter, body, now);
          break;
      }
    }
    return this.#step();
  }

  tick(now: Instant): Step {
    const due = this.nextDeadline();
    if (due !== undefined && now >= due) {
      if (this.#state === "idle" || this.#state === "pausing") this.#prepare(now);
      else if (this.#try?.gather !== undefined) this.#propose(now);
      else this.#pause(now);
    }
    return this.#step();
  }

  nextDeadline(): Instant | undefined {
    switch (this.#state) {
      case "decided":
        return undefined;
      case "idle":
        return this.#undecidedSince === undefined || !this.#roll.selfVotes ? undefined : this.#finishAt;
      case "preparing":
        return this.#try?.gather ?? this.#deadline;
      case "accepting":
      case "pausing":
        return this.#deadline;
    }
  }

  // The voter's half.

  #prepared(from: string, round: Round, now: Instant): void {
    const granted = this.#acceptor.promise(round);
    const { accepted, promised } = this.#acceptor.vote;
    this.#tell(from, {
      k: "promise",
      ...this.#head(round),
      ...this.#expected(),
      ...(granted && accepted !== undefined ? { accepted } : {}),
      ...(granted || promised === undefined ? {} : { higher: promised[0] }),
    });
    if (granted) this.#overtaken(round, now);
  }

  #asked(from: string, { round, value }: AcceptBody, now: Instant): void {
    if (value.epoch !== this.#epoch) return;
    const granted = this.#acceptor.accept(round, value);
    const { promised } = this.#acceptor.vote;
    this.#tell(from, {
      k: "accepted",
      ...this.#head(round),
      ...(granted || promised === undefined ? {} : { higher: promised[0] }),
    });
    if (!granted) return;
    this.#undecided(now);
    this.#overtaken(round, now);
  }

  /** A rival is ahead: trying on would only hold both up. */
  #overtaken(round: Round, now: Instant): void {
    const own = this.#try?.round;
    if (
      own !== undefined &&
      precedes(own, round) &&
      (this.#state === "preparing" || this.#state === "accepting")
    ) {
      this.#pause(now);
    }
  }

  #undecided(now: Instant): void {
    this.#undecidedSince ??= now;
    // Voters that heard the same last word do not all speak up at once.
    this.#finishAt = now + LINGER_MS + this.#random.below(PHASE_MS);
  }

  // The proposer's half.

  #prepare(now: Instant): void {
    const { accepted } = this.#acceptor.vote;
    if (this.#proposal === undefined && accepted === undefined) {
      this.#state = "idle";
      return;
    }
    const round: Round = [this.#acceptor.nextNumber(), this.#self.incarnation];
    const current: Try = { round, asked: this.#roll.others(), promises: new Map(), votes: new Set() };
    this.#try = current;
    this.#state = "preparing";
    this.#deadline = now + PHASE_MS;
    for (const to of current.asked)
      this.#tell(to, { k: "prepare", ...this.#head(round), ...this.#expected() });
    if (this.#roll.selfVotes && this.#acceptor.promise(round)) {
      current.promises.set(keyOf(this.#self), { voter: this.#self, accepted });
    }
    this.#considerPromises(now);
  }

  #promised(voter: Voter, { round, accepted, higher }: PromiseBody, now: Instant): void {
    const current = this.#try;
    if (current === undefined || this.#state !== "preparing" || !sameRound(round, current.round)) return;
    if (higher !== undefined) {
      this.#acceptor.saw(higher);
      this.#pause(now);
      return;
    }
    if (accepted !== undefined && accepted.value.epoch !== this.#epoch) return;
    current.promises.set(keyOf(voter), { voter, accepted });
    this.#considerPromises(now);
  }

  #considerPromises(now: Instant): void {
    const current = this.#try;
    if (current === undefined || current.promises.size < this.#roll.quorum) return;
    const all = current.promises.size > current.asked.length;
    if (this.#roll.founding && !all) current.gather ??= now + FOUND_GATHER_MS;
    else this.#propose(now);
  }

  /** Enough have promised: ask them to accept what was accepted in the latest round, or what is proposed here. */
  #propose(now: Instant): void {
    const current = this.#try;
    if (current === undefined) return;
    delete current.gather;
    if (current.promises.size < this.#roll.quorum) return;
    const promises = [...current.promises.values()];
    const value = latest(promises) ?? this.#proposal?.(promises.map((p) => p.voter));
    if (value === undefined || value.epoch !== this.#epoch) {
      throw new Error(`nothing to propose for epoch ${this.#epoch}`);
    }
    current.value = value;
    this.#state = "accepting";
    this.#deadline = now + PHASE_MS;
    // Only who promised has said how many it expects at a founding.
    const asked = this.#roll.founding ? promises.map((p) => p.voter.name) : current.asked;
    for (const to of asked) {
      if (to !== this.#self.name) this.#tell(to, { k: "accept", ...this.#head(current.round), value });
    }
    if (this.#roll.selfVotes && this.#acceptor.accept(current.round, value)) {
      this.#undecided(now);
      current.votes.add(keyOf(this.#self));
    }
    this.#considerVotes();
  }

  #accepted(voter: Voter, { round, higher }: AcceptedBody, now: Instant): void {
    const current = this.#try;
    if (current?.value === undefined || !sameRound(round, current.round)) return;
    if (higher !== undefined) {
      this.#acceptor.saw(higher);
      if (this.#state === "accepting") this.#pause(now);
      return;
    }
    current.votes.add(keyOf(voter));
    this.#considerVotes();
  }

  #considerVotes(): void {
    const current = this.#try;
    if (this.#state === "decided" || current?.value === undefined) return;
    if (current.votes.size < this.#roll.quorum) return;
    this.#state = "decided";
    this.#decided = current.value;
  }

  #pause(now: Instant): void {
    if (this.#proposal === undefined) {
      // It only finished what another left behind; somebody may be doing so.
      this.#state = "idle";
      if (this.#undecidedSince !== undefined) this.#undecided(now);
      return;
    }
    this.#failures++;
    const { least, most } = RIVAL_PAUSE_MS;
    const longest = Math.min(most, least * 2 ** this.#failures);
    this.#state = "pausing";
    this.#deadline = now + least + this.#random.below(longest - least + 1);
  }

  #head(round: Round): BallotHead {
    return { epoch: this.#epoch, round, incarnation: this.#self.incarnation };
  }

  #expected(): { readonly expected?: number } {
    return this.#roll.founding ? { expected: this.#roll.expected } : {};
  }

  #tell(to: string, body: BallotBody): void {
    this.#send.push({ to, body });
  }

  #step(): Step {
    const persist = this.#acceptor.unsaved();
    const send = this.#send;
    const decided = this.#decided;
    this.#send = [];
    this.#decided = undefined;
    return {
      ...(persist === undefined ? {} : { persist }),
      send,
      ...(decided === undefined ? {} : { decided }),
    };
  }
}

/** What was accepted in the greatest round, if anything was. */
function latest(promises: readonly { readonly accepted: Accepted | undefined }[]): Configuration | undefined {
  let best: Accepted | undefined;
  for (const { accepted } of promises) {
    if (accepted !== undefined && (best === undefined || precedes(best.round, accepted.round)))
      best = accepted;
  }
  return best?.value;
}

const keyOf = (voter: Voter): string => `${voter.name}/${voter.incarnation}`;
