import { beforeEach, describe, expect, it } from "vitest";
import type { ConnId } from "../connection.ts";
import { BUCKETS, type Entry, type Json, MAX_VALUE_CHARS } from "../crdt/origin-map.ts";
import { type OwnedRange, Ring } from "../ipam/ring.ts";
import { seededRandom } from "../random.ts";
import { type Frame, type FrameOf, MAX_ITEMS_PER_FRAME } from "./frames.ts";
import {
  LAZY_DELAY_MS,
  MISMATCH_PATIENCE_MS,
  MISSED_PATIENCE_MS,
  PUSH_PAUSE_MS,
  SUMS_INTERVAL_MS,
} from "./gossip.ts";
import { CHANNEL, era, Net, Peer } from "./testing/gossip-net.ts";

const founders = ["alice"];

const same = (...peers: Peer[]): void => {
  for (const peer of peers) {
    for (const [channel, map] of peers[0]?.channels ?? []) {
      expect(peer.map(channel).fingerprint(), `${peer.name} ${channel}`).toBe(map.fingerprint());
    }
  }
};
const pushes = (sends: readonly { frame: Frame }[]): FrameOf<"push">[] =>
  sends.flatMap(({ frame }) => (frame.t === "push" ? [frame] : []));
const kinds = (sends: readonly { frame: Frame }[]): string[] => sends.map(({ frame }) => frame.t);

let alice: Peer;
let bob: Peer;
let carol: Peer;
let net: Net;
beforeEach(() => {
  [alice, bob, carol] = [new Peer("alice"), new Peer("bob"), new Peer("carol")];
  net = new Net();
});

/** Alice and bob, joined and in step. */
function inStep(): ConnId {
  const conn = net.join(alice, bob);
  net.run(LAZY_DELAY_MS);
  expect([alice.gossip.isSynced(), bob.gossip.isSynced()]).toEqual([true, true]);
  net.took();
  return conn;
}

describe("a busy link", () => {
  it("many changes of one key become one entry, the last", () => {
    const conn = inStep();
    alice.say("0", "first", net.now);
    const [first] = alice.sends(net.now);
    expect(first).toMatchObject({
      conn,
      ack: true,
      frame: { t: "push", entries: [["alice", "0", 1, "first"]] },
    });
    for (let i = 1; i <= 50; i++) alice.say("0", i, net.now);
    alice.say("1", "other", net.now);
    const later = net.now + PUSH_PAUSE_MS;
    expect(alice.sends(later)).toEqual([]);
    alice.gossip.sent(conn);
    expect(pushes(alice.sends(later)).map((f) => f.entries)).toEqual([
      [
        ["alice", "0", 51, 50],
        ["alice", "1", 52, "other"],
      ],
    ]);
    alice.gossip.sent(conn);
    expect(alice.sends(later + PUSH_PAUSE_MS)).toEqual([]);
  });

  it("what was set and removed meanwhile goes as its tombstone", () => {
    inStep();
    alice.say("0", "here", net.now);
    const gone = alice.map().remove("0");
    alice.gossip.changed(CHANNEL, gone === undefined ? [] : [gone], undefined, net.now);
    expect(pushes(alice.sends(net.now)).map((f) => f.entries)).toEqual([[["alice", "0", 2, null]]]);
  });

  it("changes of the ring become their sum", () => {
    alice.ring = Ring.found(256, founders);
    bob.ring = Ring.found(256, founders);
    const conn = inStep();
    const give = (start: number, end: number, to: string): void =>
      alice.gossip.ringChanged(0, alice.ring?.give({ start, end }, "alice", to, 1) ?? [], undefined, net.now);
    give(0, 16, "bob");
    expect(kinds(alice.sends(net.now))).toEqual(["ring"]);
    give(16, 32, "bob");
    give(32, 64, "carol");
    const later = net.now + PUSH_PAUSE_MS;
    expect(alice.sends(later)).toEqual([]);
    alice.gossip.sent(conn);
    expect(alice.sends(later)).toMatchObject([
      {
        ack: true,
        frame: {
          ranges: [
            [16, 32, 2, "bob", 1],
            [32, 64, 2, "carol", 1],
          ],
        },
      },
    ]);
  });

  it("a change goes to everybody but the one it came from", () => {
    const [toBob, toCarol] = [net.join(alice, bob), net.join(alice, carol)];
    net.run(1_000);
    const heard: Entry = { origin: "bob", key: "0", version: 1, value: 1 };
    alice.map().merge([heard]);
    alice.gossip.changed(CHANNEL, [heard], toBob, net.now);
    expect(alice.sends(net.now).map(({ conn }) => conn)).toEqual([toCarol]);
    const own: Entry = { origin: "alice", key: "0", version: 9, value: null };
    alice.map().restore([own]);
    alice.gossip.sent(toCarol);
    alice.gossip.changed(CHANNEL, [own], toBob, net.now); // contradicted: bob must hear it, too
    expect(alice.sends(net.now + PUSH_PAUSE_MS).map(({ conn }) => conn)).toEqual([toBob, toCarol]);
  });
});

