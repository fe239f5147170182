// What the decision of an epoch says: who decides the next one, and since the last removal who stays and who is the
// heir. Values and pure functions only: ballot.ts gets one of them decided, council.ts keeps the newest.
// Words: docs/ipam.md; why: docs/decisions/0008. As it goes over the wire and to disk: configuration-wire.ts.
import type { Instant } from "../effects.ts";
import { type Fingerprint, fingerprint } from "../hash.ts";

/** A peer name and the random number of its data directory: who lost its disk has the name at most. */
export interface Voter {
  readonly name: string;
  /** "": not bound to a disk yet. A seed list founds with names alone; the next decision binds them. */
  readonly incarnation: string;
}

/** Who stays since the last removal. */
export interface Remaining {
  /** The epoch that removal made. */
  readonly since: number;
  /** Sorted, distinct; the heir is one of them. */
  readonly names: readonly string[];
  /** The only peer that may take what is stale. */
  readonly heir: string;
}

/** A cluster that could decide nothing any more and was continued by force. */
export interface Continued {
  readonly cluster: string;
  /** The last epoch of it that the one who forced knew. */
  readonly epoch: number;
  readonly by: string;
  readonly removed: readonly string[];
  readonly at: Instant;
}

/** One decision, in full: who hears the newest one needs none of those before it. */
export interface Configuration {
  readonly cluster: string;
  /** 1 is the founding; every decision adds one. */
  readonly epoch: number;
  /** 1 to MAX_VOTERS, sorted by name, names distinct. */
  readonly voters: readonly Voter[];
  /** Epoch 1 only: among whom the universe was divided. Sorted, distinct. */
  readonly founders?: readonly string[];
  /** Since the last removal; later decisions carry it on unchanged. */
  readonly remaining?: Remaining;
  /** Forced predecessors, newest last, at most MAX_LINEAGE. */
  readonly lineage?: readonly Continued[];
  /** The cluster this one is given up for: its last decision. */
  readonly joins?: string;
}

/** Two of five may be away. More would add messages to a decision, and hardly any safety. */
export const MAX_VOTERS = 5;
/** Forced predecessors kept; a cluster forced more often is no cluster any more. */
export const MAX_LINEAGE = 16;

/** More than half of `voters`. */
export const quorum = (voters: number): number => Math.floor(voters / 2) + 1;

/** How many voters so many members have: odd from three on, because a fourth would only raise the quorum. */
export function voterCount(members: number): number {
  if (members <= 2) return Math.max(members, 1);
  return members < MAX_VOTERS ? 3 : MAX_VOTERS;
}

/** Whether this data directory votes on the next epoch. */
export function isVoter(c: Configuration, name: string, incarnation: string): boolean {
  return c.voters.some((v) => v.name === name && (v.incarnation === "" || v.incarnation === incarnation));
}

/** Whether a peer belongs to the cluster; `joined` is the epoch of the configuration it came in with. */
export function isMember(c: Configuration, name: string, joined: number): boolean {
  return c.remaining === undefined || joined >= c.remaining.since || staysByName(c.remaining, name);
}

/** A range made before the last removal for a peer that does not stay by name: nobody's own, it waits for the heir. */
export function isStale(c: Configuration, range: { readonly made: number; readonly owner: string }): boolean {
  return (
    c.remaining !== undefined && range.made < c.remaining.since && !staysByName(c.remaining, range.owner)
  );
}

/** Epoch 1. Every founder gets a share of the universe; the first by name are voters. Throws without founders (a bug). */
export function founded(cluster: string, founders: readonly Voter[]): Configuration {
  return {
    cluster,
    epoch: 1,
    voters: elect([], founders, founders.length),
    founders: sortedNames(founders.map((f) => f.name)),
  };
}

/**
 * The next epoch without `gone`: `members` are all known by name (those who go may be among them), `candidates` the
 * living ones that may become voters. Voters that stay remain voters, as far as so many are wanted. Throws when the heir
 * goes itself (a bug).
 */
export function removing(
  c: Configuration,
  change: {
    readonly gone: readonly string[];
    readonly heir: string;
    readonly members: readonly string[];
    readonly candidates: readonly Voter[];
  },
): Configuration {
  const { gone, heir } = change;
  if (gone.includes(heir)) throw new Error(`${heir} cannot inherit from itself`);
  const going = new Set(gone);
  const kept = c.voters.filter((v) => !going.has(v.name));
  const names = sortedNames(
    [...change.members, ...kept.map((v) => v.name), heir].filter((name) => !going.has(name)),
  );
  const candidates = change.candidates.filter((v) => names.includes(v.name));
  const epoch = c.epoch + 1;
  const voters = elect(kept, candidates, names.length);
  return { ...next(c), voters, remaining: { since: epoch, names, heir } };
}

/** The next epoch with other voters, nothing else changed. */
export function revoting(c: Configuration, voters: readonly Voter[]): Configuration {
  return { ...next(c), voters: sortedVoters(voters) };
}

