import { describe, expect, it } from "vitest";
import {
  type Configuration,
  elect,
  fingerprintOf,
  forced,
  founded,
  isMember,
  isStale,
  isVoter,
  joining,
  quorum,
  relation,
  removing,
  revoting,
  type Voter,
  voterCount,
} from "./configuration.ts";
import { configurationFromWire, configurationSchema, configurationToWire } from "./configuration-wire.ts";

const voter = (name: string, incarnation = `${name}-disk`): Voter => ({ name, incarnation });
const voters = (...names: string[]): readonly Voter[] => names.map((name) => voter(name));
const names = (c: Configuration): readonly string[] => c.voters.map((v) => v.name);

const first = founded("c1", voters("carol", "alice", "bob"));
const withoutBob = removing(first, {
  gone: ["bob"],
  heir: "carol",
  members: ["alice", "bob", "carol", "dave"],
  candidates: voters("alice", "carol", "dave"),
});

describe("voters", () => {
  it("are 1, 2, 3 or 5, and more than half of them decide", () => {
    expect([0, 1, 2, 3, 4, 5, 6, 1000].map(voterCount)).toEqual([1, 1, 2, 3, 3, 5, 5, 5]);
    expect([1, 2, 3, 5, 10].map(quorum)).toEqual([1, 2, 2, 3, 6]);
  });

  it("are the first founders by name, whatever order they answered in", () => {
    const c = founded("c", voters("frank", "bob", "erin", "alice", "dave", "carol"));
    expect(names(c)).toEqual(["alice", "bob", "carol", "dave", "erin"]);
    expect(c.founders).toEqual(["alice", "bob", "carol", "dave", "erin", "frank"]);
    expect(c).toEqual(founded("c", voters("alice", "bob", "carol", "dave", "erin", "frank")));
  });

  it("are a name and an incarnation, unless nobody is bound yet", () => {
    expect(isVoter(first, "alice", "alice-disk")).toBe(true);
    expect(isVoter(first, "alice", "another-disk")).toBe(false);
    expect(isVoter(first, "dave", "dave-disk")).toBe(false);
    const seeded = founded("c", [voter("alice", ""), voter("bob", "")]);
    expect(isVoter(seeded, "alice", "any-disk")).toBe(true);
  });

  it("are bound to their disks by the next decision", () => {
    const seeded = founded("c", [voter("alice", ""), voter("bob", ""), voter("carol", "")]);
    const c = removing(seeded, {
      gone: ["carol"],
      heir: "alice",
      members: ["alice", "bob", "carol"],
      candidates: voters("alice"),
    });
    expect(c.voters).toEqual([voter("alice"), voter("bob", "")]);
  });

  it("stay while they are silent, and are filled up by living ones", () => {
    expect(elect(voters("bob", "carol"), voters("carol", "dave", "alice"), 4)).toEqual(
      voters("alice", "bob", "carol"),
    );
    expect(elect(voters("bob", "carol"), voters("carol"), 9)).toEqual(voters("bob", "carol"));
  });

  it("go silent ones first when fewer are wanted, and are never four", () => {
    expect(elect(voters("alice", "bob", "carol", "dave"), voters("bob", "carol", "dave"), 4)).toEqual(
      voters("bob", "carol", "dave"),
    );
    expect(elect(voters("alice", "bob", "carol"), voters("dave"), 7)).toHaveLength(3);
  });

  it("are not replaced by their own name with another disk", () => {
    expect(elect([voter("alice"), voter("bob")], [voter("bob", "new"), voter("alice")], 2)).toEqual(
      voters("alice", "bob"),
    );
  });

  it("cannot be nobody", () => {
    expect(() => elect([], [], 3)).toThrow("without voters");
  });
});