describe("changes that come close together", () => {
  it("one alone goes at once, and what follows within the pause goes together behind it, its last version only", () => {
    const conn = inStep();
    alice.say("0", "first", net.now);
    expect(pushes(alice.sends(net.now)).map((f) => f.entries)).toEqual([[["alice", "0", 1, "first"]]]);
    alice.gossip.sent(conn);
    const pausedUntil = net.now + PUSH_PAUSE_MS;
    alice.say("1", "superseded", net.now + 1);
    alice.say("2", "other", net.now + 5);
    alice.say("1", "last", net.now + 10);
    expect(alice.sends(pausedUntil - 1)).toEqual([]);
    expect(alice.gossip.nextDeadline()).toBe(pausedUntil);
    expect(pushes(alice.sends(pausedUntil)).map((f) => f.entries)).toEqual([
      [
        ["alice", "1", 4, "last"],
        ["alice", "2", 3, "other"],
      ],
    ]);
  });

  it("one that comes after the pause goes at once", () => {
    const conn = inStep();
    alice.say("0", "first", net.now);
    alice.sends(net.now);
    alice.gossip.sent(conn);
    const later = net.now + PUSH_PAUSE_MS;
    expect(alice.gossip.nextDeadline()).toBeGreaterThan(later);
    alice.say("1", "next", later);
    expect(pushes(alice.sends(later))).toHaveLength(1);
  });

  it("what is of two kinds goes without a pause between: it did not come later", () => {
    alice.ring = Ring.found(256, founders);
    bob.ring = Ring.found(256, founders);
    const conn = inStep();
    alice.say("0", "its container", net.now);
    alice.gossip.ringChanged(
      0,
      alice.ring.give({ start: 0, end: 16 }, "alice", "bob", 1),
      undefined,
      net.now,
    );
    expect(kinds(alice.sends(net.now))).toEqual(["ring"]);
    alice.gossip.sent(conn);
    expect(kinds(alice.sends(net.now))).toEqual(["push"]);
  });

  it("a link that is still busy when the pause is over is not looked at again and again, and sends when it is free", () => {
    const conn = inStep();
    alice.say("0", "first", net.now);
    alice.sends(net.now);
    alice.say("1", "next", net.now);
    const later = net.now + 10 * PUSH_PAUSE_MS;
    expect(alice.sends(later)).toEqual([]);
    expect(alice.gossip.nextDeadline()).toBeGreaterThan(later);
    alice.gossip.sent(conn);
    expect(alice.gossip.nextDeadline()).toBeLessThanOrEqual(later);
    expect(pushes(alice.sends(later))).toHaveLength(1);
  });

  it("nothing waits on a link that was suspended or went down in the pause", () => {
    const conn = inStep();
    const other = net.join(alice, carol);
    net.run(LAZY_DELAY_MS);
    alice.say("0", "first", net.now);
    alice.sends(net.now);
    for (const link of [conn, other]) alice.gossip.sent(link);
    alice.say("1", "next", net.now);
    expect(alice.gossip.isFlushed()).toBe(false);
    alice.gossip.suspend(conn, true, net.now);
    alice.gossip.linkDown(other, net.now);
    expect(alice.gossip.isFlushed()).toBe(true);
    const later = net.now + PUSH_PAUSE_MS;
    expect(kinds(alice.sends(later))).toEqual(["sums"]);
    expect(alice.gossip.nextDeadline()).toBe(later + SUMS_INTERVAL_MS);
  });
});

