// Policy rules: RTM_*RULE with struct fib_rule_hdr (linux/fib_rules.h).
import { attribute, parseAttributes, readText, readU32, text, u32 } from "./attributes.ts";
import { errnoOf } from "./errors.ts";
import { type NetlinkPort, NLM_F_CREATE, NLM_F_EXCL } from "./socket.ts";
import { AF_INET, AF_INET6 } from "./wire.ts";

const RTM_NEWRULE = 32;
const RTM_DELRULE = 33;
const RTM_GETRULE = 34;
const FRA_IIFNAME = 3;
const FRA_PRIORITY = 6;
const FRA_TABLE = 15;
const FR_ACT_TO_TBL = 1;

/** Packets that came in by an interface look into a table first. */
export interface Rule {
  readonly family: 4 | 6;
  readonly iif: string;
  readonly table: number;
  /** Lower is looked at first. */
  readonly priority: number;
}

/** Add a rule; nothing happens when it is there. */
export async function addRule(socket: NetlinkPort, rule: Rule): Promise<void> {
  const subject = { operation: "rule add", object: `iif ${rule.iif} lookup ${rule.table}` };
  try {
    await socket.request(subject, RTM_NEWRULE, encodeRule(rule), NLM_F_CREATE | NLM_F_EXCL);
  } catch (error) {
    if (errnoOf(error) !== "EEXIST") throw error;
  }
}

/** Delete a rule; false when there was none. */
export async function deleteRule(socket: NetlinkPort, rule: Rule): Promise<boolean> {
  const subject = { operation: "rule delete", object: `iif ${rule.iif} lookup ${rule.table}` };
  try {
    await socket.request(subject, RTM_DELRULE, encodeRule(rule));
    return true;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return false;
    throw error;
  }
}

/** Those rules that name an interface packets came in by, IPv4 before IPv6. */
export async function listRules(socket: NetlinkPort): Promise<readonly Rule[]> {
  const rules: Rule[] = [];
  for (const family of [AF_INET, AF_INET6]) {
    const header = Buffer.alloc(12);
    header.writeUInt8(family, 0);
    const parts = await socket.dump({ operation: "rule list", object: "all" }, RTM_GETRULE, header);
    for (const part of parts) rules.push(...decodeRule(part.data));
  }
  return rules;
}

/** RTM_NEWRULE payload. */
export function encodeRule({ family, iif, table, priority }: Rule): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt8(family === 4 ? AF_INET : AF_INET6, 0);
  header.writeUInt8(FR_ACT_TO_TBL, 7);
  return Buffer.concat([
    header,
    attribute(FRA_IIFNAME, text(iif)),
    attribute(FRA_PRIORITY, u32(priority)),
    attribute(FRA_TABLE, u32(table)),
  ]);
}

/** RTM_NEWRULE payload as the kernel sends it. */
export function decodeRule(payload: Buffer): readonly Rule[] {
  const attributes = parseAttributes(payload.subarray(12));
  const [iif, table, priority] = [FRA_IIFNAME, FRA_TABLE, FRA_PRIORITY].map((type) => attributes.get(type));
  if (iif === undefined || table === undefined || priority === undefined) return [];
  const family = payload.readUInt8(0) === AF_INET ? 4 : 6;
  return [{ family, iif: readText(iif), table: readU32(table), priority: readU32(priority) }];
}
