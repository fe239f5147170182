// The accept in tables that iptables keeps in nf_tables (Docker's among them). Looked at over netlink, written by iptables:
// rules another tool put into its tables it may refuse to show.
import type { Host } from "../host.ts";
import { getChain, listRuleBytes } from "../rtnetlink/nft-chain.ts";
import { dropsEverything } from "../rtnetlink/nft-expression.ts";
import type { NetlinkSocket } from "../rtnetlink/socket.ts";
import { acceptRules, type Backend, deleteRules, insertCommands, insertRules, toolOf } from "./backend.ts";

const FORWARD = "FORWARD";
/** Docker's chain for rules of others: it never touches what stands in it. */
const DOCKER_USER = "DOCKER-USER";

/** `family` is AF_INET or AF_INET6, as NFPROTO_* have them. */
export function iptablesNft(host: Host, netfilter: () => NetlinkSocket, family: 2 | 10): Backend {
  const name = family === 2 ? "iptables" : "ip6tables";
  const programs = [`${name}-nft`, name];
  const tool = toolOf(host, programs);
  const table = { family, table: "filter" };
  const rulesOf = (chain: string) => listRuleBytes(netfilter(), table, chain);
  /** Where the accept belongs; undefined where nothing is dropped. */
  const target = async (): Promise<string | undefined> => {
    const chain = await getChain(netfilter(), table, FORWARD);
    if (chain === undefined) return undefined;
    const rules = await rulesOf(FORWARD);
    if (!chain.drops && !rules.some(dropsEverything)) return undefined;
    if ((await getChain(netfilter(), table, DOCKER_USER)) === undefined) return FORWARD;
    const led = rules.some((rule) => rule.includes(`${DOCKER_USER}\0`));
    return led ? DOCKER_USER : FORWARD;
  };
  return {
    where: `${name} (nf_tables)`,
    async look(bridge) {
      const chain = await target();
      if (chain === undefined) return "none";
      // Each of our rules compares the name of an interface, with its terminating zero.
      const ours = (await rulesOf(chain)).filter((rule) => rule.includes(`${bridge}\0`));
      return ours.length >= acceptRules(bridge).length ? "there" : "missing";
    },
    async assert(bridge) {
      const chain = await target();
      return chain === undefined ? [] : insertRules(tool, chain, bridge);
    },
    async commands(bridge) {
      return insertCommands(programs, (await target()) ?? FORWARD, bridge);
    },
    async withdraw(bridge) {
      const there = [];
      for (const chain of [FORWARD, DOCKER_USER])
        if ((await rulesOf(chain)).some((rule) => rule.includes(`${bridge}\0`))) there.push(chain);
      return deleteRules(tool, there, bridge);
    },
  };
}