describe("a gift", () => {
  let fresh: readonly OwnedRange[];
  let toBob: ConnId;
  let toCarol: ConnId;
  beforeEach(() => {
    alice.ring = Ring.found(256, founders);
    bob.ring = Ring.found(256, founders);
    carol.ring = Ring.found(256, founders);
    [toBob, toCarol] = [net.join(alice, bob), net.join(alice, carol)];
    net.run(1_000);
    net.took();
    fresh = alice.ring.give({ start: 0, end: 16 }, "alice", "bob", 1);
    alice.gossip.ringGiven(0, fresh, net.now);
  });

  it("is told by its taker, and the donor passes that on", () => {
    expect(alice.sends(net.now + LAZY_DELAY_MS - 1)).toEqual([]);
    bob.ring?.merge(fresh);
    bob.gossip.ringChanged(0, fresh, undefined, net.now);
    net.run(1);
    expect(net.took()).toEqual(["alice: ring", "bob: ring"]);
    expect(carol.ring?.ranges).toEqual(alice.ring?.ranges);
    net.run(LAZY_DELAY_MS);
    expect(net.took()).toEqual([]);
  });

  it("is told together with what the taker made of it", () => {
    const joined = [{ start: 0, end: 32, version: 2, owner: "bob", made: 1 }];
    bob.ring?.merge(joined);
    bob.gossip.ringChanged(0, joined, undefined, net.now);
    net.run(1);
    expect(net.took()).toEqual(["alice: ring", "bob: ring"]);
    expect(carol.ring?.ranges).toEqual(bob.ring?.ranges);
  });

  it("is told by the donor a little later, when the taker did not get the answer", () => {
    expect(alice.gossip.isFlushed()).toBe(false);
    expect(alice.gossip.nextDeadline()).toBe(net.now + LAZY_DELAY_MS);
    const sends = alice.sends(net.now + LAZY_DELAY_MS);
    expect(sends.map(({ conn, frame }) => [conn, frame.t])).toEqual([
      [toBob, "ring"],
      [toCarol, "ring"],
    ]);
  });

  it("of several, each is told by its own taker", () => {
    const other = alice.ring?.give({ start: 16, end: 32 }, "alice", "carol", 1) ?? [];
    alice.gossip.ringGiven(0, other, net.now + 10);
    bob.ring?.merge(fresh);
    bob.gossip.ringChanged(0, fresh, undefined, net.now);
    net.run(1);
    expect(carol.ring?.ownerOf(0)).toBe("bob");
    expect(bob.ring?.ownerOf(16)).toBe("alice");
    net.run(LAZY_DELAY_MS);
    expect(bob.ring?.ranges).toEqual(alice.ring?.ranges);
  });

  it("is found by comparing, when the epoch changed meanwhile", () => {
    for (const peer of [alice, bob, carol]) {
      peer.era = { ...era, epoch: 2 };
      peer.gossip.eraChanged(net.now);
    }
    expect(kinds(alice.sends(net.now + LAZY_DELAY_MS))).toEqual(["sums", "sums"]);
    expect(alice.gossip.isFlushed()).toBe(true);
  });
});

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
    same(alice, bob);
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
    same(alice, bob);
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
    same(alice, bob);
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
    same(alice, carol, bob);
  });
});

