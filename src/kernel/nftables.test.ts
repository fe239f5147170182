// The firewall's text: the whole of it once, and what may stand in it.
import { expect, test } from "vitest";
import { formatCidr } from "../core/address/cidr.ts";
import { blocks } from "./firewall-sets.ts";
import { renderTable } from "./nftables.ts";

test("the table of a host that masquerades both families", () => {
  const text = renderTable(
    {
      overlay: ["10.32.0.0/12", "fd32::/96"],
      masquerade: ["10.32.0.0/16", "fd32::/112"],
      exempt: [],
      portMaps: [],
    },
    "weave",
  );
  expect(text).toBe(`table inet weave {}
delete table inet weave
table inet weave {
	set overlay4 {
		type ipv4_addr
		flags interval
		elements = { 10.32.0.0/12 }
	}
	set overlay6 {
		type ipv6_addr
		flags interval
		elements = { fd32::/96 }
	}
	set masquerade4 {
		type ipv4_addr
		flags interval
		elements = { 10.32.0.0/16 }
	}
	set masquerade6 {
		type ipv6_addr
		flags interval
		elements = { fd32::/112 }
	}
	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		ip saddr @masquerade4 ip daddr != @overlay4 ip daddr != 224.0.0.0/4 oifname != "weave" masquerade fully-random
		ip6 saddr @masquerade6 ip6 daddr != @overlay6 ip6 daddr != ff00::/8 oifname != "weave" masquerade fully-random
		ip saddr != @overlay4 ip daddr @masquerade4 oifname "weave" masquerade fully-random
		ip6 saddr != @overlay6 ip6 saddr != fe80::/10 ip6 daddr @masquerade6 oifname "weave" masquerade fully-random
	}
}
`);
});

test("the rules are the same with and without sources", () => {
  const none = renderTable({ overlay: [], masquerade: [], exempt: [], portMaps: [] }, "weave");
  expect(none).not.toContain("elements");
  expect(none.split("\tchain")[1]).toBe(
    renderTable(
      { overlay: ["10.0.0.0/8"], masquerade: ["10.0.0.0/8"], exempt: [], portMaps: [] },
      "weave",
    ).split("\tchain")[1],
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
  expect(() =>
    renderTable({ overlay: [], masquerade: [], exempt: [], portMaps: [] }, 'weave" accept'),
  ).toThrow("not an interface name");
});
