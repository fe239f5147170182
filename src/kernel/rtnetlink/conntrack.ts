// Tracked UDP flows: listed and forgotten over ctnetlink (linux/netfilter/nfnetlink_conntrack.h).
// A flow keeps the translation its first packet got for as long as packets come; forgotten, its next packet is a first one.
import { attribute, nest, parseAttributes, u8, u32 } from "./attributes.ts";
import { errnoOf } from "./errors.ts";
import { nfgenmsg } from "./nfnetlink.ts";
import type { NetlinkSocket } from "./socket.ts";
import { addressText } from "./wire.ts";

const NFNL_SUBSYS_CTNETLINK = 1;
const IPCTNL_MSG_CT_GET = 1;
const IPCTNL_MSG_CT_DELETE = 2;
const CTA_TUPLE_ORIG = 1;
const CTA_TUPLE_REPLY = 2;
const CTA_ID = 12;
const CTA_ZONE = 18;
const CTA_FILTER = 25;
/** Demanded here, unlike in most places (linux/netlink.h). */
const NLA_F_NESTED = 0x8000;
const CTA_FILTER_ORIG_FLAGS = 1;
const CTA_FILTER_REPLY_FLAGS = 2;
/** CTA_FILTER_F_CTA_PROTO_NUM (nf_internals.h). */
const FILTER_PROTO_NUM = 1 << 3;
const CTA_TUPLE_IP = 1;
const CTA_TUPLE_PROTO = 2;
const CTA_IP_V4_SRC = 1;
const CTA_IP_V4_DST = 2;
const CTA_IP_V6_SRC = 3;
const CTA_IP_V6_DST = 4;
const CTA_PROTO_NUM = 1;
const CTA_PROTO_SRC_PORT = 2;
const CTA_PROTO_DST_PORT = 3;
const IPPROTO_UDP = 17;

/** One direction of a flow; addresses canonical. */
interface Tuple {
  readonly source: string;
  readonly sourcePort: number;
  readonly destination: string;
  readonly destinationPort: number;
}

/** A flow. `reply` is what an answer looks like: its source is who really answers. */
export interface Flow {
  readonly family: number;
  readonly original: Tuple;
  readonly reply: Tuple;
  /** Attributes that name the flow to the kernel. */
  readonly handle: Buffer;
}

/** All UDP flows of one family (AF_INET, AF_INET6). */
export async function listUdpFlows(socket: NetlinkSocket, family: number): Promise<readonly Flow[]> {
  const parts = await socket.dump(
    { operation: "conntrack list", object: "udp" },
    (NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_GET,
    Buffer.concat([
      nfgenmsg(family, 0),
      // Kernels before 5.8 know no filter and send every flow.
      nest(CTA_TUPLE_ORIG, nest(CTA_TUPLE_PROTO, attribute(CTA_PROTO_NUM, u8(IPPROTO_UDP)))),
      nest(
        CTA_FILTER | NLA_F_NESTED,
        attribute(CTA_FILTER_ORIG_FLAGS, u32(FILTER_PROTO_NUM)),
        attribute(CTA_FILTER_REPLY_FLAGS, u32(0)),
      ),
    ]),
  );
  return parts.flatMap((part) => decodeFlow(part.data) ?? []);
}

/** Forget a flow. False when it had ended. */
export async function forgetFlow(socket: NetlinkSocket, flow: Flow): Promise<boolean> {
  const { original } = flow;
  const object = `udp ${original.source} ${original.sourcePort} to ${original.destination} ${original.destinationPort}`;
  try {
    await socket.request(
      { operation: "conntrack delete", object },
      (NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_DELETE,
      Buffer.concat([nfgenmsg(flow.family, 0), flow.handle]),
    );
    return true;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return false;
    throw error;
  }
}

/** IPCTNL_MSG_CT_NEW payload as the kernel sends it; undefined for protocols other than UDP. */
export function decodeFlow(payload: Buffer): Flow | undefined {
  if (payload.length < 4) return undefined;
  const attributes = parseAttributes(payload.subarray(4));
  const original = decodeTuple(attributes.get(CTA_TUPLE_ORIG));
  const reply = decodeTuple(attributes.get(CTA_TUPLE_REPLY));
  if (original === undefined || reply === undefined) return undefined;
  // The id too: a flow that ended and came again meanwhile is another one.
  const handle = [CTA_TUPLE_ORIG, CTA_ZONE, CTA_ID].flatMap((type) => {
    const value = attributes.get(type);
    return value === undefined ? [] : [attribute(type, value)];
  });
  return { family: payload.readUInt8(0), original, reply, handle: Buffer.concat(handle) };
}

function decodeTuple(bytes: Buffer | undefined): Tuple | undefined {
  if (bytes === undefined) return undefined;
  const tuple = parseAttributes(bytes);
  const ip = parseAttributes(tuple.get(CTA_TUPLE_IP) ?? Buffer.alloc(0));
  const proto = parseAttributes(tuple.get(CTA_TUPLE_PROTO) ?? Buffer.alloc(0));
  const source = ip.get(CTA_IP_V4_SRC) ?? ip.get(CTA_IP_V6_SRC);
  const destination = ip.get(CTA_IP_V4_DST) ?? ip.get(CTA_IP_V6_DST);
  const sourcePort = proto.get(CTA_PROTO_SRC_PORT);
  const destinationPort = proto.get(CTA_PROTO_DST_PORT);
  if (proto.get(CTA_PROTO_NUM)?.[0] !== IPPROTO_UDP || source === undefined || destination === undefined) {
    return undefined;
  }
  if (sourcePort?.length !== 2 || destinationPort?.length !== 2) return undefined;
  return {
    source: addressText(source) ?? "",
    sourcePort: sourcePort.readUInt16BE(0),
    destination: addressText(destination) ?? "",
    destinationPort: destinationPort.readUInt16BE(0),
  };
}