describe("fingerprints that cross a change", () => {
  const fingerprintsOf = (peer: Peer): Frame => ({
    t: "sums",
    sums: { [CHANNEL]: peer.map().fingerprint(), "ring/0": peer.ring?.fingerprint() ?? 0 },
    ...era,
  });
  const repairs = (): string[] => net.took().filter((line) => /digest|buckets|repair|want/.test(line));

  it.each(["alice", "bob"])("and come to %s, who told it, repair nothing", (name) => {
    const conn = inStep();
    const [teller, other] = name === "alice" ? [alice, bob] : [bob, alice];
    const before = fingerprintsOf(other);
    teller.say("0", "told", net.now);
    net.run(1);
    teller.hear(conn, before, net.now);
    net.run(3 * SUMS_INTERVAL_MS);
    expect(repairs()).toEqual([]);
    same(alice, bob);
  });

  it("and come to who has it from elsewhere, before the sender has, repair nothing", () => {
    const conn = inStep();
    const before = fingerprintsOf(bob);
    net.join(carol, alice);
    net.run(LAZY_DELAY_MS);
    net.took();
    carol.say("0", "told", net.now);
    net.run(MISMATCH_PATIENCE_MS - 100);
    alice.hear(conn, before, net.now);
    net.run(3 * SUMS_INTERVAL_MS);
    expect(repairs()).toEqual([]);
  });

  it("of the ring, likewise", () => {
    alice.ring = Ring.found(256, founders);
    bob.ring = Ring.found(256, founders);
    const conn = inStep();
    const before = fingerprintsOf(bob);
    const fresh = alice.ring.give({ start: 0, end: 16 }, "alice", "bob", 1);
    alice.gossip.ringChanged(0, fresh, undefined, net.now);
    net.run(1);
    alice.hear(conn, before, net.now);
    net.run(3 * SUMS_INTERVAL_MS);
    expect(repairs()).toEqual([]);
    expect(bob.ring.ranges).toEqual(alice.ring.ranges);
  });

  it("do not hide a change that is lost, though each side changes something all the time", () => {
    inStep();
    net.loses = (frame) => frame.t === "push" && frame.entries.some(([, key]) => key === "lost");
    alice.say("lost", 1, net.now);
    net.run(1);
    net.loses = () => false;
    for (let passed = 0; passed < SUMS_INTERVAL_MS + 2 * MISMATCH_PATIENCE_MS; passed += 500) {
      alice.say("a", passed, net.now);
      bob.say("b", passed, net.now);
      net.run(500);
    }
    expect(bob.map().get("alice", "lost")).toBe(1);
  });

  it("cost one frame more, in place of the next ones", () => {
    const conn = inStep();
    const before = fingerprintsOf(bob);
    alice.say("0", "told", net.now);
    net.run(1);
    alice.hear(conn, before, net.now);
    net.took();
    net.run(MISMATCH_PATIENCE_MS);
    expect(net.took()).toEqual(["alice: sums"]);
    expect(alice.gossip.nextDeadline()).toBe(net.now + SUMS_INTERVAL_MS);
    net.run(SUMS_INTERVAL_MS - 1);
    expect(net.took()).toEqual(["bob: sums"]);
  });

  it("do not hide what was told to a host of an earlier epoch, which could not take it", () => {
    alice.ring = Ring.found(256, founders);
    bob.ring = Ring.found(256, founders);
    inStep();
    alice.era = { ...era, epoch: 2 };
    alice.gossip.eraChanged(net.now);
    net.run(10);
    net.loses = (frame) => frame.t === "ring";
    const fresh = alice.ring.give({ start: 0, end: 16 }, "alice", "bob", 2);
    alice.gossip.ringChanged(0, fresh, undefined, net.now);
    net.run(10);
    net.loses = () => false;
    bob.era = alice.era;
    bob.gossip.eraChanged(net.now);
    net.run(MISMATCH_PATIENCE_MS + 10);
    expect(bob.ring.ranges).toEqual(alice.ring.ranges);
  });

  it("do not hold back the repair of what has not changed lately", () => {
    alice.ring = Ring.found(256, founders);
    bob.ring = Ring.found(256, founders);
    inStep();
    net.loses = (frame) => frame.t === "ring";
    const fresh = alice.ring.give({ start: 0, end: 16 }, "alice", "bob", 1);
    alice.gossip.ringChanged(0, fresh, undefined, net.now);
    net.run(1);
    net.loses = () => false;
    for (let passed = 0; passed < SUMS_INTERVAL_MS + MISMATCH_PATIENCE_MS; passed += 500) {
      alice.say("a", passed, net.now);
      net.run(500);
    }
    expect(bob.ring.ranges).toEqual(alice.ring.ranges);
  });
});

