import { describe, expect, it } from "vitest";
import { seededRandom } from "../random.ts";
import {
  type AcceptBody,
  Ballot,
  type BallotBody,
  type Electorate,
  FOUND_GATHER_MS,
  LINGER_MS,
  PHASE_MS,
  type Proposal,
  RIVAL_PAUSE_MS,
  type Step,
  type Vote,
} from "./ballot.ts";
import { type Configuration, founded, revoting, type Voter } from "./configuration.ts";

const voter = (name: string, incarnation = `${name}-disk`): Voter => ({ name, incarnation });
const five = ["alice", "bob", "carol", "dave", "erin"].map((name) => voter(name));
const three = five.slice(0, 3);
const first = founded("c1", five);
const value = (name: string): Configuration => revoting(first, [voter(name)]);
const found: Proposal = (promisers) => founded("c1", promisers);

const among = (voters: readonly Voter[]): Electorate => ({ kind: "voters", voters });
const candidates = (expected: number, ...peers: string[]): Electorate => ({
  kind: "candidates",
  expected,
  peers: () => peers,
});
const ballotOf = (self: Voter, electorate: Electorate, stored?: Vote, now = 0): Ballot =>
  new Ballot(self, electorate.kind === "voters" ? 2 : 1, electorate, stored, seededRandom(1), now);
const sent = (step: Step): string[] => step.send.map(({ to, body }) => `${body.k} ${to}`);

const promise = (
  from: Voter,
  round: number,
  rest: object = {},
  proposer = "alice-disk",
): [string, BallotBody] => [
  from.name,
  { k: "promise", epoch: 2, round: [round, proposer], incarnation: from.incarnation, ...rest },
];
const accepted = (from: Voter, round: number, rest: object = {}): [string, BallotBody] => [
  from.name,
  { k: "accepted", epoch: 2, round: [round, "alice-disk"], incarnation: from.incarnation, ...rest },
];
const prepare = (from: Voter, round: number): [string, BallotBody] => [
  from.name,
  { k: "prepare", epoch: 2, round: [round, from.incarnation], incarnation: from.incarnation },
];
const accept = (from: Voter, round: number, what: Configuration): [string, AcceptBody] => [
  from.name,
  { k: "accept", epoch: 2, round: [round, from.incarnation], incarnation: from.incarnation, value: what },
];
const [alice, bob, carol, dave, erin] = five as [Voter, Voter, Voter, Voter, Voter];

