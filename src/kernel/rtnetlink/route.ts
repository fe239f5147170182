// Routes: RTM_*ROUTE with struct rtmsg (linux/rtnetlink.h).
import { attribute, parseAttributes, readU32, u32, writeU32 } from "./attributes.ts";
import { errnoOf } from "./errors.ts";
import { type NetlinkPort, NLM_F_CREATE, NLM_F_EXCL } from "./socket.ts";
import { AF_INET, AF_INET6, addressText, wireAddress, wireNetwork } from "./wire.ts";

const RTM_NEWROUTE = 24;
const RTM_DELROUTE = 25;
const RTM_GETROUTE = 26;
const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_PRIORITY = 6;
const RTA_PREFSRC = 7;
const RTA_TABLE = 15;
/** The attribute tells; the header has room for 255 only. */
const RT_TABLE_UNSPEC = 0;
const RT_TABLE_MAIN = 254;
/** What the kernel makes for each interface: its own addresses, broadcast, multicast. */
export const RT_TABLE_LOCAL = 255;
/** Who made the route: RTPROT_KERNEL the kernel for an address, RTPROT_BOOT is what `ip route add` says; RTPROT_RA marks router advertisements. */
const RTPROT_KERNEL = 2;
const RTPROT_BOOT = 3;
const RTPROT_RA = 9;
const RTN_UNICAST = 1;
/** IP6_RT_PRIO_ADDRCONF (net/ip6_route.h); connected IPv4 routes have 0. */
const CONNECTED_METRIC_6 = 256;
const RT_SCOPE_UNIVERSE = 0;
const RT_SCOPE_LINK = 253;
/** The gateway is reachable on the link although no address of ours says so. */
const RTNH_F_ONLINK = 0x4;
/** Cached copies are not routes of the table. */
const RTM_F_CLONED = 0x200;

/** A route to add. */
export interface RouteChange {
  /** CIDR; host bits are cleared. */
  readonly dst: string;
  readonly gateway?: string;
  /** Interface index. */
  readonly oif: number;
  readonly onlink: boolean;
  /** Absent: main. */
  readonly table?: number;
  /** As the kernel itself makes it for an address of the interface: this one. */
  readonly connected?: string;
}

/** A route of a table. */
export interface Route {
  /** Canonical CIDR, "0.0.0.0/0" or "::/0" for a default route. */
  readonly dst: string;
  readonly isDefault: boolean;
  /** Interface index; undefined for routes without one (blackhole, multipath). */
  readonly oif: number | undefined;
  readonly gateway: string | undefined;
  readonly source: string | undefined;
  /** Lower wins. */
  readonly metric: number;
  /** Came from a router advertisement. */
  readonly advertised: boolean;
}

/** Add a route. False when the table has one to that destination (the first wins, as CNI plugins do it). */
export async function addRoute(socket: NetlinkPort, route: RouteChange): Promise<boolean> {
  const subject = { operation: "route add", object: route.dst };
  try {
    await socket.request(subject, RTM_NEWROUTE, encodeRoute(route), NLM_F_CREATE | NLM_F_EXCL);
    return true;
  } catch (error) {
    if (errnoOf(error) === "EEXIST") return false;
    throw error;
  }
}

/** Delete a route. False when there was none. */
export async function deleteRoute(socket: NetlinkPort, route: RouteChange): Promise<boolean> {
  try {
    await socket.request({ operation: "route delete", object: route.dst }, RTM_DELROUTE, encodeRoute(route));
    return true;
  } catch (error) {
    if (errnoOf(error) === "ESRCH") return false;
    throw error;
  }
}

/** A table, the main one unless said, IPv4 before IPv6. */
export async function listRoutes(socket: NetlinkPort, table = RT_TABLE_MAIN): Promise<readonly Route[]> {
  const routes: Route[] = [];
  for (const family of [AF_INET, AF_INET6]) {
    const header = Buffer.alloc(12);
    header.writeUInt8(family, 0);
    const parts = await socket.dump(
      { operation: "route list", object: `table ${table}` },
      RTM_GETROUTE,
      header,
    );
    for (const part of parts) {
      const route = part.type === RTM_NEWROUTE ? decodeRoute(part.data, table) : undefined;
      if (route !== undefined) routes.push(route);
    }
  }
  return routes;
}

/** RTM_NEWROUTE payload. */
export function encodeRoute(route: RouteChange): Buffer {
  const dst = wireNetwork(route.dst);
  const header = Buffer.alloc(12);
  header.writeUInt8(dst.family, 0);
  header.writeUInt8(dst.prefix, 1);
  header.writeUInt8(route.table === undefined ? RT_TABLE_MAIN : RT_TABLE_UNSPEC, 4);
  header.writeUInt8(route.connected === undefined ? RTPROT_BOOT : RTPROT_KERNEL, 5);
  header.writeUInt8(route.gateway === undefined ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE, 6);
  header.writeUInt8(RTN_UNICAST, 7);
  writeU32(header, route.onlink ? RTNH_F_ONLINK : 0, 8);
  const parts: Buffer[] = [header];
  if (dst.prefix > 0) parts.push(attribute(RTA_DST, dst.bytes));
  if (route.gateway !== undefined) parts.push(attribute(RTA_GATEWAY, wireAddress(route.gateway).bytes));
  parts.push(attribute(RTA_OIF, u32(route.oif)));
  if (route.table !== undefined) parts.push(attribute(RTA_TABLE, u32(route.table)));
  if (route.connected !== undefined && dst.family === AF_INET)
    parts.push(attribute(RTA_PREFSRC, wireAddress(route.connected).bytes));
  if (route.connected !== undefined && dst.family !== AF_INET)
    parts.push(attribute(RTA_PRIORITY, u32(CONNECTED_METRIC_6)));
  return Buffer.concat(parts);
}

/** RTM_NEWROUTE payload as the kernel sends it; undefined for other tables and cached copies. */
export function decodeRoute(payload: Buffer, table = RT_TABLE_MAIN): Route | undefined {
  const attributes = parseAttributes(payload.subarray(12));
  const word = (type: number): number | undefined => {
    const bytes = attributes.get(type);
    return bytes === undefined ? undefined : readU32(bytes);
  };
  const address = (type: number): string | undefined => {
    const bytes = attributes.get(type);
    return bytes === undefined ? undefined : addressText(bytes);
  };
  const family = payload.readUInt8(0);
  const prefix = payload.readUInt8(1);
  if ((word(RTA_TABLE) ?? payload.readUInt8(4)) !== table) return undefined;
  if ((readU32(payload, 8) & RTM_F_CLONED) !== 0) return undefined;
  return {
    dst: `${address(RTA_DST) ?? (family === AF_INET ? "0.0.0.0" : "::")}/${prefix}`,
    isDefault: prefix === 0,
    oif: word(RTA_OIF),
    gateway: address(RTA_GATEWAY),
    source: address(RTA_PREFSRC),
    metric: word(RTA_PRIORITY) ?? 0,
    advertised: payload.readUInt8(5) === RTPROT_RA,
  };
}
