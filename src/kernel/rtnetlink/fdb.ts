// The forwarding database behind a VXLAN device that is a bridge port: RTM_*NEIGH with family AF_BRIDGE.
//
// A remote MAC needs two entries: `self dst VTEP` on the device, or its frames go to every peer, and `master static` on
// the bridge, or they are flooded into the other local containers too and ARP for it is not suppressed. `sticky` keeps
// a local container that uses the MAC from pulling the entry to its own port. For the same reason the MAC of each local
// container has an entry `master static sticky` at its own port, its home.
import { attribute, parseAttributes, u32 } from "./attributes.ts";
import { errnoOf } from "./errors.ts";
import {
  decodeHeader,
  encodeHeader,
  NDA_DST,
  NDA_LLADDR,
  NUD_PERMANENT,
  RTM_DELNEIGH,
  RTM_GETNEIGH,
  RTM_NEWNEIGH,
} from "./neighbour.ts";
import { type NetlinkPort, NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE } from "./socket.ts";
import { AF_BRIDGE, addressText, macBytes, macText, wireAddress } from "./wire.ts";

/** linux/neighbour.h. */
const NTF_SELF = 0x02;
const NTF_MASTER = 0x04;
const NTF_STICKY = 0x40;
const NUD_REACHABLE = 0x02;
const NUD_NOARP = 0x40;
const NDA_MASTER = 9;
/** linux/if_link.h: restricts a dump to one bridge. */
const IFLA_MASTER = 10;
/** Destination of broadcast, multicast and unknown frames. */
export const FLOOD_MAC = "00:00:00:00:00:00";

/** Which of the two halves of an entry is meant. */
export type FdbHalf = "self" | "master";

/** What the kernel holds for one bridge with a VXLAN port, by MAC. */
export interface FdbTable {
  /** VTEPs that get a copy of what has no entry. */
  readonly flood: ReadonlySet<string>;
  /** MAC -> VTEP on the device. */
  readonly self: ReadonlyMap<string, string>;
  /** Static entries of the bridge at this port, and whether they are sticky. */
  readonly master: ReadonlyMap<string, { readonly sticky: boolean }>;
  /** Static, sticky entries of the bridge at its other ports: MAC -> index of the port. */
  readonly homes: ReadonlyMap<string, number>;
}

/** Add or move both halves of a remote MAC. Not atomic in the kernel: on failure observe again. */
export async function setFdb(socket: NetlinkPort, index: number, mac: string, vtep: string): Promise<void> {
  const subject = { operation: "fdb set", object: mac };
  await socket.request(subject, RTM_NEWNEIGH, encodeFdb(index, mac, vtep), NLM_F_CREATE | NLM_F_REPLACE);
}

/** Delete one half of a MAC's entry. False when it was not there. */
export async function deleteFdb(
  socket: NetlinkPort,
  index: number,
  mac: string,
  half: FdbHalf,
): Promise<boolean> {
  const flags = half === "self" ? NTF_SELF : NTF_MASTER;
  const header = encodeHeader({ family: AF_BRIDGE, index, state: NUD_NOARP, flags });
  return remove(socket, mac, Buffer.concat([header, attribute(NDA_LLADDR, macBytes(mac))]));
}

/** Bind a MAC to a port of the bridge. False, and nothing changes, when the bridge has an entry of it, at whatever port. */
export async function claimHome(socket: NetlinkPort, port: number, mac: string): Promise<boolean> {
  try {
    const subject = { operation: "fdb add", object: mac };
    await socket.request(subject, RTM_NEWNEIGH, encodeHome(port, mac), NLM_F_CREATE | NLM_F_EXCL);
    return true;
  } catch (error) {
    if (errnoOf(error) === "EEXIST") return false;
    throw error;
  }
}

/** Bind a MAC to a port of the bridge, from wherever it was. */
export async function setHome(socket: NetlinkPort, port: number, mac: string): Promise<void> {
  const subject = { operation: "fdb set", object: mac };
  await socket.request(subject, RTM_NEWNEIGH, encodeHome(port, mac), NLM_F_CREATE | NLM_F_REPLACE);
}

/** Add a VTEP to the flood list. False when it is in it. */
export async function addFlood(socket: NetlinkPort, index: number, vtep: string): Promise<boolean> {
  try {
    const subject = { operation: "flood add", object: vtep };
    await socket.request(subject, RTM_NEWNEIGH, encodeFlood(index, vtep), NLM_F_CREATE | NLM_F_APPEND);
    return true;
  } catch (error) {
    if (errnoOf(error) === "EEXIST") return false;
    throw error;
  }
}

