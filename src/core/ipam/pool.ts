// One universe on this host: its ring, the space we own of it, and the search for more. Decides; Node sends and persists.
import type { OffsetRange, Subnet, Universe } from "../address/universe.ts";
import type { Instant } from "../effects.ts";
import { type Founding, type OwnedRange, Ring, wellFormed } from "./ring.ts";
import { clip, Space } from "./space.ts";

/** A donor that does not answer in this time is passed over. Two round trips through a few relays take far less. */
export const ASK_TIMEOUT_MS = 2_000;
/** A donor that had nothing is not asked again for this long. */
export const DENIAL_MS = 5_000;

/** What hearing a ring did. */
export type Heard =
  | { readonly kind: "nothing" }
  /** First ring here, or ours gave way to it: everything about the ring is new. */
  | { readonly kind: "adopted"; readonly fresh: readonly OwnedRange[]; readonly instead: string | undefined }
  | { readonly kind: "merged"; readonly fresh: readonly OwnedRange[] }
  /** Another cluster, and neither can give way: a human must decide. */
  | { readonly kind: "foreign" }
  | { readonly kind: "malformed" };

interface Ask {
  readonly id: number;
  /** Key of the denial it may earn. */
  readonly what: string;
  readonly deadline: Instant;
}

export class Pool {
  readonly universe: Universe;
  readonly #self: string;
  readonly space = new Space();
  ring: Ring | undefined;
  #owned: readonly OffsetRange[] = [];
  #ask: Ask | undefined;
  #nextAsk = 1;
  /** "donor start-end young" -> until when: a denial says nothing about other parts of the range. */
  readonly #denied = new Map<string, Instant>();

  constructor(universe: Universe, self: string) {
    this.universe = universe;
    this.#self = self;
  }

  /** Our part of the ring, in offset order. */
  get owned(): readonly OffsetRange[] {
    return this.#owned;
  }

  /** Start a cluster. */
  found(founding: Founding): void {
    this.#use(Ring.found(this.universe.size, founding));
  }

  /** Bring back a ring from disk. */
  restore(founding: Founding, ranges: readonly OwnedRange[]): void {
    const ring = new Ring(this.universe.size, founding);
    ring.merge(ranges);
    this.#use(ring);
  }

