// What no owner can settle alone: the founding, who is gone, who decides next. Keeps the newest configuration and runs the
// ballot for the one after it; who waits for a decision stands in wants.ts. What follows from a configuration for rings,
// gossip and links is its host's business (`entered`). Rules R1 to R4 of docs/ipam.md.
//
//   none --founded, or heard--> epoch 1 --decided, or heard--> epoch 2 ...     not named any more --> rejoin
import { type Effect, event, type Instant, persist, type RejoinReason, reply } from "../effects.ts";
import type { Random } from "../random.ts";
import { type StoredState, voteOp } from "../records.ts";
import { refusal } from "../requests.ts";
import type { Vote } from "./acceptor.ts";
import { Ballot, type BallotBody, type Step } from "./ballot.ts";
import {
  type Configuration,
  elect,
  fingerprintOf,
  forced,
  founded,
  isMember,
  isStale,
  isVoter,
  relation,
  revoting,
} from "./configuration.ts";
import { MAX_FOUNDERS } from "./configuration-wire.ts";
import { Founding, type FoundingHost, freshCluster } from "./founding.ts";
import { Roster, type RosterHost } from "./roster.ts";
import { type LeaveDone, removed, Wants } from "./wants.ts";

/** A new member must stay so long before it becomes a voter. */
export const VOTERS_SETTLE_MS = 1_000;

/** Where a message or a ring belongs: it counts between peers of one epoch of one cluster only. */
export interface Era {
  readonly cluster: string;
  readonly epoch: number;
}

/** What the council needs of the node around it. */
export interface CouncilHost extends FoundingHost, RosterHost {
  readonly random: Random;
  /** The ranges were never used, by anybody this host knows of. */
  isUnused(): boolean;
  /** No container is here, and no other member has answered for long. */
  isAbandoned(now: Instant): boolean;
  /** A message of a ballot; `cluster` is undefined as long as there is none. May be lost. */
  send(to: string, body: BallotBody, cluster: string | undefined, out: Effect[]): void;
  /** A configuration is without this host, which may be the only one that knows: keep it for the others, and tell them. */
  expelled(configuration: Configuration, now: Instant, out: Effect[]): void;
  /** A configuration was taken over: write it down (and the votes off), then let everything follow. */
  entered(change: Entered, now: Instant, out: Effect[]): void;
}

/** A configuration was taken over. */
export interface Entered {
  readonly configuration: Configuration;
  /** The epoch this host came in with. */
  readonly joined: number;
  readonly before: Configuration | undefined;
  /** Among whom the universe was divided, for who has no ring yet and can know. */
  readonly founders: readonly string[] | undefined;
  /** The ranges held are of another cluster, which is given up. */
  readonly afresh: boolean;
}

/** Stands for a request where this host itself wants to leave: who asked for that is answered by the departure. */
const LEAVING = -1;

/**
 * Decisions, as one host takes part in them. After `ended` nothing may be handed in any more: the host begins anew with
 * another state.
 */
export class Council {
  readonly #host: CouncilHost;
  readonly #founding: Founding;
  readonly roster: Roster;
  #configuration: Configuration | undefined;
  #joined = 0;
  /** The configurations that this host began anew for: nothing older of these clusters is believed. */
  readonly #left: readonly Configuration[];
  /** The cluster it is to join, as far as it has heard where that has gone. */
  #expect: string | undefined;
  #ballot: Ballot | undefined;
  /** How many hosts were expected when the ballot was made; it is made again when that changes before a founding. */
  #expected: number | undefined;
  /** What was promised and accepted in the ballot for the next epoch, as it stands on disk. */
  #vote: Vote | undefined;
  readonly #wants: Wants;
  /** When to look whether the voters are still the right ones. */
  #review: Instant | undefined;
  #split: { readonly epoch: number; readonly since: Instant } | undefined;
  #ended = false;
  /** By a list of seeds, since the start: the disk was empty. */
  #foundedByList = false;
  /** Left by decision: a configuration without this host is no surprise. */
  #leaving = false;

