import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { REUSE_REST_MS, Space } from "./space.ts";

const subnet = { start: 1, end: 15 };
const whole = [{ start: 0, end: 16 }];
const patient = { evenIfYoung: false };

describe("Space", () => {
  it("hands out the lowest never used, then the longest freed, and lets freed ones rest", () => {
    const space = new Space();
    const owned = [{ start: 0, end: 4 }];
    expect([1, 2, 3].map(() => space.take(owned, subnet, "c", 0, patient))).toEqual([1, 2, 3]);
    space.free(2, 10);
    space.free(1, 20);
    expect(space.take(owned, subnet, "c", 30, patient)).toBeUndefined();
    expect(space.take(owned, subnet, "c", 10 + REUSE_REST_MS, patient)).toBe(2);
    expect(space.take(owned, subnet, "c", 10 + REUSE_REST_MS, patient)).toBeUndefined();
    expect(space.take(owned, subnet, "c", 30, { evenIfYoung: true })).toBe(1);
    expect(space.take(owned, subnet, "c", 30, { evenIfYoung: true })).toBeUndefined();
  });

  it("takes back a reservation as if it had not been made: what rested rests on, what was doubtful still is", () => {
    const space = new Space();
    const owned = [{ start: 1, end: 4 }];
    for (const at of [10, 20]) space.free(at / 10, at);
    space.doubt(3);
    const any = { evenIfYoung: true };
    expect([0, 0, 0].map(() => space.take(owned, subnet, "c", 30, any))).toEqual([1, 2, 3]);
    for (const offset of [3, 2, 1]) space.unhold(offset);
    expect(space.take(owned, subnet, "c", 30, patient)).toBeUndefined();
    expect([...space.doubtfulOffsets()]).toEqual([3]);
    expect([0, 0, 0].map(() => space.take(owned, subnet, "c", 30, any))).toEqual([1, 2, 3]);
  });

  it("finds what a gift brings below what it looked at before", () => {
    const space = new Space();
    expect(space.take([{ start: 8, end: 9 }], subnet, "c", 0, patient)).toBe(8);
    expect(space.take([{ start: 8, end: 9 }], subnet, "c", 0, patient)).toBeUndefined();
    expect(
      space.take(
        [
          { start: 2, end: 3 },
          { start: 8, end: 9 },
        ],
        subnet,
        "c",
        0,
        patient,
      ),
    ).toBe(2);
  });

  it("uses the fullest range first, so that others stay whole", () => {
    const space = new Space();
    const owned = [
      { start: 0, end: 4 },
      { start: 5, end: 12 },
      { start: 13, end: 15 },
    ];
    space.hold(13, "a");
    expect([1, 2, 3, 4].map(() => space.take(owned, subnet, "c", 0, patient))).toEqual([14, 5, 6, 7]);
    // Where a freed one has rested, the next range is not begun.
    space.free(14, 0);
    expect(space.take([...owned], subnet, "c", REUSE_REST_MS, patient)).toBe(8);
    space.free(8, 0);
    for (const offset of [9, 10, 11]) space.hold(offset, "b");
    expect(space.take([...owned], subnet, "c", REUSE_REST_MS, patient)).toBe(8);
    expect(space.take([...owned], subnet, "c", REUSE_REST_MS, patient)).toBe(14);
    expect(space.take([...owned], subnet, "c", REUSE_REST_MS, patient)).toBe(1);
  });

  it("hands out doubtful offsets last of all, and trusts them once they were held", () => {
    const space = new Space();
    const owned = [{ start: 1, end: 4 }];
    for (const offset of [1, 3]) space.doubt(offset);
    expect(space.take(owned, subnet, "c", 0, patient)).toBe(2);
    space.doubt(2); // held: no doubt
    expect(space.take(owned, subnet, "c", 0, patient)).toBeUndefined();
    space.free(2, 10);
    const desperate = { evenIfYoung: true };
    expect(space.take(owned, subnet, "c", 20, desperate)).toBe(2);
    expect(space.take(owned, subnet, "c", 20, desperate)).toBe(1);
    space.free(1, 30);
    expect(space.take(owned, subnet, "c", 30 + REUSE_REST_MS, patient)).toBe(1);
    expect([...space.doubtfulOffsets()]).toEqual([3]);
  });

  it("finds a free offset again whatever was claimed and freed beside it", () => {
    const space = new Space();
    const owned = [{ start: 1, end: 3 }];
    for (let i = 0; i < 1000; i++) {
      space.hold(1, "manual");
      space.free(1, i);
    }
    expect(space.take(owned, subnet, "c", 1000, patient)).toBe(2);
    expect(space.take(owned, subnet, "c", 1000, patient)).toBeUndefined();
    expect(space.take(owned, subnet, "c", 998 + REUSE_REST_MS, patient)).toBeUndefined();
    expect(space.take(owned, subnet, "c", 999 + REUSE_REST_MS, patient)).toBe(1);
  });

  it("remembers ages over a restart, in whatever order they were stored", () => {
    const space = new Space();
    for (const [offset, at] of [
      [1, 3_000],
      [2, 1_000],
      [3, 2_000],
    ] as const)
      space.free(offset, at);
    const owned = [{ start: 1, end: 4 }];
    const order = [1, 2, 3].map(() => space.take(owned, subnet, "c", 3_000 + REUSE_REST_MS, patient));
    expect(order).toEqual([2, 3, 1]);
  });

  it("treats a freeing time of the future as now", () => {
    const space = new Space();
    space.free(1, 1e15);
    expect(space.take([{ start: 1, end: 2 }], subnet, "c", 5, patient)).toBeUndefined();
  });

  it("tells the free runs, without what rests or is doubtful unless that does not matter", () => {
    const space = new Space();
    const ranges = [
      { start: 0, end: 6 },
      { start: 8, end: 10 },
    ];
    space.hold(2, "c");
    space.hold(7, "c");
    space.free(4, 0);
    space.doubt(8);
    const runs = (evenIfYoung: boolean, evenIfDoubtful: boolean, now = 1) =>
      space.freeIn(ranges, now, { evenIfYoung, evenIfDoubtful }).map(({ start, end }) => `${start}-${end}`);
    expect(runs(false, false)).toEqual(["0-2", "3-4", "5-6", "9-10"]);
    expect(runs(true, false)).toEqual(["0-2", "3-6", "9-10"]);
    expect(runs(true, true)).toEqual(["0-2", "3-6", "8-10"]);
    expect(runs(false, false, REUSE_REST_MS)).toEqual(["0-2", "3-6", "9-10"]);
  });

  it("never tells what is held as free, and never hands one offset to two", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom("take", "free", "look"), fc.nat(15), fc.nat(100_000))),
        (steps) => {
          const space = new Space();
          const held = new Set<number>();
          let now = 0;
          for (const [what, offset, later] of steps) {
            now += later;
            if (what === "take") {
              const got = space.take(whole, subnet, "c", now, { evenIfYoung: true });
              if (got === undefined) continue;
              expect(held.has(got)).toBe(false);
              held.add(got);
            } else if (what === "free" && held.delete(offset)) space.free(offset, now);
            else if (what === "look") {
              for (const run of space.freeIn(whole, now, { evenIfYoung: true, evenIfDoubtful: true }))
                for (const h of held) expect(h < run.start || h >= run.end).toBe(true);
            }
          }
        },
      ),
    );
  });
});