describe("a removal", () => {
  it("names who stays, the heir and the voters left, and no founders", () => {
    expect(withoutBob).toEqual({
      cluster: "c1",
      epoch: 2,
      voters: voters("alice", "carol", "dave"),
      remaining: { since: 2, names: ["alice", "carol", "dave"], heir: "carol" },
    });
  });

  it("carries the lineage on and names the new heir", () => {
    const old = forced(first, {
      cluster: "c2",
      by: "alice",
      removed: ["bob"],
      members: ["alice", "bob", "carol"],
      voters: voters("alice"),
      at: 7,
    });
    const c = removing(old, {
      gone: ["alice"],
      heir: "carol",
      members: ["alice"],
      candidates: voters("carol"),
    });
    expect(c.lineage).toEqual(old.lineage);
    expect(c.remaining).toEqual({ since: 3, names: ["carol"], heir: "carol" });
    expect(names(c)).toEqual(["carol"]);
  });

  it("never leaves its ranges to who goes", () => {
    const change = { gone: ["bob"], heir: "bob", members: [], candidates: voters("alice") };
    expect(() => removing(first, change)).toThrow("inherit");
  });

  it("makes what the removed had stale, and nothing else", () => {
    const stale = (made: number, owner: string): boolean => isStale(withoutBob, { made, owner });
    expect(stale(1, "bob")).toBe(true);
    expect(stale(1, "unlisted")).toBe(true);
    for (const owner of ["alice", "carol", "dave"]) expect(stale(1, owner)).toBe(false);
    expect(stale(2, "newcomer")).toBe(false);
    expect(isStale(first, { made: 1, owner: "unlisted" })).toBe(false);
  });

  it("keeps as members who is named or joined later", () => {
    expect(isMember(first, "anybody", 1)).toBe(true);
    expect(isMember(withoutBob, "bob", 1)).toBe(false);
    expect(isMember(withoutBob, "dave", 1)).toBe(true);
    expect(isMember(withoutBob, "newcomer", 2)).toBe(true);
    expect(isMember(withoutBob, "unlisted", 1)).toBe(false);
  });

  it("finds each of a thousand names, and none between", () => {
    const thousand = Array.from({ length: 1000 }, (_, i) => `p${i}`);
    const c = removing(first, { gone: ["bob"], heir: "p1", members: thousand, candidates: [] });
    expect(thousand.every((name) => isMember(c, name, 1))).toBe(true);
    expect(isMember(c, "p", 1) || isMember(c, "p1000", 1) || isMember(c, "~", 1)).toBe(false);
  });

  it("stays in force through decisions that change the voters alone", () => {
    const c = revoting(withoutBob, voters("erin", "alice"));
    expect(c).toEqual({ ...withoutBob, epoch: 3, voters: voters("alice", "erin") });
    expect(isStale(c, { made: 1, owner: "bob" })).toBe(true);
    expect(joining(c, "c9")).toEqual({ ...c, epoch: 4, joins: "c9" });
  });
});

describe("force", () => {
  const c = forced(withoutBob, {
    cluster: "c2",
    by: "dave",
    removed: ["alice", "carol"],
    members: ["alice", "carol", "dave", "erin"],
    voters: voters("erin", "dave"),
    at: 1234,
  });

  it("founds another cluster that tells which one it continues", () => {
    expect(c).toEqual({
      cluster: "c2",
      epoch: 3,
      voters: voters("dave", "erin"),
      remaining: { since: 3, names: ["dave", "erin"], heir: "dave" },
      lineage: [{ cluster: "c1", epoch: 2, by: "dave", removed: ["alice", "carol"], at: 1234 }],
    });
  });

  it("takes those along that have not gone beyond", () => {
    expect(relation(withoutBob, c)).toBe("newer");
    expect(relation(first, c)).toBe("newer");
    expect(relation(c, first)).toBe("older");
    expect(relation(revoting(withoutBob, withoutBob.voters), c)).toBe("foreign");
    expect(relation(c, revoting(withoutBob, withoutBob.voters))).toBe("foreign");
  });
});

