// Comparing fingerprints: what is lost is found and sent again, and nothing else is.
import { beforeEach, describe, expect, it } from "vitest";
import type { ConnId } from "../connection.ts";
import type { Entry } from "../crdt/origin-map.ts";
import { type OwnedRange, Ring } from "../ipam/ring.ts";
import { seededRandom } from "../random.ts";
import type { Frame } from "./frames.ts";
import { LAZY_DELAY_MS, MISMATCH_PATIENCE_MS, SUMS_INTERVAL_MS } from "./gossip.ts";
import { CHANNEL, differences, era, type Peer, strangers } from "./testing/gossip-net.ts";

const founders = ["alice"];

let [alice, bob, carol, net] = strangers();
beforeEach(() => {
  [alice, bob, carol, net] = strangers();
});

const inStep = (): ConnId => net.inStep(alice, bob);

/** With a ring that is alice's alone. */
function inStepWithRings(): ConnId {
  alice.ring = Ring.found(256, founders);
  bob.ring = Ring.found(256, founders);
  return inStep();
}

/** Alice gives bob the first sixteen addresses, and has it passed on. */
function give(): void {
  const fresh = alice.ring?.give({ start: 0, end: 16 }, "alice", "bob", alice.era.epoch) ?? [];
  alice.gossip.ringChanged(0, fresh, undefined, net.now);
}

const isOfLostKey = (frame: Frame): boolean =>
  frame.t === "push" && frame.entries.some(([, key]) => key === "lost");

/** What is sent at once of a change is lost, as far as it is such a frame. */
function lost(isLost: (frame: Frame) => boolean, change: () => void): void {
  net.loses = isLost;
  change();
  net.run(1);
  net.loses = () => false;
}

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
    expect(differences(alice, bob)).toEqual([]);
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
    const conn = inStepWithRings();
    const before = fingerprintsOf(bob);
    give();
    net.run(1);
    alice.hear(conn, before, net.now);
    net.run(3 * SUMS_INTERVAL_MS);
    expect(repairs()).toEqual([]);
    expect(bob.ring?.ranges).toEqual(alice.ring?.ranges);
  });

  it("do not hide a change that is lost, though each side changes something all the time", () => {
    inStep();
    lost(isOfLostKey, () => alice.say("lost", 1, net.now));
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
    inStepWithRings();
    alice.era = { ...era, epoch: 2 };
    alice.gossip.eraChanged(net.now);
    net.run(10);
    net.loses = (frame) => frame.t === "ring";
    give();
    net.run(10);
    net.loses = () => false;
    bob.era = alice.era;
    bob.gossip.eraChanged(net.now);
    net.run(MISMATCH_PATIENCE_MS + 10);
    expect(bob.ring?.ranges).toEqual(alice.ring?.ranges);
  });

  it("do not hold back the repair of what has not changed lately", () => {
    inStepWithRings();
    lost((frame) => frame.t === "ring", give);
    for (let passed = 0; passed < SUMS_INTERVAL_MS + MISMATCH_PATIENCE_MS; passed += 500) {
      alice.say("a", passed, net.now);
      net.run(500);
    }
    expect(bob.ring?.ranges).toEqual(alice.ring?.ranges);
  });
});

describe("repair", () => {
  it("of a lost change: found by fingerprints within their interval, and only it is sent again", () => {
    for (let i = 0; i < 100; i++) alice.say(String(i), "here before", 0);
    inStep();
    lost(
      (frame) => frame.t === "push",
      () => alice.say("7", "lost", net.now),
    );
    net.took();
    net.run(SUMS_INTERVAL_MS + MISMATCH_PATIENCE_MS);
    expect(differences(alice, bob)).toEqual([]);
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
    expect(differences(alice, bob)).toEqual([]);
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
    expect(bob.ring?.ranges).toEqual(alice.ring?.ranges);
    expect(alice.ring.ownerOf(64)).toBe("carol");
    expect(most).toBeLessThan(40_000);
  });

  it("of changes lost both ways, in one exchange", () => {
    inStep();
    lost(
      (frame) => frame.t === "push",
      () => {
        alice.say("0", "of alice", net.now);
        bob.say("0", "of bob", net.now);
      },
    );
    net.run(SUMS_INTERVAL_MS + MISMATCH_PATIENCE_MS);
    expect(differences(alice, bob)).toEqual([]);
    expect(bob.map().get("alice", "0")).toBe("of alice");
    expect(alice.map().get("bob", "0")).toBe("of bob");
  });

  it("of a hole below the newest version", () => {
    inStep();
    lost(isOfLostKey, () => alice.say("lost", 1, net.now));
    alice.say("after", 2, net.now);
    net.run(SUMS_INTERVAL_MS + MISMATCH_PATIENCE_MS);
    expect(differences(alice, bob)).toEqual([]);
  });

  it("of a lost range of the ring", () => {
    inStepWithRings();
    lost((frame) => frame.t === "ring", give);
    net.run(SUMS_INTERVAL_MS + MISMATCH_PATIENCE_MS);
    expect(bob.ring?.ranges).toEqual(alice.ring?.ranges);
  });

  it.each(["alice", "bob"])("of a range that only %s has, whoever finds that rings differ", (name) => {
    const conn = inStepWithRings();
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
    expect(differences(alice, bob)).toEqual([]);
  });

  it("at the first meeting: both are in step when each has all of the other", () => {
    alice.ring = Ring.found(1 << 20, founders);
    for (let i = 0; i < 50; i++) alice.say(String(i), i, 0);
    for (let i = 0; i < 50; i++) bob.say(String(i), -i, 0);
    net.join(alice, bob);
    expect(bob.gossip.isSynced()).toBe(false);
    net.run(0);
    expect(differences(alice, bob)).toEqual([]);
    expect(bob.ring?.ranges).toEqual(alice.ring.ranges);
    expect([alice.gossip.isSynced(), bob.gossip.isSynced()]).toEqual([true, true]);
  });
});
