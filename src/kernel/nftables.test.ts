// The firewall's text: the whole of it once, and what may stand in it.
import { expect, test } from "vitest";
import { formatCidr } from "../core/address/cidr.ts";
import { blocks, EMPTY_TABLE } from "./firewall-sets.ts";
import { renderTable } from "./nftables.ts";

test("the table of a host that masquerades both families and publishes ports", () => {
  const text = renderTable({
    ...EMPTY_TABLE,
    controls: [
      { address: "10.99.0.3", port: 7000 },
      { address: "fd99:0::3", port: 7000 },
    ],
    peers: ["10.99.0.2", "FD99:0::2", "not-an-address"],
    exposed: [4],
    overlay: ["10.32.0.0/12", "fd32::/96"],
    masquerade: ["10.32.0.0/16", "fd32::/112"],
    exempt: ["10.32.1.0/24"],
    portMaps: [
      { protocol: "tcp", hostPort: 8080, address: "10.32.0.5", port: 80 },
      { protocol: "sctp", hostAddress: "FD99::0:1", hostPort: 8080, address: "fd32::5", port: 80 },
    ],
  });
  expect(text).toBe(`table inet weave {}
delete table inet weave
table inet weave {
	set overlay4 {
		type ipv4_addr
		flags interval
		elements = { 10.32.0.0/12 }
	}
	set masquerade4 {
		type ipv4_addr
		flags interval
		elements = { 10.32.0.0/16 }
	}
	set exempt4 {
		type ipv4_addr
		flags interval
		elements = { 10.32.1.0/24 }
	}
	set peers4 {
		type ipv4_addr
		elements = { 10.99.0.2 }
	}
	set controls4 {
		type ipv4_addr . inet_service
		elements = { 10.99.0.3 . 7000 }
	}
	map ports4 {
		type inet_proto . inet_service : ipv4_addr . inet_service
		elements = { tcp . 8080 : 10.32.0.5 . 80 }
	}
	map hostports4 {
		type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service
	}
	set published4 {
		type ipv4_addr . inet_proto . inet_service
		elements = { 10.32.0.5 . tcp . 80 }
	}
	set hairpin4 {
		type ipv4_addr . ipv4_addr
		elements = { 10.32.0.5 . 10.32.0.5 }
	}
	set overlay6 {
		type ipv6_addr
		flags interval
		elements = { fd32::/96 }
	}
	set masquerade6 {
		type ipv6_addr
		flags interval
		elements = { fd32::/112 }
	}
	set exempt6 {
		type ipv6_addr
		flags interval
	}
	set peers6 {
		type ipv6_addr
		elements = { fd99::2 }
	}
	set controls6 {
		type ipv6_addr . inet_service
		elements = { fd99::3 . 7000 }
	}
	map ports6 {
		type inet_proto . inet_service : ipv6_addr . inet_service
	}
	map hostports6 {
		type ipv6_addr . inet_proto . inet_service : ipv6_addr . inet_service
		elements = { fd99::1 . sctp . 8080 : fd32::5 . 80 }
	}
	set published6 {
		type ipv6_addr . inet_proto . inet_service
		elements = { fd32::5 . sctp . 80 }
	}
	set hairpin6 {
		type ipv6_addr . ipv6_addr
		elements = { fd32::5 . fd32::5 }
	}
	set exposed {
		type nf_proto
		elements = { ipv4 }
	}
	chain loopback {
		ip daddr 127.0.0.0/8 drop
		ip saddr 127.0.0.0/8 drop
	}
	chain underlay {
		ip saddr @peers4 notrack
		ip6 saddr @peers6 notrack
	}
	chain guard {
		type filter hook prerouting priority raw; policy accept;
		iifname "weave" goto loopback
		udp dport 6784 goto underlay
	}
	chain untracked {
		type filter hook output priority raw; policy accept;
		udp dport 6784 notrack
	}
	chain prerouting {
		type nat hook prerouting priority -105; policy accept;
		ip daddr != 127.0.0.0/8 fib daddr type local jump ports
		ip6 daddr != fe80::/10 fib daddr type local jump ports
	}
	chain output {
		type nat hook output priority -105; policy accept;
		meta nfproto ipv4 fib daddr type local jump ports
		ip6 daddr != ::1 ip6 daddr != fe80::/10 fib daddr type local jump ports
	}
	chain ports {
		meta nfproto ipv4 dnat ip addr . port to ip daddr . meta l4proto . th dport map @hostports4
		meta nfproto ipv4 dnat ip addr . port to meta l4proto . th dport map @ports4
		meta nfproto ipv6 dnat ip6 addr . port to ip6 daddr . meta l4proto . th dport map @hostports6
		meta nfproto ipv6 dnat ip6 addr . port to meta l4proto . th dport map @ports6
	}
	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		oifname "weave" ct status dnat ip daddr . meta l4proto . th dport @published4 goto published
		oifname "weave" ct status dnat ip6 daddr . meta l4proto . th dport @published6 goto published
		ip saddr @exempt4 accept
		ip daddr @exempt4 accept
		ip6 saddr @exempt6 accept
		ip6 daddr @exempt6 accept
		ip saddr @masquerade4 ip daddr != @overlay4 ip daddr != 224.0.0.0/4 oifname != "weave" masquerade fully-random
		ip6 saddr @masquerade6 ip6 daddr != @overlay6 ip6 daddr != ff00::/8 oifname != "weave" masquerade fully-random
		ip saddr != @overlay4 ip daddr @masquerade4 oifname "weave" masquerade fully-random
		ip6 saddr != @overlay6 ip6 saddr != fe80::/10 ip6 daddr @masquerade6 oifname "weave" masquerade fully-random
	}
	chain published {
		iifname "weave" masquerade fully-random
		ip saddr @overlay4 masquerade fully-random
		ip6 saddr @overlay6 masquerade fully-random
		ip saddr . ip daddr @hairpin4 masquerade fully-random
		ip6 saddr . ip6 daddr @hairpin6 masquerade fully-random
		fib saddr type local masquerade fully-random
	}
	chain input {
		type filter hook input priority filter - 5; policy accept;
		iifname "weave" goto containers
		udp dport 6784 goto vxlan
	}
	chain leaving {
		tcp dport 6783 counter drop
		udp dport 6784 counter drop
		ip daddr . tcp dport @controls4 counter drop
		ip6 daddr . tcp dport @controls6 counter drop
	}
	chain forward {
		type filter hook forward priority filter - 5; policy accept;
		iifname "weave" oifname != "weave" goto leaving
	}
	chain containers {
		tcp dport 6783 counter drop
		udp dport 6784 counter drop
		ct state established,related accept
		icmp type { echo-request, echo-reply } accept
		icmpv6 type { echo-request, echo-reply, nd-neighbor-solicit, nd-neighbor-advert } accept
		ip6 daddr fe80::/10 counter drop
		meta nfproto @exposed accept
		counter drop
	}
	chain vxlan {
		ip saddr @peers4 accept
		ip6 saddr @peers6 accept
		counter drop
	}
}
`);
});

