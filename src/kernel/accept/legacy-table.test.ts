// Tables of iptables-legacy as the kernel hands them out, built by hand from struct ipt_entry; the kernel tests read real
// ones.
import { describe, expect, test } from "vitest";
import { parseTable } from "./legacy-table.ts";

const DROP = -1;
const ACCEPT = -2;

interface Rule {
  readonly iniface?: string;
  readonly outiface?: string;
  readonly verdict?: number;
  /** Begins a chain of its own. */
  readonly chain?: string;
}

/** struct ipt_entry: 112 bytes, then the target. */
function entry({ iniface = "", outiface = "", verdict = ACCEPT, chain }: Rule): Buffer {
  const target = Buffer.alloc(chain === undefined ? 40 : 64);
  target.writeUInt16LE(target.length, 0);
  if (chain === undefined) target.writeInt32LE(verdict, 32);
  else {
    target.write("ERROR", 2);
    target.write(chain, 32);
  }
  const head = Buffer.alloc(112);
  head.write(iniface, 16);
  head.write(outiface, 32);
  head.writeUInt16LE(112, 88);
  head.writeUInt16LE(112 + target.length, 90);
  return Buffer.concat([head, target]);
}

/** INPUT and FORWARD with their policies, then chains, then the end of the table. */
function table(forward: readonly Rule[], policy: number, ...chains: readonly Rule[]) {
  const input = [entry({})];
  const rules = forward.map(entry);
  const offset = (parts: readonly Buffer[]): number => parts.reduce((sum, { length }) => sum + length, 0);
  const info = Buffer.alloc(84);
  info.writeUInt32LE(offset(input), 36 + 8);
  info.writeUInt32LE(offset([...input, ...rules]), 56 + 8);
  const entries = [
    ...input,
    ...rules,
    entry({ verdict: policy }),
    ...chains.map(entry),
    entry({ chain: "ERROR" }),
  ];
  return parseTable(2, info, Buffer.concat(entries));
}

describe("the filter table of iptables-legacy", () => {
  test.each([
    ["drop", DROP, true],
    ["accept", ACCEPT, false],
  ])("policy %s", (_, policy, drops) => {
    expect(table([], policy)).toEqual({ drops, chains: ["ERROR"], accepts: [] });
  });

  test.each([
    ["everything", { verdict: DROP }, true],
    ["what comes from one interface", { iniface: "eth9", verdict: DROP }, false],
  ])("a rule that drops %s", (_, rule, drops) => {
    expect(table([rule], ACCEPT)).toMatchObject({ drops });
    expect(table([], ACCEPT, { chain: "OTHER" }, rule)).toMatchObject({ drops: false });
  });

  test("rules that accept, by chain; policies and other verdicts are none", () => {
    const found = table(
      [{ iniface: "weave" }, { iniface: "eth0", verdict: DROP }, { outiface: "weave" }],
      DROP,
      { chain: "DOCKER-USER" },
      { iniface: "docker0" },
    );
    expect(found).toEqual({
      drops: true,
      chains: ["DOCKER-USER", "ERROR"],
      accepts: [
        { chain: "FORWARD", iniface: "weave", outiface: "" },
        { chain: "FORWARD", iniface: "", outiface: "weave" },
        { chain: "DOCKER-USER", iniface: "docker0", outiface: "" },
      ],
    });
  });

  test("bytes that make no sense end the reading", () => {
    expect(parseTable(2, Buffer.alloc(84), Buffer.alloc(500))).toEqual({
      drops: false,
      chains: [],
      accepts: [],
    });
  });
});
