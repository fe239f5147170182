// MAC addresses that need no agreement: derived, locally administered (02:...), the same on every host.
import { fnv1a64 } from "../hash.ts";
import { parseCidr } from "./cidr.ts";

/** Second byte of MACs derived from addresses and of those derived from names: the two can never meet. */
const FROM_ADDRESS = "a0";
const FROM_NAME = "b0";

/**
 * Default MAC of a container: 02:a0 and its IPv4 address, or 02:a1 and 32 hashed bits of its IPv6 address.
 * The gossiped endpoint stays the only truth about MACs; this only saves choosing one.
 */
export function macForAddress(address: string): string {
  const cidr = parseCidr(address);
  if (cidr === undefined) throw new TypeError(`not an address: ${address}`);
  if (cidr.family === 4) return mac(FROM_ADDRESS, cidr.value);
  return mac("a1", fnv1a64(cidr.value.toString(16)) & 0xffff_ffffn);
}

/** MAC of a peer's bridge, from the peer's name: distinct per host, equal after every restart. */
export function macForName(name: string): string {
  return mac(FROM_NAME, fnv1a64(name) & 0xffff_ffffn);
}

/**
 * The address an interface gives itself from its MAC (RFC 4291, appendix A), canonical; undefined for what is no MAC.
 * The kernel's default for a bridge (addr_gen_mode 0).
 */
export function linkLocalOf(text: string): string | undefined {
  const bytes = text.split(":").map((byte) => Number.parseInt(byte, 16));
  if (bytes.length !== 6 || bytes.some(Number.isNaN)) return undefined;
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = bytes;
  const groups = [((a ^ 2) << 8) | b, (c << 8) | 0xff, 0xfe00 | d, (e << 8) | f];
  // A leading group of zero belongs to the zeros that "::" stands for.
  const shown = groups[0] === 0 ? groups.slice(1) : groups;
  return `fe80::${shown.map((group) => group.toString(16)).join(":")}`;
}

/** Six colon-separated bytes, lower case. */
function isMac(text: string): boolean {
  return /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/.test(text);
}

/** Neither multicast nor all zero: one a single interface can have. */
export function isUnicastMac(text: string): boolean {
  return isMac(text) && (Number.parseInt(text.slice(0, 2), 16) & 1) === 0 && text !== "00:00:00:00:00:00";
}

function mac(kind: string, low32: bigint): string {
  const hex = low32.toString(16).padStart(8, "0");
  return `02:${kind}:${hex.match(/../g)?.join(":") ?? ""}`;
}
