import { describe, expect, it } from "vitest";
import { createAcceptBucket } from "./accept-bucket.ts";

function taken(take: (now: number) => boolean, times: readonly number[]): number {
  return times.filter((now) => take(now)).length;
}

describe("accept bucket", () => {
  it("gives twenty at once and no more", () => {
    expect(taken(createAcceptBucket(), Array<number>(100).fill(5))).toBe(20);
  });

  it("then gives one per 50 ms", () => {
    const take = createAcceptBucket();
    taken(take, Array<number>(20).fill(0));
    expect([49, 50, 99, 100, 101].map((now) => take(now))).toEqual([false, true, false, true, false]);
  });

  it("never saves up more than the burst", () => {
    const take = createAcceptBucket();
    taken(take, Array<number>(20).fill(0));
    expect(taken(take, Array<number>(100).fill(1_000_000))).toBe(20);
  });
});
