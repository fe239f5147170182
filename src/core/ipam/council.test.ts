import { describe, expect, it } from "vitest";
import { type BallotBody, LINGER_MS, PHASE_MS } from "./ballot.ts";
import { canonical, joining, type Voter } from "./configuration.ts";
import { VOTERS_SETTLE_MS } from "./council.ts";
import { FOUND_SETTLE_MS, MOVE_PATIENCE_MS } from "./founding.ts";
import { acceptedBy, cluster, consensus, Net, type Options } from "./testing/council-net.ts";
import { DECISION_PATIENCE_MS } from "./wants.ts";

const MINUTE_MS = 60_000;

const voter = (name: string, incarnation = `${name}-disk`): Voter => ({ name, incarnation });

describe("founding", () => {
  it("by more than half of N; fewer wait, and say for how many", () => {
    const net = new Net();
    for (const name of ["alice", "bob", "carol"]) net.add(name, consensus(3));
    net.start("carol").run(60 * MINUTE_MS);
    expect(net.clusters).toEqual([undefined]);
    expect(net.host("carol").council.founding()).toEqual({ there: ["carol"], expected: 3, needed: 2 });
    net.start("bob").run(FOUND_SETTLE_MS + 500);
    expect(net.clusters).toEqual([expect.any(String)]);
    expect(net.host("carol").council.configuration).toMatchObject({ epoch: 1, founders: ["bob", "carol"] });
    net.start("alice").run(5_000);
    expect(net.clusters).toHaveLength(1);
  });

  it("goes without observers, who take what the others found", () => {
    const net = new Net();
    const asked: string[] = [];
    net.wire = (_from, to, message) => {
      if (message.k === "ballot") asked.push(to);
      return true;
    };
    net.add("alice", { init: { kind: "observer" } });
    for (const name of ["bob", "carol", "dave"]) net.add(name, consensus(3));
    net.start("alice", "bob").run(MINUTE_MS);
    expect(net.clusters).toEqual([undefined]);
    net.start("carol").run(1_000);
    expect(net.host("alice").council.configuration?.founders).toEqual(["bob", "carol"]);
    expect(asked).not.toContain("alice");
  });

  it("counts the greatest number that anybody expects", () => {
    const net = new Net();
    net.add("alice", consensus(2));
    net.add("bob", consensus(5));
    net.add("carol", consensus(2));
    net.start("alice", "bob").run(10 * MINUTE_MS);
    expect(net.clusters).toEqual([undefined]);
    net.start("carol").run(MINUTE_MS);
    expect(net.clusters).toEqual([expect.any(String)]);
  });

  it.each([
    ["at once", 0],
    ["after it was tried in vain", 60_000],
  ])("expects one less when a target turns out to be the host itself: %s", (_, afterMs) => {
    const net = Net.of("alice", "bob", "carol");
    for (const host of net.hosts.values()) host.targets++; // each was given its own name, too
    const early = afterMs === 0;
    net.start("alice", "bob");
    if (!early) net.start("carol");
    net.wire = (_from, _to, message) => early || message.k !== "ballot";
    net.run(afterMs);
    if (!early) net.kill("carol");
    net.run(MINUTE_MS);
    expect(net.clusters).toEqual([undefined]);
    net.wire = () => true;
    for (const name of ["alice", "bob"]) net.host(name).targets--;
    for (const name of ["alice", "bob"]) net.host(name).input(() => {});
    net.changed();
    net.run(MINUTE_MS);
    expect(net.clusters).toEqual([expect.any(String)]);
  });

  it("a host whose only target is itself is its own quorum", () => {
    const net = Net.of("alice");
    const alice = net.host("alice");
    alice.targets = 1;
    net.start().run(1_000);
    expect(net.clusters).toEqual([undefined]);
    alice.targets = 0;
    alice.input(() => {}); // the connection to itself is closed; nothing else ever happens
    net.run(MINUTE_MS);
    expect(net.clusters).toEqual([expect.any(String)]);
  });

  it.each(["accept", "accepted"] as const)("another finishes it when the proposer dies after %s", (k) => {
    const net = Net.of("alice", "bob", "carol");
    net.wire = (from, _to, message) => {
      const isIt = message.k === "ballot" && message.body.k === k && (k === "accept" || from !== "alice");
      if (isIt && k === "accepted") net.kill("alice");
      return true;
    };
    net.start();
    if (k === "accept") {
      net.run(MINUTE_MS, () => net.host("bob").disk.has("vote") && acceptedBy(net.host("bob")) !== undefined);
      net.kill("alice");
    }
    const value = (): string | undefined => acceptedBy(net.host("bob"))?.cluster;
    net.run(5_000, () => value() !== undefined);
    const proposed = value();
    expect(proposed).toBeDefined();
    net.wire = () => true;
    net.run(LINGER_MS + 2 * PHASE_MS + 10_000);
    expect(net.clusters).toEqual([proposed]);
    net.start("alice").run(30_000);
    expect(net.clusters).toEqual([proposed]);
  });

  it("whoever hears of a cluster while it stands for election belongs to that", () => {
    const net = cluster("alice", "bob", "carol");
    const [there] = net.clusters;
    net.add("dave", consensus(4));
    net.add("erin", consensus(4));
    net.part(["alice", "bob", "carol"], ["dave", "erin"]).start("dave", "erin");
    net.run(MINUTE_MS);
    expect(net.host("dave").council.configuration).toBeUndefined();
    net.part().run(MINUTE_MS);
    expect(net.clusters).toEqual([there]);
    for (const name of ["dave", "erin"]) expect(net.host(name).rejoined).toBeUndefined();
  });
});

