// What must hold after every event, looked at only where something changed: who holds an address, what a ring on a disk
// says, what is told to others. Knows the whole truth, which no host does; shares no code with what it judges.
//
//   addresses  no address of a cluster is held by two containers
//   owners     an offset changes its owner, or the owner's version, by the owner's own hand only, or by a decision's
//   told       nobody tells a range that is not on its disk

import type { Piece, RingTuple } from "./piece.ts";

/** Who may overrule an owner, and whom a decision has put out. Without decisions: nobody. */
export interface Decisions {
  /** Whether `name`, as heir, may make `piece` of what was `known` before. */
  mayTake(cluster: string, name: string, known: Piece | undefined, piece: Piece): boolean;
  /** A peer that is out, whether or not it knows. */
  isRemoved(cluster: string, name: string): boolean;
  /** The cluster that this one was forced upon: what was true there is true here. */
  continuedFrom(cluster: string): string | undefined;
}

const NO_DECISIONS: Decisions = {
  mayTake: () => false,
  isRemoved: () => false,
  continuedFrom: () => undefined,
};

/** A container that runs: which host, which one. */
export interface Holder {
  readonly host: string;
  readonly container: string;
  /** The peer it has its right from. */
  readonly peer: string;
  /** It had one before its host began anew. */
  readonly former?: true;
}

/** Ranges as a handover tells them. */
type Handover = readonly (readonly [universe: number, ...range: RingTuple])[];

/** Who sees every disk and every promise, and fails the run at the first that is broken. */
export class Witness {
  readonly #fail: (what: string) => never;
  readonly #decisions: Decisions;
  /** "cluster address" -> who holds it. */
  readonly #holders = new Map<string, Holder[]>();
  /** "cluster universe" -> the greatest that any disk ever said, offset by offset, without gaps between neighbours of one word. */
  readonly #truths = new Map<string, Piece[]>();
  /** "name universe" -> what its disk says now. */
  readonly #disks = new Map<string, { readonly cluster: string; readonly pieces: readonly Piece[] }>();
  /** Names that two hosts use on purpose: they contradict each other. */
  readonly #clones: ReadonlySet<string>;
  /** Addresses held twice with a removed peer that still lives, which is not promised. */
  asideDuplicates = 0;
  /** Changes of owner seen: gifts, and what heirs took. */
  gifts = 0;
  /** Of these, what heirs took, in offsets. */
  taken = 0;
  /** "giver id" -> what is to be on the taker's disk when it says that it took it. */
  readonly handovers = new Map<string, Handover>();

  constructor(
    fail: (what: string) => never,
    clones: ReadonlySet<string> = new Set(),
    decisions: Decisions = NO_DECISIONS,
  ) {
    this.#fail = fail;
    this.#clones = clones;
    this.#decisions = decisions;
  }

  // --- addresses ---

  held(cluster: string, address: string, holder: Holder): void {
    const place = `${cluster} ${address}`;
    const holders = this.#holders.get(place);
    if (holders === undefined) {
      this.#holders.set(place, [holder]);
      return;
    }
    for (const other of holders) {
      if (this.#isAside(cluster, other) || this.#isAside(cluster, holder)) this.asideDuplicates++;
      else
        this.#fail(
          `${place} is held by ${other.host}/${other.container} and by ${holder.host}/${holder.container}`,
        );
    }
    holders.push(holder);
  }