  /**
   * Ranges from another peer. A ring of another cluster is taken over only while ours was never used (its founder alone,
   * nothing allocated): so two hosts that were each launched alone and then connected become one cluster. Of two unused
   * rings the one with the lesser cluster id stays, which both sides see alike.
   */
  hear(founding: Founding, ranges: readonly OwnedRange[]): Heard {
    if (!wellFormed(ranges, this.universe.size)) return { kind: "malformed" };
    const theirs = new Ring(this.universe.size, founding);
    theirs.merge(ranges);
    const { ring } = this;
    if (ring === undefined) return this.#adopt(theirs, undefined);
    if (ring.founding.cluster !== founding.cluster) {
      const unused = ring.isPristine() && this.space.heldOffsets().next().done === true;
      if (!unused || ranges.length === 0) return { kind: "foreign" };
      if (theirs.isPristine() && founding.cluster > ring.founding.cluster) return { kind: "foreign" };
      return this.#adopt(theirs, ring.founding.cluster);
    }
    if (founding.epoch > ring.founding.epoch) return this.#adopt(theirs, undefined);
    if (founding.epoch < ring.founding.epoch) return { kind: "nothing" };
    const fresh = ring.merge(ranges);
    if (fresh.length === 0) return { kind: "nothing" };
    this.#ownedChanged();
    return { kind: "merged", fresh };
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
    const owner = this.ring?.ownerOf(offset);
    if (owner !== this.#self) return { ownedBy: owner };
    const current = this.space.holderOf(offset);
    if (current !== undefined) return current === holder ? "already" : { takenBy: current };
    this.space.hold(offset, holder);
    return "ok";
  }

  /** The first allocation marks the ring as used, everywhere and for ever. Returns the change, if it was the first. */
  seal(): readonly OwnedRange[] {
    return this.ring?.isPristine() === true ? this.ring.seal(this.#self) : [];
  }

  /** Give space inside `wanted` to a peer: at most half of what is free. Empty when there is none. */
  give(wanted: OffsetRange, to: string, now: Instant, evenIfYoung: boolean): readonly OwnedRange[] {
    const gift = this.space.spare(this.#owned, wanted, now, { evenIfYoung });
    if (this.ring === undefined || gift === undefined || to === this.#self) return [];
    const fresh = this.ring.give(gift, this.#self, to);
    this.#ownedChanged();
    return fresh;
  }

  /** Neighbouring ranges of ours become one. */
  join(): readonly OwnedRange[] {
    const fresh = this.ring?.join(this.#self) ?? [];
    if (fresh.length > 0) this.#ownedChanged();
    return fresh;
  }

  /**
   * Whom to ask for space in the subnet: the reachable owner of the largest part that has not just denied it.
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
    for (const r of this.ring?.within(subnet.usable) ?? []) {
      if (reachable.has(r.owner) && now >= (this.#denied.get(asked(r.owner, subnet, evenIfYoung)) ?? 0)) {
        shares.set(r.owner, (shares.get(r.owner) ?? 0) + r.end - r.start);
      }
    }
    const [donor] = [...shares].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))[0] ?? [];
    if (donor === undefined) return "nobody";
    this.#ask = {
      id: this.#nextAsk++,
      what: asked(donor, subnet, evenIfYoung),
      deadline: now + ASK_TIMEOUT_MS,
    };
    return { donor, id: this.#ask.id };
  }

  answered(id: number, given: boolean, now: Instant): void {
    if (this.#ask?.id !== id) return;
    for (const [what, until] of this.#denied) if (now >= until) this.#denied.delete(what);
    if (!given) this.#denied.set(this.#ask.what, now + DENIAL_MS);
    this.#ask = undefined;
  }

  /** Pass over a donor that does not answer. True when that happened. */
  tick(now: Instant): boolean {
    if (this.#ask === undefined || now < this.#ask.deadline) return false;
    this.answered(this.#ask.id, false, now);
    return true;
  }

  nextDeadline(): Instant | undefined {
    return this.#ask?.deadline;
  }

  /** Owners of the subnet that cannot be reached, for the explanation of a refusal. */
  unreachableOwners(subnet: Subnet, reachable: ReadonlySet<string>): readonly string[] {
    const owners = new Set((this.ring?.within(subnet.usable) ?? []).map((r) => r.owner));
    return [...owners].filter((owner) => owner !== this.#self && !reachable.has(owner)).sort();
  }

  /** Offsets of ours inside the subnet that a container could have. */
  capacityIn(subnet: Subnet): number {
    return clip(this.#owned, subnet.usable).reduce((sum, r) => sum + r.end - r.start, 0);
  }

  /** Whether an address of the subnet is free here, or might be at a peer that can be asked. */
  hasFreeIn(subnet: Subnet, reachable: ReadonlySet<string>): boolean {
    const owners = new Set((this.ring?.within(subnet.usable) ?? []).map((r) => r.owner));
    if ([...owners].some((owner) => owner !== this.#self && reachable.has(owner))) return true;
    return this.space.usedIn(clip(this.#owned, subnet.usable)) < this.capacityIn(subnet);
  }

  #adopt(ring: Ring, instead: string | undefined): Heard {
    this.#use(ring);
    return { kind: "adopted", fresh: ring.ranges, instead };
  }

  #use(ring: Ring): void {
    this.ring = ring;
    this.#ownedChanged();
  }

  #ownedChanged(): void {
    this.#owned = this.ring?.rangesOf(this.#self) ?? [];
    this.space.ownedChanged();
  }
}

const asked = (donor: string, { range }: Subnet, evenIfYoung: boolean): string =>
  `${donor} ${range.start}-${range.end} ${evenIfYoung}`;