/** Another cluster that continues `c`, whose voters cannot decide any more. `by` is its heir. */
export function forced(
  c: Configuration,
  change: {
    /** The new one's identity. */
    readonly cluster: string;
    readonly by: string;
    readonly removed: readonly string[];
    /** Who stays; the removed may be among them. */
    readonly members: readonly string[];
    readonly voters: readonly Voter[];
    readonly at: Instant;
  },
): Configuration {
  const { cluster, by, removed, at } = change;
  const names = sortedNames([...change.members, ...change.voters.map((v) => v.name), by]).filter(
    (name) => !removed.includes(name),
  );
  const epoch = c.epoch + 1;
  return {
    cluster,
    epoch,
    voters: sortedVoters(change.voters),
    remaining: { since: epoch, names, heir: by },
    lineage: [...(c.lineage ?? []), { cluster: c.cluster, epoch: c.epoch, by, removed, at }].slice(
      -MAX_LINEAGE,
    ),
  };
}

/** The last epoch of a cluster: its members are to join another. */
export function joining(c: Configuration, cluster: string): Configuration {
  return { ...next(c), voters: c.voters, joins: cluster };
}

/**
 * Who the voters of so many members are: those who are (`kept`), bound to their disks, then candidates in their order.
 * Among more than are wanted, those go first that are no candidates: nobody hears from them.
 */
export function elect(
  kept: readonly Voter[],
  candidates: readonly Voter[],
  members: number,
): readonly Voter[] {
  const living = new Map(candidates.map((v) => [v.name, v]));
  const answers = (v: Voter): boolean => {
    const there = living.get(v.name);
    return there !== undefined && (v.incarnation === "" || v.incarnation === there.incarnation);
  };
  const bound = (v: Voter): Voter => (v.incarnation === "" ? (living.get(v.name) ?? v) : v);
  const keptNames = new Set(kept.map((v) => v.name));
  const eligible = sortedVoters([...living.values()].filter((v) => !keptNames.has(v.name)));
  const stay = sortedVoters(kept);
  const silent = stay.filter((v) => !answers(v));
  const seats = [...stay.filter(answers), ...silent]
    .map(bound)
    .concat(eligible)
    .slice(0, voterCount(members));
  if (seats.length === 0) throw new Error("a configuration without voters could decide nothing");
  return sortedVoters(seats.slice(0, voterCount(seats.length)));
}

/** What a configuration heard is to one's own. */
export type Relation = "same" | "newer" | "older" | "foreign" | "split";

/**
 * What a configuration heard is to one's own. "split": two decisions of one epoch, which cannot be as long as what
 * docs/ipam.md assumes holds.
 */
export function relation(mine: Configuration | undefined, theirs: Configuration): Relation {
  if (mine === undefined) return "newer";
  if (mine.cluster === theirs.cluster) {
    if (mine.epoch !== theirs.epoch) return theirs.epoch > mine.epoch ? "newer" : "older";
    return canonical(mine) === canonical(theirs) ? "same" : "split";
  }
  if (continues(theirs, mine)) return "newer";
  return continues(mine, theirs) ? "older" : "foreign";
}

/** One text per configuration, everywhere the same. */
export function canonical(c: Configuration): string {
  return JSON.stringify([
    c.cluster,
    c.epoch,
    c.voters.map((v) => [v.name, v.incarnation]),
    c.founders ?? null,
    c.remaining === undefined ? null : [c.remaining.since, c.remaining.heir, c.remaining.names],
    (c.lineage ?? []).map((l) => [l.cluster, l.epoch, l.by, l.removed, l.at]),
    c.joins ?? null,
  ]);
}

const fingerprints = new WeakMap<Configuration, Fingerprint>();

/** Compared in gossip. Kept with the value: it may name thousands, and is asked for with every exchange of sums. */
export function fingerprintOf(c: Configuration): Fingerprint {
  let known = fingerprints.get(c);
  if (known === undefined) {
    known = fingerprint(canonical(c));
    fingerprints.set(c, known);
  }
  return known;
}

/** Whether `c` was forced upon what `old` is a state of: who has gone beyond that epoch has decided otherwise. */
const continues = (c: Configuration, old: Configuration): boolean =>
  (c.lineage ?? []).some((l) => l.cluster === old.cluster && l.epoch >= old.epoch);

/** What every later epoch carries on. */
const next = (
  c: Configuration,
): Pick<Configuration, "cluster" | "epoch"> & Partial<Pick<Configuration, "remaining" | "lineage">> => ({
  cluster: c.cluster,
  epoch: c.epoch + 1,
  ...(c.remaining === undefined ? {} : { remaining: c.remaining }),
  ...(c.lineage === undefined ? {} : { lineage: c.lineage }),
});

/** By bisection: thousands of names are looked up for thousands of ranges. */
function staysByName({ names }: Remaining, name: string): boolean {
  let low = 0;
  let high = names.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((names[middle] ?? "") < name) low = middle + 1;
    else high = middle;
  }
  return names[low] === name;
}

const sortedNames = (names: readonly string[]): readonly string[] => [...new Set(names)].sort();
const sortedVoters = (voters: readonly Voter[]): readonly Voter[] =>
  [...voters].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
