import { beforeEach, describe, expect, it } from "vitest";
import { Repairs } from "./repairs.ts";

const BRIDGE = "bridge weave";
const HOUR_MS = 3_600_000;

let repairs: Repairs;
let now: number;
beforeEach(() => {
  repairs = new Repairs();
  now = 1_000_000;
});

/** Put back once more, `afterMs` after the time before. */
function again(object: string, afterMs = 300): void {
  now += afterMs;
  repairs.note([{ object, message: `${object} again` }], now);
}

describe("repairs", () => {
  it("are told by object with count and times, the newest first, for an hour", () => {
    again(BRIDGE);
    const first = now;
    again("flood entry 192.0.2.2");
    again(BRIDGE);
    expect(repairs.recent(now)).toEqual([
      { object: BRIDGE, message: "bridge weave again", count: 2, first, time: now },
      {
        ...{ object: "flood entry 192.0.2.2", message: "flood entry 192.0.2.2 again", count: 1 },
        ...{ first: now - 300, time: now - 300 },
      },
    ]);
    expect(repairs.recent(now + HOUR_MS - 1)).toHaveLength(1);
    expect(repairs.recent(now + HOUR_MS)).toEqual([]);
  });

  it("wait longer and longer with what is taken away again and again, up to 30 s, and say so", () => {
    const waits: number[] = [];
    for (let i = 0; i < 28; i++) {
      const wait = repairs.pauseFor([BRIDGE], now);
      waits.push(wait);
      now += wait;
      again(BRIDGE);
    }
    expect(waits.slice(0, 20)).toEqual(Array(20).fill(0));
    expect(waits.slice(20)).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
    expect(repairs.recent(now)[0]?.notBefore).toBe(now + 30_000);
    expect(repairs.recent(now + 30_000)[0]?.notBefore).toBeUndefined();
  });

  it("do not wait with others, nor with what was left alone for a while", () => {
    for (let i = 0; i < 25; i++) again(BRIDGE);
    expect(repairs.pauseFor([BRIDGE], now)).toBeGreaterThan(0);
    expect(repairs.pauseFor([BRIDGE, "flood entry 192.0.2.2"], now)).toBe(0);
    expect(repairs.pauseFor([], now)).toBe(0);
    again(BRIDGE, 60_000);
    expect(repairs.pauseFor([BRIDGE], now)).toBe(0);
  });

  it("never hold a person up who tries things by hand", () => {
    for (let i = 0; i < 50; i++) {
      expect(repairs.pauseFor([BRIDGE], now)).toBe(0);
      again(BRIDGE, 10_500);
    }
  });

  it("are bounded in number, the oldest forgotten first", () => {
    for (let i = 0; i < 300; i++) again(`flood entry ${i}`, 1);
    const objects = repairs.recent(now).map(({ object }) => object);
    expect([objects.length, objects[0], objects.at(-1)]).toEqual([200, "flood entry 299", "flood entry 100"]);
  });
});
