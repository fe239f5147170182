// Traffic control: the queueing disciplines and the one filter that shape a container (linux/pkt_sched.h, linux/pkt_cls.h).
// struct tcmsg carries RTM_*QDISC and RTM_*TFILTER. What is shaped how, and by which devices, is shaping.ts.
import {
  attribute,
  nest,
  parseAttributes,
  readText,
  readU16,
  readU32,
  text,
  u16be,
  u32,
  walkAttributes,
  writeU32,
} from "./attributes.ts";
import { errnoOf, kernelError } from "./errors.ts";
import { type NetlinkPort, NLM_F_CREATE, NLM_F_ECHO, NLM_F_EXCL } from "./socket.ts";

const RTM_NEWQDISC = 36;
const RTM_DELQDISC = 37;
const RTM_GETQDISC = 38;
const RTM_NEWTFILTER = 44;
const RTM_GETTFILTER = 46;
/** struct tcmsg; attributes begin behind it. */
const TCMSG = 20;
const TCA_KIND = 1;
const TCA_OPTIONS = 2;
const TC_H_ROOT = 0xffffffff;
const TC_H_INGRESS = 0xfffffff1;
/** "1:", the customary handle of a root discipline; "ffff:" is the only one ingress may have. */
const HANDLE_ROOT = 0x00010000;
const HANDLE_INGRESS = 0xffff0000;
const ETH_P_ALL = 0x0003;

const TCA_TBF_PARMS = 1;
const TCA_TBF_RATE64 = 4;
const TCA_TBF_BURST = 6;
/** TC_LINKLAYER_ETHERNET: with it the kernel needs no rate table. */
const LINKLAYER_ETHERNET = 1;
/** PSCHED_SHIFT 6: a tick of the scheduler is 64 ns. */
const TICK_NS = 64;
const U32_MAX = 0xffffffff;

const TCA_U32_SEL = 5;
const TCA_U32_ACT = 7;
const TC_U32_TERMINAL = 1;
const TCA_ACT_KIND = 1;
const TCA_ACT_OPTIONS = 2;
const TCA_MIRRED_PARMS = 2;
const TCA_EGRESS_REDIR = 1;
const TC_ACT_STOLEN = 4;

/** A token bucket filter. */
export interface TokenBucket {
  /** Bytes per second, at least 1. */
  readonly rate: number;
  /** Size of the bucket in bytes. A frame larger than it is dropped. */
  readonly burst: number;
  /** Bytes that may wait for tokens. */
  readonly limit: number;
}

/** Make a token bucket the root discipline of a link: what the link sends is shaped. ENOENT: this kernel has none. */
export async function addTokenBucket(socket: NetlinkPort, index: number, bucket: TokenBucket): Promise<void> {
  const payload = encodeQdisc(index, TC_H_ROOT, HANDLE_ROOT, "tbf", encodeTokenBucket(bucket));
  await addQdisc(socket, "tbf", index, payload);
}

/** Send everything a link receives out of another one instead. ENOENT: this kernel lacks ingress, u32 or mirred. */
export async function redirectIngress(socket: NetlinkPort, index: number, target: number): Promise<void> {
  await addQdisc(socket, "ingress", index, encodeQdisc(index, TC_H_INGRESS, HANDLE_INGRESS, "ingress"));
  const subject = { operation: "filter add", object: `u32 on interface ${index}` };
  await socket.request(subject, RTM_NEWTFILTER, encodeRedirect(index, target), NLM_F_CREATE | NLM_F_EXCL);
}

/**
 * The token bucket that is a link's root discipline: rate and limit are all that tells two of ours apart. undefined when
 * another is. One by one, because the kernel's list is that of all links.
 */
