// The text of the table `inet weave`. Pure: which rules a host gets, not how they get into the kernel (firewall.ts).
//
// Text and not JSON: nft 1.0.6 crashes on some JSON it wrote itself. The rules never change while a daemon runs; what
// changes are elements of sets and maps (firewall-sets.ts), so that no process is needed for it.
import { WeaveError } from "../core/errors.ts";
import { EMPTY_TABLE, type SetState, setsOf, type TableState } from "./firewall-sets.ts";

/** The name of the one table there is of ours. */
export const TABLE = "weave";

/**
 * One transaction that makes the table whatever it was before: `table` (so that `delete` cannot fail), `delete`, and the
 * table with all its elements, so that not one packet meets a table without them. The bridge must be an interface name.
 */
export function renderTable(firewall: TableState): string {
  const { bridge } = firewall;
  if (!/^[\w.@-]{1,15}$/.test(bridge)) throw new WeaveError("internal", `not an interface name: ${bridge}`);
  return [
    removeTable().trimEnd(),
    `table inet ${TABLE} {`,
    ...setsOf(firewall).flatMap(renderSet),
    ...guardChains(firewall),
    // Before all others that translate destinations (dstnat is -100), however often one of us is loaded anew.
    ...chain("prerouting", "type nat hook prerouting priority -105", [
      "ip daddr != 127.0.0.0/8 fib daddr type local jump ports",
      "ip6 daddr != fe80::/10 fib daddr type local jump ports",
    ]),
    ...chain("output", "type nat hook output priority -105", [
      "meta nfproto ipv4 fib daddr type local jump ports",
      "ip6 daddr != ::1 ip6 daddr != fe80::/10 fib daddr type local jump ports",
    ]),
    // What is mapped on one address comes before what is mapped on all.
    ...chain("ports", undefined, [
      "meta nfproto ipv4 dnat ip addr . port to ip daddr . meta l4proto . th dport map @hostports4",
      "meta nfproto ipv4 dnat ip addr . port to meta l4proto . th dport map @ports4",
      "meta nfproto ipv6 dnat ip6 addr . port to ip6 daddr . meta l4proto . th dport map @hostports6",
      "meta nfproto ipv6 dnat ip6 addr . port to meta l4proto . th dport map @ports6",
    ]),
    ...chain("postrouting", "type nat hook postrouting priority srcnat", [
      `oifname "${bridge}" ct status dnat ip daddr . meta l4proto . th dport @published4 goto published`,
      `oifname "${bridge}" ct status dnat ip6 daddr . meta l4proto . th dport @published6 goto published`,
      "ip saddr @exempt4 accept",
      "ip daddr @exempt4 accept",
      "ip6 saddr @exempt6 accept",
      "ip6 daddr @exempt6 accept",
      // From the overlay to the outside: the answer comes back to this host. Fully random source ports, because several
      // containers behind one address otherwise race for the same one (lost SYNs of parallel DNS queries).
      `ip saddr @masquerade4 ip daddr != @overlay4 ip daddr != 224.0.0.0/4 oifname != "${bridge}" masquerade fully-random`,
      `ip6 saddr @masquerade6 ip6 daddr != @overlay6 ip6 daddr != ff00::/8 oifname != "${bridge}" masquerade fully-random`,
      // From the outside into the overlay: a container on another host would answer through its own host, and the
      // connection would never be established.
      `ip saddr != @overlay4 ip daddr @masquerade4 oifname "${bridge}" masquerade fully-random`,
      // Link-local sources stay: ND and the bridge's own echo are not routed.
      `ip6 saddr != @overlay6 ip6 saddr != fe80::/10 ip6 daddr @masquerade6 oifname "${bridge}" masquerade fully-random`,
    ]),
    // To a published port the client's address is kept, with two exceptions. A container would answer another one on the
    // bridge directly, with an address that one never asked; and it may have no route to the host, or to 127.0.0.1.
    ...chain("published", undefined, [
      `iifname "${bridge}" masquerade fully-random`,
      // With br_netfilter what is translated from and to the bridge counts as bridged, and has come in nowhere.
      "ip saddr @overlay4 masquerade fully-random",
      "ip6 saddr @overlay6 masquerade fully-random",
      "ip saddr . ip daddr @hairpin4 masquerade fully-random",
      "ip6 saddr . ip6 daddr @hairpin6 masquerade fully-random",
      "fib saddr type local masquerade fully-random",
    ]),
    ...protectionChains(firewall),
    "}",
    "",
  ].join("\n");
}

