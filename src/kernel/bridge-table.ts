// The table `bridge weave`: which container may announce which address. ARP and ND say who has an address, and every
// container on the bridge believes them; here an address that is in use is believed only from the port it lives at.
// Pure: rules and elements, not how they get into the kernel (firewall.ts).
//
// Only announcements are looked at, never data: a forged source address brings no answer back, since frames follow the
// static FDB entries and permanent neighbours. What comes from other hosts was looked at there. Addresses nobody has are
// free for all: containers route for others, and move addresses of their own between them. MACs are free, too, so that a
// container whose MAC another plugin changes is heard at once.
import { formatAddress, parseAddress } from "../core/address/cidr.ts";
import { linkLocalOf } from "../core/address/mac.ts";
import type { DatapathState } from "../core/datapath/state.ts";
import type { Element, SetChange } from "./rtnetlink/nft-set.ts";
import { wireAddress } from "./rtnetlink/wire.ts";

/** `known`: addresses in use, on whatever host. `homes`: port and address of the containers here. */
export const CLAIM_SETS = ["known4", "homes4", "known6", "homes6"] as const;
export type ClaimSet = (typeof CLAIM_SETS)[number];

/** What stands in the sets: addresses, or port and address with a blank between. Canonical. */
export type Claims = Readonly<Record<ClaimSet, ReadonlySet<string>>>;

/** IFNAMSIZ (linux/if.h). */
const IFNAME_BYTES = 16;
/** One message of these, 64 bytes each at most, stays below the 65535 bytes of a netlink attribute. */
const CHUNK = 500;
/** Texts whose address is kept; beyond, all are worked out again. */
const MAX_REMEMBERED = 65_536;

const ND = "meta protocol ip6 icmpv6 type";

/** Who may announce what. Frames are told by `meta protocol`, which a VLAN tag in front (802.1p) does not hide. */
const RULES: Readonly<Record<string, readonly string[]>> = {
  arps: ["meta protocol arp arp saddr ip @known4 iifname . arp saddr ip != @homes4 counter drop"],
  // Sent in the gateway's name it would lead others' traffic to the sender.
  redirects: ["meta protocol ip icmp type redirect counter drop"],
  discovery: [
    `${ND} { nd-router-advert, nd-redirect } counter drop`,
    // The sender of these is put into the receiver's cache, and so is the target of an advertisement: 128 bits at 64.
    `${ND} { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert } @nh,64,128 @known6 iifname . @nh,64,128 != @homes6 counter drop`,
    `${ND} nd-neighbor-advert @th,64,128 @known6 iifname . @th,64,128 != @homes6 counter drop`,
  ],
  prerouting: [
    // Nearly every frame, on the bridges of others, too: it is to cost two comparisons. Tags and broken headers go on.
    ...["ip meta l4proto != icmp", "ip6 meta l4proto != ipv6-icmp"].map(
      (data) => `meta protocol ${data} accept`,
    ),
    // Tags in tags: a receiver that takes off two of number 0 would see what is not looked at here.
    `iifname "vw*" meta protocol vmap { arp : goto arps, ip : goto redirects, ip6 : goto discovery, 8021q : drop, 8021ad : drop }`,
  ],
};

/** How many rules the table has. */
export const BRIDGE_RULES = Object.values(RULES).flat().length;

/** The table without elements, for one transaction with `removeBridgeTable` before it. */
export function renderBridgeTable(table: string): string {
  return [
    `table bridge ${table} {`,
    "\tset known4 { type ipv4_addr; }",
    "\tset homes4 { type ifname . ipv4_addr; }",
    "\tset known6 { typeof @nh,64,128; }",
    "\tset homes6 { typeof iifname . @nh,64,128; }",
    ...Object.entries(RULES).flatMap(([chain, rules]) => [
      `\tchain ${chain} {`,
      ...(chain === "prerouting" ? ["\t\ttype filter hook prerouting priority -200; policy accept;"] : []),
      ...rules.map((rule) => `\t\t${rule}`),
      "\t}",
    ]),
    "}",
    "",
  ].join("\n");
}

