// Chains of other programs' nf_tables tables, read: whether one drops what is not accepted, and its rules as bytes
// (linux/netfilter/nf_tables.h). And which table a notification is about.
import { attribute, parseAttributes, readText, text } from "./attributes.ts";
import { errnoOf } from "./errors.ts";
import { nfgenmsg } from "./nfnetlink.ts";
import type { NetlinkSocket } from "./socket.ts";

const NFNL_SUBSYS_NFTABLES = 10;
const NFT_MSG_NEWCHAIN = 3;
const NFT_MSG_GETCHAIN = 4;
const NFT_MSG_NEWRULE = 6;
const NFT_MSG_GETRULE = 7;
const NFT_MSG_NEWGEN = 15;
const NFTA_CHAIN_TABLE = 1;
const NFTA_CHAIN_NAME = 3;
const NFTA_CHAIN_POLICY = 5;
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
  readonly name: string;
  /** A base chain whose policy is drop. */
  readonly drops: boolean;
}

/** The table a notification is about; undefined for those that end a transaction. */
export function nftTableOf(type: number, data: Buffer): NftTable | undefined {
  if (type >> 8 !== NFNL_SUBSYS_NFTABLES || (type & 0xff) === NFT_MSG_NEWGEN || data.length < 8)
    return undefined;
  const name = parseAttributes(data.subarray(4)).get(TABLE_NAME);
  return name === undefined ? undefined : { family: data.readUInt8(0), table: readText(name) };
}

/** Chains of a table; empty when there is no such table. */
export async function listChains(
  socket: NetlinkSocket,
  { family, table }: NftTable,
): Promise<readonly NftChain[]> {
  const subject = { operation: "nft list", object: `chains of ${table}` };
  const parts = await socket.dump(subject, type(NFT_MSG_GETCHAIN), nfgenmsg(family, 0));
  return parts.flatMap((part) => {
    if ((part.type & 0xff) !== NFT_MSG_NEWCHAIN || part.data.readUInt8(0) !== family) return [];
    const attributes = parseAttributes(part.data.subarray(4));
    if (readText(attributes.get(NFTA_CHAIN_TABLE) ?? Buffer.alloc(0)) !== table) return [];
    const policy = attributes.get(NFTA_CHAIN_POLICY);
    return [
      {
        name: readText(attributes.get(NFTA_CHAIN_NAME) ?? Buffer.alloc(0)),
        drops: policy?.length === 4 && policy.readUInt32BE(0) === NF_DROP,
      },
    ];
  });
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
  try {
    const parts = await socket.dump(subject, type(NFT_MSG_GETRULE), Buffer.concat(payload));
    return parts.filter((part) => (part.type & 0xff) === NFT_MSG_NEWRULE).map((part) => part.data);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return [];
    throw error;
  }
}

const type = (message: number): number => (NFNL_SUBSYS_NFTABLES << 8) | message;