test("the rules are the same with and without sources", () => {
  const none = renderTable(EMPTY_TABLE);
  expect(none).not.toContain("elements");
  expect(none.split("\tchain")[1]).toBe(
    renderTable({ ...EMPTY_TABLE, overlay: ["10.0.0.0/8"], masquerade: ["10.0.0.0/8"] }).split("\tchain")[1],
  );
});

test.each([
  [["10.32.5.9/12"], ["10.32.0.0/12"]],
  [["10.33.0.0/16", "10.32.0.0/12", "10.32.0.0/12", "10.32.1.0/24"], ["10.32.0.0/12"]],
  [
    ["10.33.0.0/16", "10.32.0.0/16"],
    ["10.32.0.0/16", "10.33.0.0/16"],
  ],
  [["0.0.0.0/0", "10.0.0.0/8"], ["0.0.0.0/0"]],
  [["fd00::/8"], []],
])("blocks of %j are disjoint and in order: %j", (input, expected) => {
  expect(blocks(input, 4).map(formatCidr)).toEqual(expected);
});

test("what is no CIDR, or no interface name, never reaches the text", () => {
  expect(() => blocks(["10.0.0.0/8; flush ruleset"], 4)).toThrow("not a CIDR");
  expect(() => renderTable({ ...EMPTY_TABLE, bridge: 'weave" accept' })).toThrow("not an interface name");
});