/** Deletes the table, and does not fail when there is none. */
export function removeBridgeTable(table: string): string {
  return `table bridge ${table} {}\ndelete table bridge ${table}\n`;
}

export function noClaims(): Claims {
  return { known4: new Set(), homes4: new Set(), known6: new Set(), homes6: new Set() };
}

/**
 * What may be announced by whom, link-local addresses made of MACs with it. Text that is no address is left out: its
 * neighbour entry fails, and is told.
 */
export function claimsOf({ neighbours, bridge, ports }: DatapathState): Claims {
  const known = { 4: new Set<string>(), 6: new Set<string>() };
  const homes = { 4: new Set<string>(), 6: new Set<string>() };
  const know = (text: string): void => {
    const address = parsed(text);
    if (address !== undefined) known[address.family].add(address.text);
  };
  for (const { address, mac } of neighbours) for (const text of [address, linkLocal(mac)]) know(text);
  for (const cidr of bridge.addresses) know(cidr.split("/")[0] ?? cidr);
  know(linkLocal(bridge.mac));
  for (const { name, addresses, mac } of ports) {
    if (Buffer.byteLength(name) >= IFNAME_BYTES) continue;
    for (const text of [...addresses, ...(mac === undefined ? [] : [linkLocal(mac)])]) {
      const address = parsed(text);
      if (address !== undefined) homes[address.family].add(`${name} ${address.text}`);
    }
  }
  return { known4: known[4], homes4: homes[4], known6: known[6], homes6: homes[6] };
}

/**
 * What leads from one to the other, in transactions. A home is there before its address is known, and stays until that is
 * not known any more: at no moment is a container kept from announcing its own address.
 */
export function claimChanges(former: Claims, wanted: Claims): readonly (readonly SetChange[])[] {
  const lacking = (one: Claims, other: Claims, set: ClaimSet): string[] =>
    [...one[set]].filter((text) => !other[set].has(text));
  const added = (["homes4", "homes6", "known4", "known6"] as const).flatMap((set) =>
    chunks(lacking(wanted, former, set)).map((texts) => ({ set, add: texts, remove: [] })),
  );
  const removed = (["known4", "known6", "homes4", "homes6"] as const).flatMap((set) =>
    chunks(lacking(former, wanted, set)).map((texts) => ({ set, add: [], remove: texts })),
  );
  const changes = [...added, ...removed].map(({ set, add, remove }) => ({
    family: "bridge" as const,
    set,
    add: add.map(claimElement),
    remove: remove.map(claimElement),
  }));
  if (changes.length === 0) return [];
  const total = changes.reduce((sum, { add, remove }) => sum + add.length + remove.length, 0);
  return total <= CHUNK ? [changes] : changes.map((change) => [change]);
}

/** An entry of Claims as the kernel has it. */
export function claimElement(text: string): Element {
  const [port, address] = text.includes(" ") ? text.split(" ") : [undefined, text];
  const { bytes } = wireAddress(address ?? "");
  if (port === undefined) return { key: bytes };
  const name = Buffer.alloc(IFNAME_BYTES);
  name.write(port);
  return { key: Buffer.concat([name, bytes]) };
}

function chunks(texts: readonly string[]): string[][] {
  const count = Math.ceil(texts.length / CHUNK);
  return Array.from({ length: count }, (_, i) => texts.slice(i * CHUNK, (i + 1) * CHUNK));
}

/** Canonical; undefined for what is no address. */
const parsed = remembering((text) => {
  const address = parseAddress(text);
  if (address === undefined) return undefined;
  return { family: address.family, text: formatAddress(address.family, address.value) };
});

/** Empty for what is no MAC. */
const linkLocal = (mac: string): string => linkLocalOf(mac) ?? "";

/** Every change of the datapath asks of all endpoints, and most are those of the last time. */
function remembering<T>(work: (text: string) => T): (text: string) => T {
  const before = new Map<string, T>();
  return (text) => {
    const found = before.get(text);
    if (found !== undefined) return found;
    const result = work(text);
    if (before.size >= MAX_REMEMBERED) before.clear();
    before.set(text, result);
    return result;
  };
}
