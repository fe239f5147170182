// Links: bridges, VXLAN devices, veth pairs and what is common to them. RTM_*LINK with struct ifinfomsg (linux/rtnetlink.h).
import { attribute, parseAttributes, readS32, readText, readU32, text, u32, writeU32 } from "./attributes.ts";
import type { DirectSocket } from "./direct.ts";
import { errnoOf, kernelError } from "./errors.ts";
import {
  decodeLinkInfo,
  decodePortSettings,
  encodeKind,
  encodeQueues,
  type LinkInfo,
  type PortInfo,
} from "./link-info.ts";
import { type NetlinkPort, NLM_F_CREATE, NLM_F_EXCL } from "./socket.ts";
import { macBytes, macText } from "./wire.ts";

const RTM_NEWLINK = 16;
const RTM_DELLINK = 17;
const RTM_GETLINK = 18;
const RTM_SETLINK = 19;

const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFLA_LINK = 5;
const IFLA_MASTER = 10;
/** In messages of family AF_BRIDGE: what IFLA_INFO_SLAVE_DATA is in others. */
const IFLA_PROTINFO = 12;
const IFLA_LINKINFO = 18;
const IFLA_GROUP = 27;
const IFLA_EXT_MASK = 29;
const IFLA_LINK_NETNSID = 37;
const IFLA_TARGET_NETNSID = 46;
/** RTEXT_FILTER_SKIP_STATS (linux/rtnetlink.h): nobody here reads counters, and they are most of an answer. */
const SKIP_STATS = 8;

const IFF_UP = 0x1;
const IFF_LOOPBACK = 0x8;

/** A link as the kernel tells it. */
export interface Link {
  readonly index: number;
  readonly name: string;
  readonly up: boolean;
  readonly loopback: boolean;
  /** Lower case; empty for links without one. */
  readonly mac: string;
  /** Bytes. */
  readonly mtu: number;
  /** Index of the bridge (or bond) it is a port of. */
  readonly master: number | undefined;
  /** Index of the other end of a veth, inside the namespace `peerNetnsId` when that is given. */
  readonly peer: number | undefined;
  readonly peerNetnsId: number | undefined;
  readonly info: LinkInfo;
  readonly port: PortInfo | undefined;
}

/** What to create or change; what is left out stays. */
export interface LinkChange {
  readonly name?: string;
  readonly mac?: string;
  readonly mtu?: number;
  readonly master?: number;
  readonly up?: boolean;
  readonly group?: number;
  /** Queues of each direction; only when it is created. */
  readonly queues?: number;
  /** Encoded by link-info.ts. */
  readonly info?: Buffer;
}

/** Create a link; EEXIST when the name, or for veth the peer's name, is in use. */
export async function createLink(socket: NetlinkPort, name: string, change: LinkChange): Promise<void> {
  const payload = encodeLink(0, { ...change, name });
  await socket.request(
    { operation: "link add", object: name },
    RTM_NEWLINK,
    payload,
    NLM_F_CREATE | NLM_F_EXCL,
  );
}

/** Change a link by index. Settings of its kind or port (`info`) go through RTM_NEWLINK: RTM_SETLINK ignores them. */
export async function changeLink(
  socket: NetlinkPort,
  link: { readonly index: number; readonly name: string },
  change: LinkChange,
): Promise<void> {
  const type = change.info === undefined ? RTM_SETLINK : RTM_NEWLINK;
  await socket.request({ operation: "link set", object: link.name }, type, encodeLink(link.index, change));
}

/** The same by name, for one whose index nobody asked for. */
export async function changeNamed(socket: NetlinkPort, name: string, change: LinkChange): Promise<void> {
  await changeLink(socket, { index: 0, name }, { ...change, name });
}

/** Put a link, by name, into a group. ENODEV when there is none of that name. */
export async function groupLink(socket: NetlinkPort, name: string, group: number): Promise<void> {
  await socket.request({ operation: "link set", object: name }, RTM_SETLINK, encodeLink(0, { name, group }));
}

/** Delete a link by name. False when there was none. */
export function deleteLink(socket: NetlinkPort, name: string): Promise<boolean> {
  return unlessGone(
    socket.request({ operation: "link delete", object: name }, RTM_DELLINK, encodeLink(0, { name })),
  );
}

/**
 * Delete all links of a group at once: one grace period of the kernel for all of them. False when it was empty. The kernel
 * returns long after the links are gone, so it is asked on a pool thread.
 */
export function deleteGroup(socket: DirectSocket, group: number): Promise<boolean> {
  const subject = { operation: "link delete", object: `group ${group}` };
  return unlessGone(socket.requestLater(subject, RTM_DELLINK, encodeLink(0, { group })));
}

/**
 * A link by name or index, or undefined. The kernel finishes pending carrier work of the device before it answers.
 * `netnsId`: in the namespace the socket's knows by that id (Link.peerNetnsId); EINVAL when it knows none.
 */