describe("voters", () => {
  it("of a host that founded alone: two, when a second joins", () => {
    const net = Net.of("alice");
    net.start().run(MINUTE_MS);
    expect(net.host("alice").voters).toBe("alice");
    net.add("bob", { targets: 1 });
    net.start("bob").run(VOTERS_SETTLE_MS + 2_000);
    for (const name of ["alice", "bob"]) expect(net.host(name).voters).toBe("alice,bob");
  });

  it("that are away are replaced after ten minutes, and not after nine", () => {
    const net = cluster("alice", "bob", "carol", "dave");
    expect(net.host("alice").voters).toBe("alice,bob,carol");
    net.kill("carol").run(9 * MINUTE_MS);
    expect(net.host("alice").voters).toBe("alice,bob,carol");
    net.run(MINUTE_MS + 5_000);
    for (const name of ["alice", "bob", "dave"]) expect(net.host(name).voters).toBe("alice,bob,dave");
  });

  it("that left without a decision, and took back what is known of them, too", () => {
    const net = cluster("alice", "bob", "carol", "dave");
    net.kill("carol");
    net.withdraw("carol");
    net.changed();
    net.run(9 * MINUTE_MS);
    expect(net.host("alice").voters).toBe("alice,bob,carol");
    net.run(2 * MINUTE_MS);
    expect(net.host("alice").voters).toBe("alice,bob,dave");
  });

  it("who is away does not hold up that free seats are filled", () => {
    const net = cluster("alice", "bob", "carol", "dave");
    net.kill("carol").run(MINUTE_MS);
    net.add("erin", { targets: 1 });
    net.start("erin").run(VOTERS_SETTLE_MS + 5_000);
    expect(net.host("alice").voters).toBe("alice,bob,carol,dave,erin");
  });

  it("are counted by their disks: one that was lost does not vote", () => {
    const net = cluster("alice", "bob", "carol");
    net.kill("bob", "carol");
    const carol = net.add("carol", { init: { kind: "observer" }, incarnation: "carol-second-disk" });
    // The same configuration on another disk: what a careless copy would make of it.
    for (const [key, value] of net.host("alice").disk)
      if (key === "configuration") carol.disk.set(key, value);
    net.start("carol").run(1_000);
    net.host("alice").remove(1, "bob");
    net.run(DECISION_PATIENCE_MS + 1_000);
    expect(net.host("alice").epoch).toBe(1);
    expect(net.host("alice").code(1)).toBe("no-quorum");
  });

  it("of a configuration nobody can have decided: told, and kept", () => {
    const net = cluster("alice", "bob", "carol");
    const alice = net.host("alice");
    const ours = alice.council.configuration;
    if (ours === undefined) throw new Error("founded");
    expect(alice.council.split).toBeUndefined();
    alice.hear("bob", { k: "config", configuration: { ...ours, voters: [voter("mallory")] } });
    expect(alice.events.filter((kind) => kind === "split")).toHaveLength(1);
    expect(alice.council.split).toMatchObject({ epoch: 1 });
    expect(alice.voters).toBe("alice,bob,carol");
  });
});

