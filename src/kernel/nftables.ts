// The text of the table `inet weave`. Pure: which rules a host gets, not how they get into the kernel (firewall.ts).
//
// Text and not JSON: nft 1.0.6 crashes on some JSON it wrote itself. The rules never change while a daemon runs; what
// changes is which sources are masqueraded, and those are elements of sets, so that no process is needed for it.
import { type Cidr, contains, formatCidr, networkOf, parseCidr } from "../core/address/cidr.ts";
import type { FirewallState } from "../core/datapath/state.ts";
import { WeaveError } from "../core/errors.ts";

export const TABLE = "weave";
/** Sets of sources to masquerade, by family. */
export const MASQUERADE_SETS: Readonly<Record<4 | 6, string>> = { 4: "masquerade4", 6: "masquerade6" };

/**
 * One transaction that makes the table whatever it was before: `table` (so that `delete` cannot fail), `delete`, and the
 * table with all its elements, so that not one packet meets a table without them. `bridge` must be an interface name.
 */
export function renderTable(firewall: FirewallState, bridge: string): string {
  if (!/^[\w.@-]{1,15}$/.test(bridge)) throw new WeaveError("internal", `not an interface name: ${bridge}`);
  return [
    `table inet ${TABLE} {}`,
    `delete table inet ${TABLE}`,
    `table inet ${TABLE} {`,
    ...renderSet("overlay4", "ipv4_addr", blocks(firewall.overlay, 4)),
    ...renderSet("overlay6", "ipv6_addr", blocks(firewall.overlay, 6)),
    ...renderSet(MASQUERADE_SETS[4], "ipv4_addr", blocks(firewall.masquerade, 4)),
    ...renderSet(MASQUERADE_SETS[6], "ipv6_addr", blocks(firewall.masquerade, 6)),
    "\tchain postrouting {",
    "\t\ttype nat hook postrouting priority srcnat; policy accept;",
    // From the overlay to the outside: the answer comes back to this host. Fully random source ports, because several
    // containers behind one address otherwise race for the same one (lost SYNs of parallel DNS queries).
    `\t\tip saddr @masquerade4 ip daddr != @overlay4 ip daddr != 224.0.0.0/4 oifname != "${bridge}" masquerade fully-random`,
    `\t\tip6 saddr @masquerade6 ip6 daddr != @overlay6 ip6 daddr != ff00::/8 oifname != "${bridge}" masquerade fully-random`,
    // From the outside into the overlay: a container on another host would answer through its own host, and the
    // connection would never be established.
    `\t\tip saddr != @overlay4 ip daddr @masquerade4 oifname "${bridge}" masquerade fully-random`,
    // Link-local sources stay: ND and the bridge's own echo are not routed.
    `\t\tip6 saddr != @overlay6 ip6 saddr != fe80::/10 ip6 daddr @masquerade6 oifname "${bridge}" masquerade fully-random`,
    "\t}",
    "}",
    "",
  ].join("\n");
}

/** The CIDRs of one family as disjoint blocks in order: those inside another are left out, host bits cleared. */
export function blocks(cidrs: readonly string[], family: 4 | 6): readonly Cidr[] {
  const parsed = cidrs.flatMap((text) => {
    const cidr = parseCidr(text);
    if (cidr === undefined) throw new WeaveError("bad-address", `not a CIDR: ${text}`);
    return cidr.family === family ? [networkOf(cidr)] : [];
  });
  // Sorted by start, larger first, a block can only lie inside the last one kept.
  parsed.sort((a, b) => (a.value === b.value ? a.prefix - b.prefix : a.value < b.value ? -1 : 1));
  const kept: Cidr[] = [];
  for (const cidr of parsed) {
    const last = kept.at(-1);
    if (last === undefined || !contains(last, cidr)) kept.push(cidr);
  }
  return kept;
}

function renderSet(name: string, type: string, elements: readonly Cidr[]): string[] {
  const list = elements.map(formatCidr).join(", ");
  return [
    `\tset ${name} {`,
    `\t\ttype ${type}`,
    "\t\tflags interval",
    ...(list === "" ? [] : [`\t\telements = { ${list} }`]),
    "\t}",
  ];
}
