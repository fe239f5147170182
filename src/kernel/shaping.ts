// Limits of a container's traffic. What it receives leaves its host end through a token bucket. What it sends comes in
// there, where nothing can be queued: it is redirected to a device of its own (ifb) and leaves that through a bucket.
//
// The numbers are those of the reference bandwidth plugin, so that one configuration means the same with both.
import { WeaveError } from "../core/errors.ts";
import type { Bandwidth } from "../ports/kernel.ts";
import type { Host } from "./host.ts";
import { ifbMac } from "./mac.ts";
import { errnoOf, kernelError } from "./rtnetlink/errors.ts";
import { createLink, deleteLink, getLink, kindExists, type Link } from "./rtnetlink/link.ts";
import { encodeKind } from "./rtnetlink/link-info.ts";
import type { NetlinkPort } from "./rtnetlink/socket.ts";
import {
  addTokenBucket,
  deleteIngress,
  deleteRoot,
  getTokenBucket,
  listRedirects,
  redirectIngress,
  type TokenBucket,
  tokenBucketExists,
} from "./rtnetlink/traffic.ts";
import { PORT_SYSCTLS, setSysctls } from "./sysctl.ts";

/** How long a frame may wait for tokens. */
const LATENCY_S = 0.025;
/** Ethernet header and a VLAN tag: what a frame has beyond its MTU. */
const FRAME_OVERHEAD = 18;
const U32_MAX = 0xffffffff;
const HOST_END = /^vw([0-9a-f]{12})$/;

/** One direction that has a limit. */
type Limit = NonNullable<Bandwidth["ingress"]>;

/** What of an attachment matters here. */
interface Shape {
  readonly hostIfname: string;
  /** Of the host end. */
  readonly mtu: number;
  readonly bandwidth?: Bandwidth;
}

/** Name of the device that shapes what the container behind a host end sends; undefined for names that are not ours. */
export function ifbName(hostIfname: string): string | undefined {
  const digits = HOST_END.exec(hostIfname)?.[1];
  return digits === undefined ? undefined : `vi${digits}`;
}

/** The host end whose device this name is; undefined for other names. */
export function hostEndOf(ifb: string): string | undefined {
  const digits = /^vi([0-9a-f]{12})$/.exec(ifb)?.[1];
  return digits === undefined ? undefined : `vw${digits}`;
}

/** Whether anything is to be limited. */
export function isShaped({ bandwidth }: Pick<Shape, "bandwidth">): boolean {
  return limited(bandwidth?.ingress) || limited(bandwidth?.egress);
}

/** feature-missing when this kernel cannot shape as `spec` asks. Makes nothing. */
export async function probeShaping(
  socket: NetlinkPort,
  { bandwidth }: Pick<Shape, "bandwidth">,
): Promise<void> {
  if (!(await tokenBucketExists(socket)))
    throw missing("token buckets (tbf)", "CONFIG_NET_SCH_TBF", "sch_tbf");
  if (limited(bandwidth?.egress) && !(await kindExists(socket, "ifb")))
    throw missing("links of kind ifb", "CONFIG_IFB", "ifb");
}

/** Shape a container whose host end is there. On failure the caller deletes the host end and the ifb. */
export async function shape(
  host: Host,
  socket: NetlinkPort,
  hostEnd: { readonly index: number },
  spec: Shape,
): Promise<void> {
  const { ingress, egress } = spec.bandwidth ?? {};
  if (limited(ingress)) await addTokenBucket(socket, hostEnd.index, tokenBucket(ingress, spec.mtu));
  if (!limited(egress)) return;
  const name = ifbName(spec.hostIfname);
  if (name === undefined) {
    throw new WeaveError("internal", `no name for what shapes ${spec.hostIfname}`);
  }
  const device = { mac: ifbMac(name), mtu: spec.mtu, up: true, info: encodeKind("ifb") };
  await createLink(socket, name, device).catch(async (error: unknown) => {
    if (errnoOf(error) !== "EEXIST") throw error;
    // The host end is new, so this is what an earlier one of its name left.
    await deleteLink(socket, name);
    await createLink(socket, name, device);
  });
  host.run(() => setSysctls(PORT_SYSCTLS, name));
  const ifb = await getLink(socket, name);
  if (ifb === undefined) throw kernelError({ operation: "link get", object: name }, "ENODEV");
  await addTokenBucket(socket, ifb.index, tokenBucket(egress, spec.mtu));
  try {
    await redirectIngress(socket, hostEnd.index, ifb.index);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw error;
    throw missing(
      "ingress, u32 or mirred",
      "CONFIG_NET_SCH_INGRESS, CONFIG_NET_CLS_U32, CONFIG_NET_ACT_MIRRED",
      "sch_ingress cls_u32 act_mirred",
    );
  }
}