  constructor(host: CouncilHost, stored: StoredState) {
    this.#host = host;
    this.#configuration = stored.configuration?.configuration;
    this.#joined = stored.configuration?.joined ?? 0;
    this.#left = stored.left;
    this.#expect = host.expect;
    this.#vote = stored.vote;
    this.#founding = new Founding(host);
    this.roster = new Roster(host, () => this.#configuration);
    this.#wants = new Wants({
      self: host.self.name,
      roster: this.roster,
      configuration: () => this.#configuration,
      propose: (value, now, out) => this.#run(this.#ballot?.propose(value, now), now, out),
      withdraw: () => this.#ballot?.withdraw(),
    });
  }

  get configuration(): Configuration | undefined {
    return this.#configuration;
  }

  /** The epoch this peer came in with; undefined without a configuration. */
  get joined(): number | undefined {
    return this.#configuration === undefined ? undefined : this.#joined;
  }

  get era(): Era | undefined {
    const c = this.#configuration;
    return c === undefined ? undefined : { cluster: c.cluster, epoch: c.epoch };
  }

  /** For gossip: what neighbours compare before they compare rings. */
  gossipEra(): (Era & { readonly decision: number }) | undefined {
    const c = this.#configuration;
    return c && { cluster: c.cluster, epoch: c.epoch, decision: fingerprintOf(c) };
  }

  /** Nothing may follow: this state is to be set aside. */
  get ended(): boolean {
    return this.#ended;
  }

  /** How many hosts this one expects at a founding; undefined when it does not stand for election. */
  get candidate(): number | undefined {
    return this.#configuration === undefined ? this.#founding.expected() : undefined;
  }

  /** Since when two decisions of one epoch are known, which cannot be unless a disk was set back. */
  get split(): { readonly epoch: number; readonly since: Instant } | undefined {
    return this.#split;
  }

  isOurs({ cluster, epoch }: Era): boolean {
    return this.#configuration?.cluster === cluster && this.#configuration.epoch === epoch;
  }

  readonly isStale = (range: { readonly made: number; readonly owner: string }): boolean =>
    this.#configuration !== undefined && isStale(this.#configuration, range);

  /** The others of the cluster by name, reachable or not. */
  others(): readonly string[] {
    return this.roster.members().filter((name) => name !== this.#host.self.name);
  }

  isVoter(): boolean {
    const { name, incarnation } = this.#host.self;
    return this.#configuration !== undefined && isVoter(this.#configuration, name, incarnation);
  }

  /** How the founding stands, for who waits for it. */
  founding(): ReturnType<Founding["progress"]> {
    return this.#founding.progress();
  }

  /** Once, before anything else. A host that can found alone, or by a list of seeds, has done so afterwards. */
  start(now: Instant, out: Effect[]): void {
    if (this.#configuration?.joins !== undefined) {
      this.rejoin("joins", out, this.#configuration.joins); // a crash came between the decision and this
      return;
    }
    if (!this.roster.isMember(this.#host.self.name, this.#joined)) {
      this.rejoin("removed", out); // one came between the decision that it is gone, and its going
      return;
    }
    if (this.#configuration === undefined) {
      this.#founding.start(now);
      const { init, self } = this.#host;
      this.#foundedByList = init.kind === "seed" && init.names.includes(self.name);
      if (init.kind === "seed" && this.#foundedByList)
        this.#adopt(this.#founding.bySeed(init.names), now, out);
      else if (this.#founding.expected() === 1) this.#adopt(founded(this.#freshCluster(), [self]), now, out);
      if (this.#configuration !== undefined) this.#tellFounded(out);
    }
    this.#newBallot(now);
    this.topologyChanged(now);
  }

  /** Somebody came, went, or said something else of itself. */
  topologyChanged(now: Instant): void {
    if (this.#configuration === undefined) this.#founding.topologyChanged(now);
    else this.#reviewSoon(now);
  }

  /**
   * A configuration arrived. "older": the sender should have ours. "same" also for two decisions of one epoch: it stays
   * with ours (`split`). `yields`: the sender would give its cluster up.
   */
  heard(
    theirs: Configuration,
    yields: boolean,
    now: Instant,
    out: Effect[],
  ): "same" | "older" | "newer" | "foreign" {
    const ours = this.#configuration;
    if (ours === undefined) {
      // A cluster that gives itself up is nobody's to join; who was to join it, follows it.
      if (theirs.joins !== undefined && this.#expect !== undefined && this.#isExpected(theirs))
        this.#expect = theirs.joins;
      if (theirs.joins !== undefined || !this.#isExpected(theirs)) return "foreign";
      if (this.#left.some(({ cluster, epoch }) => cluster === theirs.cluster && theirs.epoch < epoch))
        return "older";
      this.#adopt(theirs, now, out);
      return "newer";
    }
    const is = relation(ours, theirs);
    if (is === "newer") this.#adopt(theirs, now, out);
    else if (is === "split" && this.#split?.epoch !== ours.epoch) {
      this.#split = { epoch: ours.epoch, since: now };
      out.push(event("split", "warn", { cluster: ours.cluster, epoch: ours.epoch }));
    } else if (is === "foreign" && theirs.joins === undefined) {
      const lesser = theirs.cluster < ours.cluster;
      if (!this.yields(now) || (yields && !lesser)) return is;
      if (this.#isUnused()) this.#giveWay(theirs, now, out);
      else this.rejoin("foreign", out, theirs.cluster);
    }
    return is === "split" ? "same" : is;
  }

  /** Whether this host would give its cluster up: nobody ever used it, or it is alone in it and has no containers. */
  yields(now: Instant): boolean {
    return this.#isUnused() || this.#host.isAbandoned(now);
  }

  /** The cluster to join, or one that continues it. */
  #isExpected({ cluster, lineage = [] }: Configuration): boolean {
    return this.isWelcome(cluster) || lineage.some((former) => this.isWelcome(former.cluster));
  }

  /** The cluster to join; undefined when any will do. */
  get expect(): string | undefined {
    return this.isStranded ? undefined : this.#expect;
  }

  /** The cluster this host was to join was not found in time: it may join any other, or found one. */
  get isStranded(): boolean {
    return this.#founding.isStranded;
  }

  /** Whether a cluster may be joined. */
  isWelcome(cluster: string): boolean {
    return this.#expect === undefined || this.#expect === cluster || this.isStranded;
  }

  /** A message of a ballot. Returns false when its sender is behind and should have our configuration. */
  message(from: string, body: BallotBody, cluster: string | undefined, now: Instant, out: Effect[]): boolean {
    const ours = this.#configuration;
    if (cluster !== ours?.cluster) return ours === undefined || cluster !== undefined;
    if (body.epoch <= (ours?.epoch ?? 0)) return false;
    const values = [
      ...(body.k === "accept" ? [body.value] : []),
      ...(body.k === "promise" && body.accepted !== undefined ? [body.accepted.value] : []),
    ];
    if (this.#ballot !== undefined && values.every((value) => this.#follows(value)))
      this.#run(this.#ballot.heard(from, body, now), now, out);
    return true;
  }

  /** Get it decided that peers (names or nicknames) are gone. Answers the request. */
  remove(id: number, peers: readonly string[], force: boolean, now: Instant, out: Effect[]): void {
    if (this.#configuration === undefined) {
      out.push(reply(id, refusal("no-ring", "this host belongs to no cluster yet", "run: weave status")));
      return;
    }
    const gone = this.roster.resolve(peers);
    if ("ok" in gone) out.push(reply(id, gone));
    else if (force) this.#force(id, gone.names, now, out);
    else {
      const before = gone.names.filter((name) => !this.roster.isMemberByName(name));
      this.#wants.add({ id, since: now, kind: "remove", gone: gone.names, before }, out);
    }
  }

  /** Get it decided that this cluster moves over to another. Answers the request. */
  giveUpFor(id: number, cluster: string, now: Instant, out: Effect[]): void {
    this.#wants.add({ id, since: now, kind: "join", cluster }, out);
  }

  /** This host is to leave; its ranges are the heir's already. */
  leave(heir: string, done: LeaveDone, now: Instant, out: Effect[]): void {
    this.#leaving = true;
    this.#wants.add({ id: LEAVING, since: now, kind: "leave", heir, done }, out);
  }

  /**
   * A neighbour (of the cluster `theirs`) refuses this host, because its name is another disk's. Believed while there is
   * nothing to lose: no cluster yet, an unused one of its own, or one that a list of seeds made again on an empty disk.
   */
  nameRefused(theirs: string | undefined, out: Effect[]): void {
    const c = this.#configuration;
    const isOwn = c?.founders?.join() === this.#host.self.name;
    const again = this.#foundedByList && theirs === c?.cluster;
    if (c === undefined || (isOwn && this.#isUnused()) || again) this.rejoin("name-taken", out);
  }

  /** Who made this request is gone. It may be decided all the same. */
  cancel(id: number): void {
    this.#wants.cancel(id);
  }

  /** Set everything aside and begin anew. */
  rejoin(reason: RejoinReason, out: Effect[], expect?: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#wants.end(out);
    out.push(expect === undefined ? { type: "rejoin", reason } : { type: "rejoin", reason, expect });
  }

  /** What is due. Called after every input. */
  tick(now: Instant, out: Effect[]): void {
    if (this.#configuration === undefined && this.#founding.strand(now))
      out.push(event("stranded", "warn", { expected: this.#expect ?? "" }));
    // One of the targets has turned out to be this host itself.
    if (this.#configuration === undefined && this.#founding.expected() !== this.#expected) {
      this.#newBallot(now);
      this.#founding.topologyChanged(now);
    }
    if (this.#ballot !== undefined) this.#run(this.#ballot.tick(now), now, out);
    this.#wants.tick(now, out);
    if (this.#configuration === undefined) {
      if (this.#ballot?.state === "idle" && this.#founding.isDue(now))
        this.#run(
          this.#ballot.propose((all) => founded(this.#freshCluster(), all.slice(0, MAX_FOUNDERS)), now),
          now,
          out,
        );
    } else if (this.#review !== undefined && now >= this.#review) this.#reviewVoters(now, out);
  }

  nextDeadline(): Instant | undefined {
    const all = [
      this.#ballot?.nextDeadline(),
      this.#configuration === undefined ? this.#founding.patienceEnds : undefined,
      this.#review,
      this.#configuration === undefined && this.#ballot?.state === "idle"
        ? this.#founding.nextDeadline()
        : undefined,
      this.#wants.nextDeadline(),
    ].filter((at) => at !== undefined);
    return all.length === 0 ? undefined : Math.min(...all);
  }

  // --- taking over ---

  #adopt(c: Configuration, now: Instant, out: Effect[]): void {
    const before = this.#configuration;
    const { name } = this.#host.self;
    if (c.joins !== undefined) {
      this.#wants.joins(out);
      this.#enter(c, false, now, out); // written down and told, before this host goes
      this.rejoin("joins", out, c.joins);
      return;
    }
    if (this.#isAnothers(c)) {
      this.rejoin("name-taken", out);
      return;
    }
    // A founder that hears of its founding late has ranges, and keeps them or loses them like everybody.
    const wasHere = before !== undefined || this.#hasFounded(c);
    if (wasHere && !isMember(c, name, this.#joined) && !this.#leaving) {
      this.#host.expelled(c, now, out);
      this.rejoin("removed", out);
      return;
    }
    this.#enter(c, false, now, out);
  }

  #enter(c: Configuration, afresh: boolean, now: Instant, out: Effect[]): void {
    const before = this.#configuration;
    if (before === undefined || afresh) this.#joined = c.epoch;
    const founders = c.founders ?? (this.#hasFounded(c) ? this.#vote?.accepted?.value.founders : undefined);
    this.#configuration = c;
    this.#split = undefined;
    this.#vote = undefined; // `entered` takes it off the disk
    this.#host.entered({ configuration: c, joined: this.#joined, before, founders, afresh }, now, out);
    const data = { cluster: c.cluster, epoch: c.epoch, voters: c.voters.map((v) => v.name).join() };
    if (before !== undefined) out.push(event("adopted", "info", data));
    this.#newBallot(now);
    this.#review = undefined;
    this.#reviewSoon(now);
    this.#wants.pursue(now, out);
  }

  /** A member has this host's name on another disk: the one here is new, and knows nothing of what was given away. */
  #isAnothers(c: Configuration): boolean {
    const { name, incarnation } = this.#host.self;
    const voter = c.voters.find((v) => v.name === name);
    if (voter !== undefined && voter.incarnation !== "") return voter.incarnation !== incarnation;
    if (this.#configuration !== undefined || this.#hasFounded(c)) return false;
    return (
      voter !== undefined || c.founders?.includes(name) === true || c.remaining?.names.includes(name) === true
    );
  }

  /** Whether this disk says that it took part in the founding, without having heard the end of it. */
  #hasFounded(c: Configuration): boolean {
    const { self, init } = this.#host;
    if (this.#configuration !== undefined) return false;
    if (init.kind === "seed") return c.epoch === 1 && init.names.includes(self.name);
    const { epoch, promised, accepted } = this.#vote ?? {};
    if (epoch !== 1) return false;
    if (accepted !== undefined) return accepted.value.cluster === c.cluster;
    // What was promised was to one of the founders, as far as they are known by their disks.
    return c.epoch === 1 && c.voters.some((v) => v.incarnation === promised?.[1]);
  }

  #isUnused(): boolean {
    return this.#configuration?.epoch === 1 && this.#host.isUnused();
  }

  /** Our cluster was never used, theirs was, or comes first. */
  #giveWay(theirs: Configuration, now: Instant, out: Effect[]): void {
    const from = this.#configuration?.cluster ?? "";
    if (!this.#isExpected(theirs)) return;
    const named = [...(theirs.founders ?? []), ...(theirs.remaining?.names ?? [])];
    if (this.#isAnothers(theirs) || named.includes(this.#host.self.name)) {
      this.rejoin("name-taken", out);
      return;
    }
    this.#enter(theirs, true, now, out);
    out.push(event("yielded", "info", { cluster: from, to: theirs.cluster }));
  }

  // --- deciding ---

  #newBallot(now: Instant): void {
    const { self, random } = this.#host;
    const c = this.#configuration;
    const expected = this.#founding.expected();
    this.#expected = expected;
    if (c !== undefined)
      this.#ballot = new Ballot(
        self,
        c.epoch + 1,
        { kind: "voters", voters: c.voters },
        this.#vote,
        random,
        now,
      );
    else if (expected !== undefined)
      this.#ballot = new Ballot(self, 1, this.#founding.electorate(), this.#vote, random, now);
    else this.#ballot = undefined;
  }

  #run(step: Step | undefined, now: Instant, out: Effect[]): void {
    if (step === undefined) return;
    if (step.persist !== undefined) {
      this.#vote = step.persist;
      out.push(persist([voteOp(step.persist)], true));
    }
    for (const { to, body } of step.send) this.#host.send(to, body, this.#configuration?.cluster, out);
    if (step.decided === undefined) return;
    const c = step.decided;
    out.push(event("decided", "info", { cluster: c.cluster, epoch: c.epoch }));
    const founding = this.#configuration === undefined;
    this.#adopt(c, now, out);
    if (founding) this.#tellFounded(out);
  }

  /** By force: another cluster that continues this one, because its voters can decide nothing any more. */
  #force(id: number, gone: readonly string[], now: Instant, out: Effect[]): void {
    const c = this.#configuration;
    if (c === undefined) return;
    if (this.roster.hasQuorum()) {
      const message = "a quorum of the voters answers, so nothing needs to be forced";
      out.push(reply(id, refusal("bad-request", message, "run it without --force")));
      return;
    }
    const { name: self } = this.#host.self;
    const living = this.roster.living().filter(({ name }) => !gone.includes(name));
    const members = this.roster.members();
    const voters = elect([], living, members.filter((name) => !gone.includes(name)).length);
    const cluster = this.#freshCluster();
    this.#adopt(forced(c, { cluster, by: self, removed: gone, members, voters, at: now }), now, out);
    out.push(reply(id, removed(this.#configuration, self, { gone, before: [] })));
  }

  #reviewSoon(now: Instant): void {
    this.roster.noteAbsent(now);
    this.#review = Math.min(this.#review ?? Number.POSITIVE_INFINITY, now + VOTERS_SETTLE_MS);
  }

  #reviewVoters(now: Instant, out: Effect[]): void {
    this.#review = this.roster.patienceEnds(now);
    const c = this.#configuration;
    if (c === undefined || !this.#wants.isEmpty || this.#ended) return;
    const voters = this.roster.betterVoters(now);
    if (voters === undefined) return;
    this.#run(
      this.#ballot?.propose(() => revoting(c, voters), now),
      now,
      out,
    );
  }

  /** A configuration that may come next: of this cluster, or of the founding. */
  #follows(value: Configuration): boolean {
    const c = this.#configuration;
    return c === undefined
      ? value.epoch === 1 && value.founders !== undefined
      : value.cluster === c.cluster && value.epoch === c.epoch + 1;
  }

  #tellFounded(out: Effect[]): void {
    const c = this.#configuration;
    if (c !== undefined)
      out.push(event("founded", "info", { cluster: c.cluster, founders: (c.founders ?? []).join() }));
  }

  #freshCluster(): string {
    return freshCluster(this.#host.self, this.#host.random);
  }
}
