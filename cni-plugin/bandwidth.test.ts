import { expect, test } from "vitest";
import { parseBandwidth } from "./bandwidth.ts";

test("each direction by itself, in any case of letters", () => {
  expect(parseBandwidth({ IngressRate: 1_000_000, IngressBurst: 5000 })).toEqual({
    ingress: { rate: 1_000_000, burst: 5000 },
  });
  expect(parseBandwidth({ egressRate: 10, egressBurst: 5, ingressRate: 0 })).toEqual({
    egress: { rate: 10, burst: 5 },
  });
});

test("no rate, no limit", () => {
  for (const nothing of [undefined, {}, { ingressRate: 0, ingressBurst: 0, egressRate: null }])
    expect(parseBandwidth(nothing)).toBeUndefined();
});

test("a burst left open is a tenth of a second; the kernel's largest is the largest", () => {
  expect(parseBandwidth({ ingressRate: 1_000_000 })?.ingress?.burst).toBe(100_000);
  const huge = parseBandwidth({ ingressRate: 8, ingressBurst: Number.MAX_SAFE_INTEGER })?.ingress?.burst;
  expect(huge).toBe(2 ** 35 - 1);
});

test.each<[unknown]>([["1M"], [[]], [{ ingressRate: -1 }], [{ ingressRate: 1.5 }], [{ egressBurst: 100 }]])(
  "%j is refused with code 7",
  (given) => {
    expect(() => parseBandwidth(given)).toThrow(expect.objectContaining({ code: 7 }));
  },
);