/** Take a VTEP off the flood list. Whether it was in it the kernel does not tell as long as the list has another. */
export async function deleteFlood(socket: NetlinkPort, index: number, vtep: string): Promise<void> {
  await remove(socket, vtep, encodeFlood(index, vtep));
}

/** Everything the VXLAN device and the bridge hold. */
export async function listFdb(
  socket: NetlinkPort,
  { bridge, vxlan: index }: { readonly bridge: number; readonly vxlan: number },
): Promise<FdbTable> {
  // A dump restricted to one bridge begins with struct ifinfomsg; its family is where ndmsg has it.
  const header = Buffer.alloc(16);
  encodeHeader({ family: AF_BRIDGE, index: 0, state: 0, flags: 0 }).copy(header);
  const payload = Buffer.concat([header, attribute(IFLA_MASTER, u32(bridge))]);
  const parts = await socket.dump(
    { operation: "fdb list", object: `bridge ${bridge}` },
    RTM_GETNEIGH,
    payload,
  );
  const flood = new Set<string>();
  const self = new Map<string, string>();
  const master = new Map<string, { sticky: boolean }>();
  const homes = new Map<string, number>();
  for (const part of parts) {
    const entry = part.type === RTM_NEWNEIGH ? decodeFdb(part.data) : undefined;
    if (entry === undefined) continue;
    if (entry.index !== index) {
      if (entry.half === "master" && entry.fixed && entry.sticky) homes.set(entry.mac, entry.index);
    } else if (entry.half === "master") {
      if (entry.fixed) master.set(entry.mac, { sticky: entry.sticky });
    } else if (entry.vtep !== undefined) {
      if (entry.mac === FLOOD_MAC) flood.add(entry.vtep);
      else self.set(entry.mac, entry.vtep);
    }
  }
  return { flood, self, master, homes };
}

/** RTM_NEWNEIGH payload of both halves. REACHABLE is for the device, which refuses NOARP alone after the bridge took it. */
export function encodeFdb(index: number, mac: string, vtep: string): Buffer {
  const flags = NTF_SELF | NTF_MASTER | NTF_STICKY;
  return Buffer.concat([
    encodeHeader({ family: AF_BRIDGE, index, state: NUD_NOARP | NUD_REACHABLE, flags }),
    attribute(NDA_LLADDR, macBytes(mac)),
    attribute(NDA_DST, wireAddress(vtep).bytes),
  ]);
}

/** RTM_NEWNEIGH payload of a MAC at its own port. */
export function encodeHome(port: number, mac: string): Buffer {
  return Buffer.concat([
    encodeHeader({ family: AF_BRIDGE, index: port, state: NUD_NOARP, flags: NTF_MASTER | NTF_STICKY }),
    attribute(NDA_LLADDR, macBytes(mac)),
  ]);
}

/** RTM_NEWNEIGH or RTM_DELNEIGH payload of one flood destination. */
export function encodeFlood(index: number, vtep: string): Buffer {
  return Buffer.concat([
    encodeHeader({ family: AF_BRIDGE, index, state: NUD_PERMANENT, flags: NTF_SELF }),
    attribute(NDA_LLADDR, macBytes(FLOOD_MAC)),
    attribute(NDA_DST, wireAddress(vtep).bytes),
  ]);
}

/** One entry as the kernel sends it. */
export interface FdbEntry {
  readonly index: number;
  readonly mac: string;
  readonly half: FdbHalf;
  readonly vtep: string | undefined;
  /** Static, neither learned nor the port's own MAC. */
  readonly fixed: boolean;
  readonly sticky: boolean;
}

/** RTM_NEWNEIGH payload of family AF_BRIDGE. */
export function decodeFdb(payload: Buffer): FdbEntry | undefined {
  const header = decodeHeader(payload);
  const attributes = parseAttributes(payload.subarray(12));
  const mac = attributes.get(NDA_LLADDR);
  if (header.family !== AF_BRIDGE || mac?.length !== 6) return undefined;
  return {
    index: header.index,
    mac: macText(mac),
    half: attributes.has(NDA_MASTER) ? "master" : "self",
    vtep: addressText(attributes.get(NDA_DST) ?? Buffer.alloc(0)),
    fixed: (header.state & NUD_NOARP) !== 0 && (header.state & NUD_PERMANENT) === 0,
    sticky: (header.flags & NTF_STICKY) !== 0,
  };
}

async function remove(socket: NetlinkPort, object: string, payload: Buffer): Promise<boolean> {
  try {
    await socket.request({ operation: "fdb delete", object }, RTM_DELNEIGH, payload);
    return true;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return false;
    throw error;
  }
}
