import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Random, seededRandom } from "../random.ts";
import {
  Ballot,
  type BallotBody,
  type Electorate,
  LINGER_MS,
  PHASE_MS,
  type Step,
  type Vote,
} from "./ballot.ts";
import { type Configuration, canonical, founded, revoting, type Voter } from "./configuration.ts";

/** A data directory, or what is left of it. */
interface Host {
  self: Voter;
  disk: Vote | undefined;
  ballot: Ballot;
  /** Of its own: clocks play no part. */
  now: number;
}
interface Flying {
  readonly from: string;
  readonly to: string;
  readonly body: BallotBody;
}
interface Kind {
  readonly epoch: number;
  readonly hosts: readonly string[];
  /** As `self` sees it; `peers` are those it reaches. */
  readonly electorate: (peers: () => readonly string[]) => Electorate;
  /** Disks that may be lost: a host then returns with its name, another incarnation, and no vote. */
  readonly disks: number;
  /** Who may vote, and how many of them are a quorum. */
  readonly voting: readonly string[];
  readonly needed: number;
}

const names = ["alice", "bob", "carol", "dave", "erin"];
const voters = names.map((name) => ({ name, incarnation: `${name}-1` }));
const first = founded("c1", voters);
const kinds: Record<string, Kind> = {
  // Frank is no voter, but proposes.
  "five voters": {
    epoch: 2,
    hosts: [...names, "frank"],
    electorate: () => ({ kind: "voters", voters }),
    disks: 2,
    voting: names,
    needed: 3,
  },
  "two voters": {
    epoch: 2,
    hosts: ["alice", "bob", "carol"],
    electorate: () => ({ kind: "voters", voters: voters.slice(0, 2) }),
    disks: 2,
    voting: names.slice(0, 2),
    needed: 2,
  },
  "voters bound to no disk yet": {
    epoch: 2,
    hosts: names,
    electorate: () => ({ kind: "voters", voters: voters.map((v) => ({ ...v, incarnation: "" })) }),
    disks: 0,
    voting: names,
    needed: 3,
  },
  // Five data directories at most, the one that is lost among them.
  "a founding": {
    epoch: 1,
    hosts: names.slice(0, 4),
    electorate: (peers) => ({ kind: "candidates", expected: 5, peers }),
    disks: 1,
    voting: names.slice(0, 4),
    needed: 3,
  },
};

class World {
  readonly kind: Kind;
  readonly random: Random;
  readonly hosts = new Map<string, Host>();
  readonly decided = new Set<string>();
  /** How often somebody found that it is decided. */
  decisions = 0;
  flying: Flying[] = [];
  #disks: number;
  #calm = false;
  /** One of the two sides of a partition. */
  #side = new Set<string>();
  /** How often a message arrives once more. */
  readonly #repeats: number;
  #proposals = 0;

  constructor(kind: Kind, seed: number) {
    this.kind = kind;
    this.random = seededRandom(seed);
    this.#disks = kind.disks;
    this.#repeats = this.#any([0, 0.1, 0.5]);
    for (const name of kind.hosts) this.#start({ name, incarnation: `${name}-1` }, undefined, 0);
  }

