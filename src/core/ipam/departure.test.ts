import { describe, expect, it } from "vitest";
import { Universe } from "../address/universe.ts";
import type { Effect } from "../effects.ts";
import { seededRandom } from "../random.ts";
import type { Left } from "../requests.ts";
import {
  Departure,
  type DepartureBody,
  FAREWELL_DECISION_MS,
  FAREWELL_MS,
  HANDOVER_PATIENCE_MS,
  MAX_HANDOVER_RANGES,
  OFFER_MS,
} from "./departure.ts";
import { Pool } from "./pool.ts";

const universe = (text: string): Universe => {
  const parsed = Universe.parse(text);
  if (typeof parsed === "string") throw new Error(parsed);
  return parsed;
};

/** What bob gets of alice. */
const GIVEN = [
  { range: "10.0.0.0/26", addresses: 32 },
  { range: "fd00::/122", addresses: 32 },
];

/** A host with an IPv4 and an IPv6 universe; what it does is written down in order. */
class Host {
  readonly name: string;
  readonly pools: readonly Pool[];
  readonly departure: Departure;
  members: string[];
  reachable: Set<string>;
  voter = true;
  epoch = 1;
  flushed = true;
  sent: { readonly to: string; readonly body: DepartureBody }[] = [];
  log: string[] = [];
  result: Left | undefined;
  done: ((decided: boolean) => void) | undefined;
  readonly out: Effect[] = [];

  constructor(name: string, founders: readonly string[], ranges = ["10.0.0.0/26", "fd00::/122"]) {
    this.name = name;
    this.members = founders.filter((one) => one !== name);
    this.reachable = new Set(founders);
    this.pools = ranges.map((text) => new Pool(universe(text), name));
    for (const pool of this.pools) pool.found(founders);
    this.departure = new Departure(
      {
        self: name,
        pools: this.pools,
        epoch: () => this.epoch,
        members: () => this.members,
        reachable: () => this.reachable,
        isVoter: () => this.voter,
        send: (to, body) => {
          this.sent.push({ to, body });
          this.log.push(`${body.k} ${to}`);
        },
        heard: (index, part) => {
          this.pools[index]?.hear(part);
          this.log.push("persist");
        },
        changed: (_index, fresh) => {
          if (fresh.length > 0) this.log.push("persist");
        },
        doubt: (peer) => this.log.push(`doubt ${peer}`),
        decide: (heir, done) => {
          this.log.push(`decide ${heir}`);
          this.done = done;
        },
        withdraw: () => this.log.push("withdraw"),
        isFlushed: () => this.flushed,
        left: (left) => {
          this.log.push("left");
          this.result = left;
        },
        stays: (why, peers) => this.log.push(`stays: ${why} ${peers.join()}`),
      },
      seededRandom(1),
    );
  }

  leave(now = 0): this {
    this.departure.leave(now, this.out);
    return this;
  }

  tick(now: number): this {
    this.departure.tick(now, this.out);
    return this;
  }

  /** What was sent last arrives at another. */
  deliver(to: Host, now = 0): this {
    const last = this.sent.at(-1);
    if (last?.to === to.name) to.departure.heard(this.name, last.body, now, to.out);
    return this;
  }

  ranges(index = 0): string {
    return (this.pools[index]?.ring?.ranges ?? [])
      .map((r) => `${r.start}-${r.end}:${r.owner}@${r.version}`)
      .join(" ");
  }
}

const cluster = (...names: string[]): Host[] => names.map((name) => new Host(name, names));
const pair = (): [Host, Host] => {
  const [alice, bob] = cluster("alice", "bob");
  if (alice === undefined || bob === undefined) throw new Error("two are named");
  return [alice, bob];
};
/** Until bob has everything on his disk. */
const handOver = (alice: Host, bob: Host, now = 0): void => {
  alice.leave(now).deliver(bob, now);
  bob.deliver(alice, now);
  alice.deliver(bob, now);
  bob.deliver(alice, now);
};

