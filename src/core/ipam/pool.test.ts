import { beforeEach, describe, expect, it } from "vitest";
import { Universe } from "../address/universe.ts";
import { ASK_TIMEOUT_MS, Pool, TIDY_DENIAL_MS, TIDY_NEXT_MS, TIDY_PAUSE_MS } from "./pool.ts";
import type { OwnedRange } from "./ring.ts";

const universe = Universe.parse("10.0.0.0/24") as Universe; // parses
const all = universe.subnet("10.0.0.0/24");
if (all === undefined) throw new Error("no subnet");
const reachable = new Set(["b", "c"]);

/** "a10 b2 a10": owners and sizes, from offset 0 on. */
function ranges(text: string, made = 1): OwnedRange[] {
  let end = 0;
  return text.split(" ").map((word) => {
    const start = end;
    end += Number(word.slice(1));
    return { owner: word.slice(0, 1), start, end, version: 1, made };
  });
}

function poolOf(name: string, text: string): Pool {
  const pool = new Pool(universe, name);
  pool.restore(ranges(text));
  return pool;
}

describe("fragments of others", () => {
  /** b has two ranges inside a's, and more elsewhere. */
  const RING = "a40 b4 a40 b2 a40 c10 b9 c10 b20 c10 b30";
  let pool: Pool;
  beforeEach(() => {
    pool = poolOf("a", RING);
  });

  it("are asked for one by one, with a pause, and never while one is outstanding", () => {
    const first = pool.nextFragment(reachable, 0);
    expect(first).toMatchObject({ donor: "b", range: { start: 84, end: 86 } });
    expect(pool.nextFragment(reachable, TIDY_PAUSE_MS - 1)).toBeUndefined();
    pool.answered(first?.id ?? 0, true, 100);
    pool.hear([{ start: 84, end: 86, owner: "a", version: 2, made: 1 }]);
    pool.join();
    expect(pool.nextFragment(reachable, 100 + TIDY_NEXT_MS - 1)).toBeUndefined();
    expect(pool.nextFragment(reachable, 100 + TIDY_NEXT_MS)).toBeUndefined(); // b has four now: few enough
  });

  it("are not asked for again for a while when they were not given, nor when no answer came", () => {
    const first = pool.nextFragment(reachable, 0);
    pool.answered(first?.id ?? 0, false, 0);
    const second = pool.nextFragment(reachable, TIDY_PAUSE_MS);
    expect(second).toMatchObject({ range: { start: 40, end: 44 } });
    expect(pool.nextFragment(reachable, 2 * TIDY_PAUSE_MS)).toBeUndefined();
    pool.hear([{ start: 250, end: 251, owner: "c", version: 9, made: 1 }]); // something else changes
    expect(pool.nextFragment(reachable, TIDY_DENIAL_MS)).toMatchObject({ range: { start: 84, end: 86 } });
    expect(pool.nextFragment(reachable, 2 * TIDY_DENIAL_MS)).toMatchObject({ range: { start: 40, end: 44 } });
  });

  it("are asked for beside a search for space, which goes first to nobody", () => {
    const fragment = pool.nextFragment(reachable, 0);
    const donor = pool.nextDonor(all, false, reachable, 0);
    expect(donor).toMatchObject({ donor: "b" });
    pool.answered(fragment?.id ?? 0, false, 0);
    expect(pool.nextDonor(all, false, reachable, 0)).toBe("asking");
    pool.tick(reachable, ASK_TIMEOUT_MS);
    expect(pool.nextDonor(all, false, reachable, ASK_TIMEOUT_MS)).toMatchObject({ donor: "c" });
  });

  it("are not asked of whom we cannot reach, nor of whom a removal left no right to them", () => {
    expect(pool.nextFragment(new Set(["c"]), 0)).toBeUndefined();
    const later = poolOf("a", RING);
    later.enter(2, ({ owner }) => owner === "b");
    expect(later.nextFragment(reachable, 0)).toBeUndefined();
  });

  it("are given whole by their owner, who keeps them while one address is in use", () => {
    const owner = poolOf("b", RING);
    expect(owner.give({ start: 84, end: 86 }, "a", 0, false)).toMatchObject([
      { start: 84, end: 86, owner: "a" },
    ]);
    owner.space.hold(41, "container");
    expect(owner.give({ start: 40, end: 44 }, "a", 0, false)).toEqual([]);
    expect(owner.give({ start: 40, end: 44 }, "a", 0, true)).toHaveLength(1); // who needs one says so
  });
});

describe("doubtful addresses", () => {
  it("are given only to who would take resting ones, and after those", () => {
    const pool = poolOf("b", "b4 a252");
    for (const offset of [0, 1, 2, 3]) pool.space.doubt(offset);
    expect(pool.give({ start: 0, end: 4 }, "a", 0, false)).toEqual([]);
    pool.space.hold(3, "container");
    pool.space.free(3, 0);
    expect(pool.give({ start: 0, end: 4 }, "a", 1, true)).toMatchObject([{ start: 3, end: 4 }]);
    expect(pool.give({ start: 0, end: 4 }, "a", 1, true)).toMatchObject([{ start: 2, end: 3 }]);
  });
});

describe("donors", () => {
  const all3 = new Set(["b", "c", "d"]);
  /** Asks, and says whom. */
  const asked = (pool: Pool, now: number): { donor: string; id: number } => {
    const next = pool.nextDonor(all, false, all3, now);
    if (typeof next === "string") throw new Error(next);
    return next;
  };
  /** Whom it asks at each timeout. */
  const silences = (pool: Pool, from: number, count: number): string[] =>
    Array.from({ length: count }, (_, i) => {
      const { donor } = asked(pool, from + i * ASK_TIMEOUT_MS);
      pool.tick(all3, from + (i + 1) * ASK_TIMEOUT_MS);
      return donor;
    });

  it("are asked in the order of what they own, but those that did not answer after all others", () => {
    expect(silences(poolOf("a", "b120 c80 d56"), 0, 5)).toEqual(["b", "c", "d", "b", "c"]);
  });

  it("that answer again are asked in the order of what they own as before", () => {
    const pool = poolOf("a", "b120 c80 d56");
    expect(silences(pool, 0, 3)).toEqual(["b", "c", "d"]);
    const now = 3 * ASK_TIMEOUT_MS;
    pool.answered(asked(pool, now).id, true, now); // b
    expect(asked(pool, now).donor).toBe("b");
  });
});

describe("what we own", () => {
  it("is the same array while nothing of ours changes, so that the allocator keeps its order", () => {
    const pool = poolOf("a", "a10 b10 a10");
    const { owned } = pool;
    pool.hear([{ start: 12, end: 14, owner: "c", version: 2, made: 1 }]);
    expect(pool.owned).toBe(owned);
    pool.hear([{ start: 9, end: 10, owner: "b", version: 2, made: 1 }]);
    expect(pool.owned).toEqual([
      { start: 0, end: 9 },
      { start: 20, end: 30 },
    ]);
  });

  it("shows touching entries as one range", () => {
    const pool = poolOf("a", "a10 b10");
    pool.hear([{ start: 4, end: 6, owner: "a", version: 2, made: 1 }]);
    expect(pool.ring?.rangesOf("a")).toHaveLength(3);
    expect(pool.owned).toEqual([{ start: 0, end: 10 }]);
  });
});
