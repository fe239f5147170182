// What is inside IFLA_LINKINFO: the kind of a link and its kind's own settings (linux/if_link.h).
// Only the settings this project uses have names.
import {
  attribute,
  nest,
  parseAttributes,
  readText,
  readU16,
  readU32,
  text,
  u8,
  u16be,
  u32,
} from "./attributes.ts";
import { addressText, macBytes, wireAddress } from "./wire.ts";

const IFLA_INFO_KIND = 1;
const IFLA_INFO_DATA = 2;
const IFLA_INFO_SLAVE_KIND = 4;
const IFLA_INFO_SLAVE_DATA = 5;

const IFLA_BR_STP_STATE = 5;
const IFLA_BR_MCAST_SNOOPING = 23;

const IFLA_VXLAN_ID = 1;
const IFLA_VXLAN_LOCAL = 4;
const IFLA_VXLAN_LEARNING = 7;
const IFLA_VXLAN_PORT = 15;
const IFLA_VXLAN_LOCAL6 = 17;

const IFLA_BRPORT_MODE = 4;
const IFLA_BRPORT_LEARNING = 8;
const IFLA_BRPORT_NEIGH_SUPPRESS = 32;

const VETH_INFO_PEER = 1;
const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFLA_NET_NS_FD = 28;
const IFLA_NUM_TX_QUEUES = 31;
const IFLA_NUM_RX_QUEUES = 32;

/** Settings of a bridge. */
export interface BridgeInfo {
  readonly kind: "bridge";
  readonly stp: boolean;
  readonly mcastSnooping: boolean;
}

/** Settings of a VXLAN device. `vni` and `port` cannot be changed once it exists. */
export interface VxlanInfo {
  readonly kind: "vxlan";
  readonly vni: number;
  readonly port: number;
  readonly local: string | undefined;
  readonly learning: boolean;
}

/** Any other kind, by name ("veth", "dummy"); empty for links without one (a physical device). */
export interface OtherInfo {
  readonly kind: "other";
  readonly name: string;
}

export type LinkInfo = BridgeInfo | VxlanInfo | OtherInfo;

/** Settings of a bridge port. */
export interface PortInfo {
  /** Hairpin mode: frames may leave by the port they came in. */
  readonly hairpin: boolean;
  readonly learning: boolean;
  readonly neighSuppress: boolean;
}

/**
 * What each end of a veth pair gets to use anyway. Not told so, the kernel registers as many as the machine may ever have
 * processors and takes them away again, which is a third of the time a pair takes even with two.
 */
export const VETH_QUEUES = 1;

/** The other end of a veth pair, made inside another namespace. */
export interface VethPeer {
  readonly ifname: string;
  readonly mac: string;
  readonly mtu: number;
  /** Descriptor of the namespace, open in this process. */
  readonly netnsFd: number;
}

/** IFLA_LINKINFO payload that makes or changes a bridge. */
export function encodeBridge(settings: Omit<BridgeInfo, "kind">): Buffer {
  return kindAndData("bridge", [
    attribute(IFLA_BR_STP_STATE, u32(settings.stp ? 1 : 0)),
    attribute(IFLA_BR_MCAST_SNOOPING, u8(settings.mcastSnooping ? 1 : 0)),
  ]);
}

/** IFLA_LINKINFO payload that makes a VXLAN device. */
export function encodeVxlan(settings: Omit<VxlanInfo, "kind"> & { readonly local: string }): Buffer {
  return kindAndData("vxlan", [
    attribute(IFLA_VXLAN_ID, u32(settings.vni)),
    localAttribute(settings.local),
    attribute(IFLA_VXLAN_LEARNING, u8(settings.learning ? 1 : 0)),
    attribute(IFLA_VXLAN_PORT, u16be(settings.port)),
  ]);
}

/** IFLA_LINKINFO payload with what may change on a living VXLAN device; the kernel refuses VNI and port even unchanged in some versions. */
export function encodeVxlanChange(settings: { readonly local: string; readonly learning: boolean }): Buffer {
  return kindAndData("vxlan", [
    localAttribute(settings.local),
    attribute(IFLA_VXLAN_LEARNING, u8(settings.learning ? 1 : 0)),
  ]);
}

/** IFLA_LINKINFO payload that makes a veth pair. The peer cannot be up yet (ENOTCONN). */
export function encodeVeth(peer: VethPeer): Buffer {
  const ifinfomsg = Buffer.alloc(16);
  return kindAndData("veth", [
    attribute(
      VETH_INFO_PEER,
      Buffer.concat([
        ifinfomsg,
        attribute(IFLA_ADDRESS, macBytes(peer.mac)),
        attribute(IFLA_IFNAME, text(peer.ifname)),
        attribute(IFLA_MTU, u32(peer.mtu)),
        attribute(IFLA_NET_NS_FD, u32(peer.netnsFd)),
        ...encodeQueues(VETH_QUEUES),
      ]),
    ),
  ]);
}