/** Deletes the table, and does not fail when there is none. */
export function removeTable(): string {
  return `table inet ${TABLE} {}\ndelete table inet ${TABLE}\n`;
}

/** How many rules the table has, whatever stands in its sets. */
export function ruleCount(): number {
  const text = renderTable(EMPTY_TABLE);
  const inChains = text.split("\tchain ").slice(1);
  return inChains.flatMap((part) => part.split("\n").slice(1)).filter((line) => /^\t\t(?!type )/.test(line))
    .length;
}

/**
 * What is decided before connection tracking. 127.0.0.0/8: where route_localnet is on, the kernel lets it through from and to
 * the bridge; the host itself may use that, no container, and tracking turns answers to the host's own flows back into that
 * range. VXLAN between peers: no rule of ours asks for its state, and to look it up, on both hosts, costs as much as the
 * routing of a packet. What this host forwards for others is left alone.
 */
function guardChains({ bridge, vxlanPort }: TableState): string[] {
  return [
    ...chain("loopback", undefined, ["ip daddr 127.0.0.0/8 drop", "ip saddr 127.0.0.0/8 drop"]),
    ...chain("underlay", undefined, ["ip saddr @peers4 notrack", "ip6 saddr @peers6 notrack"]),
    ...chain("guard", "type filter hook prerouting priority raw", [
      `iifname "${bridge}" goto loopback`,
      `udp dport ${vxlanPort} goto underlay`,
    ]),
    ...chain("untracked", "type filter hook output priority raw", [`udp dport ${vxlanPort} notrack`]),
  ];
}

/**
 * What of this host, and of others by way of it, containers may not reach, and who may send VXLAN. At `input` and
 * `forward`, where destinations are what they are after any translation, and fragments are one packet.
 */
function protectionChains({ bridge, vxlanPort, controlPort }: TableState): string[] {
  const ours = [`tcp dport ${controlPort}`, `udp dport ${vxlanPort}`];
  return [
    ...chain("input", "type filter hook input priority filter - 5", [
      `iifname "${bridge}" goto containers`,
      `udp dport ${vxlanPort} goto vxlan`,
    ]),
    // Out of the overlay, to whatever address: another host would see this one's, and believe it.
    ...chain(
      "leaving",
      undefined,
      [...ours, "ip daddr . tcp dport @controls4", "ip6 daddr . tcp dport @controls6"].map(
        (port) => `${port} counter drop`,
      ),
    ),
    // With br_netfilter every frame from container to container comes by here: it is to cost two comparisons.
    ...chain("forward", "type filter hook forward priority filter - 5", [
      `iifname "${bridge}" oifname != "${bridge}" goto leaving`,
    ]),
    ...chain("containers", undefined, [
      ...ours.map((port) => `${port} counter drop`),
      "ct state established,related accept",
      "icmp type { echo-request, echo-reply } accept",
      "icmpv6 type { echo-request, echo-reply, nd-neighbor-solicit, nd-neighbor-advert } accept",
      "ip6 daddr fe80::/10 counter drop",
      "meta nfproto @exposed accept",
      "counter drop",
    ]),
    ...chain("vxlan", undefined, ["ip saddr @peers4 accept", "ip6 saddr @peers6 accept", "counter drop"]),
  ];
}

function chain(name: string, hook: string | undefined, rules: readonly string[]): string[] {
  return [
    `\tchain ${name} {`,
    ...(hook === undefined ? [] : [`\t\t${hook}; policy accept;`]),
    ...rules.map((rule) => `\t\t${rule}`),
    "\t}",
  ];
}

function renderSet({ name, kind, type, interval, elements }: SetState): string[] {
  return [
    `\t${kind} ${name} {`,
    `\t\ttype ${type}`,
    ...(interval ? ["\t\tflags interval"] : []),
    ...(elements.size === 0 ? [] : [`\t\telements = { ${[...elements.keys()].join(", ")} }`]),
    "\t}",
  ];
}