describe("the relation of two configurations", () => {
  it("goes by epoch within a cluster", () => {
    expect(relation(undefined, first)).toBe("newer");
    expect(relation(first, withoutBob)).toBe("newer");
    expect(relation(withoutBob, first)).toBe("older");
    expect(relation(first, founded("c1", voters("bob", "alice", "carol")))).toBe("same");
    expect(relation(first, founded("other", voters("alice")))).toBe("foreign");
  });

  it("finds two decisions of one epoch", () => {
    const rival = removing(first, { gone: ["carol"], heir: "bob", members: [], candidates: [] });
    expect(relation(withoutBob, rival)).toBe("split");
    expect(fingerprintOf(withoutBob)).not.toBe(fingerprintOf(rival));
  });

  it("sees every field", () => {
    const remaining = { since: 2, names: ["alice", "carol"], heir: "alice" };
    const lineage = [{ cluster: "c0", epoch: 1, by: "alice", removed: ["x"], at: 1 }];
    const base: Configuration = { ...revoting(withoutBob, voters("alice")), lineage };
    const others: Configuration[] = [
      { ...base, voters: [voter("alice", "other")] },
      { ...base, remaining },
      { ...base, remaining: { ...remaining, heir: "carol" } },
      { ...base, remaining: { ...remaining, since: 3 } },
      { ...base, lineage: [] },
      { ...base, lineage: lineage.map((l) => ({ ...l, at: 2 })) },
      { ...base, joins: "c9" },
    ];
    for (const other of others) expect(relation(base, other)).toBe("split");
    expect(new Set([base, ...others].map(fingerprintOf)).size).toBe(others.length + 1);
  });
});

describe("on the wire", () => {
  const full: Configuration = {
    ...joining(withoutBob, "c9"),
    lineage: [{ cluster: "c0", epoch: 1, by: "alice", removed: ["zoe", "adam"], at: 1 }],
  };
  const wire = (c: Configuration): unknown => JSON.parse(JSON.stringify(configurationToWire(c)));

  it("comes back as it was, newer fields left out", () => {
    for (const c of [first, withoutBob, full]) {
      expect(configurationFromWire(configurationSchema.parse(wire(c)))).toEqual(c);
    }
    const newer = { ...configurationToWire(full), mood: "good" };
    expect(configurationFromWire(configurationSchema.parse(newer))).toEqual(full);
  });

  it("is small", () => {
    expect(JSON.stringify(wire(first)).length).toBeLessThan(250);
  });

  it.each([
    ["no voters", { voters: [] }],
    ["six voters", { voters: [..."abcdef"].map((name) => [name, "1"]) }],
    [
      "a voter twice",
      {
        voters: [
          ["alice", "1"],
          ["alice", "2"],
        ],
      },
    ],
    [
      "voters out of order",
      {
        voters: [
          ["carol", "1"],
          ["alice", "2"],
        ],
      },
    ],
    ["a name nobody can have", { voters: [["al/ice", "1"]] }],
    ["epoch 0", { epoch: 0 }],
    ["founders of a later epoch", { founders: ["alice"] }],
    ["an heir that goes", { remaining: { since: 2, names: ["alice", "carol"], heir: "bob" } }],
    ["names out of order", { remaining: { since: 2, names: ["dave", "carol", "alice"], heir: "alice" } }],
    ["a voter that goes", { epoch: 2, remaining: { since: 2, names: ["carol"], heir: "carol" } }],
    ["a removal to come", { remaining: { since: 4, names: ["alice"], heir: "alice" } }],
    ["a lineage of the future", { lineage: [{ cluster: "c0", epoch: 3, by: "a", removed: [], at: 1 }] }],
  ])("refuses %s", (_what, wrong) => {
    const sound = configurationToWire(joining(withoutBob, "c9"));
    expect(configurationSchema.safeParse(sound).success).toBe(true);
    expect(configurationSchema.safeParse({ ...sound, ...wrong }).success).toBe(false);
  });
});
