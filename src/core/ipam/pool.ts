// One universe on this host: its ring, the space we own of it, and the search for more. Decides; Node sends and persists.
import type { OffsetRange, Subnet, Universe } from "../address/universe.ts";
import type { Instant } from "../effects.ts";
import { chooseGift } from "./donation.ts";
import { type OwnedRange, Ring, wellFormed } from "./ring.ts";
import { clip, Space } from "./space.ts";
import { chooseFragment, type Run, runsOf } from "./tidying.ts";

/** A donor that does not answer in this time is passed over. Two round trips through a few relays take far less. */
export const ASK_TIMEOUT_MS = 2_000;
/** A donor that had nothing is not asked again for this long. */
export const DENIAL_MS = 1_000;
/** Fragments are looked for so often: nothing depends on it. */
export const TIDY_PAUSE_MS = 10_000;
/** After one was given the next may be asked for so soon: each gift is gossip. */
export const TIDY_NEXT_MS = 2_000;
/** A fragment that is in use is not asked for again for this long. */
export const TIDY_DENIAL_MS = 600_000;

interface Ask {
  readonly id: number;
  readonly donor: string;
  /** Key of the denial it may earn. */
  readonly what: string;
  readonly deadline: Instant;
}

/** `donor`: whom to ask again then; undefined for a fragment, which nobody waits for. */
interface Denial {
  readonly donor: string | undefined;
  readonly until: Instant;
}

/** Ring and space of one universe, kept in step, as this host sees them. */
export class Pool {
  readonly universe: Universe;
  readonly #self: string;
  readonly space = new Space();
  ring: Ring | undefined;
  #owned: readonly OffsetRange[] = [];
  #ask: Ask | undefined;
  #nextAsk = 1;
  /** By what was asked for ("donor start-end young"): a denial says nothing about other parts of the range. */
  readonly #denied = new Map<string, Denial>();
  /** Donors that did not answer when they were last asked, and when that was. */
  readonly #silent = new Map<string, Instant>();
  /** The ask for a fragment that is outstanding, and when the next may be made. */
  #tidying: { readonly id: number; readonly what: string } | undefined;
  #tidyAt: Instant = 0;
  /** The ring in which there was nothing to tidy. */
  #tidied: readonly OwnedRange[] | undefined;
  #epoch = 1;
  #isStale: (range: OwnedRange) => boolean = () => false;

  constructor(universe: Universe, self: string) {
    this.universe = universe;
    this.#self = self;
  }

  /** Our part of the ring, in offset order, without what a removal took from us; none touches another. */
  get owned(): readonly OffsetRange[] {
    return this.#owned;
  }

  /** What belongs to the epoch from now on. An answer from the one before does not count any more: ask again. */
  enter(epoch: number, isStale: (range: OwnedRange) => boolean): void {
    this.#epoch = epoch;
    this.#isStale = isStale;
    this.#ask = undefined;
    this.#tidying = undefined;
    this.#denied.clear();
    this.#silent.clear();
    this.#ownedChanged();
  }

  /** Start with the shares of a founding. */
  found(founders: readonly string[]): void {
    this.#use(Ring.found(this.universe.size, founders));
  }

  /** Bring back a ring from disk. */
  restore(ranges: readonly OwnedRange[]): void {
    const ring = new Ring(this.universe.size);
    ring.merge(ranges);
    this.#use(ring);
  }

  /** The cluster was given up before it was used. */
  drop(): void {
    this.ring = undefined;
    this.#ownedChanged();
  }

  /** Never used: its founder alone, nothing given, nothing held here. */
  isUnused(): boolean {
    return (this.ring?.isPristine() ?? true) && this.space.heldOffsets().next().done === true;
  }