describe("a decision", () => {
  it.each(["alice", "bob", "dave"])("to remove somebody, asked for on %s", (where) => {
    const net = cluster("alice", "bob", "carol", "dave");
    net.kill("carol").run(1_000);
    net.host(where).remove(1, "carol");
    net.run(2_000);
    expect(net.host(where).replies.get(1)).toMatchObject({
      ok: true,
      decision: { epoch: 2, heir: where, removed: ["carol"], already: [] },
    });
    for (const name of ["alice", "bob", "dave"]) {
      expect(net.host(name).council.configuration?.remaining).toMatchObject({ heir: where, since: 2 });
      expect(net.host(name).voters).toBe("alice,bob,dave");
    }
  });

  it("asked for on all hosts at once has one heir, and the others tell who", () => {
    const net = cluster("alice", "bob", "carol", "dave", "erin");
    net.kill("erin").run(1_000);
    const names = ["alice", "bob", "carol", "dave"];
    for (const name of names) net.host(name).remove(1, "erin");
    net.run(DECISION_PATIENCE_MS);
    const heirs = new Set(names.map((name) => net.host(name).council.configuration?.remaining?.heir));
    expect(heirs.size).toBe(1);
    const [heir] = heirs;
    for (const name of names) {
      const done = name === heir ? { removed: ["erin"] } : { already: ["erin"] };
      expect(net.host(name).replies.get(1)).toMatchObject({
        ok: true,
        decision: { heir, epoch: 2, ...done },
      });
    }
  });

  it("is not made in a partition without a quorum", () => {
    const net = cluster("alice", "bob");
    net.part(["alice"], ["bob"]).run(1_000);
    net.host("alice").remove(1, "bob");
    net.host("bob").remove(1, "alice");
    net.run(MINUTE_MS);
    for (const name of ["alice", "bob"]) expect(net.host(name).code(1)).toBe("no-quorum");
    net.part().run(MINUTE_MS);
    for (const name of ["alice", "bob"]) expect(net.host(name).epoch).toBe(1);
  });

  it("that another one removed finds it done, and who was removed begins anew", () => {
    const net = cluster("alice", "bob", "carol");
    net.part(["alice", "bob"], ["carol"]).run(1_000);
    net.host("alice").remove(1, "carol");
    net.run(2_000);
    net.part().run(2_000);
    expect(net.host("carol").rejoined).toEqual({ reason: "removed", expect: undefined });
    net.host("bob").remove(1, "carol");
    net.run(1_000);
    expect(net.host("bob").replies.get(1)).toMatchObject({ ok: true, decision: { already: ["carol"] } });
  });

  it("reaches who was away for ten of them", () => {
    const net = cluster("alice", "bob", "carol", "dave");
    net.kill("dave").run(1_000);
    for (let epoch = 2; epoch <= 11; epoch++) {
      const name = `guest${epoch}`;
      net.add(name, { init: { kind: "observer" } });
      net.start(name).run(500);
      net.kill(name);
      net.host("bob").remove(epoch, name);
      net.run(500);
    }
    expect(net.host("alice").epoch).toBeGreaterThanOrEqual(11);
    net.start("dave").run(2_000);
    expect(net.host("dave").rejoined).toBeUndefined();
    expect(net.host("dave").epoch).toBe(net.host("alice").epoch);
  });

  it("is finished by another voter when who proposed it dies after it was accepted", () => {
    const net = cluster("alice", "bob", "carol", "dave");
    net.kill("dave").run(1_000);
    net.wire = (_from, to, message) =>
      !(message.k === "ballot" && message.body.k === "accepted" && to === "alice");
    net.host("alice").remove(1, "dave");
    net.run(1_000);
    net.kill("alice");
    net.wire = () => true;
    net.run(LINGER_MS + 2 * PHASE_MS + 10_000);
    for (const name of ["bob", "carol"])
      expect(net.host(name).council.configuration?.remaining).toMatchObject({ heir: "alice", since: 2 });
  });

  it("is of this cluster and the next epoch: who speaks of an earlier one is told, other values are not heard", () => {
    const net = cluster("alice", "bob", "carol");
    const alice = net.host("alice");
    const { era, configuration } = alice.council;
    if (era === undefined || configuration === undefined) throw new Error("founded");
    const head = { round: [7, "bob-disk"] as const, incarnation: "bob-disk" };
    const said = (body: BallotBody): boolean => alice.council.message("bob", body, era.cluster, net.now, []);
    expect(said({ k: "prepare", epoch: 1, ...head })).toBe(false);
    const foreign = { ...configuration, cluster: "another", epoch: 2 };
    alice.input((now, out) =>
      alice.council.message("bob", { k: "accept", epoch: 2, ...head, value: foreign }, era.cluster, now, out),
    );
    expect(acceptedBy(alice)).toBeUndefined();
  });

  it("comes out the same wherever a host of it dies between two effects", () => {
    for (const mortal of ["alice", "bob", "carol"])
      for (let fuse = 0; fuse < 12; fuse++) {
        const net = cluster("alice", "bob", "carol", "dave");
        net.kill("dave").run(1_000);
        net.host(mortal).fuse = fuse;
        net.host("alice").remove(1, "dave");
        net.host("bob").remove(1, "dave");
        net.run(DECISION_PATIENCE_MS);
        if (!net.host(mortal).running) net.start(mortal);
        net.host(mortal).fuse = Number.POSITIVE_INFINITY;
        net.run(MINUTE_MS);
        const decided = ["alice", "bob", "carol"].map((name) => net.host(name).council.configuration);
        expect(new Set(decided.map((c) => c && canonical(c))).size).toBe(1);
        expect(decided[0]?.remaining?.names).toEqual(["alice", "bob", "carol"]);
      }
  });
});

