// What the links beside the tree do: they bring what was lost on it, and nothing else.
import { beforeEach, describe, expect, it } from "vitest";
import type { ConnId } from "../connection.ts";
import type { Entry } from "../crdt/origin-map.ts";
import { Ring } from "../ipam/ring.ts";
import { LAZY_DELAY_MS, MISSED_PATIENCE_MS } from "./gossip.ts";
import { CHANNEL, differences, kinds, type Peer, strangers } from "./testing/gossip-net.ts";

let [alice, bob, carol, net] = strangers();
beforeEach(() => {
  [alice, bob, carol, net] = strangers();
});

const inStep = (): ConnId => net.inStep(alice, bob);

describe("a lazy link", () => {
  const lazy = (conn: ConnId): void => {
    for (const peer of [alice, bob]) peer.gossip.setEager(conn, false);
  };

  it("is told which versions there are, a little later, once for all of them", () => {
    const conn = inStep();
    lazy(conn);
    for (let i = 0; i < 5; i++) alice.say(`${i % 2}`, i, net.now + i);
    expect(alice.sends(net.now + 10)).toEqual([]);
    expect(alice.gossip.nextDeadline()).toBe(net.now + LAZY_DELAY_MS);
    const sends = alice.sends(net.now + LAZY_DELAY_MS);
    expect(sends.map(({ frame }) => frame)).toEqual([
      { t: "have", channel: CHANNEL, origins: [["alice", 5]] },
    ]);
  });

  it("brings what did not come another way, and only that", () => {
    const conn = inStep();
    alice.say("0", "known", net.now);
    net.run(1);
    lazy(conn);
    net.took();
    alice.say("1", "missed", net.now);
    net.run(LAZY_DELAY_MS + MISSED_PATIENCE_MS);
    expect(net.took()).toEqual(["alice: have", "alice: push repair 1", "bob: want"]);
    expect(differences(alice, bob)).toEqual([]);
  });

  it("is not asked for what comes another way in time", () => {
    const conn = inStep();
    lazy(conn);
    alice.say("0", 1, net.now);
    net.run(LAZY_DELAY_MS);
    bob.map().merge(alice.map().entriesSince("alice", 0));
    net.run(MISSED_PATIENCE_MS + 100);
    expect(net.took().filter((line) => !line.endsWith("sums"))).toEqual(["alice: have"]);
  });

  it("is told nothing the other side has told meanwhile", () => {
    const conn = inStep();
    lazy(conn);
    alice.say("0", 1, net.now);
    const entries = alice.map().entriesSince("alice", 0);
    bob.map().merge(entries);
    bob.gossip.changed(CHANNEL, entries, undefined, net.now + 10);
    net.run(LAZY_DELAY_MS + 100);
    expect(net.took().filter((line) => !line.endsWith("sums"))).toEqual(["alice: have"]);
  });

  it("brings a change of the ring as it is, which is as short as its announcement", () => {
    alice.ring = Ring.found(1 << 20, ["alice"]);
    const conn = inStep();
    expect(differences(alice, bob)).toEqual([]);
    lazy(conn);
    net.took();
    const fresh = alice.ring.give({ start: 0, end: 16 }, "alice", "carol", 1);
    alice.gossip.ringChanged(0, fresh, undefined, net.now);
    net.run(LAZY_DELAY_MS);
    expect(net.took()).toContain("alice: ring");
    expect(bob.ring?.ranges).toEqual(alice.ring.ranges);
  });

  it("carries a change that both sides have from elsewhere once, though it takes its time", () => {
    alice.ring = Ring.found(1 << 20, ["alice"]);
    bob.ring = Ring.found(1 << 20, ["alice"]);
    const conn = inStep();
    lazy(conn);
    const fresh = alice.ring.give({ start: 0, end: 16 }, "alice", "carol", 1);
    bob.ring.merge(fresh);
    const entry: Entry = { origin: "carol", key: "0", version: 1, value: 1 };
    const sends: string[] = [];
    for (const peer of [alice, bob]) {
      peer.gossip.ringChanged(0, fresh, undefined, net.now);
      peer.map().merge([entry]);
      peer.gossip.changed(CHANNEL, [entry], undefined, net.now);
    }
    const ours = alice.sends(net.now + LAZY_DELAY_MS);
    sends.push(...kinds(ours), ...kinds(bob.sends(net.now + LAZY_DELAY_MS + 100)));
    for (const { frame } of ours) bob.hear(conn, frame, net.now + LAZY_DELAY_MS + 150);
    sends.push(...kinds(bob.sends(net.now + 3 * LAZY_DELAY_MS)));
    expect(sends.sort()).toEqual(["have", "ring"]);
  });

  it("carries what only the other side has, a little later", () => {
    bob.ring = Ring.found(1 << 20, ["alice", "bob"]);
    alice.ring = Ring.found(1 << 20, ["alice", "bob"]);
    const conn = inStep();
    lazy(conn);
    const give = (peer: Peer, start: number): void => {
      const fresh = peer.ring?.give({ start, end: start + 16 }, peer.name, "carol", 1) ?? [];
      peer.gossip.ringChanged(0, fresh, undefined, net.now);
    };
    give(bob, (1 << 20) - 16);
    give(alice, 0);
    net.run(2 * LAZY_DELAY_MS);
    expect(bob.ring.ranges).toEqual(alice.ring.ranges);
    expect(net.took().filter((line) => line.includes("ring"))).toEqual(["alice: ring", "bob: ring"]);
  });

  it("of several that announce one version, one is asked, and the next when that one does not answer", () => {
    const first = net.join(alice, bob);
    const second = net.join(carol, bob);
    net.run(LAZY_DELAY_MS);
    for (const [peer, conn] of [
      [alice, first],
      [carol, second],
      [bob, first],
      [bob, second],
    ] as const)
      peer.gossip.setEager(conn, false);
    net.took();
    alice.say("0", 1, net.now);
    const entries = alice.map().entriesSince("alice", 0);
    carol.map().merge(entries);
    carol.gossip.changed(CHANNEL, entries, undefined, net.now);
    net.loses = (frame, from) => frame.t === "push" && from === alice;
    net.run(LAZY_DELAY_MS + MISSED_PATIENCE_MS);
    expect(net.took().filter((line) => line === "bob: want")).toHaveLength(1);
    net.run(2 * MISSED_PATIENCE_MS);
    expect(net.took().filter((line) => line === "bob: want")).toHaveLength(1);
    expect(differences(alice, bob)).toEqual([]);
  });
});

describe("a branch that broke", () => {
  it("with a change on it is made good by the other links at once", () => {
    const direct = net.join(alice, carol);
    const branch = net.join(alice, bob);
    net.join(bob, carol);
    net.run(LAZY_DELAY_MS);
    alice.gossip.setEager(direct, false);
    carol.gossip.setEager(direct, false);
    net.loses = (frame) => frame.t === "push"; // the branch dies with a change on it
    alice.say("0", 1, net.now);
    net.run(1);
    net.loses = () => false;
    net.cut(branch);
    net.run(2 * MISSED_PATIENCE_MS + LAZY_DELAY_MS);
    expect(differences(alice, carol, bob)).toEqual([]);
  });
});
