// What was decided, as it stands on the simulated disks: the configurations of every epoch, who accepted them before, and so
// who is out and who may take what. Reads records as they are and shares no code with what it judges.
//
//   one value     there is one configuration per cluster and epoch
//   by quorum     it came onto a disk after more than half of the voters before it had accepted it on theirs
//   written first nobody says a promise, a vote or a configuration that is not on its disk
import type { Piece } from "./piece.ts";
import type { Decisions } from "./witness.ts";

/** A configuration as frames and records carry it. */
export interface Decree {
  readonly cluster: string;
  readonly epoch: number;
  readonly voters: readonly (readonly [name: string, incarnation: string])[];
  readonly founders?: readonly string[];
  readonly remaining?: {
    readonly since: number;
    readonly names: readonly string[];
    readonly heir: string;
  };
  readonly lineage?: readonly { readonly cluster: string; readonly epoch: number }[];
  readonly joins?: string;
}

type Round = readonly [number, string];
/** A `vote` record. */
export interface VoteRecord {
  readonly epoch: number;
  readonly promised?: Round;
  readonly accepted?: { readonly round: Round; readonly value: Decree };
}

/** Sees every decision, and every disk that votes on one. */
export class Decrees implements Decisions {
  readonly #fail: (what: string) => never;
  /** cluster -> epoch -> what was decided. */
  readonly #decided = new Map<string, Map<number, Decree>>();
  readonly #latest = new Map<string, Decree>();
  /** A cluster founded by force -> the one it continues. */
  readonly #continues = new Map<string, string>();
  /** "cluster epoch" -> voter -> all it ever accepted. */
  readonly #accepted = new Map<string, Map<string, Set<string>>>();
  /** "cluster name" -> the epoch it came in with. */
  readonly #joined = new Map<string, number>();
  /** Removals that somebody forced, and decisions in all. */
  forced = 0;
  decisions = 0;

  constructor(fail: (what: string) => never) {
    this.#fail = fail;
  }

  /** The configuration of the greatest epoch on any disk. */
  latest(cluster: string): Decree | undefined {
    return this.#latest.get(cluster);
  }

  // --- what disks say ---

  /** A configuration stands on the disk of `name`, which came in with epoch `joined`. */
  configurationWritten(name: string, decree: Decree, joined: number): void {
    const { cluster, epoch } = decree;
    this.#joined.set(`${cluster} ${name}`, joined);
    const epochs = this.#decided.get(cluster) ?? new Map<number, Decree>();
    this.#decided.set(cluster, epochs);
    const known = epochs.get(epoch);
    if (known === decree) return;
    if (known === undefined) {
      epochs.set(epoch, decree);
      this.#first(name, decree);
    } else if (textOf(known) !== textOf(decree))
      this.#fail(
        `${name} has another decision for epoch ${epoch} of ${cluster}: ${textOf(decree)}, not ${textOf(known)}`,
      );
  }

  /** What a voter has on its disk about the epoch after that of `cluster`; undefined: about a founding. */
  voteWritten(voter: readonly [string, string], cluster: string | undefined, vote: VoteRecord): void {
    if (vote.accepted === undefined) return;
    const key = `${cluster ?? ""} ${vote.epoch}`;
    const votes = this.#accepted.get(key) ?? new Map<string, Set<string>>();
    this.#accepted.set(key, votes);
    const of = voter.join("/");
    votes.set(of, (votes.get(of) ?? new Set()).add(textOf(vote.accepted.value)));
  }

  #first(name: string, decree: Decree): void {
    const { cluster, epoch, lineage } = decree;
    if ((this.#latest.get(cluster)?.epoch ?? 0) < epoch) this.#latest.set(cluster, decree);
    const before = this.#decided.get(cluster)?.get(epoch - 1);
    const forcedUpon = lineage?.at(-1);
    if (before === undefined && forcedUpon?.epoch === epoch - 1) {
      this.#continues.set(cluster, forcedUpon.cluster);
      this.forced++;
      return;
    }
    if (epoch === 1) return;
    this.decisions++;
    if (before === undefined) this.#fail(`${name} has a decision nobody could make: ${textOf(decree)}`);
    const votes = this.#accepted.get(`${cluster} ${epoch}`);
    const value = textOf(decree);
    const agreed = before.voters.filter(([voter, incarnation]) =>
      [...(votes ?? [])].some(
        ([of, values]) =>
          values.has(value) &&
          (incarnation === "" ? of.startsWith(`${voter}/`) : of === `${voter}/${incarnation}`),
      ),
    );
    if (agreed.length * 2 <= before.voters.length)
      this.#fail(
        `${name} has a decision that ${agreed.length} of ${before.voters.length} voters accepted: ${value}`,
      );
  }

  // --- what is said ---

  /** A promise or a vote leaves `name`; its disk has `vote`. */
  voteTold(
    name: string,
    said: { readonly k: string; readonly epoch: number; readonly round: Round },
    vote: VoteRecord | undefined,
  ): void {
    const written = said.k === "promise" ? vote?.promised : vote?.accepted?.round;
    if (vote?.epoch !== said.epoch || written === undefined || precedes(written, said.round))
      this.#fail(`${name} told its vote (${said.k} ${said.round.join("/")}) before it was on its disk`);
  }

  /** A configuration leaves `name`. */
  configurationTold(name: string, said: Decree, onDisk: readonly (Decree | undefined)[]): void {
    if (!onDisk.some((decree) => decree !== undefined && textOf(decree) === textOf(said)))
      this.#fail(`${name} told the decision ${said.epoch} of ${said.cluster} before it was on its disk`);
  }

  // --- what follows ---

  mayTake(cluster: string, name: string, known: Piece | undefined, piece: Piece): boolean {
    const remaining = this.#decided.get(cluster)?.get(piece.made)?.remaining;
    if (remaining === undefined || remaining.heir !== name || piece.owner !== name) return false;
    return known === undefined || (known.made < remaining.since && !remaining.names.includes(known.owner));
  }

  isRemoved(cluster: string, name: string): boolean {
    const remaining = this.#latest.get(cluster)?.remaining;
    if (remaining === undefined || remaining.names.includes(name)) return false;
    return (this.#joined.get(`${cluster} ${name}`) ?? 0) < remaining.since;
  }

  continuedFrom(cluster: string): string | undefined {
    return this.#continues.get(cluster);
  }
}

/** By number, then by incarnation: as rounds are ordered. */
const precedes = (a: Round, b: Round): boolean => (a[0] === b[0] ? a[1] < b[1] : a[0] < b[0]);

const texts = new WeakMap<Decree, string>();

/** The same for the same decision, however its keys are ordered. */
function textOf(decree: Decree): string {
  let text = texts.get(decree);
  if (text === undefined) {
    const { cluster, epoch, voters, founders, remaining, lineage, joins } = decree;
    text = JSON.stringify({
      cluster,
      epoch,
      voters,
      founders,
      remaining: remaining && [remaining.since, remaining.heir, remaining.names],
      lineage: lineage?.map((l) => [l.cluster, l.epoch]),
      joins,
    });
    texts.set(decree, text);
  }
  return text;
}