describe("repair", () => {
  it("of a lost change: found by fingerprints within their interval, and only it is sent again", () => {
    for (let i = 0; i < 100; i++) alice.say(String(i), "here before", 0);
    inStep();
    net.loses = (frame) => frame.t === "push";
    alice.say("7", "lost", net.now);
    net.run(1);
    net.loses = () => false;
    net.took();
    net.run(SUMS_INTERVAL_MS + MISMATCH_PATIENCE_MS);
    same(alice, bob);
    expect(bob.map().get("alice", "7")).toBe("lost");
    // Twice when both sides find it at once.
    const repairs = net.took().filter((line) => line.includes("push"));
    expect(new Set(repairs)).toEqual(new Set(["alice: push repair 1"]));
    expect(repairs.length).toBeLessThanOrEqual(2);
  });

  it("among very many origins: by groups, and only what differs is sent again", () => {
    const many = Array.from({ length: 1_000 }, (_, i) => ({
      origin: `p${i}`,
      key: "self",
      version: 1,
      value: "as before",
    }));
    for (const peer of [alice, bob]) peer.map().restore(many);
    const conn = inStep();
    const lost: Entry = { origin: "p7", key: "self", version: 2, value: "lost on its way" };
    const other: Entry = { origin: "p8", key: "self", version: 2, value: "lost on its way back" };
    alice.map().merge([lost]);
    bob.map().merge([other]);
    let chars = 0;
    net.loses = (frame) => {
      chars += JSON.stringify(frame).length;
      return false;
    };
    net.run(SUMS_INTERVAL_MS + 3 * MISMATCH_PATIENCE_MS + LAZY_DELAY_MS);
    same(alice, bob);
    expect(net.took().filter((line) => !line.endsWith("sums"))).toEqual(
      [
        "alice: buckets",
        "alice: digest",
        "alice: push repair 1",
        "bob: digest",
        "bob: digest",
        "bob: push repair 1",
      ].sort(),
    );
    expect(chars).toBeLessThan(5_000);
    expect(alice.gossip.isEager(conn)).toBe(true);
  });

  it("of a range lost among very many: by parts of the ring", () => {
    const rangesOf = (version: number): OwnedRange[] =>
      Array.from({ length: 1_000 }, (_, i) => ({
        start: 16 * i,
        end: 16 * i + 16,
        version,
        owner: `p${i}`,
        made: 1,
      }));
    alice.ring = new Ring(1 << 20);
    bob.ring = new Ring(1 << 20);
    for (const { ring } of [alice, bob]) ring?.merge(rangesOf(1));
    inStep();
    alice.ring.merge([{ start: 32, end: 48, version: 2, owner: "carol", made: 1 }]);
    bob.ring.merge([{ start: 64, end: 80, version: 2, owner: "carol", made: 1 }]);
    let most = 0;
    net.loses = (frame) => {
      most = Math.max(most, JSON.stringify(frame).length);
      return false;
    };
    net.run(SUMS_INTERVAL_MS + 3 * MISMATCH_PATIENCE_MS + LAZY_DELAY_MS);
    expect(bob.ring.ranges).toEqual(alice.ring.ranges);
    expect(alice.ring.ownerOf(64)).toBe("carol");
    expect(most).toBeLessThan(40_000);
  });

  it("of changes lost both ways, in one exchange", () => {
    inStep();
    net.loses = (frame) => frame.t === "push";
    alice.say("0", "of alice", net.now);
    bob.say("0", "of bob", net.now);
    net.run(1);
    net.loses = () => false;
    net.run(SUMS_INTERVAL_MS + MISMATCH_PATIENCE_MS);
    same(alice, bob);
    expect(bob.map().get("alice", "0")).toBe("of alice");
    expect(alice.map().get("bob", "0")).toBe("of bob");
  });

  it("of a hole below the newest version", () => {
    inStep();
    net.loses = (frame) => frame.t === "push" && frame.entries.some(([, key]) => key === "lost");
    alice.say("lost", 1, net.now);
    net.run(1);
    net.loses = () => false;
    alice.say("after", 2, net.now);
    net.run(SUMS_INTERVAL_MS + MISMATCH_PATIENCE_MS);
    same(alice, bob);
  });

  it("of a lost range of the ring", () => {
    alice.ring = Ring.found(256, founders);
    bob.ring = Ring.found(256, founders);
    inStep();
    net.loses = (frame) => frame.t === "ring";
    alice.gossip.ringChanged(
      0,
      alice.ring.give({ start: 0, end: 16 }, "alice", "bob", 1),
      undefined,
      net.now,
    );
    net.run(1);
    net.loses = () => false;
    net.run(SUMS_INTERVAL_MS + MISMATCH_PATIENCE_MS);
    expect(bob.ring.ranges).toEqual(alice.ring.ranges);
  });

  it.each(["alice", "bob"])("of a range that only %s has, whoever finds that rings differ", (name) => {
    alice.ring = Ring.found(256, founders);
    bob.ring = Ring.found(256, founders);
    const conn = inStep();
    const [teller, other] = name === "alice" ? [alice, bob] : [bob, alice];
    teller.ring?.merge([{ start: 0, end: 16, version: 2, owner: "carol", made: 1 }]);
    for (const [peer, theirs] of [
      [alice, bob],
      [bob, alice],
    ] as const)
      peer.hear(conn, { t: "sums", sums: { "ring/0": theirs.ring?.fingerprint() ?? 0 }, ...era }, net.now);
    net.run(MISMATCH_PATIENCE_MS);
    expect(other.ring?.ownerOf(0)).toBe("carol");
  });

  it.each([1, 2, 3, 4, 5])("goes on until it came through, though half of all is lost (seed %i)", (seed) => {
    const random = seededRandom(seed);
    for (let i = 0; i < 20; i++) alice.say(String(i), i, 0);
    net.loses = () => random.next() < 0.5;
    net.join(alice, bob);
    for (let i = 0; i < 20; i++) bob.say(String(i), -i, 0);
    net.run(20 * SUMS_INTERVAL_MS);
    same(alice, bob);
  });

  it("at the first meeting: both are in step when each has all of the other", () => {
    alice.ring = Ring.found(1 << 20, founders);
    for (let i = 0; i < 50; i++) alice.say(String(i), i, 0);
    for (let i = 0; i < 50; i++) bob.say(String(i), -i, 0);
    net.join(alice, bob);
    expect(bob.gossip.isSynced()).toBe(false);
    net.run(0);
    same(alice, bob);
    expect(bob.ring?.ranges).toEqual(alice.ring.ranges);
    expect([alice.gossip.isSynced(), bob.gossip.isSynced()]).toEqual([true, true]);
  });
});