  /** Nothing is promised to who is out, and to what it had. */
  #isAside(cluster: string, { peer, former }: Holder): boolean {
    return former === true || this.#decisions.isRemoved(cluster, peer);
  }

  /** Who has an address by right, removed peers left out. */
  holdersOf(cluster: string, address: string): readonly Holder[] {
    return (this.#holders.get(`${cluster} ${address}`) ?? []).filter((one) => !this.#isAside(cluster, one));
  }

  released(cluster: string, address: string, { host, container }: Pick<Holder, "host" | "container">): void {
    const place = `${cluster} ${address}`;
    const left = this.#holders.get(place)?.filter((h) => h.host !== host || h.container !== container) ?? [];
    if (left.length === 0) this.#holders.delete(place);
    else this.#holders.set(place, left);
  }

  // --- owners ---

  /** A ring was written to the disk of `name`, or found there at its start. Pieces in offset order. */
  ringWritten(name: string, universe: number, cluster: string, pieces: readonly Piece[]): void {
    this.#disks.set(`${name} ${universe}`, { cluster, pieces });
    const key = `${cluster} ${universe}`;
    const truth = this.#truths.get(key);
    if (truth === undefined) {
      this.#truths.set(key, [...pieces]);
      return;
    }
    const clone = this.#clones.has(name);
    const news: Piece[] = [];
    let i = 0;
    for (const piece of pieces) {
      let at = piece.start;
      while (at < piece.end) {
        let known = truth[i];
        while (known !== undefined && known.end <= at) known = truth[++i];
        if (known === undefined || known.start >= piece.end) {
          this.#firstWord(name, cluster, universe, piece, at, piece.end, news);
          break;
        }
        if (known.start > at) {
          this.#firstWord(name, cluster, universe, piece, at, known.start, news);
          at = known.start;
          continue;
        }
        const end = Math.min(known.end, piece.end);
        if (known.version !== piece.version || known.owner !== piece.owner || known.made !== piece.made) {
          const order = compare(piece, known);
          if (clone) {
            if (order > 0) news.push({ ...piece, start: at, end });
          } else if (order > 0) {
            this.#mayChange(name, cluster, universe, known, piece, at, end);
            news.push({ ...piece, start: at, end });
          } else if (order === 0)
            this.#fail(`${text(known, at, end)} and ${text(piece, at, end)}, told by ${name}: one version`);
          else if (piece.owner === name && !this.#decisions.isRemoved(cluster, name))
            this.#fail(
              `${name} believes to own ${text(piece, at, end)}, which is ${text(known, at, end)} by now`,
            );
        }
        at = end;
      }
    }
    if (news.length > 0) this.#truths.set(key, overlaid(truth, news));
  }

  /** The greatest words about a universe that any disk ever had. */
  truth(cluster: string, universe: number): readonly Piece[] {
    return this.#truths.get(`${cluster} ${universe}`) ?? [];
  }

  /** The disk of `name` says nothing of a universe any more. */
  ringGone(name: string, universe: number): void {
    this.#disks.delete(`${name} ${universe}`);
  }

  /** The disk of `name` is lost, or set aside. */
  diskLost(name: string): void {
    for (const key of this.#disks.keys()) if (key.startsWith(`${name} `)) this.#disks.delete(key);
  }

  #firstWord(
    name: string,
    cluster: string,
    universe: number,
    piece: Piece,
    start: number,
    end: number,
    news: Piece[],
  ): void {
    // Only a founding says something of offsets nobody has spoken of, and a founding says version 1. Or an heir: what all
    // who knew of it have taken along.
    if (
      piece.version !== 1 &&
      piece.owner !== name &&
      !this.#clones.has(name) &&
      !this.#wasBefore(cluster, universe, piece, start, end)
    )
      this.#fail(`${name} tells of ${text(piece, start, end)}, of which nobody knows`);
    news.push({ ...piece, start, end });
  }

  #mayChange(
    name: string,
    cluster: string,
    universe: number,
    known: Piece,
    piece: Piece,
    start: number,
    end: number,
  ): void {
    if (known.owner !== piece.owner) this.gifts++;
    if (known.owner === name && !this.#decisions.isRemoved(cluster, name)) return;
    if (piece.made > known.made && this.#decisions.mayTake(cluster, name, known, piece)) {
      this.taken += end - start;
      return;
    }
    // Whoever is out may still give what was its own, among those who are out as well; it changes nothing for the others.
    if (known.owner === name || this.#wasBefore(cluster, universe, piece, start, end)) return;
    this.#fail(`${name} made ${text(piece, start, end)} of ${text(known, start, end)}, which is not its own`);
  }

  /** In the cluster this one was forced upon this was said, or something that came after it. */
  #wasBefore(cluster: string, universe: number, piece: Piece, start: number, end: number): boolean {
    const before = this.#decisions.continuedFrom(cluster);
    if (before === undefined) return false;
    const truth = this.truth(before, universe);
    for (let i = firstEndingAfter(truth, start), at = start; at < end; i++) {
      const known = truth[i];
      if (known === undefined || known.start > at || compare(piece, known) > 0)
        return this.#wasBefore(before, universe, piece, start, end);
      at = known.end;
    }
    return true;
  }

  // --- told ---

  told(name: string, universe: number, cluster: string, pieces: readonly Piece[]): void {
    const disk = this.#disks.get(`${name} ${universe}`);
    const stored = disk?.cluster === cluster ? disk.pieces : [];
    for (const piece of pieces) {
      let at = piece.start;
      for (let i = firstEndingAfter(stored, at); at < piece.end; i++) {
        const own = stored[i];
        if (own === undefined || own.start > at || compare(piece, own) > 0)
          this.#fail(`${name} told ${text(piece, at, piece.end)} before it was on its disk`);
        at = own.end;
      }
    }
  }
}

/** As rings order their words; 0 also for two different owners, which must not be. */
function compare(a: Piece, b: Piece): number {
  return a.made - b.made || a.version - b.version;
}

function firstEndingAfter(pieces: readonly Piece[], at: number): number {
  let [low, high] = [0, pieces.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((pieces[middle]?.end ?? 0) <= at) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** `news` in offset order, laid over `truth`; touching pieces of one word become one. */
function overlaid(truth: readonly Piece[], news: readonly Piece[]): Piece[] {
  const out: Piece[] = [];
  const push = (piece: Piece, start: number, end: number): void => {
    if (start >= end) return;
    const last = out.at(-1);
    if (last?.end === start && last.owner === piece.owner && compare(last, piece) === 0)
      out[out.length - 1] = { ...last, end };
    else out.push(start === piece.start && end === piece.end ? piece : { ...piece, start, end });
  };
  let j = 0;
  let at = 0;
  for (const known of truth) {
    at = Math.max(at, known.start);
    for (let fresh = news[j]; fresh !== undefined && fresh.start < known.end; fresh = news[++j]) {
      push(known, at, Math.max(at, fresh.start));
      push(fresh, fresh.start, fresh.end);
      at = Math.max(at, fresh.end);
      if (fresh.end > known.end) {
        j++;
        break;
      }
    }
    push(known, at, known.end);
  }
  for (const fresh of news.slice(j)) push(fresh, fresh.start, fresh.end);
  return out;
}

const text = ({ made, version, owner }: Piece, start: number, end: number): string =>
  `${start}-${end}:${owner}@${made === 1 ? "" : `${made}.`}${version}`;