/** Attributes of a link to create: how many queues it has. */
export function encodeQueues(queues: number): Buffer[] {
  return [attribute(IFLA_NUM_TX_QUEUES, u32(queues)), attribute(IFLA_NUM_RX_QUEUES, u32(queues))];
}

/** IFLA_LINKINFO payload with settings of a bridge port; what is left out stays. */
export function encodePort(settings: Partial<PortInfo>): Buffer {
  const flag = (type: number, value: boolean | undefined): Buffer[] =>
    value === undefined ? [] : [attribute(type, u8(value ? 1 : 0))];
  return Buffer.concat([
    attribute(IFLA_INFO_SLAVE_KIND, text("bridge")),
    nest(
      IFLA_INFO_SLAVE_DATA,
      ...flag(IFLA_BRPORT_MODE, settings.hairpin),
      ...flag(IFLA_BRPORT_LEARNING, settings.learning),
      ...flag(IFLA_BRPORT_NEIGH_SUPPRESS, settings.neighSuppress),
    ),
  ]);
}

/** IFLA_LINKINFO payload with nothing but the kind. */
export function encodeKind(kind: string): Buffer {
  return attribute(IFLA_INFO_KIND, text(kind));
}

/** IFLA_LINKINFO payload -> the link's own settings, and those it has as a bridge port. */
export function decodeLinkInfo(payload: Buffer): {
  readonly info: LinkInfo;
  readonly port: PortInfo | undefined;
} {
  const attributes = parseAttributes(payload);
  const name = readText(attributes.get(IFLA_INFO_KIND) ?? Buffer.alloc(0));
  const data = parseAttributes(attributes.get(IFLA_INFO_DATA) ?? Buffer.alloc(0));
  return { info: decodeData(name, data), port: decodePort(attributes) };
}

function decodeData(name: string, data: Map<number, Buffer>): LinkInfo {
  if (name === "bridge") {
    return {
      kind: "bridge",
      stp: number(data.get(IFLA_BR_STP_STATE)) !== 0,
      mcastSnooping: number(data.get(IFLA_BR_MCAST_SNOOPING)) !== 0,
    };
  }
  if (name === "vxlan") {
    const local = data.get(IFLA_VXLAN_LOCAL) ?? data.get(IFLA_VXLAN_LOCAL6);
    return {
      kind: "vxlan",
      vni: number(data.get(IFLA_VXLAN_ID)),
      port: data.get(IFLA_VXLAN_PORT)?.readUInt16BE(0) ?? 0,
      local: local === undefined ? undefined : addressText(local),
      learning: number(data.get(IFLA_VXLAN_LEARNING)) !== 0,
    };
  }
  return { kind: "other", name };
}

function decodePort(attributes: Map<number, Buffer>): PortInfo | undefined {
  const kind = attributes.get(IFLA_INFO_SLAVE_KIND);
  const payload = attributes.get(IFLA_INFO_SLAVE_DATA);
  if (kind === undefined || payload === undefined || readText(kind) !== "bridge") return undefined;
  return decodePortSettings(payload);
}

/** IFLA_BRPORT_* attributes. */
export function decodePortSettings(payload: Buffer): PortInfo {
  const data = parseAttributes(payload);
  return {
    hairpin: number(data.get(IFLA_BRPORT_MODE)) !== 0,
    learning: number(data.get(IFLA_BRPORT_LEARNING)) !== 0,
    neighSuppress: number(data.get(IFLA_BRPORT_NEIGH_SUPPRESS)) !== 0,
  };
}

function kindAndData(kind: string, data: readonly Buffer[]): Buffer {
  return Buffer.concat([encodeKind(kind), nest(IFLA_INFO_DATA, ...data)]);
}

function localAttribute(local: string): Buffer {
  const { bytes } = wireAddress(local);
  return attribute(bytes.length === 4 ? IFLA_VXLAN_LOCAL : IFLA_VXLAN_LOCAL6, bytes);
}

/** A scalar of whatever width this kernel sent; 0 when it sent none. */
function number(bytes: Buffer | undefined): number {
  if (bytes === undefined) return 0;
  if (bytes.length === 1) return bytes.readUInt8(0);
  return bytes.length === 2 ? readU16(bytes) : bytes.length >= 4 ? readU32(bytes) : 0;
}