describe("a proposer", () => {
  it("that is the only voter decides at once, and on disk first", () => {
    const step = ballotOf(alice, among([alice])).propose(() => value("alice"), 0);
    const round = [1, "alice-disk"];
    const vote = { epoch: 2, round: 1, promised: round, accepted: { round, value: value("alice") } };
    expect(step).toEqual({ persist: vote, send: [], decided: value("alice") });
  });

  it("asks all voters, then those accept, then it is decided", () => {
    const ballot = ballotOf(alice, among(five));
    const asked = ballot.propose(() => value("x"), 0);
    expect(sent(asked)).toEqual(["prepare bob", "prepare carol", "prepare dave", "prepare erin"]);
    expect(asked.persist).toEqual({ epoch: 2, round: 1, promised: [1, "alice-disk"] });
    expect(ballot.heard(...promise(bob, 1), 1)).toEqual({ send: [] });
    const proposed = ballot.heard(...promise(carol, 1), 1);
    expect(sent(proposed)).toEqual(["accept bob", "accept carol", "accept dave", "accept erin"]);
    expect(proposed.persist?.accepted?.value).toEqual(value("x"));
    expect(ballot.heard(...accepted(dave, 1), 1).decided).toBeUndefined();
    expect(ballot.heard(...accepted(erin, 1), 1).decided).toEqual(value("x"));
    expect(ballot.state).toBe("decided");
    expect(ballot.nextDeadline()).toBeUndefined();
    expect(ballot.heard(...accepted(bob, 1), 1).decided).toBeUndefined();
  });

  it("that is no voter writes down its number alone, and needs a quorum of others", () => {
    const ballot = ballotOf(voter("zoe"), among(three));
    expect(ballot.propose(() => value("x"), 0).persist).toEqual({ epoch: 2, round: 1 });
    ballot.heard(...promise(bob, 1, {}, "zoe-disk"), 1);
    expect(sent(ballot.heard(...promise(carol, 1, {}, "zoe-disk"), 1))).toHaveLength(3);
    expect(ballot.state).toBe("accepting");
  });

  it("counts nobody twice, no other disk, and no stranger", () => {
    const ballot = ballotOf(alice, among(five));
    ballot.propose(() => value("x"), 0);
    ballot.heard(...promise(bob, 1), 1);
    ballot.heard(...promise(bob, 1), 1);
    ballot.heard(...promise(voter("carol", "new-disk"), 1), 1);
    ballot.heard(...promise(voter("zoe"), 1), 1);
    expect(ballot.state).toBe("preparing");
    ballot.heard(...promise(dave, 1), 1);
    ballot.heard(...accepted(bob, 1), 1);
    ballot.heard(...accepted(bob, 1), 1);
    ballot.heard(...accepted(voter("carol", "new-disk"), 1), 1);
    ballot.heard(...accepted(voter("zoe"), 1), 1);
    expect(ballot.state).toBe("accepting");
    expect(ballot.heard(...accepted(carol, 1), 1).decided).toEqual(value("x"));
  });

  it("counts no answer to another round or epoch", () => {
    const ballot = ballotOf(alice, among(three));
    ballot.propose(() => value("x"), 0);
    ballot.heard(...promise(bob, 2), 1);
    ballot.heard(...promise(bob, 1, {}, "bob-disk"), 1);
    ballot.heard(...promise(bob, 1, { epoch: 3 }), 1);
    const wrong = { accepted: { round: [1, "x"], value: first } };
    ballot.heard(...promise(bob, 1, wrong), 1);
    expect(ballot.state).toBe("preparing");
  });

  it("proposes what was accepted in the latest round instead of its own", () => {
    const ballot = ballotOf(alice, among(five));
    ballot.propose(() => value("own"), 0);
    ballot.heard(...promise(bob, 1, { accepted: { round: [7, "a"], value: value("late") } }), 1);
    const step = ballot.heard(
      ...promise(carol, 1, { accepted: { round: [6, "b"], value: value("early") } }),
      1,
    );
    expect(step.send[0]?.body).toMatchObject({ k: "accept", value: value("late") });
  });

  it("pauses when refused, each time longer, and comes back with a greater number", () => {
    const ballot = ballotOf(alice, among(three));
    ballot.propose(() => value("x"), 0);
    let now = 0;
    for (let tries = 1, round = 1; tries < 9; tries++) {
      const step = ballot.heard(...promise(bob, round, { higher: round + 10 }), now);
      expect(step).toEqual({ send: [] });
      expect(ballot.state).toBe("pausing");
      const due = ballot.nextDeadline() ?? 0;
      expect(due - now).toBeGreaterThanOrEqual(RIVAL_PAUSE_MS.least);
      expect(due - now).toBeLessThanOrEqual(Math.min(RIVAL_PAUSE_MS.most, RIVAL_PAUSE_MS.least * 2 ** tries));
      expect(ballot.tick(due - 1).send).toEqual([]);
      const again = ballot.tick(due);
      round += 11;
      expect(again.send[0]?.body.round).toEqual([round, "alice-disk"]);
      now = due;
    }
  });

  it("gives up on a phase after PHASE_MS", () => {
    const ballot = ballotOf(alice, among(three));
    ballot.propose(() => value("x"), 0);
    expect(ballot.nextDeadline()).toBe(PHASE_MS);
    ballot.tick(PHASE_MS);
    expect(ballot.state).toBe("pausing");
    const again = ballot.nextDeadline() ?? 0;
    expect(sent(ballot.tick(again))).toEqual(["prepare bob", "prepare carol"]);
    ballot.heard(...promise(bob, 2), again);
    expect(ballot.state).toBe("accepting");
    ballot.tick(again + PHASE_MS);
    expect(ballot.state).toBe("pausing");
  });

  it("still counts votes that come late", () => {
    const ballot = ballotOf(alice, among(three));
    ballot.propose(() => value("x"), 0);
    ballot.heard(...promise(bob, 1), 1);
    ballot.tick(PHASE_MS + 1);
    expect(ballot.heard(...accepted(carol, 1), PHASE_MS + 2).decided).toEqual(value("x"));
  });

  it("counts no vote for an earlier value of its own", () => {
    const ballot = ballotOf(alice, among(three));
    ballot.propose(() => value("x"), 0);
    ballot.heard(...promise(bob, 1), 1);
    ballot.tick(PHASE_MS + 1);
    const again = ballot.nextDeadline() ?? 0;
    ballot.tick(again);
    ballot.heard(...promise(carol, 2, { accepted: { round: [2, "a"], value: value("y") } }), again);
    expect(ballot.state).toBe("accepting");
    expect(ballot.heard(...accepted(bob, 1), again).decided).toBeUndefined();
    expect(ballot.heard(...accepted(bob, 2), again).decided).toEqual(value("y"));
  });

  it("stands back for a rival that is ahead", () => {
    const ballot = ballotOf(alice, among(three));
    ballot.propose(() => value("x"), 0);
    ballot.heard(...prepare(bob, 1), 1);
    expect(ballot.state).toBe("pausing");
  });

  it("stops when nobody waits for it", () => {
    const ballot = ballotOf(alice, among(three));
    ballot.propose(() => value("x"), 0);
    ballot.withdraw();
    expect([ballot.state, ballot.nextDeadline()]).toEqual(["idle", undefined]);
    expect(ballot.heard(...promise(bob, 1), 1)).toEqual({ send: [] });
    expect(sent(ballot.propose(() => value("y"), 2))).toEqual(["prepare bob", "prepare carol"]);
  });
});