  /** One event: whatever a network and a host can do. */
  step(): void {
    const host = this.#any([...this.hosts.values()]);
    const dice = this.random.below(100);
    if (dice < 60) {
      // Mostly what is recent: a pile of old messages would drown the ballots under way.
      const recent = Math.min(this.flying.length, this.#any([4, 12, this.flying.length]));
      const index = this.flying.length - 1 - this.random.below(recent);
      if (this.#connected(this.flying[index])) this.deliver(index, this.random.next() < this.#repeats);
    } else if (dice < 66) this.flying.splice(this.random.below(this.flying.length), 1);
    else if (dice < 78) this.propose(host);
    else if (dice < 90) this.tick(host);
    else if (dice < 93) this.restart(host);
    else if (dice < 94) host.ballot.withdraw();
    else if (dice < 98) this.#side = new Set(this.kind.hosts.filter(() => this.random.below(2) === 0));
    else if (dice < 99) this.#side.clear();
    else if (this.#disks > 0) {
      this.#disks--;
      this.#start({ ...host.self, incarnation: `${host.self.name}-2` }, undefined, host.now);
    }
  }

  deliver(index: number, again: boolean): void {
    const message = this.flying[index];
    const host = this.hosts.get(message?.to ?? "");
    if (message === undefined || host === undefined) return;
    if (!again) this.flying.splice(index, 1);
    this.#run(host, host.ballot.heard(message.from, message.body, host.now));
  }

  propose(host: Host): void {
    const id = `v${++this.#proposals}`;
    const propose = (promisers: readonly Voter[]): Configuration =>
      this.kind.epoch === 1 ? founded(id, promisers) : revoting(first, [{ name: id, incarnation: "" }]);
    this.#run(host, host.ballot.propose(propose, host.now));
  }

  tick(host: Host): void {
    host.now = Math.max(host.now, host.ballot.nextDeadline() ?? 0);
    this.#run(host, host.ballot.tick(host.now));
  }

  restart(host: Host): void {
    this.#start(host.self, host.disk, host.now);
  }

  /**
   * The network works again, for `living` alone, with 5 to 200 ms one way; what was under way is lost. Whoever is in
   * `proposing` does. Runs until somebody decides, and tells how long it took.
   */
  settle(living: readonly string[], proposing: readonly string[]): { elapsedMs: number; messages: number } {
    this.#calm = true;
    this.flying = [];
    const hosts = living.flatMap((name) => this.hosts.get(name) ?? []);
    const began = Math.max(...hosts.map((host) => host.now));
    for (const host of hosts) host.now = began;
    for (const name of living) this.restart(this.#host(name));
    for (const name of proposing) this.propose(this.#host(name));
    const arrivals: { at: number; message: Flying }[] = [];
    let messages = 0;
    for (let now = began, before = this.decisions; this.decisions === before; ) {
      messages += this.flying.length;
      for (const message of this.flying.splice(0)) {
        if (living.includes(message.to)) arrivals.push({ at: now + 5 + this.random.below(196), message });
      }
      arrivals.sort((a, b) => a.at - b.at);
      const dues = living.map((name) => this.#host(name).ballot.nextDeadline() ?? Number.POSITIVE_INFINITY);
      now = Math.min(arrivals[0]?.at ?? Number.POSITIVE_INFINITY, ...dues);
      if (now - began > 600_000) throw new Error(`nothing decided by ${now}`);
      for (const name of living) this.#host(name).now = now;
      const arrived = arrivals[0]?.at === now ? arrivals.shift() : undefined;
      if (arrived !== undefined) {
        this.flying.push(arrived.message);
        this.deliver(0, false);
      } else this.tick(this.#host(living[dues.indexOf(now)] ?? ""));
    }
    return { elapsedMs: Math.max(...living.map((name) => this.#host(name).now)) - began, messages };
  }

  #host(name: string): Host {
    const host = this.hosts.get(name);
    if (host === undefined) throw new Error(`no host ${name}`);
    return host;
  }

  #start(self: Voter, disk: Vote | undefined, now: number): void {
    const others = this.kind.hosts.filter((name) => name !== self.name);
    // At a founding whom one reaches changes all the time.
    const electorate = this.kind.electorate(() => others.filter(() => this.random.below(4) > 0));
    const ballot = new Ballot(self, this.kind.epoch, electorate, disk, this.random, now);
    this.hosts.set(self.name, { self, disk, ballot, now });
  }

  #run(host: Host, { persist, send, decided }: Step): void {
    // A crash before, between or after: then nothing of the rest has happened.
    const crash = this.#calm ? 2 : this.random.below(60);
    if (crash !== 0 && persist !== undefined) host.disk = persist;
    if (crash > 1) {
      for (const { to, body } of send) {
        expectOnDisk(host, body);
        this.flying.push({ from: host.self.name, to, body });
      }
      if (decided !== undefined) {
        this.decisions++;
        this.decided.add(canonical(decided));
      }
    } else this.restart(host);
  }

  #connected(message: Flying | undefined): boolean {
    return message !== undefined && this.#side.has(message.from) === this.#side.has(message.to);
  }

  #any<T>(list: readonly T[]): T {
    const item = list[this.random.below(list.length)];
    if (item === undefined) throw new Error("nothing to choose from");
    return item;
  }
}

/** What a message says is on the disk of who says it. */
function expectOnDisk({ self, disk }: Host, body: BallotBody): void {
  const { round } = body;
  const reached = (there: readonly [number, string] | undefined): boolean =>
    there !== undefined && (there[0] > round[0] || (there[0] === round[0] && there[1] >= round[1]));
  if ("higher" in body) expect(disk?.promised?.[0]).toBe(body.higher);
  else if (body.k === "promise") expect(reached(disk?.promised)).toBe(true);
  else if (body.k === "accepted") expect(reached(disk?.accepted?.round)).toBe(true);
  else expect(disk?.round).toBeGreaterThanOrEqual(round[1] === self.incarnation ? round[0] : 0);
}

/**
 * Just enough hosts whose disks vote, those that accepted something left out if possible: the worst that can be left over
 * after a decision. Undefined when too many disks are lost.
 */
function remnant(world: World): readonly string[] | undefined {
  const { voting, epoch, needed } = world.kind;
  const disk = (name: string): Vote | undefined => world.hosts.get(name)?.disk;
  // Another disk is another candidate, but no voter.
  const living = voting.filter(
    (name) => epoch === 1 || world.hosts.get(name)?.self.incarnation.endsWith("-1"),
  );
  const ignorant = living.filter((name) => disk(name)?.accepted === undefined);
  const knowing = living.filter((name) => disk(name)?.accepted !== undefined);
  return living.length < needed ? undefined : [...ignorant, ...knowing].slice(0, needed);
}

describe.each(Object.entries(kinds))("%s", (_what, kind) => {
  it("never decide twice, whatever happens", () => {
    let again = 0;
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 50, max: 400 }), fc.boolean(), (seed, steps, patient) => {
        const world = new World(kind, seed);
        for (let i = 0; i < steps && (patient || world.decisions === 0); i++) world.step();
        expect([...world.decided]).toHaveLength(Math.min(1, world.decisions));
        // Whoever is left must come to the same end.
        const living = remnant(world);
        if (world.decisions === 0 || living === undefined) return;
        again++;
        world.settle(living, living.slice(0, 1 + world.random.below(living.length)));
        expect([...world.decided]).toHaveLength(1);
      }),
      { numRuns: 500 },
    );
    expect(again).toBeGreaterThan(20);
  });
});