describe("who leaves", () => {
  it("and is killed between the decision and its going, begins anew when it is launched", () => {
    const net = new Net();
    for (const name of ["alice", "bob", "carol"]) net.add(name, { targets: 2 });
    net.start().run(MINUTE_MS);
    const carol = net.host("carol");
    carol.input((now, out) => carol.council.leave("alice", () => {}, now, out));
    net.run(1_000);
    expect([carol.council.era?.epoch, carol.rejoined]).toEqual([2, undefined]);
    net.kill("carol").start("carol");
    expect(carol.rejoined?.reason).toBe("removed");
  });
});

describe("a list of seeds", () => {
  it("that does not name a host founds nothing for it", () => {
    const seeds: Options = { init: { kind: "seed", names: ["alice", "bob"] } };
    const net = new Net();
    for (const name of ["alice", "bob", "carol", "dave"]) net.add(name, seeds);
    net.start("alice", "bob", "dave").run(MINUTE_MS);
    net.kill("dave").run(1_000);
    net.host("alice").remove(1, "dave");
    net.run(2_000);
    net.start("carol").run(5_000);
    expect(net.host("carol").rejoined).toBeUndefined();
    expect(net.clusters).toHaveLength(1);
  });

  it("founds with votes bound to the first disks that are heard of", () => {
    const net = new Net();
    for (const name of ["alice", "bob", "carol"])
      net.add(name, { init: { kind: "seed", names: ["alice", "bob", "carol"] } });
    net.start().run(MINUTE_MS);
    expect(net.clusters).toHaveLength(1);
    net.kill("carol").run(1_000);
    net.host("alice").remove(1, "carol");
    net.run(2_000);
    expect(net.host("bob").council.configuration?.voters).toEqual([voter("alice"), voter("bob")]);
  });
});

describe("a cluster to join", () => {
  it("is the only one, and may have been continued by force", () => {
    const net = cluster("alice", "bob");
    const [old] = net.clusters;
    if (old === undefined) throw new Error("founded");
    net.kill("bob").run(1_000);
    const alice = net.host("alice");
    alice.input((now, out) => alice.council.remove(1, ["bob"], true, now, out));
    expect(alice.replies.get(1)).toMatchObject({ ok: true });
    net.add("carol", { expect: old });
    net.add("dave", { expect: "another" });
    net.start("carol", "dave").run(MOVE_PATIENCE_MS - 1_000);
    expect(net.host("carol").council.era?.cluster).toBe(alice.council.era?.cluster);
    expect(net.host("dave").council.era).toBeUndefined();
  });

  it.each([
    ["as it was", false],
    ["continued by force", true],
  ])("is followed where it moves, %s", (_, force) => {
    const net = cluster("alice", "bob");
    const [expected = ""] = net.clusters;
    const alice = net.host("alice");
    if (force) {
      net.kill("bob").run(1_000);
      alice.input((now, out) => alice.council.remove(1, ["bob"], true, now, out));
    }
    const last = alice.council.configuration;
    if (last === undefined) throw new Error("founded");
    expect(last.cluster === expected).toBe(!force);
    const carol = net.add("carol", { expect: expected });
    net.part(["alice", "bob"], ["carol"]).start("carol");
    carol.hear("alice", { k: "config", configuration: joining(last, "elsewhere") });
    expect(carol.council.expect).toBe("elsewhere");
  });

  it("is given up for lost after a minute: then any other will do, or a new one", () => {
    const net = cluster("alice");
    net.add("dave", { expect: "another" });
    net.start("dave").run(MOVE_PATIENCE_MS + 30_000);
    expect(net.host("dave").council.isStranded).toBe(true);
    expect(net.host("dave").council.era).toBeDefined();
  });
});
