// Chains of other programs' nf_tables tables, read: whether one drops what is not accepted, and its rules as bytes
// (linux/netfilter/nf_tables.h). And which table a notification is about.
import { attribute, parseAttributes, readText, readU16, text } from "./attributes.ts";
import { errnoOf } from "./errors.ts";
import { NFPROTO_UNSPEC, nfgenmsg } from "./nfnetlink.ts";
import type { NetlinkReply, NetlinkSocket } from "./socket.ts";

const NFNL_SUBSYS_NFTABLES = 10;
const NFT_MSG_GETTABLE = 1;
const NFT_MSG_NEWCHAIN = 3;
const NFT_MSG_GETCHAIN = 4;
const NFT_MSG_NEWRULE = 6;
const NFT_MSG_GETRULE = 7;
const NFT_MSG_NEWGEN = 15;
const NFTA_CHAIN_TABLE = 1;
const NFTA_CHAIN_NAME = 3;
const NFTA_CHAIN_HOOK = 4;
const NFTA_CHAIN_POLICY = 5;
const NFTA_HOOK_HOOKNUM = 1;
const NFTA_RULE_TABLE = 1;
const NFTA_RULE_CHAIN = 2;
/** Of all objects the table's name is attribute 1 (NFTA_TABLE_NAME, NFTA_SET_TABLE, ...). */
const TABLE_NAME = 1;
/** NF_DROP (linux/netfilter.h). */
const NF_DROP = 0;

/** A table by its family (NFPROTO_*) and name. */
export interface NftTable {
  readonly family: number;
  readonly table: string;
}

/** A chain as far as it matters here. */
export interface NftChain {
  /** A base chain whose policy is drop. */
  readonly drops: boolean;
}

/** A chain that hangs at a hook. */
export interface BaseChain extends NftTable, NftChain {
  readonly chain: string;
  /** NF_INET_* or NF_BR_* of its family. */
  readonly hook: number;
}

/**
 * The table a notification is about; undefined for those that end a transaction. The name is the first attribute of every
 * object (nf_tables_fill_*): a ruleset that is loaded anew is tens of thousands of messages, read no further.
 */
export function nftTableOf(type: number, data: Buffer): NftTable | undefined {
  if (type >> 8 !== NFNL_SUBSYS_NFTABLES || (type & 0xff) === NFT_MSG_NEWGEN || data.length < 9)
    return undefined;
  const length = readU16(data, 4);
  if (readU16(data, 6) !== TABLE_NAME || length < 5 || 4 + length > data.length) return undefined;
  return { family: data.readUInt8(0), table: readText(data.subarray(8, 4 + length)) };
}

/** Whether there is such a table. */
export async function hasTable(socket: NetlinkSocket, { family, table }: NftTable): Promise<boolean> {
  const payload = Buffer.concat([nfgenmsg(family, 0), attribute(TABLE_NAME, text(table))]);
  const subject = { operation: "nft get", object: `table ${table}` };
  return (await orNothing(socket.request(subject, type(NFT_MSG_GETTABLE), payload))).length > 0;
}

/** One chain of a table; undefined when there is none of that name. */
export async function getChain(
  socket: NetlinkSocket,
  { family, table }: NftTable,
  name: string,
): Promise<NftChain | undefined> {
  const names = [attribute(NFTA_CHAIN_TABLE, text(table)), attribute(NFTA_CHAIN_NAME, text(name))];
  const payload = Buffer.concat([nfgenmsg(family, 0), ...names]);
  const subject = { operation: "nft get", object: `chain ${table} ${name}` };
  const [reply] = await orNothing(socket.request(subject, type(NFT_MSG_GETCHAIN), payload));
  if (reply === undefined) return undefined;
  const policy = parseAttributes(reply.data.subarray(4)).get(NFTA_CHAIN_POLICY);
  return { drops: dropsByPolicy(policy) };
}

const dropsByPolicy = (policy: Buffer | undefined): boolean =>
  policy?.length === 4 && policy.readUInt32BE(0) === NF_DROP;

/** The base chains of all tables of all families. */
export async function listBaseChains(socket: NetlinkSocket): Promise<readonly BaseChain[]> {
  const subject = { operation: "nft list", object: "chains" };
  const parts = await orNothing(socket.dump(subject, type(NFT_MSG_GETCHAIN), nfgenmsg(NFPROTO_UNSPEC, 0)));
  return parts
    .filter((part) => (part.type & 0xff) === NFT_MSG_NEWCHAIN)
    .flatMap(({ data }) => decodeBaseChain(data) ?? []);
}

/** NFT_MSG_NEWCHAIN payload; undefined for a chain that only others jump to. */
export function decodeBaseChain(payload: Buffer): BaseChain | undefined {
  const attributes = parseAttributes(payload.subarray(4));
  const at = attributes.get(NFTA_CHAIN_HOOK);
  const hook = at === undefined ? undefined : parseAttributes(at).get(NFTA_HOOK_HOOKNUM);
  const [table, chain] = [attributes.get(NFTA_CHAIN_TABLE), attributes.get(NFTA_CHAIN_NAME)];
  if (hook?.length !== 4 || table === undefined || chain === undefined) return undefined;
  return {
    family: payload.readUInt8(0),
    table: readText(table),
    chain: readText(chain),
    hook: hook.readUInt32BE(0),
    drops: dropsByPolicy(attributes.get(NFTA_CHAIN_POLICY)),
  };
}

/** The rules of a table or of one chain, in order, as the kernel encodes them; empty when it does not exist. */
export async function listRuleBytes(
  socket: NetlinkSocket,
  { family, table }: NftTable,
  chain?: string,
): Promise<readonly Buffer[]> {
  const payload = [nfgenmsg(family, 0), attribute(NFTA_RULE_TABLE, text(table))];
  if (chain !== undefined) payload.push(attribute(NFTA_RULE_CHAIN, text(chain)));
  const subject = { operation: "nft list", object: `rules of ${table}` };
  const parts = await orNothing(socket.dump(subject, type(NFT_MSG_GETRULE), Buffer.concat(payload)));
  return parts.filter((part) => (part.type & 0xff) === NFT_MSG_NEWRULE).map((part) => part.data);
}

/** No table, no chain: nothing to tell. */
async function orNothing(asked: Promise<readonly NetlinkReply[]>): Promise<readonly NetlinkReply[]> {
  try {
    return await asked;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return [];
    throw error;
  }
}

const type = (message: number): number => (NFNL_SUBSYS_NFTABLES << 8) | message;