describe("a voter", () => {
  it("writes down what it promises and accepts, and answers", () => {
    const ballot = ballotOf(bob, among(three));
    expect(ballot.heard(...prepare(alice, 3), 0)).toEqual({
      persist: { epoch: 2, round: 3, promised: [3, "alice-disk"] },
      send: [
        { to: "alice", body: { k: "promise", epoch: 2, round: [3, "alice-disk"], incarnation: "bob-disk" } },
      ],
    });
    const step = ballot.heard(...accept(alice, 3, value("x")), 0);
    expect(step.persist?.accepted).toEqual({ round: [3, "alice-disk"], value: value("x") });
    expect(sent(step)).toEqual(["accepted alice"]);
  });

  it("answers a repeated message again without writing", () => {
    const ballot = ballotOf(bob, among(three));
    ballot.heard(...prepare(alice, 3), 0);
    expect(Object.keys(ballot.heard(...prepare(alice, 3), 0))).toEqual(["send"]);
    ballot.heard(...accept(alice, 3, value("x")), 0);
    const step = ballot.heard(...accept(alice, 3, value("x")), 0);
    expect([Object.keys(step), sent(step)]).toEqual([["send"], ["accepted alice"]]);
  });

  it("keeps its word after a restart from its disk", () => {
    const before = ballotOf(bob, among(three));
    before.heard(...prepare(alice, 3), 0);
    const { persist } = before.heard(...accept(alice, 3, value("x")), 0);
    const after = ballotOf(bob, among(three), persist);
    expect(after.heard(...prepare(carol, 2), 0).send[0]?.body).toMatchObject({ k: "promise", higher: 3 });
    expect(after.heard(...accept(carol, 2, value("y")), 0).send[0]?.body).toMatchObject({ higher: 3 });
    const { send } = after.heard(...prepare(carol, 4), 0);
    expect(send[0]?.body).toMatchObject({ accepted: { round: [3, "alice-disk"], value: value("x") } });
  });

  it("refuses numbers before the one it promised, and tells that one, not what it accepted", () => {
    const ballot = ballotOf(bob, among(three));
    ballot.heard(...accept(alice, 3, value("x")), 0);
    const { persist, send } = ballot.heard(...prepare(carol, 2), 0);
    expect(persist).toBeUndefined();
    expect(send[0]?.body).toEqual({
      k: "promise",
      epoch: 2,
      round: [2, "carol-disk"],
      incarnation: "bob-disk",
      higher: 3,
    });
  });

  it("says nothing when it is none, or about another epoch", () => {
    for (const stranger of [voter("zoe"), voter("bob", "new-disk")]) {
      const ballot = ballotOf(stranger, among(three));
      expect(ballot.heard(...prepare(alice, 3), 0)).toEqual({ send: [] });
      expect(ballot.heard(...accept(alice, 3, value("x")), 0)).toEqual({ send: [] });
    }
    const ballot = ballotOf(bob, among(three));
    expect(ballot.heard("alice", { ...accept(alice, 3, value("x"))[1], epoch: 3 }, 0)).toEqual({ send: [] });
    expect(ballot.heard(...accept(alice, 3, first), 0)).toEqual({ send: [] });
  });

  it("ignores a vote on another epoch", () => {
    const stored: Vote = {
      epoch: 1,
      round: 9,
      promised: [9, "x"],
      accepted: { round: [9, "x"], value: first },
    };
    const ballot = ballotOf(bob, among(three), stored);
    expect(ballot.undecidedSince).toBeUndefined();
    expect(ballot.heard(...prepare(alice, 1), 0).persist).toEqual({
      epoch: 2,
      round: 1,
      promised: [1, "alice-disk"],
    });
  });

  it("finishes what hangs half decided, also after a restart", () => {
    const ballot = ballotOf(bob, among(three));
    const { persist } = ballot.heard(...accept(alice, 3, value("x")), 1000);
    for (const [one, since] of [
      [ballot, 1000],
      [ballotOf(bob, among(three), persist, 5000), 5000],
    ] as const) {
      expect(one.undecidedSince).toBe(since);
      const due = one.nextDeadline() ?? 0;
      expect(due).toBeGreaterThanOrEqual(since + LINGER_MS);
      expect(due).toBeLessThan(since + LINGER_MS + PHASE_MS);
      expect(one.tick(due - 1).send).toEqual([]);
      expect(sent(one.tick(due))).toEqual(["prepare alice", "prepare carol"]);
      const step = one.heard(...promise(carol, 4, {}, "bob-disk"), due);
      expect(step.send[0]?.body).toMatchObject({ k: "accept", value: value("x") });
    }
  });

  it("that finishes in vain tries again as rarely", () => {
    const ballot = ballotOf(bob, among(three));
    ballot.heard(...accept(alice, 3, value("x")), 0);
    const due = ballot.nextDeadline() ?? 0;
    ballot.tick(due);
    ballot.tick(due + PHASE_MS);
    expect(ballot.state).toBe("idle");
    expect(ballot.nextDeadline()).toBeGreaterThanOrEqual(due + PHASE_MS + LINGER_MS);
  });
});

