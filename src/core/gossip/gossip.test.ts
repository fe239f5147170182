import { beforeEach, describe, expect, it } from "vitest";
import type { ConnId } from "../connection.ts";
import { BUCKETS, type Entry, type Json, MAX_VALUE_CHARS } from "../crdt/origin-map.ts";
import { type OwnedRange, Ring } from "../ipam/ring.ts";
import { type Frame, type FrameOf, MAX_ITEMS_PER_FRAME } from "./frames.ts";
import { LAZY_DELAY_MS, MISMATCH_PATIENCE_MS, PUSH_PAUSE_MS, SUMS_INTERVAL_MS } from "./gossip.ts";
import { CHANNEL, differences, era, kinds, pushes, strangers } from "./testing/gossip-net.ts";

const founders = ["alice"];

let [alice, bob, carol, net] = strangers();
beforeEach(() => {
  [alice, bob, carol, net] = strangers();
});

const inStep = (): ConnId => net.inStep(alice, bob);

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

describe("a channel of a newer version", () => {
  const odd: Exclude<Json, null> = { text: "half of a pair: \ud800", nested: [{ z: 1, a: [null, true] }] };

  it("is kept and relayed as it came, by those who do not know it", () => {
    net.join(alice, bob);
    net.join(bob, carol);
    net.run(1_000);
    alice.say("k", odd, net.now, "later");
    net.run(1);
    expect(carol.map("later").get("alice", "k")).toEqual(odd);
    expect(differences(alice, bob, carol)).toEqual([]);
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
    expect(differences(alice, bob)).toEqual([]);
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

  it("repairs nothing that differed before, though its patience ends", () => {
    alice.ring = Ring.found(256, founders);
    bob.ring = Ring.found(256, founders);
    const conn = inStep();
    const theirs: Frame = { t: "sums", sums: { [CHANNEL]: 5, "ring/0": 6 }, ...era };
    alice.hear(conn, theirs, net.now);
    alice.gossip.suspend(conn, true, net.now);
    expect(kinds(alice.sends(net.now + 2 * MISMATCH_PATIENCE_MS))).toEqual(["sums"]);
    expect(alice.gossip.nextDeadline()).toBe(net.now + 2 * MISMATCH_PATIENCE_MS + SUMS_INTERVAL_MS);
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
    expect(differences(alice, bob)).toEqual([]);
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