describe("a host that leaves", () => {
  it("gives everything to a living peer, has its word, is let go, and takes back what it said of itself", () => {
    const [alice, bob] = pair();
    handOver(alice, bob);
    expect(bob.ranges(0)).toBe("0-32:bob@2 32-64:bob@1");
    expect(bob.ranges(1)).toBe("0-32:bob@2 32-64:bob@1");
    expect(bob.log).toEqual(["want alice", "persist", "persist", "doubt alice", "took alice"]);
    alice.done?.(true);
    alice.tick(1);
    alice.tick(2);
    expect(alice.log).toEqual([
      "offer bob",
      "persist",
      "persist",
      "handover bob",
      "decide bob",
      "withdraw",
      "left",
    ]);
    expect(alice.result).toEqual({ heir: "bob", given: GIVEN, voter: "replaced" });
    expect([alice.departure.isLeaving, alice.departure.nextDeadline()]).toEqual([true, undefined]);
  });

  it("that is alone has nothing to hand over", () => {
    const alice = new Host("alice", ["alice"]).leave();
    expect(alice.result).toEqual({ given: [], voter: "none" });
    expect(alice.log).toEqual(["left"]);
  });

  it("gives nothing unasked, or to who asks for something else", () => {
    const [alice, bob] = pair();
    alice.leave();
    const id = alice.sent[0]?.body.id ?? 0;
    alice.departure.heard("zoe", { k: "want", id }, 0, alice.out);
    alice.departure.heard("bob", { k: "want", id: id + 1 }, 0, alice.out);
    alice.departure.heard("bob", { k: "took", id }, 0, alice.out);
    expect(alice.ranges()).toBe("0-32:alice@1 32-64:bob@1");
    alice.departure.heard("bob", { k: "want", id }, 0, alice.out);
    expect(alice.ranges()).toBe("0-32:bob@2 32-64:bob@1");
    alice.departure.heard("zoe", { k: "took", id: id + 1 }, 0, alice.out);
    alice.departure.heard("bob", { k: "took", id: id + 2 }, 0, alice.out);
    expect(alice.log.at(-1)).toBe("handover bob");
    expect(bob.log).toEqual([]);
  });

  it("prefers neighbours of its ranges, and passes over who does not answer", () => {
    const carol = new Host("carol", ["alice", "bob", "carol", "dave"]); // the ring: a quarter each, in this order
    carol
      .leave()
      .tick(OFFER_MS)
      .tick(2 * OFFER_MS);
    expect(carol.log).toEqual(["offer bob", "offer dave", "offer alice"]);
    carol.tick(3 * OFFER_MS);
    expect(carol.log.at(-1)).toBe("offer bob"); // the first one may have been lost
    carol.tick(4 * OFFER_MS);
    expect(carol.log.at(-1)).toBe("stays: nobody-answers bob,dave,alice");
    expect([carol.departure.isLeaving, carol.departure.nextDeadline()]).toEqual([false, undefined]);
    expect(carol.ranges()).toContain("32-48:carol@1");
  });

  it("offers anew when another epoch begins, to those who belong to it", () => {
    const [alice, bob, carol] = cluster("alice", "bob", "carol");
    if (alice === undefined || bob === undefined || carol === undefined) throw new Error("three are named");
    alice.leave();
    expect(alice.log).toEqual(["offer bob"]);
    alice.tick(1);
    alice.members = ["carol"]; // bob has left in the same moment
    alice.epoch = 2;
    alice.tick(2);
    expect(alice.log).toEqual(["offer bob", "offer carol"]);
    alice.members = [];
    alice.epoch = 3;
    alice.tick(3);
    expect(alice.result).toEqual({ given: [], voter: "none" });
  });

  it("stays when nobody is reachable", () => {
    const [alice] = pair();
    alice.reachable.clear();
    alice.leave();
    expect(alice.log).toEqual(["stays: nobody-reachable bob"]);
    expect(alice.departure.isLeaving).toBe(false);
  });

  it("tries for no longer than the command line waits", () => {
    const names = ["alice", "bob", "carol", "dave", "erin", "frank", "grace"];
    const alice = new Host("alice", names).leave();
    for (let now = OFFER_MS; alice.departure.isLeaving; now += OFFER_MS) alice.tick(now);
    expect(alice.sent).toHaveLength(HANDOVER_PATIENCE_MS / OFFER_MS);
  });

  it("repeats the handover until it has the word, which may be given twice", () => {
    const [alice, bob] = pair();
    alice.leave().deliver(bob);
    bob.deliver(alice);
    alice.tick(OFFER_MS).deliver(bob, OFFER_MS); // the first was lost
    alice.tick(2 * OFFER_MS).deliver(bob, 2 * OFFER_MS); // the word was
    expect(bob.log.filter((line) => line === "took alice")).toHaveLength(2);
    bob.deliver(alice, 2 * OFFER_MS);
    expect(alice.log.at(-1)).toBe("decide bob");
    expect(bob.ranges()).toBe("0-32:bob@2 32-64:bob@1");
  });

  it("takes a late word for the first of several tellings", () => {
    const [alice, bob] = pair();
    alice.leave().deliver(bob);
    bob.deliver(alice);
    alice.deliver(bob).tick(OFFER_MS);
    bob.deliver(alice, OFFER_MS);
    expect(alice.log.at(-1)).toBe("decide bob");
  });

  it("without that word stays, and goes on where it was when told again", () => {
    const [alice, bob] = pair();
    alice.leave().deliver(bob);
    bob.deliver(alice);
    for (let now = OFFER_MS; now <= HANDOVER_PATIENCE_MS; now += OFFER_MS) alice.tick(now);
    expect(alice.log.at(-1)).toBe("stays: not-confirmed bob");
    expect(alice.departure.isLeaving).toBe(false);
    handOver(alice, bob, 60_000);
    expect(bob.ranges(1)).toBe("0-32:bob@2 32-64:bob@1");
    alice.done?.(true);
    alice.tick(60_001).tick(60_001);
    expect(alice.result).toEqual({ heir: "bob", given: GIVEN, voter: "replaced" });
  });

  it("goes back to whom it gave its ranges, before anybody else", () => {
    const [alice, bob, carol] = cluster("alice", "bob", "carol") as [Host, Host, Host];
    alice.reachable.delete("bob");
    alice.leave().deliver(carol);
    carol.deliver(alice);
    for (let now = OFFER_MS; now <= HANDOVER_PATIENCE_MS; now += OFFER_MS) alice.tick(now);
    alice.reachable.add("bob");
    alice.leave(60_000);
    expect(alice.log.at(-1)).toBe("offer carol");
    expect(bob.log).toEqual([]);
  });

  it("says when it still counts, for want of a quorum or of time", () => {
    for (const decide of [(host: Host) => host.done?.(false), () => undefined]) {
      const [alice, bob] = pair();
      handOver(alice, bob);
      decide(alice);
      alice.tick(FAREWELL_DECISION_MS).tick(FAREWELL_DECISION_MS);
      expect(alice.result).toEqual({ heir: "bob", given: GIVEN, voter: "still-counted" });
    }
  });

  it("that was no voter says so", () => {
    const [alice, bob] = pair();
    alice.voter = false;
    handOver(alice, bob);
    alice.done?.(true);
    alice.tick(1).tick(1);
    expect(alice.result?.voter).toBe("none");
  });

  it("waits a moment for its last word to be on its way", () => {
    const [alice, bob] = pair();
    handOver(alice, bob);
    alice.flushed = false;
    alice.done?.(true);
    alice.tick(10).tick(10 + FAREWELL_MS - 1);
    expect(alice.log.at(-1)).toBe("withdraw");
    expect(alice.departure.nextDeadline()).toBe(10 + FAREWELL_MS);
    alice.tick(10 + FAREWELL_MS);
    expect(alice.log.at(-1)).toBe("left");
  });

  it("begins once, and can be called off until something is given", () => {
    const [alice, bob] = pair();
    alice.leave();
    expect(alice.departure.leave(0, alice.out)).toBe(false);
    alice.departure.cancel();
    expect(alice.departure.isLeaving).toBe(false);
    alice.leave().deliver(bob);
    bob.deliver(alice);
    alice.departure.cancel();
    expect(alice.departure.isLeaving).toBe(true);
  });

  it("hands over more than fits in one message in several", () => {
    const [alice, bob] = ["alice", "bob"].map(
      (name) => new Host(name, ["alice", "bob"], ["10.0.0.0/16"]),
    ) as [Host, Host];
    const theirs = Array.from({ length: 2 * MAX_HANDOVER_RANGES + 1 }, (_, i) => ({
      start: 4 * i,
      end: 4 * i + 1,
      owner: "bob",
      version: 2,
      made: 1,
    }));
    for (const one of [alice, bob]) one.pools[0]?.hear(theirs);
    alice.leave().deliver(bob);
    bob.deliver(alice);
    for (let i = 0; i < 3; i++) {
      alice.deliver(bob);
      bob.deliver(alice);
    }
    expect(alice.log.at(-1)).toBe("decide bob");
    const sizes = alice.sent.map(({ body }) => (body.k === "handover" ? body.ranges.length : 0));
    expect(Math.max(...sizes)).toBe(MAX_HANDOVER_RANGES);
    expect(bob.pools[0]?.ring?.rangesOf("alice")).toEqual([]);
  });
});

describe("who takes", () => {
  it("wants nothing when it leaves itself, or has no ring yet", () => {
    const [alice, bob] = pair();
    bob.departure.leave(0, bob.out);
    bob.sent = [];
    alice.leave().deliver(bob);
    expect(bob.sent).toEqual([]);
    const newcomer = new Host("bob", ["alice", "bob"]);
    newcomer.pools[1]?.drop();
    alice.deliver(newcomer);
    expect(newcomer.sent).toEqual([]);
  });

  it("gives its word for nothing that is malformed or not meant for it", () => {
    const [, bob] = pair();
    const range = { universe: 0, start: 0, end: 32, owner: "bob", version: 2, made: 1 };
    for (const wrong of [{ owner: "zoe" }, { universe: 2 }, { end: 65 }, { made: 2 }, { version: 0 }]) {
      bob.departure.heard("alice", { k: "handover", id: 1, ranges: [{ ...range, ...wrong }] }, 0, bob.out);
    }
    expect(bob.log).toEqual([]);
    bob.departure.heard("alice", { k: "handover", id: 1, ranges: [range] }, 0, bob.out);
    expect(bob.log).toEqual(["persist", "doubt alice", "took alice"]);
  });
});
