// Whose answers count in a ballot, and how many are needed.
import { quorum, type Voter } from "./configuration.ts";

/** Who decides. */
export type Electorate =
  /** Those the configuration names: every decision but a founding. */
  | { readonly kind: "voters"; readonly voters: readonly Voter[] }
  /** A founding by consensus: whoever stands for election, expected to be so many at most. */
  | {
      readonly kind: "candidates";
      readonly expected: number;
      /** Reachable candidates, oneself left out; asked anew for each round. */
      readonly peers: () => readonly string[];
    };

/** Candidates remembered. More strangers than this only raise a quorum that is out of reach already. */
const MAX_SEEN = 1024;

/**
 * Invariants:
 * 1. A voter is a name and an incarnation. One that is bound to no disk yet counts with the first incarnation heard,
 *    and with no other in this ballot.
 * 2. The quorum of candidates never falls: the greatest number anybody expects, or more if more have shown up.
 */
export class Roll {
  readonly #self: Voter;
  readonly #electorate: Electorate;
  readonly #bound = new Map<string, string>();
  readonly #seen = new Set<string>();
  #expected: number;

  constructor(self: Voter, electorate: Electorate) {
    this.#self = self;
    this.#electorate = electorate;
    this.#expected = electorate.kind === "candidates" ? electorate.expected : electorate.voters.length;
    this.saw(self, undefined);
  }

  get founding(): boolean {
    return this.#electorate.kind === "candidates";
  }

  /** Whether this data directory votes itself. */
  get selfVotes(): boolean {
    return this.admits(this.#self);
  }

  /** Who is to be asked, oneself left out. */
  others(): readonly string[] {
    const names =
      this.#electorate.kind === "candidates"
        ? this.#electorate.peers()
        : this.#electorate.voters.map((v) => v.name);
    return names.filter((name) => name !== this.#self.name);
  }

  admits({ name, incarnation }: Voter): boolean {
    if (this.#electorate.kind === "candidates") return true;
    const voter = this.#electorate.voters.find((v) => v.name === name);
    if (voter === undefined || voter.incarnation !== "") return voter?.incarnation === incarnation;
    const bound = this.#bound.get(name);
    if (bound === undefined) this.#bound.set(name, incarnation);
    return bound === undefined || bound === incarnation;
  }

  /** Somebody stands for election and expects so many. */
  saw({ name, incarnation }: Voter, expected: number | undefined): void {
    if (!this.founding) return;
    if (this.#seen.size < MAX_SEEN) this.#seen.add(`${name}/${incarnation}`);
    this.#expected = Math.max(this.#expected, this.#seen.size, expected ?? 0);
  }

  /** Told to others at a founding: the greatest number counts for all. */
  get expected(): number {
    return this.#expected;
  }

  get quorum(): number {
    const present = this.founding ? this.others().length + 1 : 0;
    return quorum(Math.max(this.#expected, present));
  }
}
