import { describe, expect, it } from "vitest";
import { Universe } from "../address/universe.ts";
import type { Effect } from "../effects.ts";
import { seededRandom } from "../random.ts";
import { type Configuration, founded, isStale, removing, revoting, type Voter } from "./configuration.ts";
import { Pool } from "./pool.ts";
import { FENCE_RETRY_MS, type FenceBody, type FencedBody, MAX_FENCE_RANGES, Takeover } from "./takeover.ts";

const universe = (text: string): Universe => {
  const parsed = Universe.parse(text);
  if (typeof parsed === "string") throw new Error(parsed);
  return parsed;
};
const voter = (name: string): Voter => ({ name, incarnation: `${name}-disk` });
const first = founded("c1", ["alice", "bob", "carol", "dave"].map(voter));
const without = (c: Configuration, gone: string, heir: string, ...members: string[]): Configuration =>
  removing(c, { gone: [gone], heir, members, candidates: members.map(voter) });

/** A member with one universe of 64 addresses or another, and the wire to the others. */
class Member {
  readonly name: string;
  readonly pool: Pool;
  readonly takeover: Takeover;
  readonly reachable: Set<string>;
  sent: { readonly to: string; readonly body: FenceBody | FencedBody }[] = [];
  out: Effect[] = [];
  #configuration: Configuration | undefined;

  constructor(name: string, founders: readonly string[], range = "10.0.0.0/26") {
    this.name = name;
    this.pool = new Pool(universe(range), name);
    if (founders.length > 0) this.pool.found(founders);
    this.reachable = new Set(["alice", "bob", "carol", "dave", "erin"]);
    this.takeover = this.#start();
  }

  #start(): Takeover {
    return new Takeover(
      {
        self: this.name,
        pools: [this.pool],
        configuration: () => this.#configuration,
        reachable: () => this.reachable,
        send: (to, body) => this.sent.push({ to, body }),
        heard: (_universe, ranges) => this.pool.hear(ranges),
        changed: (_universe, fresh) => this.out.push({ type: "persist", ops: [], sync: fresh.length > 0 }),
      },
      seededRandom(1),
    );
  }

  enter(c: Configuration): this {
    this.#configuration = c;
    this.pool.enter(c.epoch, (range) => isStale(c, range));
    return this;
  }

  tick(now: number): FenceBody | undefined {
    this.takeover.tick(now, this.out);
    const body = this.sent.at(-1)?.body;
    return body?.k === "fence" ? body : undefined;
  }

  /** What it answers the heir. */
  answer(heir: string, question: FenceBody): FencedBody {
    this.takeover.fence(heir, question, this.out);
    const body = this.sent.at(-1)?.body;
    if (body?.k !== "fenced") throw new Error("no answer");
    return body;
  }

  get text(): string {
    return (this.pool.ring?.ranges ?? [])
      .map((r) => `${r.start}-${r.end}:${r.owner}@${r.made}.${r.version}`)
      .join(" ");
  }
}

const founders = ["alice", "bob"];
const three = ["alice", "carol", "dave"];
const aliceAlone = without(founded("c1", founders.map(voter)), "bob", "alice", "alice");
/** Alice and bob have founded; bob is removed. */
const bobIsGone = without(first, "bob", "alice", ...three);
const members = (): [Member, Member, Member] => {
  const [alice, carol, dave] = three.map((name) => new Member(name, founders).enter(bobIsGone));
  if (alice === undefined || carol === undefined || dave === undefined) throw new Error("three are named");
  return [alice, carol, dave];
};
const fence = (question: FenceBody | undefined): FenceBody => {
  if (question === undefined) throw new Error("nobody was asked");
  return question;
};