/** What of a shape the kernel lacks, by direction, in words for people. */
interface Lacks {
  readonly ingress: readonly string[];
  readonly egress: readonly string[];
}

/** What a host end lacks of its limits, in words for people; nothing when there is no such host end. Writes nothing. */
export async function shapingFaults(
  socket: NetlinkPort,
  hostIfname: string,
  bandwidth: Bandwidth,
): Promise<readonly string[]> {
  const hostEnd = await getLink(socket, hostIfname);
  if (hostEnd === undefined) return [];
  const { ingress, egress } = await lacks(socket, hostEnd, bandwidth);
  return [...ingress, ...egress];
}

/** Put back what somebody took from the limits of a host end, direction by direction. False when nothing was missing. */
export async function restoreShaping(
  host: Host,
  socket: NetlinkPort,
  hostIfname: string,
  bandwidth: Bandwidth,
): Promise<boolean> {
  const hostEnd = await getLink(socket, hostIfname);
  if (hostEnd === undefined) return false;
  const { ingress, egress } = await lacks(socket, hostEnd, bandwidth);
  if (ingress.length + egress.length === 0) return false;
  await probeShaping(socket, { bandwidth });
  if (ingress.length > 0) await deleteRoot(socket, hostEnd.index);
  // Before the device goes that it leads to.
  if (egress.length > 0) await deleteIngress(socket, hostEnd.index);
  await shape(host, socket, hostEnd, {
    hostIfname,
    mtu: hostEnd.mtu,
    bandwidth: {
      ...(ingress.length === 0 || bandwidth.ingress === undefined ? {} : { ingress: bandwidth.ingress }),
      ...(egress.length === 0 || bandwidth.egress === undefined ? {} : { egress: bandwidth.egress }),
    },
  });
  return true;
}

async function lacks(socket: NetlinkPort, hostEnd: Link, bandwidth: Bandwidth): Promise<Lacks> {
  const bucketFault = async (link: Link, limit: Limit, words: string): Promise<readonly string[]> => {
    const held = await getTokenBucket(socket, link.index);
    const wanted = tokenBucket(limit, hostEnd.mtu);
    if (held?.rate === wanted.rate && held.limit === wanted.limit) return [];
    return [shapingFault(link.name, held === undefined ? "no" : "another", words, limit)];
  };
  const { ingress, egress } = bandwidth;
  const receives = limited(ingress) ? await bucketFault(hostEnd, ingress, "receives") : [];
  const name = ifbName(hostEnd.name);
  if (!limited(egress) || name === undefined) return { ingress: receives, egress: [] };
  const ifb = await getLink(socket, name);
  if (ifb === undefined) return { ingress: receives, egress: [missingIfb(name, hostEnd.name)] };
  const led = (await listRedirects(socket, hostEnd.index)).includes(ifb.index);
  return {
    ingress: receives,
    egress: [
      ...(ifb.up ? [] : [`${name}, which limits what the container behind ${hostEnd.name} sends, is down`]),
      ...(await bucketFault(ifb, egress, "sends")),
      ...(led ? [] : [missingRedirect(hostEnd.name, name)]),
    ],
  };
}

/** "no", or "another", limit than the one asked for. */
export function shapingFault(link: string, which: "no" | "another", verb: string, { rate }: Limit): string {
  return `${link} has ${which} limit (tbf) for what the container ${verb}, ${rate} bit/s`;
}

/** Without its device nothing of what a container sends is limited. */
export function missingIfb(ifb: string, hostIfname: string): string {
  return `${ifb}, which limits what the container behind ${hostIfname} sends, is missing`;
}

function missingRedirect(hostIfname: string, ifb: string): string {
  return `${hostIfname} has no ingress filter that leads what the container sends to ${ifb}`;
}

/**
 * Bit/s and bits -> what the kernel takes. The bucket holds one frame at least: a larger frame than the bucket is dropped,
 * not delayed, and the container could send and receive small ones only.
 */
export function tokenBucket({ rate, burst }: Limit, mtu: number): TokenBucket {
  const bytes = Math.max(1, Math.floor(rate / 8));
  const bucket = Math.min(U32_MAX, Math.max(Math.floor(burst / 8), mtu + FRAME_OVERHEAD));
  return { rate: bytes, burst: bucket, limit: Math.min(U32_MAX, Math.floor(bytes * LATENCY_S) + bucket) };
}

function limited(limit: Limit | undefined): limit is Limit {
  return limit !== undefined && limit.rate > 0;
}

function missing(what: string, options: string, modules: string): WeaveError {
  return new WeaveError("feature-missing", `this kernel has no ${what}, which the bandwidth limit needs`, {
    hint: `load it (modprobe -a ${modules}), or use a kernel with ${options}`,
  });
}
