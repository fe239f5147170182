// Addresses and CIDRs of both families as numbers. This folder alone knows families; everything beyond works with
// offsets inside a universe (universe.ts) or with canonical text.
import { Address4, Address6 } from "ip-address";

export type Family = 4 | 6;

/** An address with its prefix length. `value` keeps the host bits, as in "10.32.0.5/12". */
export interface Cidr {
  readonly family: Family;
  readonly value: bigint;
  readonly prefix: number;
}

const bits = (family: Family): number => (family === 4 ? 32 : 128);

/** Text -> Cidr; a missing prefix means a single address. undefined when it is neither IPv4 nor IPv6, or has a zone. */
export function parseCidr(text: string): Cidr | undefined {
  if (text.length > 64 || text.includes("%")) return undefined;
  const [address, prefixText, ...rest] = text.split("/");
  if (address === undefined || rest.length > 0) return undefined;
  const family: Family | undefined = Address4.isValid(address)
    ? 4
    : Address6.isValid(address)
      ? 6
      : undefined;
  if (family === undefined) return undefined;
  let prefix = bits(family);
  if (prefixText !== undefined) {
    if (!/^\d{1,3}$/.test(prefixText)) return undefined;
    prefix = Number(prefixText);
    if (prefix > bits(family)) return undefined;
  }
  const value = family === 4 ? new Address4(address).bigInt() : new Address6(address).bigInt();
  return { family, value, prefix };
}

/** An address without prefix, or undefined. */
export function parseAddress(text: string): Cidr | undefined {
  return text.includes("/") ? undefined : parseCidr(text);
}

/** Canonical text without prefix: dotted quad, or RFC 5952. */
export function formatAddress(family: Family, value: bigint): string {
  return family === 4 ? Address4.fromBigInt(value).correctForm() : Address6.fromBigInt(value).correctForm();
}

/** Canonical text with prefix; host bits are kept. */
export function formatCidr(cidr: Cidr): string {
  return `${formatAddress(cidr.family, cidr.value)}/${cidr.prefix}`;
}

/** Number of addresses, as a bigint since IPv6 exceeds what a number holds. */
export function cidrSize(cidr: Cidr): bigint {
  return 1n << BigInt(bits(cidr.family) - cidr.prefix);
}

/** The first address: host bits cleared. */
export function networkOf(cidr: Cidr): Cidr {
  const size = cidrSize(cidr);
  return { ...cidr, value: (cidr.value / size) * size };
}

/** Whether the two share an address. */
export function overlaps(a: Cidr, b: Cidr): boolean {
  if (a.family !== b.family) return false;
  const startA = networkOf(a).value;
  const startB = networkOf(b).value;
  return startA < startB + cidrSize(b) && startB < startA + cidrSize(a);
}

/** Whether every address of `inner` is one of `outer`. */
export function contains(outer: Cidr, inner: Cidr): boolean {
  if (outer.family !== inner.family || inner.prefix < outer.prefix) return false;
  return networkOf({ ...inner, prefix: outer.prefix }).value === networkOf(outer).value;
}

/** What no single host can have: this network, loopback apart, multicast, reserved and broadcast (RFC 6890, RFC 4291). */
const NOT_UNICAST = ["0.0.0.0/8", "224.0.0.0/3", "::/128", "ff00::/8"].flatMap(
  (text) => parseCidr(text) ?? [],
);

/** Whether text is an address (no prefix) that one host can have. */
export function isUnicast(text: string): boolean {
  const address = parseAddress(text);
  return address !== undefined && !NOT_UNICAST.some((range) => contains(range, address));
}

/** Loopback and link-local: never the same host for two who say it (RFC 6890, RFC 4291). */
const NOT_SHARED = ["127.0.0.0/8", "169.254.0.0/16", "::1/128", "fe80::/10"].flatMap(
  (text) => parseCidr(text) ?? [],
);

/** Whether text is an address (no prefix) under which hosts of one network can know one of them. */
export function isShared(text: string): boolean {
  const address = parseAddress(text);
  return address !== undefined && isUnicast(text) && !NOT_SHARED.some((range) => contains(range, address));
}
