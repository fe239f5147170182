// Addresses of interfaces: RTM_*ADDR with struct ifaddrmsg (linux/if_addr.h).
import { attribute, parseAttributes, readU32, writeU32 } from "./attributes.ts";
import { errnoOf } from "./errors.ts";
import { type NetlinkPort, NLM_F_CREATE, NLM_F_EXCL } from "./socket.ts";
import { AF_INET6, addressText, type WireAddress, wireAddress } from "./wire.ts";

const RTM_NEWADDR = 20;
const RTM_DELADDR = 21;
const RTM_GETADDR = 22;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
/** No duplicate address detection: the ring hands every address out once, and its second of waiting would be lost. */
const IFA_F_NODAD = 0x02;
/** RT_SCOPE_UNIVERSE: neither link-local nor host-local. */
const SCOPE_UNIVERSE = 0;

/** An address of an interface. */
export interface InterfaceAddress {
  readonly index: number;
  /** Canonical, without prefix. */
  readonly address: string;
  readonly prefix: number;
  /** Global scope: usable beyond its link. */
  readonly global: boolean;
}

/** Add an address with prefix. False when the interface has it. */
export async function addAddress(socket: NetlinkPort, index: number, cidr: string): Promise<boolean> {
  const payload = encodeAddress(index, wireAddress(cidr));
  try {
    await socket.request(
      { operation: "address add", object: cidr },
      RTM_NEWADDR,
      payload,
      NLM_F_CREATE | NLM_F_EXCL,
    );
    return true;
  } catch (error) {
    if (errnoOf(error) === "EEXIST") return false;
    throw error;
  }
}

/** Delete an address with prefix. False when it was not there. */
export async function deleteAddress(socket: NetlinkPort, index: number, cidr: string): Promise<boolean> {
  const payload = encodeAddress(index, wireAddress(cidr));
  try {
    await socket.request({ operation: "address delete", object: cidr }, RTM_DELADDR, payload);
    return true;
  } catch (error) {
    if (errnoOf(error) === "EADDRNOTAVAIL") return false;
    throw error;
  }
}

/** All addresses of the namespace, IPv4 before IPv6, in interface order. */
export async function listAddresses(socket: NetlinkPort): Promise<readonly InterfaceAddress[]> {
  const parts = await socket.dump({ operation: "address list", object: "all" }, RTM_GETADDR, Buffer.alloc(8));
  return parts.flatMap((part) => {
    const decoded = part.type === RTM_NEWADDR ? decodeAddress(part.data) : undefined;
    return decoded === undefined ? [] : [decoded];
  });
}

/** RTM_NEWADDR payload. IPv4 wants the address as IFA_LOCAL too (IFA_ADDRESS is the far end of a point-to-point link). */
export function encodeAddress(index: number, address: WireAddress): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt8(address.family, 0);
  header.writeUInt8(address.prefix, 1);
  header.writeUInt8(address.family === AF_INET6 ? IFA_F_NODAD : 0, 2);
  header.writeUInt8(SCOPE_UNIVERSE, 3);
  writeU32(header, index, 4);
  return Buffer.concat([header, attribute(IFA_LOCAL, address.bytes), attribute(IFA_ADDRESS, address.bytes)]);
}

/** RTM_NEWADDR payload as the kernel sends it; undefined for families other than IP. */
export function decodeAddress(payload: Buffer): InterfaceAddress | undefined {
  const attributes = parseAttributes(payload.subarray(8));
  const bytes = attributes.get(IFA_LOCAL) ?? attributes.get(IFA_ADDRESS);
  const address = bytes === undefined ? undefined : addressText(bytes);
  if (address === undefined) return undefined;
  return {
    index: readU32(payload, 4),
    address,
    prefix: payload.readUInt8(1),
    global: payload.readUInt8(3) === SCOPE_UNIVERSE,
  };
}
