import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Clock } from "../ports/clock.ts";
import { createClock } from "./clock.ts";

describe("clock", () => {
  let clock: Clock;
  let rings: number[];
  const ring = () => rings.push(clock.now());

  beforeEach(() => {
    vi.useFakeTimers({ now: 1_700_000_000_000 });
    clock = createClock();
    rings = [];
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("tells the time of day and moves with the monotonic clock, not with steps of the host's", () => {
    expect(clock.now()).toBe(1_700_000_000_000);
    vi.advanceTimersByTime(250);
    vi.setSystemTime(5);
    expect(clock.now()).toBe(1_700_000_000_250);
  });

  it("rings once, not before its time", () => {
    clock.setAlarm(clock.now() + 100, ring);
    vi.advanceTimersByTime(99);
    expect(rings).toEqual([]);
    vi.advanceTimersByTime(1000);
    expect(rings).toEqual([1_700_000_000_100]);
  });

  it("rings for a time that has passed, but not within the call", () => {
    clock.setAlarm(clock.now() - 100, ring);
    expect(rings).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(rings).toHaveLength(1);
  });

  it("has one alarm: a new one replaces it, undefined clears it", () => {
    clock.setAlarm(clock.now() + 10, ring);
    clock.setAlarm(clock.now() + 50, ring);
    vi.advanceTimersByTime(20);
    expect(rings).toEqual([]);
    vi.advanceTimersByTime(30);
    expect(rings).toHaveLength(1);
    clock.setAlarm(clock.now() + 10, ring);
    clock.setAlarm(undefined, ring);
    vi.advanceTimersByTime(100);
    expect(rings).toHaveLength(1);
  });

  it("may be set again from within the ring", () => {
    clock.setAlarm(clock.now() + 10, () => {
      ring();
      clock.setAlarm(clock.now() + 10, ring);
    });
    vi.advanceTimersByTime(20);
    expect(rings).toHaveLength(2);
  });

  it("waits longer than a timer can", () => {
    const month = 31 * 24 * 3600 * 1000;
    clock.setAlarm(clock.now() + month, ring);
    vi.advanceTimersByTime(month - 1);
    expect(rings).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(rings).toHaveLength(1);
  });

  it("never runs backwards in real life", () => {
    vi.useRealTimers();
    const real = createClock();
    const times = Array.from({ length: 10_000 }, () => real.now());
    expect(times.toSorted((one, other) => one - other)).toEqual(times);
    expect(Math.abs(real.now() - Date.now())).toBeLessThan(1000);
  });
});
