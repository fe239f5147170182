// Addresses as the kernel carries them: MACs and IP addresses as bytes, address families as numbers.
import { type Cidr, type Family, formatAddress, networkOf, parseCidr } from "../../core/address/cidr.ts";
import { WeaveError } from "../../core/errors.ts";

/** AF_INET, AF_INET6, AF_BRIDGE (bits/socket.h). */
export const AF_INET = 2;
export const AF_INET6 = 10;
export const AF_BRIDGE = 7;

/** An IP address ready for a message: its AF_* number, its 4 or 16 bytes, its prefix length. */
export interface WireAddress {
  readonly family: number;
  readonly bytes: Buffer;
  readonly prefix: number;
}

/** Address or CIDR text -> wire form. Host bits are kept. bad-address when it is neither. */
export function wireAddress(text: string): WireAddress {
  const cidr = parseCidr(text);
  if (cidr === undefined) throw new WeaveError("bad-address", `not an IP address: ${text}`);
  return { family: cidr.family === 4 ? AF_INET : AF_INET6, bytes: bytesOf(cidr), prefix: cidr.prefix };
}

/** CIDR text -> wire form of its network: host bits cleared. */
export function wireNetwork(text: string): WireAddress {
  const cidr = parseCidr(text);
  if (cidr === undefined) throw new WeaveError("bad-address", `not a CIDR: ${text}`);
  return {
    family: cidr.family === 4 ? AF_INET : AF_INET6,
    bytes: bytesOf(networkOf(cidr)),
    prefix: cidr.prefix,
  };
}

/** 4 or 16 bytes -> canonical text (dotted quad, RFC 5952); undefined for any other length. */
export function addressText(bytes: Buffer): string | undefined {
  if (bytes.length === 4) return bytes.join(".");
  if (bytes.length !== 16) return undefined;
  return formatAddress(6, BigInt(`0x${bytes.toString("hex")}`));
}

/** The one spelling the kernel layer compares addresses by. bad-address when it is none. */
export function canonicalAddress(text: string): string {
  const cidr = parseCidr(text);
  if (cidr === undefined || text.includes("/"))
    throw new WeaveError("bad-address", `not an IP address: ${text}`);
  return formatAddress(cidr.family, cidr.value);
}

/** "02:00:0a:20:00:05" -> 6 bytes. bad-address otherwise. */
export function macBytes(mac: string): Buffer {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(mac))
    throw new WeaveError("bad-address", `not a MAC address: ${mac}`);
  return Buffer.from(mac.replaceAll(":", ""), "hex");
}

/** Bytes -> lower-case colon-separated text. */
export function macText(bytes: Buffer): string {
  return bytes.toString("hex").replace(/(..)(?=.)/g, "$1:");
}

function bytesOf(cidr: Cidr): Buffer {
  return Buffer.from(cidr.value.toString(16).padStart(hexDigits(cidr.family), "0"), "hex");
}

function hexDigits(family: Family): number {
  return family === 4 ? 8 : 32;
}
