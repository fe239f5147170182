// Permanent neighbour entries, IP address -> MAC, on one interface: RTM_*NEIGH with struct ndmsg (linux/neighbour.h).
// The forwarding database speaks the same messages and has its own file, fdb.ts.
import { attribute, parseAttributes, readS32, readU16, u32, writeU16, writeU32 } from "./attributes.ts";
import { errnoOf } from "./errors.ts";
import { type NetlinkPort, NLM_F_CREATE, NLM_F_REPLACE } from "./socket.ts";
import { addressText, macBytes, macText, wireAddress } from "./wire.ts";

export const RTM_NEWNEIGH = 28;
export const RTM_DELNEIGH = 29;
export const RTM_GETNEIGH = 30;
export const NDA_DST = 1;
export const NDA_LLADDR = 2;
const NDA_IFINDEX = 8;
/** Use the entry at once, as a packet for the address would. */
const NTF_USE = 0x1;
/**
 * NUD_PERMANENT: survives loss of carrier (a bridge whose last port leaves), which `extern_learn noarp` does not.
 * Setting the interface down flushes both.
 */
export const NUD_PERMANENT = 0x80;

/** struct ndmsg, 12 bytes. */
export interface NeighbourHeader {
  readonly family: number;
  readonly index: number;
  readonly state: number;
  readonly flags: number;
}

/** An entry as observed. */
export interface Neighbour {
  readonly index: number;
  readonly address: string;
  readonly mac: string;
  readonly permanent: boolean;
}

/** Add or replace the permanent entry of an address. */
export async function setNeighbour(
  socket: NetlinkPort,
  index: number,
  address: string,
  mac: string,
): Promise<void> {
  const subject = { operation: "neighbour set", object: address };
  await socket.request(
    subject,
    RTM_NEWNEIGH,
    encodeNeighbour(index, address, mac),
    NLM_F_CREATE | NLM_F_REPLACE,
  );
}

/** Delete the entry of an address. False when there was none. */
export async function deleteNeighbour(socket: NetlinkPort, index: number, address: string): Promise<boolean> {
  const { family, bytes } = wireAddress(address);
  const payload = Buffer.concat([
    encodeHeader({ family, index, state: 0, flags: 0 }),
    attribute(NDA_DST, bytes),
  ]);
  try {
    await socket.request({ operation: "neighbour delete", object: address }, RTM_DELNEIGH, payload);
    return true;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return false;
    throw error;
  }
}

/**
 * Announce an IPv4 address of the socket's namespace on its own interface: the kernel is asked to find the address's
 * neighbour, and what it sends for that is a gratuitous ARP (RFC 5227, 3; arp_solicit). A packet socket could send the same
 * frame, but closing one waits 12 ms for the kernel's grace period.
 */
export async function announceOwn(socket: NetlinkPort, index: number, address: string): Promise<void> {
  const { family, bytes } = wireAddress(address);
  const payload = Buffer.concat([
    encodeHeader({ family, index, state: 0, flags: NTF_USE }),
    attribute(NDA_DST, bytes),
  ]);
  await socket.request({ operation: "announce", object: address }, RTM_NEWNEIGH, payload, NLM_F_CREATE);
  // Nobody answers; with this the kernel neither asks twice more nor remembers that it failed.
  await deleteNeighbour(socket, index, address);
}

/** The entries of one interface, both families. */
export async function listNeighbours(socket: NetlinkPort, index: number): Promise<readonly Neighbour[]> {
  const header = encodeHeader({ family: 0, index: 0, state: 0, flags: 0 });
  const payload = Buffer.concat([header, attribute(NDA_IFINDEX, u32(index))]);
  const parts = await socket.dump(
    { operation: "neighbour list", object: `interface ${index}` },
    RTM_GETNEIGH,
    payload,
  );
  return parts.flatMap((part) => {
    const decoded = part.type === RTM_NEWNEIGH ? decodeNeighbour(part.data) : undefined;
    return decoded === undefined || decoded.index !== index ? [] : [decoded];
  });
}

/** RTM_NEWNEIGH payload of a permanent entry. */
export function encodeNeighbour(index: number, address: string, mac: string): Buffer {
  const { family, bytes } = wireAddress(address);
  return Buffer.concat([
    encodeHeader({ family, index, state: NUD_PERMANENT, flags: 0 }),
    attribute(NDA_DST, bytes),
    attribute(NDA_LLADDR, macBytes(mac)),
  ]);
}

/** RTM_NEWNEIGH payload as the kernel sends it; undefined for entries without an IP address. */
export function decodeNeighbour(payload: Buffer): Neighbour | undefined {
  const header = decodeHeader(payload);
  const attributes = parseAttributes(payload.subarray(12));
  const address = addressText(attributes.get(NDA_DST) ?? Buffer.alloc(0));
  if (address === undefined) return undefined;
  return {
    index: header.index,
    address,
    mac: macText(attributes.get(NDA_LLADDR) ?? Buffer.alloc(0)),
    permanent: (header.state & NUD_PERMANENT) !== 0,
  };
}

export function encodeHeader(header: NeighbourHeader): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt8(header.family, 0);
  writeU32(bytes, header.index, 4);
  writeU16(bytes, header.state, 8);
  bytes.writeUInt8(header.flags, 10);
  return bytes;
}

export function decodeHeader(payload: Buffer): NeighbourHeader {
  return {
    family: payload.readUInt8(0),
    index: readS32(payload, 4),
    state: readU16(payload, 8),
    flags: payload.readUInt8(10),
  };
}