describe("the heir", () => {
  it("takes what the removed peer had when all who stay have answered, and not before", () => {
    const [alice, carol, dave] = members();
    const question = fence(alice.tick(0));
    expect(question.ranges).toEqual([{ universe: 0, start: 32, end: 64, owner: "bob", version: 1, made: 1 }]);
    expect(alice.sent.map(({ to }) => to)).toEqual(["carol", "dave"]);
    alice.takeover.fenced("carol", carol.answer("alice", question), 1, alice.out);
    expect(alice.text).toBe("0-32:alice@1.1 32-64:bob@1.1");
    expect(alice.takeover.waiting(0)).toEqual({
      addresses: 32,
      of: ["bob"],
      heir: "alice",
      waitingFor: ["dave"],
    });
    alice.takeover.fenced("carol", carol.answer("alice", question), 1, alice.out);
    expect(alice.text).toBe("0-32:alice@1.1 32-64:bob@1.1");
    alice.takeover.fenced("dave", dave.answer("alice", question), 1, alice.out);
    expect(alice.text).toBe("0-64:alice@2.1");
    expect(alice.takeover.waiting(0)).toBeUndefined();
    expect(alice.out.map((effect) => effect.type)).toEqual(["persist", "persist", "event"]);
    expect(alice.out.at(-1)).toMatchObject({ event: { kind: "took", data: { addresses: 32, of: "bob" } } });
    expect(alice.takeover.nextDeadline()).toBeUndefined();
  });

  it("leaves a gift that only its taker knows of with the taker", () => {
    const [alice, carol, dave] = members();
    carol.pool.ring?.give({ start: 48, end: 64 }, "bob", "carol", 1);
    const question = fence(alice.tick(0));
    alice.takeover.fenced("dave", dave.answer("alice", question), 1, alice.out);
    alice.takeover.fenced("carol", carol.answer("alice", question), 1, alice.out);
    expect(alice.text).toBe("0-48:alice@2.1 48-64:carol@1.2");
  });

  it("alone takes at once", () => {
    const alice = new Member("alice", founders).enter(aliceAlone);
    alice.tick(0);
    expect(alice.text).toBe("0-64:alice@2.1");
  });

  it("asks those again who have not answered, as long as they are reachable", () => {
    const [alice, carol] = members();
    const question = fence(alice.tick(0));
    alice.takeover.fenced("carol", carol.answer("alice", question), 1, alice.out);
    alice.sent = [];
    expect(alice.takeover.nextDeadline()).toBe(FENCE_RETRY_MS);
    alice.tick(FENCE_RETRY_MS - 1);
    expect(alice.sent).toEqual([]);
    alice.tick(FENCE_RETRY_MS);
    expect(alice.sent.map(({ to }) => to)).toEqual(["dave"]);
    alice.reachable.delete("dave");
    alice.tick(3 * FENCE_RETRY_MS);
    expect([alice.sent.length, alice.takeover.nextDeadline()]).toEqual([1, undefined]);
    alice.reachable.add("dave");
    alice.tick(9 * FENCE_RETRY_MS);
    expect(alice.sent).toHaveLength(2);
  });

  it("counts no answer to another question, from a stranger, or that is malformed", () => {
    const [alice, carol, dave] = members();
    const question = fence(alice.tick(0));
    const good = dave.answer("alice", question);
    alice.takeover.fenced("carol", carol.answer("alice", question), 1, alice.out);
    alice.takeover.fenced("dave", { ...good, id: question.id + 1 }, 1, alice.out);
    alice.takeover.fenced("zoe", good, 1, alice.out);
    const range = { universe: 0, start: 32, end: 64, owner: "dave", version: 3, made: 2 };
    for (const wrong of [{ universe: 1 }, { end: 65 }, { made: 3 }, { version: 0 }]) {
      alice.takeover.fenced("dave", { ...good, ranges: [{ ...range, ...wrong }] }, 1, alice.out);
    }
    expect(alice.text).toBe("0-32:alice@1.1 32-64:bob@1.1");
    alice.takeover.fenced("dave", { ...good, ranges: [range] }, 1, alice.out);
    expect(alice.text).toBe("0-32:alice@1.1 32-64:dave@2.3");
  });

  it("never uses the id of a question from before a restart by counting from one", () => {
    const [alice] = members();
    expect(fence(alice.tick(0)).id).toBeGreaterThan(MAX_FENCE_RANGES);
  });

  it("begins again in another epoch, and forgets what was answered in the last", () => {
    const [alice, carol, dave] = members();
    const old = fence(alice.tick(0));
    alice.takeover.fenced("carol", carol.answer("alice", old), 1, alice.out);
    alice.enter(revoting(bobIsGone, [voter("alice")]));
    alice.takeover.fenced("dave", dave.answer("alice", old), 1, alice.out);
    expect(alice.text).toBe("0-32:alice@1.1 32-64:bob@1.1");
    const question = fence(alice.tick(2));
    expect(question.id).not.toBe(old.id);
    alice.takeover.fenced("dave", dave.answer("alice", old), 3, alice.out);
    alice.takeover.fenced("dave", dave.answer("alice", question), 3, alice.out);
    expect(alice.takeover.waiting(0)?.waitingFor).toEqual(["carol"]);
    alice.takeover.fenced("carol", carol.answer("alice", question), 3, alice.out);
    expect(alice.text).toBe("0-64:alice@3.1");
  });

  it("that is removed leaves both to the next heir", () => {
    const [, carol, dave] = members();
    const c = without(bobIsGone, "alice", "dave", "carol", "dave");
    carol.enter(c);
    dave.enter(c);
    const question = fence(dave.tick(0));
    expect(question.ranges).toHaveLength(2);
    dave.takeover.fenced("carol", carol.answer("dave", question), 1, dave.out);
    expect(dave.text).toBe("0-64:dave@3.1");
  });

  it("asks about what it knows nothing of, and takes what nobody does", () => {
    const c = without(first, "bob", "alice", "alice", "carol");
    const alice = new Member("alice", []).enter(c);
    alice.pool.hear([{ start: 0, end: 16, owner: "alice", version: 4, made: 1 }]);
    const carol = new Member("carol", []).enter(c);
    carol.pool.hear([{ start: 16, end: 32, owner: "carol", version: 2, made: 1 }]);
    const question = fence(alice.tick(0));
    expect(question.ranges).toEqual([{ universe: 0, start: 16, end: 64, owner: "", version: 0, made: 0 }]);
    alice.takeover.fenced("carol", carol.answer("alice", question), 1, alice.out);
    // The gap, once it has shrunk, is what is left of what was asked about.
    expect(alice.text).toBe("0-16:alice@1.4 16-32:carol@1.2 32-64:alice@2.1");
  });

  it("that has no ring at all takes everything nobody knows of", () => {
    const alice = new Member("alice", []).enter(aliceAlone);
    alice.tick(0);
    expect(alice.text).toBe("0-64:alice@2.1");
  });

  it("looks again when something stale turns up later", () => {
    const [alice, carol, dave] = three.map((name) =>
      new Member(name, ["alice", "bob", "carol"]).enter(bobIsGone),
    ) as [Member, Member, Member];
    const answerAll = (): void => {
      const question = fence(alice.tick(0));
      for (const one of [carol, dave])
        alice.takeover.fenced(one.name, one.answer("alice", question), 1, alice.out);
    };
    answerAll();
    alice.sent = [];
    expect(alice.tick(5)).toBeUndefined();
    expect(alice.text).toBe("0-32:alice@2.1 32-64:carol@1.1");
    alice.pool.hear([{ start: 32, end: 40, owner: "bob", version: 7, made: 1 }]); // carol gave it to bob, long ago
    answerAll();
    expect(alice.text).toBe("0-40:alice@2.1 40-64:carol@1.1");
  });

  it("asks until it has heard all of an answer that did not fit", () => {
    const c = without(first, "bob", "alice", "alice", "carol");
    const alice = new Member("alice", founders, "10.0.0.0/16").enter(c);
    const carol = new Member("carol", founders, "10.0.0.0/16").enter(c);
    const gifts = Array.from({ length: MAX_FENCE_RANGES + 500 }, (_, i) => ({
      start: 40_000 + 2 * i,
      end: 40_001 + 2 * i,
      owner: "carol",
      version: 2,
      made: 1,
    }));
    carol.pool.hear(gifts);
    let rounds = 0;
    for (let now = 0; alice.takeover.waiting(0) !== undefined || now === 0; now++, rounds++) {
      const question = fence(alice.tick(now));
      alice.takeover.fenced("carol", carol.answer("alice", question), now, alice.out);
      expect(rounds).toBeLessThan(10);
    }
    const carols = alice.pool.ring?.rangesOf("carol") ?? [];
    expect(carols).toHaveLength(gifts.length);
    expect(rounds).toBeGreaterThan(1);
  });

  it("asks about more than fits in several rounds", () => {
    const c = without(first, "bob", "alice", "alice", "carol");
    const alice = new Member("alice", ["alice"], "10.0.0.0/16").enter(c);
    const carol = new Member("carol", ["alice"], "10.0.0.0/16").enter(c);
    const scattered = Array.from({ length: 2 * MAX_FENCE_RANGES + 10 }, (_, i) => ({
      start: 3 * i,
      end: 3 * i + 1,
      owner: "bob",
      version: 2,
      made: 1,
    }));
    for (const one of [alice, carol]) one.pool.hear(scattered);
    for (let now = 0; now < 3; now++) {
      const question = fence(alice.tick(now));
      alice.takeover.fenced("carol", carol.answer("alice", question), now, alice.out);
    }
    expect(alice.takeover.waiting(0)).toBeUndefined();
    expect(alice.pool.ring?.rangesOf("bob")).toEqual([]);
  });
});

describe("who stays", () => {
  it("answers the heir, with what is newer only", () => {
    const [alice, carol] = members();
    carol.pool.ring?.give({ start: 40, end: 48 }, "bob", "zoe", 1);
    const question = fence(alice.tick(0));
    expect(carol.answer("alice", question)).toEqual({
      k: "fenced",
      id: question.id,
      ranges: [{ universe: 0, start: 40, end: 48, owner: "zoe", version: 2, made: 1 }],
    });
  });

  it("answers nobody else, and takes nothing itself", () => {
    const [alice, carol] = members();
    const question = fence(alice.tick(0));
    carol.takeover.fence("dave", question, carol.out);
    carol.takeover.tick(0, carol.out);
    expect([carol.sent, carol.out]).toEqual([[], []]);
    expect(carol.takeover.waiting(0)).toEqual({ addresses: 32, of: ["bob"], heir: "alice", waitingFor: [] });
  });

  it("waits for nothing where nobody was removed", () => {
    const alice = new Member("alice", founders).enter(first);
    expect(alice.tick(0)).toBeUndefined();
    expect([alice.takeover.waiting(0), alice.takeover.nextDeadline()]).toEqual([undefined, undefined]);
  });
});
