import { expect, it } from "vitest";
import { isMet, percentile, renderTable } from "./figures.mjs";

const rate = { name: "ADD 8 at a time, no ipMasq", unit: "/s", ours: 300, reference: 156.4 };

it("a target is met up to its bound, of the ratio or of our own figure", () => {
  const ratioOf = (ours, target) =>
    isMet({ ...rate, ours, reference: 100, target: { of: "ratio", ...target } });
  expect([199, 200].map((ours) => ratioOf(ours, { atLeast: 2 }))).toEqual([false, true]);
  expect([50, 51].map((ours) => ratioOf(ours, { atMost: 0.5 }))).toEqual([true, false]);
  expect(
    [3, 3.1].map((ours) => isMet({ name: "", unit: "ms", ours, target: { of: "ours", atMost: 3 } })),
  ).toEqual([true, false]);
  expect(isMet(rate)).toBeUndefined();
});

it("a figure that is no number meets nothing", () => {
  expect(isMet({ ...rate, ours: Number.NaN, target: { of: "ratio", atLeast: 2 } })).toBe(false);
});

it("percentiles are values that were measured", () => {
  const values = [5, 1, 4, 2, 3];
  expect([0, 0.5, 0.99, 1].map((share) => percentile(values, share))).toEqual([1, 3, 5, 5]);
});

it("the table says both sides, ratio, target and what is missed, within 100 columns", () => {
  const lines = renderTable([
    { ...rate, target: { of: "ratio", atLeast: 2 } },
    { name: "daemon's RSS after 2000 pairs, its growth", unit: "MiB", ours: 12345.678 },
  ]);
  expect(lines[1]).toMatch(/^ADD 8 at a time, no ipMasq +300 +156 +\/s +1\.92 +ratio >= 2 +MISSED$/);
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(100);
});

it("of rounds the median ratio counts, and the table says how far they lie apart", () => {
  const rounds = {
    ...rate,
    name: "TCP, requests of 1 byte; routed VXLAN",
    ratios: [0.5, 1.1, 0.98, 1.2, 1.05],
  };
  const meets = (target) => isMet({ ...rounds, target: { of: "ratio", ...target } });
  expect([1.1, 1.11].map((atLeast) => meets({ atLeast }))).toEqual([true, false]);
  expect([0.98, 0.97].map((atMost) => meets({ atMost }))).toEqual([true, false]);
  const lines = renderTable([{ ...rounds, target: { of: "ratio", atLeast: 1 } }, rate]);
  expect(lines[0]).toMatch(/weave +reference +ratio +half within +target$/);
  expect(lines[1]).toMatch(/300 +156 +\/s +1\.05 +0\.98-1\.10 +ratio >= 1 +met$/);
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(100);
});
