// The accept in firewalld: the bridge in its zone "trusted", at run time only. A reload forgets that, and shows by its
// tables being made anew. A bridge that the operator put into a zone of his own stays there.
import type { Host } from "../host.ts";
import { NFPROTO_INET } from "../rtnetlink/nfnetlink.ts";
import { getChain, hasTable, listRuleBytes } from "../rtnetlink/nft-chain.ts";
import type { NetlinkSocket } from "../rtnetlink/socket.ts";
import { type Backend, toolOf } from "./backend.ts";

const ZONE = "trusted";
/** firewalld's own table, and a chain of its backend for iptables. */
export const FIREWALLD_TABLE = "firewalld";
const ZONES_CHAIN = "FORWARD_ZONES";

export function firewalld(host: Host, netfilter: () => NetlinkSocket): Backend {
  const tool = toolOf(host, ["firewall-cmd"]);
  const table = { family: NFPROTO_INET, table: FIREWALLD_TABLE };
  const runs = async (): Promise<boolean> =>
    (await hasTable(netfilter(), table)) ||
    (await getChain(netfilter(), { family: 2, table: "filter" }, ZONES_CHAIN)) !== undefined;
  /** The tool takes a fifth of a second: it is asked again only after something happened in the tables. */
  let confirmed = false;
  return {
    where: "firewalld",
    async look(bridge) {
      if (!(await runs())) return "none";
      // Its rules name the interfaces of zones; some versions keep them in sets, so that only the tool can tell.
      const rules = await listRuleBytes(netfilter(), table);
      if (rules.some((rule) => rule.includes(`${bridge}\0`))) return "there";
      confirmed ||= (await tool([`--get-zone-of-interface=${bridge}`])).ok;
      return confirmed ? "there" : "missing";
    },
    forget() {
      confirmed = false;
    },
    async assert(bridge) {
      const args = [`--zone=${ZONE}`, `--change-interface=${bridge}`];
      const { ok, refusal } = await tool(args);
      if (!ok) throw refusal;
      return [`firewall-cmd ${args.join(" ")}`];
    },
    async commands(bridge) {
      return [`firewall-cmd --zone=${ZONE} --change-interface=${bridge}`];
    },
    async withdraw(bridge) {
      if (!(await runs())) return [];
      const args = [`--zone=${ZONE}`, `--remove-interface=${bridge}`];
      return (await tool(args)).ok ? [`firewall-cmd ${args.join(" ")}`] : [];
    },
  };
}
