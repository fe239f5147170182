// Whose a name is: of two hosts that claim it, one begins anew with another.
import { describe, expect, it } from "vitest";
import { readState } from "../records.ts";
import { acceptedBy, cluster, consensus, Net, type Options } from "./testing/council-net.ts";

const MINUTE_MS = 60_000;

describe("a name", () => {
  it.each([
    ["a voter", "carol"],
    ["a founder", "erin"],
  ])("of %s is not taken over by an empty disk", (_, name) => {
    const names = ["alice", "bob", "carol", "dave", "eric", "erin"];
    const net = cluster(...names);
    net.kill(name).run(1_000);
    net.add(name, { init: { kind: "observer" }, incarnation: "second" });
    net.start(name).run(2_000);
    expect(net.host(name).rejoined?.reason).toBe("name-taken");
  });

  it.each([
    ["a voter", "carol"],
    ["a founder", "erin"],
  ])("of %s is not taken over by an empty disk that stands for election elsewhere", (_, name) => {
    const net = cluster("alice", "bob", "carol", "dave", "eric", "erin");
    net.kill(name).run(1_000);
    net.add(name, { ...consensus(3), incarnation: "second" });
    net.add("aaron", consensus(3)); // the least name proposes
    net.part(
      ["alice", "bob", "carol", "dave", "eric", "erin"].filter((one) => one !== name),
      [name, "aaron"],
    );
    net.wire = (_from, _to, message) => message.k !== "ballot" || message.body.k !== "accept";
    net.start(name, "aaron").run(2_000);
    expect(readState(net.host(name).disk).vote).toMatchObject({ epoch: 1, promised: [1, "aaron-disk"] });
    expect(acceptedBy(net.host(name))).toBeUndefined();
    net.wire = () => true;
    net.part().run(5_000);
    expect(net.host(name).rejoined?.reason).toBe("name-taken");
  });

  it("of a voter is not that of a host which founded by the same list on an empty disk", () => {
    const seeds: Options = { init: { kind: "seed", names: ["alice", "bob", "carol"] } };
    const net = new Net();
    for (const name of ["alice", "bob", "carol"]) net.add(name, seeds);
    net.add("dave", { init: { kind: "observer" } });
    net.start().run(MINUTE_MS);
    net.kill("dave").run(1_000);
    net.host("alice").remove(1, "dave");
    net.run(2_000);
    expect(net.host("alice").epoch).toBe(2);
    net.kill("carol");
    net.add("carol", { ...seeds, incarnation: "second" });
    net.start("carol").run(5_000);
    expect(net.host("carol").rejoined?.reason).toBe("name-taken");
  });

  it("stays with a founder that hears of its founding an epoch late", () => {
    const net = Net.of("alice", "bob", "carol");
    net.wire = (_from, to, message) => to !== "carol" || message.k === "ballot";
    net.start().run(5_000, () => net.host("alice").council.configuration !== undefined);
    expect(net.host("alice").council.configuration?.founders).toContain("carol");
    net.part(["alice", "bob", "dave", "erin"], ["carol"]);
    for (const name of ["dave", "erin"]) net.add(name, { init: { kind: "observer" } });
    net.start("dave", "erin").run(5_000);
    expect(net.host("alice").epoch).toBeGreaterThan(1);
    net.wire = () => true;
    net.part().run(5_000);
    expect(net.host("carol").rejoined).toBeUndefined();
    expect(net.host("carol").epoch).toBe(net.host("alice").epoch);
    expect(net.host("carol").founders).toEqual(["alice", "bob", "carol"]);
  });

  it("does not stay with a founder that was removed before it heard of its founding", () => {
    const net = Net.of("alice", "bob", "carol");
    net.wire = (_from, to, message) => to !== "carol" || message.k === "ballot";
    net.start().run(5_000, () => net.host("alice").council.configuration !== undefined);
    net.part(["alice", "bob"], ["carol"]).run(1_000);
    net.host("alice").remove(1, "carol");
    net.run(2_000);
    expect(net.host("alice").epoch).toBe(2);
    net.wire = () => true;
    net.part().run(5_000);
    expect(net.host("carol").rejoined?.reason).toBe("removed");
  });

  it.each([
    ["who has no cluster yet", { init: { kind: "observer" } }, "theirs", "name-taken"],
    [
      "who has founded by a list on an empty disk",
      { init: { kind: "seed", names: ["alice", "bob"] } },
      "ours",
      "name-taken",
    ],
    [
      "who has founded by a list, by another cluster",
      { init: { kind: "seed", names: ["alice", "bob"] } },
      "theirs",
      undefined,
    ],
    ["who uses what it founded", {}, "theirs", undefined],
  ] as const)("is another's, says a neighbour: believed by a host %s or not", (_, options, whose, reason) => {
    const net = new Net();
    const alice = net.add("alice", options);
    net.start().run(1_000);
    const cluster = whose === "ours" ? alice.council.era?.cluster : "theirs";
    alice.input((_now, out) => alice.council.nameRefused(cluster, out));
    expect(alice.rejoined?.reason).toBe(reason);
  });

  it("is another's, says a neighbour: not believed after a restart", () => {
    const net = new Net();
    const alice = net.add("alice", { init: { kind: "seed", names: ["alice", "bob"] } });
    net.start().run(1_000);
    net.kill("alice").start("alice").run(1_000);
    alice.input((_now, out) => alice.council.nameRefused(alice.council.era?.cluster, out));
    expect(alice.rejoined).toBeUndefined();
  });
});