describe("a channel of a newer version", () => {
  const odd: Exclude<Json, null> = { text: "half of a pair: \ud800", nested: [{ z: 1, a: [null, true] }] };

  it("is kept and relayed as it came, by those who do not know it", () => {
    net.join(alice, bob);
    net.join(bob, carol);
    net.run(1_000);
    alice.say("k", odd, net.now, "later");
    net.run(1);
    expect(carol.map("later").get("alice", "k")).toEqual(odd);
    same(alice, bob, carol);
  });

  it("is repaired like any other", () => {
    alice.say("k", odd, 0, "later");
    net.join(alice, bob);
    net.run(1_000);
    net.loses = (frame) => frame.t === "push";
    alice.say("k2", odd, net.now, "later");
    net.run(1);
    net.loses = () => false;
    net.run(SUMS_INTERVAL_MS + MISMATCH_PATIENCE_MS);
    same(alice, bob);
    expect(bob.map("later").get("alice", "k2")).toEqual(odd);
  });

  it("is one of a few: strangers cannot fill the memory with names", () => {
    for (let i = 0; alice.gossip.channel(`later-${i}`) !== undefined; i++) expect(i).toBeLessThan(16);
    expect(alice.channels.size).toBe(16);
    expect(alice.gossip.channel(CHANNEL)).toBeDefined();
    expect(bob.gossip.channel("ring/0")).toBeUndefined();
  });
});