  /** Ranges from another peer of this epoch. Returns what was new here, or "malformed". */
  hear(ranges: readonly OwnedRange[]): readonly OwnedRange[] | "malformed" {
    if (!wellFormed(ranges, this.universe.size, this.#epoch)) return "malformed";
    this.ring ??= new Ring(this.universe.size);
    return this.#changed(this.ring.merge(ranges));
  }

  /** Take stale ranges over, as the heir all others have answered. Returns the change. */
  inherit(ranges: readonly OffsetRange[]): readonly OwnedRange[] {
    return this.#changed(this.ring?.take(ranges, this.#self, this.#epoch) ?? []);
  }

  /** What is nobody's own since the last removal. Gaps are told with the owner "", version and epoch 0. */
  stale(withGaps: boolean): readonly OwnedRange[] {
    const { ring } = this;
    if (ring === undefined) return [];
    const gaps = withGaps ? ring.gaps().map((gap) => ({ ...gap, owner: "", version: 0, made: 0 })) : [];
    return [...ring.ranges.filter(this.#isStale), ...gaps].sort((a, b) => a.start - b.start);
  }

  /** Reserve an offset for a holder from our own space. */
  take(subnet: Subnet, holder: string, now: Instant, evenIfYoung: boolean): number | undefined {
    return this.space.take(this.#owned, subnet.usable, holder, now, { evenIfYoung });
  }

  /** Reserve one given address of the universe. */
  claim(
    offset: number,
    holder: string,
  ): "ok" | "already" | { readonly takenBy: string } | { readonly ownedBy: string | undefined } {
    const [range] = this.ring?.within({ start: offset, end: offset + 1 }) ?? [];
    if (range?.owner !== this.#self || this.#isStale(range)) return { ownedBy: range?.owner };
    const current = this.space.holderOf(offset);
    if (current !== undefined) return current === holder ? "already" : { takenBy: current };
    this.space.hold(offset, holder);
    return "ok";
  }

  /** Another peer owns it, so that what is held there is held without a right. */
  isElsewhere(offset: number): boolean {
    const owner = this.ring?.ownerOf(offset);
    return owner !== undefined && owner !== this.#self;
  }

  /** The first allocation marks the ring as used, everywhere and for ever. Returns the change, if it was the first. */
  seal(): readonly OwnedRange[] {
    return this.ring?.isPristine() === true ? this.ring.seal(this.#self) : [];
  }

  /** Give space inside `wanted` to a peer: at most half of what is free. Empty when there is none. */
  give(wanted: OffsetRange, to: string, now: Instant, evenIfYoung: boolean): readonly OwnedRange[] {
    const { ring } = this;
    if (ring === undefined || to === this.#self) return [];
    const taker = runsOf(ring.rangesOf(to));
    const takersAt = (offset: number): number => {
      const run = taker.find(({ start, end }) => offset >= start && offset < end);
      return run === undefined ? 0 : run.end - run.start;
    };
    // What is doubtful is given last, and only to who would take what is young.
    for (const evenIfDoubtful of evenIfYoung ? [false, true] : [false]) {
      const options = { evenIfYoung, evenIfDoubtful };
      const free = this.space.freeIn(clip(this.#owned, wanted), now, options);
      const gift = chooseGift({ owned: this.#owned, free, wanted, isUrgent: evenIfYoung, takersAt });
      if (gift !== undefined) return this.#changed(ring.give(gift, this.#self, to, this.#epoch));
    }
    return [];
  }

  /** The entry of these offsets, if it is one and a peer's that may use it. */
  allOf(range: OffsetRange, owner: string): readonly OwnedRange[] {
    const all = this.ring?.within(range) ?? [];
    const [first] = all;
    if (all.length !== 1 || first?.start !== range.start || first.end !== range.end) return [];
    return first.owner === owner && !this.#isStale(first) ? all : [];
  }

  /** Give everything to one peer, held or not: this host leaves. */
  giveAll(to: string): readonly OwnedRange[] {
    const { ring } = this;
    if (ring === undefined) return [];
    return this.#changed(this.#owned.flatMap((range) => ring.give(range, this.#self, to, this.#epoch)));
  }

  /** Neighbouring ranges of ours become one. */
  join(): readonly OwnedRange[] {
    if (this.ring?.rangesOf(this.#self).some(this.#isStale) === true) return []; // not ours to raise
    return this.#changed(this.ring?.join(this.#self) ?? []);
  }

  /**
   * Whom to ask for space in the subnet: the reachable owner of the largest part that has not just denied it. Those that
   * did not answer come last, the longest silent first: cut off, they count as reachable for a while yet, and two of
   * them asked in turn would keep a third from being asked at all.
   * "asking" while an answer is outstanding; "nobody" when all have been asked. `evenIfYoung` asks for resting addresses,
   * too: another question, which those who denied the first may answer.
   */
  nextDonor(
    subnet: Subnet,
    evenIfYoung: boolean,
    reachable: ReadonlySet<string>,
    now: Instant,
  ): { readonly donor: string; readonly id: number } | "asking" | "nobody" {
    if (this.#ask !== undefined) return "asking";
    const shares = new Map<string, number>();
    for (const r of this.#livingIn(subnet)) {
      if (reachable.has(r.owner) && !this.#isDenied(asked(r.owner, subnet, evenIfYoung), now)) {
        shares.set(r.owner, (shares.get(r.owner) ?? 0) + r.end - r.start);
      }
    }
    const silence = (name: string): Instant => this.#silent.get(name) ?? Number.NEGATIVE_INFINITY;
    const [[donor] = []] = [...shares].sort(
      ([a, x], [b, y]) =>
        (silence(a) === silence(b) ? 0 : silence(a) - silence(b)) || y - x || (a < b ? -1 : 1),
    );
    if (donor === undefined) return "nobody";
    this.#ask = {
      id: this.#nextAsk++,
      donor,
      what: asked(donor, subnet, evenIfYoung),
      deadline: now + ASK_TIMEOUT_MS,
    };
    return { donor, id: this.#ask.id };
  }

  /** A fragment to ask for now, so that the ring gets simpler (tidying.ts). Rare, and never in the way of `nextDonor`. */
  nextFragment(
    reachable: ReadonlySet<string>,
    now: Instant,
  ): { readonly donor: string; readonly range: OffsetRange; readonly id: number } | undefined {
    const { ring } = this;
    if (ring === undefined || now < this.#tidyAt || ring.ranges === this.#tidied) return undefined;
    if (this.#tidying !== undefined) this.answered(this.#tidying.id, false, now); // no answer is one, too
    const living = ring.ranges.filter((range) => !this.#isStale(range));
    const fragment = chooseFragment(
      runsOf(living),
      this.#self,
      (run) => reachable.has(run.owner) && !this.#isDenied(fragmentOf(run), now),
    );
    this.#tidyAt = now + TIDY_PAUSE_MS;
    if (fragment === undefined) {
      this.#tidied = ring.ranges;
      return undefined;
    }
    const { owner: donor, start, end } = fragment;
    this.#tidying = { id: this.#nextAsk++, what: fragmentOf(fragment) };
    return { donor, range: { start, end }, id: this.#tidying.id };
  }

  answered(id: number, given: boolean, now: Instant): void {
    if (this.#tidying?.id === id) {
      if (given) this.#tidyAt = now + TIDY_NEXT_MS;
      else this.#denied.set(this.#tidying.what, { donor: undefined, until: now + TIDY_DENIAL_MS });
      this.#tidying = undefined;
    }
    if (this.#ask?.id !== id) return;
    const { donor, what } = this.#ask;
    this.#silent.delete(donor);
    for (const [before, { until }] of this.#denied) if (now >= until) this.#denied.delete(before);
    if (!given) this.#denied.set(what, { donor, until: now + DENIAL_MS });
    this.#ask = undefined;
  }

  /** Pass over a donor that does not answer; one that cannot be reached any more may be asked again when it can. */
  tick(reachable: ReadonlySet<string>, now: Instant): void {
    const ask = this.#ask;
    if (ask === undefined) return;
    if (!reachable.has(ask.donor)) this.#ask = undefined;
    else if (now >= ask.deadline) {
      this.answered(ask.id, false, now);
      this.#silent.set(ask.donor, now);
    }
  }

  /** When the first of the reachable donors that had nothing may be asked again. */
  retryAt(reachable: ReadonlySet<string>, now: Instant): Instant | undefined {
    let first: Instant | undefined;
    for (const { donor, until } of this.#denied.values())
      if (until > now && donor !== undefined && reachable.has(donor)) first = Math.min(first ?? until, until);
    return first;
  }

  nextDeadline(): Instant | undefined {
    return this.#ask?.deadline;
  }

  /** Owners of the subnet that cannot be reached, for the explanation of a refusal. */
  unreachableOwners(subnet: Subnet, reachable: ReadonlySet<string>): readonly string[] {
    const owners = new Set(this.#livingIn(subnet).map((r) => r.owner));
    return [...owners].filter((owner) => owner !== this.#self && !reachable.has(owner)).sort();
  }

  /** How many addresses of the subnet nobody may give before the heir has taken them. */
  waitingIn(subnet: Subnet): number {
    const stale = (this.ring?.within(subnet.usable) ?? []).filter(this.#isStale);
    return stale.reduce((sum, r) => sum + r.end - r.start, 0);
  }

  /** Offsets of ours inside the subnet that a container could have. */
  capacityIn(subnet: Subnet): number {
    return clip(this.#owned, subnet.usable).reduce((sum, r) => sum + r.end - r.start, 0);
  }

  /** Whether an address of the subnet is free here, or might be at a peer that can be asked. */
  hasFreeIn(subnet: Subnet, reachable: ReadonlySet<string>): boolean {
    const owners = new Set(this.#livingIn(subnet).map((r) => r.owner));
    if ([...owners].some((owner) => owner !== this.#self && reachable.has(owner))) return true;
    return this.space.usedIn(clip(this.#owned, subnet.usable)) < this.capacityIn(subnet);
  }

  #isDenied(what: string, now: Instant): boolean {
    return now < (this.#denied.get(what)?.until ?? 0);
  }

  /** Entries of the subnet whose owner may give of them. */
  #livingIn(subnet: Subnet): readonly OwnedRange[] {
    return (this.ring?.within(subnet.usable) ?? []).filter((r) => !this.#isStale(r));
  }

  #changed(fresh: readonly OwnedRange[]): readonly OwnedRange[] {
    if (fresh.length > 0) this.#ownedChanged();
    return fresh;
  }

  #use(ring: Ring): void {
    this.ring = ring;
    this.#ownedChanged();
  }

  #ownedChanged(): void {
    const living = (this.ring?.rangesOf(this.#self) ?? []).filter((range) => !this.#isStale(range));
    const owned = runsOf(living).map(({ start, end }) => ({ start, end }));
    // The same array while nothing of ours changed: Space keeps its order of choice by it.
    const isSame =
      owned.length === this.#owned.length &&
      owned.every(({ start, end }, i) => start === this.#owned[i]?.start && end === this.#owned[i]?.end);
    if (!isSame) this.#owned = owned;
  }
}

const asked = (donor: string, { range }: Subnet, evenIfYoung: boolean): string =>
  `${donor} ${range.start}-${range.end} ${evenIfYoung}`;
const fragmentOf = ({ owner, start, end }: Run): string => `fragment ${owner} ${start}-${end}`;
