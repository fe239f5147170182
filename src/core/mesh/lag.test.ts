import { expect, it } from "vitest";
import { LAG_AWAY_MS, LAG_FREE_MS, LAG_HALF_LIFE_MS, LAG_SLACK } from "./constants.ts";
import { Lag } from "./lag.ts";

it("grants as much as the process was late of late, and forgets it", () => {
  const lag = new Lag();
  lag.note(LAG_FREE_MS - 1, 0);
  expect(lag.grace).toBe(0);
  lag.note(2_000, 1_000);
  lag.note(0, 1_000);
  expect(lag.grace).toBe(LAG_SLACK * 2_000);
  lag.note(0, 1_000 + LAG_HALF_LIFE_MS);
  expect(lag.grace).toBe(LAG_SLACK * 1_000);
  lag.note(0, 1_000 + 10 * LAG_HALF_LIFE_MS);
  expect(lag.grace).toBe(0);
});

it("does not take a stop for slowness", () => {
  const lag = new Lag();
  lag.note(LAG_AWAY_MS + 1, 0);
  expect(lag.grace).toBe(0);
});
