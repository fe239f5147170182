// Rules of an nf_tables table, counted: enough to see that somebody flushed them (linux/netfilter/nf_tables.h).
import { attribute, text } from "./attributes.ts";
import { errnoOf } from "./errors.ts";
import { nfgenmsg, protocolOf, type TableFamily } from "./nfnetlink.ts";
import type { NetlinkSocket } from "./socket.ts";

const NFNL_SUBSYS_NFTABLES = 10;
const NFT_MSG_NEWRULE = 6;
const NFT_MSG_GETRULE = 7;
const NFTA_RULE_TABLE = 1;

/** How many rules all chains of a table have; 0 when there is no such table. */
export async function countRules(
  socket: NetlinkSocket,
  table: string,
  family: TableFamily = "inet",
): Promise<number> {
  const payload = Buffer.concat([nfgenmsg(protocolOf(family), 0), attribute(NFTA_RULE_TABLE, text(table))]);
  const type = (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_GETRULE;
  try {
    const parts = await socket.dump({ operation: "nft list", object: `rules of ${table}` }, type, payload);
    return parts.filter((part) => (part.type & 0xff) === NFT_MSG_NEWRULE).length;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return 0;
    throw error;
  }
}