export async function getTokenBucket(
  socket: NetlinkPort,
  index: number,
): Promise<Omit<TokenBucket, "burst"> | undefined> {
  const subject = { operation: "qdisc get", object: `root on interface ${index}` };
  try {
    // Not asked to echo, the kernel tells listeners only.
    const replies = await socket.request(subject, RTM_GETQDISC, tcmsg(index, 0, TC_H_ROOT, 0), NLM_F_ECHO);
    const reply = replies.find(({ type }) => type === RTM_NEWQDISC);
    return reply === undefined ? undefined : decodeTokenBucket(reply.data);
  } catch (error) {
    // What the kernel gives a link by default it does not tell of.
    if (["EINVAL", "ENOENT"].includes(errnoOf(error) ?? "")) return undefined;
    throw error;
  }
}

/** Interfaces that what a link receives is sent out of instead. */
export async function listRedirects(socket: NetlinkPort, index: number): Promise<readonly number[]> {
  const subject = { operation: "filter list", object: `interface ${index}` };
  const parts = await socket.dump(subject, RTM_GETTFILTER, tcmsg(index, 0, HANDLE_INGRESS, 0));
  return parts.flatMap(({ type, data }) => (type === RTM_NEWTFILTER ? decodeRedirect(data) : []));
}

/** Give a link the kernel's own root discipline again. */
export async function deleteRoot(socket: NetlinkPort, index: number): Promise<void> {
  await deleteQdisc(socket, "root", index, TC_H_ROOT);
}

/** Take a link's ingress discipline away, and the filters in it. */
export async function deleteIngress(socket: NetlinkPort, index: number): Promise<void> {
  await deleteQdisc(socket, "ingress", index, TC_H_INGRESS);
}

/** Whether the kernel has token buckets, without making one: it refuses one without options, and an unknown kind (ENOENT). */
export async function tokenBucketExists(socket: NetlinkPort): Promise<boolean> {
  const loopback = 1;
  try {
    await addQdisc(socket, "tbf", loopback, encodeQdisc(loopback, TC_H_ROOT, HANDLE_ROOT, "tbf"));
  } catch (error) {
    if (errnoOf(error) === "EINVAL") return true;
    if (errnoOf(error) === "ENOENT") return false;
    throw error;
  }
  throw kernelError({ operation: "qdisc probe", object: "tbf" }, "EPROTO");
}

/** RTM_NEWQDISC payload. */
export function encodeQdisc(
  index: number,
  parent: number,
  handle: number,
  kind: string,
  options?: Buffer,
): Buffer {
  const parts = [tcmsg(index, handle, parent, 0), attribute(TCA_KIND, text(kind))];
  if (options !== undefined) parts.push(attribute(TCA_OPTIONS, options));
  return Buffer.concat(parts);
}

/** TCA_OPTIONS of tbf: struct tc_tbf_qopt, the burst in bytes, and the rate again where 32 bits do not hold it. */
export function encodeTokenBucket({ rate, burst, limit }: TokenBucket): Buffer {
  const qopt = Buffer.alloc(36);
  qopt.writeUInt8(LINKLAYER_ETHERNET, 1); // rate.linklayer
  writeU32(qopt, Math.min(rate, U32_MAX), 8); // rate.rate
  writeU32(qopt, Math.min(limit, U32_MAX), 24);
  // What the kernel goes by is TCA_TBF_BURST; in ticks the bucket could not be deeper than four seconds.
  writeU32(qopt, Math.min(Math.round(((burst / rate) * 1e9) / TICK_NS), U32_MAX), 28);
  const parts = [attribute(TCA_TBF_PARMS, qopt), attribute(TCA_TBF_BURST, u32(Math.min(burst, U32_MAX)))];
  if (rate > U32_MAX) {
    const wide = Buffer.alloc(8);
    new BigUint64Array(wide.buffer, wide.byteOffset, 1)[0] = BigInt(rate);
    parts.push(attribute(TCA_TBF_RATE64, wide));
  }
  return Buffer.concat(parts);
}