describe("a quorum that is connected", () => {
  const kind = { ...(kinds["five voters"] as Kind), disks: 0 };
  /** Worlds in which much has happened and nothing is decided. */
  const inUndecidedWorlds = (check: (world: World, living: readonly string[]) => void): void => {
    let worlds = 0;
    fc.assert(
      fc.property(
        fc.integer(),
        fc.nat(120),
        fc.shuffledSubarray(names, { minLength: 3 }),
        (seed, steps, living) => {
          const world = new World(kind, seed);
          for (let i = 0; i < steps; i++) world.step();
          if (world.decisions > 0) return;
          worlds++;
          check(world, living);
        },
      ),
      { numRuns: 400 },
    );
    expect(worlds).toBeGreaterThan(50);
  };

  it("decides within seconds when one proposes", () => {
    inUndecidedWorlds((world, living) => {
      const { elapsedMs, messages } = world.settle(
        [...living, "frank"],
        [living.length === 3 ? "frank" : (living[0] ?? "")],
      );
      expect(elapsedMs).toBeLessThan(2 * PHASE_MS);
      expect(messages).toBeLessThan(60);
    });
  });

  it("decides within a minute when all propose", () => {
    inUndecidedWorlds((world, living) => {
      const { elapsedMs, messages } = world.settle(living, living);
      expect(elapsedMs).toBeLessThan(60_000);
      expect(messages).toBeLessThan(2_000);
    });
  });

  it("finishes what one of it accepted, though nobody proposes", () => {
    let finished = 0;
    inUndecidedWorlds((world, living) => {
      const accepted = living.some((name) => world.hosts.get(name)?.disk?.accepted !== undefined);
      if (!accepted) return;
      finished++;
      expect(world.settle(living, []).elapsedMs).toBeLessThan(3 * (LINGER_MS + PHASE_MS));
    });
    expect(finished).toBeGreaterThan(10);
  });
});
