// Whether a rule of nf_tables, as the kernel encodes it, drops whatever comes to it (linux/netfilter/nf_tables.h and
// nf_tables_compat.h, for what iptables writes). More than that nobody here needs to know of others' rules.
import { parseAttributes, readText, walkAttributes } from "./attributes.ts";

const NFTA_RULE_EXPRESSIONS = 4;
const NFTA_EXPR_NAME = 1;
const NFTA_EXPR_DATA = 2;
/** NFTA_TARGET_NAME and NFTA_MATCH_NAME of the expressions that wrap iptables' own. */
const XT_NAME = 1;
const NFTA_IMMEDIATE_DATA = 2;
const NFTA_DATA_VERDICT = 2;
const NFTA_VERDICT_CODE = 1;
const NF_DROP = 0;

/** `rule`: as listRuleBytes gives it. A rule that looks at anything of the packet first is none. */
export function dropsEverything(rule: Buffer): boolean {
  const expressions = parseAttributes(rule.subarray(4)).get(NFTA_RULE_EXPRESSIONS);
  if (expressions === undefined) return false;
  const kinds = [...walkAttributes(expressions)].map(([, expression]) => kindOf(expression));
  return kinds.at(-1) === "drops" && !kinds.includes("looks");
}

function kindOf(expression: Buffer): "drops" | "idle" | "looks" {
  const parts = parseAttributes(expression);
  const name = textOf(parts.get(NFTA_EXPR_NAME));
  const data = parseAttributes(parts.get(NFTA_EXPR_DATA) ?? Buffer.alloc(0));
  switch (name) {
    case "counter":
      return "idle";
    case "match":
      return textOf(data.get(XT_NAME)) === "comment" ? "idle" : "looks";
    case "reject":
      return "drops";
    case "target":
      return textOf(data.get(XT_NAME)) === "REJECT" ? "drops" : "looks";
    case "immediate":
      return isDrop(data.get(NFTA_IMMEDIATE_DATA)) ? "drops" : "looks";
    default:
      return "looks";
  }
}

function isDrop(data: Buffer | undefined): boolean {
  const verdict = data === undefined ? undefined : parseAttributes(data).get(NFTA_DATA_VERDICT);
  const code = verdict === undefined ? undefined : parseAttributes(verdict).get(NFTA_VERDICT_CODE);
  return code?.length === 4 && code.readUInt32BE(0) === NF_DROP;
}

const textOf = (value: Buffer | undefined): string => (value === undefined ? "" : readText(value));
