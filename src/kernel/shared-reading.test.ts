import { expect, test } from "vitest";
import { SharedReading } from "./shared-reading.ts";

test("those who ask together share one reading, and nobody gets one that began before", async () => {
  const begun: ((value: string) => void)[] = [];
  const shared = new SharedReading(() => new Promise<string>((resolve) => begun.push(resolve)));
  const first = [shared.get(), shared.get()];
  await expect.poll(() => begun.length).toBe(1);
  const later = [shared.get(), shared.get(), shared.get()];
  await new Promise((resolve) => setImmediate(resolve));
  expect(begun).toHaveLength(1);
  begun[0]?.("first");
  expect(await Promise.all(first)).toEqual(["first", "first"]);
  await expect.poll(() => begun.length).toBe(2);
  begun[1]?.("second");
  expect(await Promise.all(later)).toEqual(["second", "second", "second"]);
});

test("a reading that fails is told to those who share it, and the next one works", async () => {
  let fail = true;
  const shared = new SharedReading(async () => {
    if (fail) throw new Error("EPERM");
    return "fine";
  });
  await expect(Promise.all([shared.get(), shared.get()])).rejects.toThrow("EPERM");
  fail = false;
  expect(await shared.get()).toBe("fine");
});