describe("a suspended link", () => {
  it("gets fingerprints and nothing else, and gives nothing", () => {
    alice.ring = Ring.found(256, founders);
    alice.gossip.linkUp(1, true, 0);
    alice.say("0", "ours", 0);
    alice.gossip.ringChanged(0, alice.ring.give({ start: 0, end: 16 }, "alice", "carol", 1), undefined, 0);
    expect(kinds(alice.sends(0))).toEqual(["sums"]);
    const theirs: Frame = { t: "sums", cluster: "c2", epoch: 1, sums: { [CHANNEL]: 5, "ring/0": 6 } };
    for (const now of [1, 2]) {
      alice.hear(1, theirs, now);
      expect(alice.sends(now)).toEqual([]);
    }
    alice.hear(1, { t: "digest", channel: CHANNEL, origins: [] }, 3);
    const push: FrameOf<"push"> = { t: "push", channel: CHANNEL, entries: [["bob", "0", 1, "theirs"]] };
    expect(alice.gossip.push(1, push)).toEqual([]);
    alice.hear(1, push, 3);
    expect(alice.sends(4)).toEqual([]);
    expect([alice.gossip.isSynced(), alice.gossip.isEager(1)]).toEqual([false, true]);
    expect(alice.map().get("bob", "0")).toBeUndefined();
  });

  it("is a link again when the clusters became one, and compares at once", () => {
    alice.gossip.linkUp(1, true, 0);
    alice.say("0", "ours", 0);
    alice.sends(0);
    alice.gossip.suspend(1, false, 100);
    expect(kinds(alice.sends(100))).toEqual(["sums"]);
    alice.hear(1, { t: "sums", sums: {}, ...era }, 101);
    expect(kinds(alice.sends(101))).toEqual(["digest"]);
  });

  it("forgets what was waiting when it was suspended", () => {
    inStep();
    alice.say("0", "ours", net.now);
    alice.gossip.suspend(0, true, net.now);
    expect(kinds(alice.sends(net.now))).toEqual(["sums"]);
    expect(alice.gossip.isSynced()).toBe(false);
  });
});

describe("frames stay small", () => {
  const large = "x".repeat(MAX_VALUE_CHARS - 2);

  it("changes go in several pushes, each when the one before has left", () => {
    const conn = inStep();
    for (let i = 0; i < 50; i++) alice.say(String(i), large, net.now);
    const entries: number[] = [];
    for (;;) {
      const sends = alice.sends(net.now);
      if (sends.length === 0) break;
      expect(sends).toHaveLength(1);
      entries.push(...pushes(sends).map((f) => f.entries.length));
      alice.gossip.sent(conn);
    }
    expect(entries.length).toBeGreaterThan(5);
    expect(Math.max(...entries)).toBeLessThan(10);
    expect(entries.reduce((sum, n) => sum + n, 0)).toBe(50);
  });

  it("a repair goes in several pushes, too", () => {
    for (let i = 0; i < 50; i++) alice.say(String(i), large, 0);
    net.join(alice, bob);
    net.run(0);
    same(alice, bob);
    expect(net.took().filter((line) => line.includes("push repair")).length).toBeGreaterThan(5);
  });

  const rangesOf = (count: number): OwnedRange[] =>
    Array.from({ length: count }, (_, i) => ({
      start: 2 ** 40 + i,
      end: 2 ** 40 + i + 1,
      owner: `${"n".repeat(63)}${i % 2}`,
      version: 2 ** 50 + i,
      made: 1,
    }));

  it.each([
    ["as a change", false],
    ["as a repair", true],
  ])(
    "a ring of very many ranges goes in several frames %s, the last of a change acknowledged",
    (_, repair) => {
      alice.ring = new Ring(2 ** 48);
      const ranges = rangesOf(2 * MAX_ITEMS_PER_FRAME + 1);
      alice.gossip.linkUp(1, false, 0);
      alice.sends(0);
      alice.ring.merge(ranges);
      if (repair) alice.hear(1, { t: "sums", sums: {}, ...era }, 1);
      else alice.gossip.ringChanged(0, ranges, undefined, 1);
      const rings = alice.sends(1).filter(({ frame }) => frame.t === "ring");
      expect(rings.map(({ ack }) => ack)).toEqual([false, false, !repair]);
      const sizes = rings.map(({ frame }) => (frame.t === "ring" ? frame.ranges.length : 0));
      expect(sizes).toEqual([MAX_ITEMS_PER_FRAME, MAX_ITEMS_PER_FRAME, 1]);
    },
  );

  it("a digest of as many origins as a map takes is one frame", () => {
    const entries = Array.from({ length: MAX_ITEMS_PER_FRAME + 10 }, (_, i) => ({
      origin: `${i}`.padEnd(64, "n"),
      key: "self",
      version: 2 ** 50,
      value: i,
    }));
    alice.map().merge(entries);
    alice.gossip.linkUp(1, false, 0);
    alice.sends(0);
    alice.hear(1, { t: "buckets", channel: CHANNEL, sums: new Array<number>(BUCKETS).fill(0) }, 1);
    const [digest] = alice.sends(1).flatMap(({ frame }) => (frame.t === "digest" ? [frame] : []));
    expect(digest?.origins).toHaveLength(MAX_ITEMS_PER_FRAME);
  });
});