/** RTM_NEWTFILTER payload: u32 with a key that every packet has (mask 0), and the action mirred. */
export function encodeRedirect(index: number, target: number): Buffer {
  const selector = Buffer.alloc(16 + 16);
  selector.writeUInt8(TC_U32_TERMINAL, 0);
  selector.writeUInt8(1, 2); // nkeys
  const mirred = Buffer.alloc(28);
  writeU32(mirred, TC_ACT_STOLEN, 8);
  writeU32(mirred, TCA_EGRESS_REDIR, 20);
  writeU32(mirred, target, 24);
  const action = [
    attribute(TCA_ACT_KIND, text("mirred")),
    nest(TCA_ACT_OPTIONS, attribute(TCA_MIRRED_PARMS, mirred)),
  ];
  // Priority 1 above, and below it the protocol in network order.
  const info = 0x10000 | readU16(u16be(ETH_P_ALL));
  return Buffer.concat([
    tcmsg(index, 0, HANDLE_INGRESS, info),
    attribute(TCA_KIND, text("u32")),
    nest(TCA_OPTIONS, attribute(TCA_U32_SEL, selector), nest(TCA_U32_ACT, nest(1, ...action))),
  ]);
}

/** RTM_NEWQDISC payload as the kernel sends it; undefined when it is no token bucket, or not at the root. */
export function decodeTokenBucket(payload: Buffer): Omit<TokenBucket, "burst"> | undefined {
  const attributes = parseAttributes(payload.subarray(TCMSG));
  const kind = readText(attributes.get(TCA_KIND) ?? Buffer.alloc(0));
  if (kind !== "tbf" || readU32(payload, 12) !== TC_H_ROOT) return undefined;
  const options = parseAttributes(attributes.get(TCA_OPTIONS) ?? Buffer.alloc(0));
  const qopt = options.get(TCA_TBF_PARMS);
  if (qopt === undefined || qopt.length < 36) return undefined;
  const wide = options.get(TCA_TBF_RATE64);
  const rate =
    wide?.length === 8 ? Number(new BigUint64Array(Uint8Array.from(wide).buffer)[0]) : readU32(qopt, 8);
  return { rate, limit: readU32(qopt, 24) };
}

/** RTM_NEWTFILTER payload as the kernel sends it: where a u32 filter with an action mirred redirects to. */
export function decodeRedirect(payload: Buffer): readonly number[] {
  const attributes = parseAttributes(payload.subarray(TCMSG));
  if (readText(attributes.get(TCA_KIND) ?? Buffer.alloc(0)) !== "u32") return [];
  const options = parseAttributes(attributes.get(TCA_OPTIONS) ?? Buffer.alloc(0));
  return [...walkAttributes(options.get(TCA_U32_ACT) ?? Buffer.alloc(0))].flatMap(([, value]) => {
    const action = parseAttributes(value);
    const settings = parseAttributes(action.get(TCA_ACT_OPTIONS) ?? Buffer.alloc(0)).get(TCA_MIRRED_PARMS);
    if (readText(action.get(TCA_ACT_KIND) ?? Buffer.alloc(0)) !== "mirred") return [];
    if (settings === undefined || settings.length < 28) return [];
    return readU32(settings, 20) === TCA_EGRESS_REDIR ? [readU32(settings, 24)] : [];
  });
}

/** The kernel says EINVAL or ENOENT when there is nothing to delete but its own default. */
async function deleteQdisc(socket: NetlinkPort, what: string, index: number, parent: number): Promise<void> {
  const subject = { operation: "qdisc delete", object: `${what} on interface ${index}` };
  try {
    await socket.request(subject, RTM_DELQDISC, tcmsg(index, 0, parent, 0));
  } catch (error) {
    if (!["EINVAL", "ENOENT"].includes(errnoOf(error) ?? "")) throw error;
  }
}

async function addQdisc(socket: NetlinkPort, kind: string, index: number, payload: Buffer): Promise<void> {
  const subject = { operation: "qdisc add", object: `${kind} on interface ${index}` };
  await socket.request(subject, RTM_NEWQDISC, payload, NLM_F_CREATE | NLM_F_EXCL);
}

/** struct tcmsg. */
function tcmsg(index: number, handle: number, parent: number, info: number): Buffer {
  const bytes = Buffer.alloc(TCMSG);
  writeU32(bytes, index, 4);
  writeU32(bytes, handle, 8);
  writeU32(bytes, parent, 12);
  writeU32(bytes, info, 16);
  return bytes;
}
