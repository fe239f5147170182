import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { withProgress } from "./progress.ts";

const told: string[] = [];
const context = { tell: (text: string) => told.push(text) };

beforeEach(() => {
  told.length = 0;
  vi.useFakeTimers();
});
afterEach(() => vi.useRealTimers());

test("what takes a second is told once, what is done sooner not at all", async () => {
  let answer = (_: string): void => undefined;
  const work = new Promise<string>((resolve) => {
    answer = resolve;
  });
  const slow = withProgress(work, context, () => "asking the voters ...");
  const quick = withProgress(Promise.resolve("quick"), context, () => "never told");
  expect(await quick).toBe("quick");
  await vi.advanceTimersByTimeAsync(999);
  expect(told).toEqual([]);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(told).toEqual(["weave: asking the voters ..."]);
  answer("slow");
  expect(await slow).toBe("slow");
});

test("what to tell may fail, and may come too late", async () => {
  const work = new Promise<void>((resolve) => setTimeout(resolve, 3_000));
  const late = withProgress(
    work,
    context,
    () => new Promise((resolve) => setTimeout(resolve, 4_000, "late")),
  );
  const failing = withProgress(work, context, () => Promise.reject(new Error("no daemon")));
  await vi.advanceTimersByTimeAsync(10_000);
  await Promise.all([late, failing]);
  expect(told).toEqual([]);
});