export async function getLink(
  socket: NetlinkPort,
  which: string | number,
  netnsId?: number,
): Promise<Link | undefined> {
  const [index, change] = typeof which === "number" ? [which, {}] : [0, { name: which }];
  const subject = { operation: "link get", object: String(which) };
  const payload = [encodeLink(index, change), attribute(IFLA_EXT_MASK, u32(SKIP_STATS))];
  if (netnsId !== undefined) payload.push(attribute(IFLA_TARGET_NETNSID, u32(netnsId)));
  try {
    const [reply] = await socket.request(subject, RTM_GETLINK, Buffer.concat(payload));
    if (reply === undefined) throw kernelError(subject, "EPROTO");
    return decodeLink(reply.data);
  } catch (error) {
    if (errnoOf(error) === "ENODEV") return undefined;
    throw error;
  }
}

/** All links, or the ports of one bridge, in interface order. */
export async function listLinks(socket: NetlinkPort, master?: number): Promise<readonly Link[]> {
  const subject = { operation: "link list", object: master === undefined ? "all" : `master ${master}` };
  const filter = encodeLink(0, master === undefined ? {} : { master });
  const payload = Buffer.concat([filter, attribute(IFLA_EXT_MASK, u32(SKIP_STATS))]);
  const parts = await socket.dump(subject, RTM_GETLINK, payload);
  // Kernels that do not know the filter send everything.
  return parts
    .filter((part) => part.type === RTM_NEWLINK)
    .map((part) => decodeLink(part.data))
    .filter((link) => master === undefined || link.master === master);
}

/**
 * Whether the kernel can make links of a kind, without making one: a multicast address is refused by the kind's own
 * check (EADDRNOTAVAIL), an unknown kind before that (EOPNOTSUPP). Loads the module, as creating would.
 */
export async function kindExists(socket: NetlinkPort, kind: string): Promise<boolean> {
  const payload = encodeLink(0, { mac: "01:00:00:00:00:00", info: encodeKind(kind) });
  try {
    await socket.request(
      { operation: "link probe", object: kind },
      RTM_NEWLINK,
      payload,
      NLM_F_CREATE | NLM_F_EXCL,
    );
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === "EADDRNOTAVAIL") return true;
    if (errno === "ENOTSUP") return false;
    throw error;
  }
  throw kernelError({ operation: "link probe", object: kind }, "EPROTO");
}

/** RTM_*LINK payload. */
export function encodeLink(index: number, change: LinkChange): Buffer {
  const header = Buffer.alloc(16);
  writeU32(header, index, 4);
  if (change.up !== undefined) {
    writeU32(header, change.up ? IFF_UP : 0, 8);
    writeU32(header, IFF_UP, 12);
  }
  const parts: Buffer[] = [header];
  if (change.mac !== undefined) parts.push(attribute(IFLA_ADDRESS, macBytes(change.mac)));
  if (change.name !== undefined) parts.push(attribute(IFLA_IFNAME, text(change.name)));
  if (change.mtu !== undefined) parts.push(attribute(IFLA_MTU, u32(change.mtu)));
  if (change.master !== undefined) parts.push(attribute(IFLA_MASTER, u32(change.master)));
  if (change.group !== undefined) parts.push(attribute(IFLA_GROUP, u32(change.group)));
  if (change.queues !== undefined) parts.push(...encodeQueues(change.queues));
  if (change.info !== undefined) parts.push(attribute(IFLA_LINKINFO, change.info));
  return Buffer.concat(parts);
}

/** RTM_NEWLINK payload, as the kernel sends it. */
export function decodeLink(payload: Buffer): Link {
  const attributes = parseAttributes(payload.subarray(16));
  const flags = readU32(payload, 8);
  const word = (type: number): number | undefined => {
    const bytes = attributes.get(type);
    return bytes !== undefined && bytes.length >= 4 ? readU32(bytes) : undefined;
  };
  return {
    index: readS32(payload, 4),
    name: readText(attributes.get(IFLA_IFNAME) ?? Buffer.alloc(0)),
    up: (flags & IFF_UP) !== 0,
    loopback: (flags & IFF_LOOPBACK) !== 0,
    mac: macText(attributes.get(IFLA_ADDRESS) ?? Buffer.alloc(0)),
    mtu: word(IFLA_MTU) ?? 0,
    master: word(IFLA_MASTER),
    peer: word(IFLA_LINK),
    peerNetnsId: word(IFLA_LINK_NETNSID),
    ...decodeLinkInfo(attributes.get(IFLA_LINKINFO) ?? Buffer.alloc(0)),
  };
}

/** Settings of a bridge port in an RTM_NEWLINK payload of family AF_BRIDGE; undefined when it tells none. */
export function decodePortNotice(payload: Buffer): PortInfo | undefined {
  const settings = parseAttributes(payload.subarray(16)).get(IFLA_PROTINFO);
  return settings === undefined ? undefined : decodePortSettings(settings);
}

async function unlessGone(deletion: Promise<unknown>): Promise<boolean> {
  try {
    await deletion;
    return true;
  } catch (error) {
    if (errnoOf(error) === "ENODEV") return false;
    throw error;
  }
}