describe("voters bound to no disk yet", () => {
  const unbound = among(["alice", "bob", "carol", "dave", "erin"].map((name) => voter(name, "")));

  it("count with the first disk heard, and with no other", () => {
    const ballot = ballotOf(alice, unbound);
    ballot.propose(() => value("x"), 0);
    ballot.heard(...promise(bob, 1), 1);
    ballot.heard(...promise(voter("bob", "other"), 1), 1);
    expect(ballot.state).toBe("preparing");
    ballot.heard(...promise(carol, 1), 1);
    ballot.heard(...accepted(voter("carol", "other"), 1), 1);
    ballot.heard(...accepted(bob, 1), 1);
    expect(ballot.state).toBe("accepting");
    expect(ballot.heard(...accepted(carol, 1), 1).decided).toEqual(value("x"));
  });
});

describe("a founding", () => {
  const answer = (from: Voter, k: "promise" | "accepted", expected?: number): [string, BallotBody] => {
    const head = { epoch: 1, round: [1, "alice-disk"], incarnation: from.incarnation } as const;
    if (k === "accepted") return [from.name, { k, ...head }];
    return [from.name, { k, ...head, ...(expected === undefined ? {} : { expected }) }];
  };
  const founders = (step: Step): readonly string[] | undefined => {
    const body = step.send[0]?.body;
    return body?.k === "accept" ? body.value.founders : undefined;
  };

  it("is decided alone by who expects nobody", () => {
    expect(ballotOf(alice, candidates(1)).propose(found, 0).decided).toEqual(founded("c1", [alice]));
  });

  it("makes all founders that answer, without waiting when all have", () => {
    const ballot = ballotOf(alice, candidates(3, "bob", "carol"));
    const asked = ballot.propose(found, 0);
    expect(asked.send.map(({ body }) => body)).toMatchObject([{ expected: 3 }, { expected: 3 }]);
    ballot.heard(...answer(bob, "promise", 3), 1);
    expect(founders(ballot.heard(...answer(carol, "promise", 3), 2))).toEqual(["alice", "bob", "carol"]);
    expect(ballot.heard(...answer(bob, "accepted"), 3).decided).toEqual(founded("c1", three));
  });

  it("waits a little for more than a quorum", () => {
    const ballot = ballotOf(alice, candidates(3, "bob", "carol"));
    ballot.propose(found, 0);
    expect(ballot.heard(...answer(bob, "promise", 3), 100)).toEqual({ send: [] });
    expect(ballot.nextDeadline()).toBe(100 + FOUND_GATHER_MS);
    const step = ballot.tick(100 + FOUND_GATHER_MS);
    expect(founders(step)).toEqual(["alice", "bob"]);
    expect(sent(step)).toEqual(["accept bob"]);
    expect(ballot.heard(...answer(carol, "promise", 3), 500)).toEqual({ send: [] });
  });

  it("does not lose a quorum that came at the end of the phase", () => {
    const ballot = ballotOf(alice, candidates(3, "bob", "carol"));
    ballot.propose(found, 0);
    ballot.heard(...answer(bob, "promise", 3), PHASE_MS - 1);
    expect(ballot.tick(PHASE_MS).send).toEqual([]);
    expect(founders(ballot.tick(PHASE_MS - 1 + FOUND_GATHER_MS))).toEqual(["alice", "bob"]);
  });

  it("needs more than half of the greatest number anybody expects", () => {
    const ballot = ballotOf(alice, candidates(3, "bob", "carol"));
    ballot.propose(found, 0);
    ballot.heard(...answer(bob, "promise", 3), 1);
    ballot.heard(...answer(carol, "promise", 10), 1);
    for (let due = ballot.nextDeadline(); due !== undefined && ballot.state === "preparing"; ) {
      expect(ballot.tick(due).send).toEqual([]);
      due = ballot.nextDeadline();
    }
    expect(ballot.state).toBe("pausing");
    const again = ballot.tick(ballot.nextDeadline() ?? 0);
    expect(again.send[0]?.body).toMatchObject({ k: "prepare", expected: 10 });
  });

  it("needs more than half of those who are there", () => {
    const ballot = ballotOf(alice, candidates(1, "bob", "carol"));
    ballot.propose(found, 0);
    expect(ballot.tick(FOUND_GATHER_MS).send).toEqual([]);
    expect(ballot.nextDeadline()).toBe(PHASE_MS);
    const other = ballotOf(alice, candidates(1));
    for (const from of [bob, carol]) {
      other.heard(from.name, { ...prepare(from, 1)[1], epoch: 1 }, 0);
    }
    other.propose(found, 0);
    expect(other.tick(FOUND_GATHER_MS).decided).toBeUndefined();
  });
});
