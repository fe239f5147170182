import { expect, test } from "vitest";
import { decodeRule, encodeRule } from "./rule.ts";

const RULE = { family: 4, iif: "weave", table: 6784, priority: 6784 } as const;

test("a rule as `ip -4 rule add pref 6784 iif weave lookup 6784` sends it, but for the table the attribute repeats", () => {
  expect(encodeRule(RULE).toString("hex")).toBe(
    "020000000000000100000000" + // AF_INET, FR_ACT_TO_TBL
      "0a000300776561766500" + // FRA_IIFNAME
      "0000" +
      "08000600801a0000" + // FRA_PRIORITY
      "08000f00801a0000", // FRA_TABLE
  );
});

test("what was encoded is decoded; a rule without an interface is none of these", () => {
  for (const rule of [RULE, { ...RULE, family: 6 } as const])
    expect(decodeRule(encodeRule(rule))).toEqual([rule]);
  expect(decodeRule(Buffer.alloc(12))).toEqual([]);
});
