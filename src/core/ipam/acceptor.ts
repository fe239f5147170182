// The half of Paxos that must not forget: what this data directory promised and accepted on the way to one epoch.
import { type Accepted, precedes, type Round, sameRound } from "./ballot-body.ts";
import type { Configuration } from "./configuration.ts";

/** On disk. Nothing else of a ballot outlives a crash. */
export interface Vote {
  /** The epoch to be decided. A vote on another one says nothing. */
  readonly epoch: number;
  /** The greatest number ever used or seen here. */
  readonly round: number;
  /** Nothing before this round is promised or accepted any more. */
  readonly promised?: Round;
  readonly accepted?: Accepted;
}

/**
 * Invariants:
 * 1. `promised` and `round` never fall, `accepted` is of the greatest round accepted, and not after `promised`.
 * 2. What changed is told by `unsaved` once: the caller writes it down before it sends anything.
 */
export class Acceptor {
  #vote: Vote;
  #changed = false;

  constructor(epoch: number, stored: Vote | undefined) {
    this.#vote = stored?.epoch === epoch ? stored : { epoch, round: 0 };
  }

  get vote(): Vote {
    return this.#vote;
  }

  /** A number nobody here has used or seen. */
  nextNumber(): number {
    this.#change({ round: this.#vote.round + 1 });
    return this.#vote.round;
  }

  /** Somebody uses greater numbers. Not worth a write: a number is written down when it is used. */
  saw(number: number): void {
    if (number > this.#vote.round) this.#vote = { ...this.#vote, round: number };
  }

  /** To a try asked for twice the promise is repeated. */
  promise(round: Round): boolean {
    if (!this.#admits(round)) return false;
    this.#promised(round);
    return true;
  }

  accept(round: Round, value: Configuration): boolean {
    if (!this.#admits(round)) return false;
    this.#promised(round);
    const { accepted } = this.#vote;
    if (accepted === undefined || !sameRound(accepted.round, round))
      this.#change({ accepted: { round, value } });
    return true;
  }

  /** The vote, if it is not on disk as it is. */
  unsaved(): Vote | undefined {
    if (!this.#changed) return undefined;
    this.#changed = false;
    return this.#vote;
  }

  #admits(round: Round): boolean {
    return this.#vote.promised === undefined || !precedes(round, this.#vote.promised);
  }

  #promised(round: Round): void {
    if (this.#vote.promised !== undefined && sameRound(round, this.#vote.promised)) return;
    this.#change({ promised: round, round: Math.max(this.#vote.round, round[0]) });
  }

  #change(part: Partial<Vote>): void {
    this.#vote = { ...this.#vote, ...part };
    this.#changed = true;
  }
}
