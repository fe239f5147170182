// The numbers of a limit, and the name of the device that carries it.
import { expect, test } from "vitest";
import { hostEndOf, ifbName, tokenBucket } from "./shaping.ts";

const MTU = 1450;

test.each<[string, { rate: number; burst: number }, ReturnType<typeof tokenBucket>]>([
  ["bits become bytes, 25 ms wait", { rate: 8e6, burst: 8e5 }, { rate: 1e6, burst: 1e5, limit: 125_000 }],
  ["a burst below a frame is a frame", { rate: 8e6, burst: 1 }, { rate: 1e6, burst: 1468, limit: 26_468 }],
  ["a rate below a byte is a byte", { rate: 1, burst: 8e5 }, { rate: 1, burst: 1e5, limit: 1e5 }],
  [
    "the burst a runtime sends for want of one",
    { rate: 8e6, burst: 2 ** 32 - 1 },
    { rate: 1e6, burst: 2 ** 29 - 1, limit: 2 ** 29 - 1 + 25_000 },
  ],
  [
    "what 32 bits do not hold",
    { rate: 8e13, burst: 8 * 2 ** 33 },
    { rate: 1e13, burst: 2 ** 32 - 1, limit: 2 ** 32 - 1 },
  ],
])("%s", (_, limit, expected) => {
  expect(tokenBucket(limit, MTU)).toEqual(expected);
});

test("host end and ifb have one name in two spellings", () => {
  expect(ifbName("vw0123456789ab")).toBe("vi0123456789ab");
  expect(hostEndOf("vi0123456789ab")).toBe("vw0123456789ab");
  for (const other of ["vw0123", "vethwe1", "vi0123456789ab", "weave", "vw0123456789AB"])
    expect(ifbName(other)).toBeUndefined();
  for (const other of ["vi0123", "virbr0", "vw0123456789ab"]) expect(hostEndOf(other)).toBeUndefined();
});
