// Paths to other hosts that do not carry what they should, as problems. A peer that gossip does not reach either is told as
// that alone (problems.ts).
import { parseAddress } from "./address/cidr.ts";
import type { PathState } from "./datapath/paths.ts";
import { VXLAN_OVERHEAD } from "./datapath/plan.ts";
import { MIN_MTU } from "./mesh/peer-record.ts";
import type { Node } from "./node.ts";
import type { Problem } from "./problems.ts";

/** IP and ICMP header of an IPv4 ping, IPv6 and ICMPv6 header of an IPv6 one: what `ping -s` does not count. */
const PING_OVERHEAD = { 4: 28, 6: 48 } as const;

/** What is wrong with the paths, of reachable peers. */
export function pathProblems(node: Node, states: ReadonlyMap<string, PathState>): readonly Problem[] {
  const reachable = node.reachable();
  return [...states].flatMap(([peer, state]) => {
    const record = node.peers().get(peer);
    if (state.verified !== "no" || record === undefined || !reachable.has(peer)) return [];
    const who = { label: record.nickname, underlay: record.underlay, vxlanPort: node.config.vxlanPort };
    const told = state.fault === "drops-large" ? dropsLarge(who, state) : noAnswer(who);
    return [{ ...told, object: record.nickname, since: state.since }];
  });
}

/** Why a path is not verified, for the line below it; undefined when it is. */
export function pathReason(state: PathState): string | undefined {
  if (state.fault === "drops-large")
    return `packets of ${state.mtu} bytes are lost${state.passes === undefined ? ", small ones arrive" : `, those of ${state.passes} arrive`}`;
  if (state.fault === "no-answer") return "no packet is answered over VXLAN";
  return state.reason;
}

interface Who {
  readonly label: string;
  readonly underlay: string;
  readonly vxlanPort: number;
}

function dropsLarge({ label, underlay }: Who, state: PathState) {
  const { mtu, passes = 0 } = state;
  const family = parseAddress(underlay)?.family ?? 4;
  const outer = mtu + VXLAN_OVERHEAD[family];
  const other = passes < MIN_MTU ? "" : `, or launch weave on one of the two hosts with --mtu ${passes}`;
  return {
    code: "path-mtu" as const,
    message: `to ${label} ${pathReason(state)}: the underlay to ${underlay} does not carry the ${outer} bytes of their outer packets, and does not say so (ICMP filtered?). Raise its MTU${other}`,
    command: `ping -c 3 -M do -s ${outer - PING_OVERHEAD[family]} ${underlay}`,
  };
}

const noAnswer = ({ label, underlay, vxlanPort }: Who) => ({
  code: "path-down" as const,
  message: `${label} can be talked to, yet no packet to it is answered over VXLAN: UDP ${vxlanPort} from or to ${underlay} is blocked, or a firewall of one of the two hosts drops echoes on the bridge. Open it, both ways`,
  command: `tcpdump -ni any udp port ${vxlanPort} and host ${underlay}`,
});
