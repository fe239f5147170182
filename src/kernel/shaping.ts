// Limits of a container's traffic. What it receives leaves its host end through a token bucket. What it sends comes in
// there, where nothing can be queued: it is redirected to a device of its own (ifb) and leaves that through a bucket.
//
// The numbers are those of the reference bandwidth plugin, so that one configuration means the same with both.
import { WeaveError } from "../core/errors.ts";
import type { AttachSpec, Bandwidth } from "../ports/kernel.ts";
import type { Host } from "./host.ts";
import { ifbMac } from "./mac.ts";
import { errnoOf, kernelError } from "./rtnetlink/errors.ts";
import { createLink, deleteLink, getLink, kindExists } from "./rtnetlink/link.ts";
import { encodeKind } from "./rtnetlink/link-info.ts";
import type { NetlinkPort } from "./rtnetlink/socket.ts";
import { addTokenBucket, redirectIngress, type TokenBucket, tokenBucketExists } from "./rtnetlink/traffic.ts";
import { PORT_SYSCTLS, setSysctls } from "./sysctl.ts";

/** How long a frame may wait for tokens. */
const LATENCY_S = 0.025;
/** Ethernet header and a VLAN tag: what a frame has beyond its MTU. */
const FRAME_OVERHEAD = 18;
const U32_MAX = 0xffffffff;
const HOST_END = /^vw([0-9a-f]{12})$/;

/** One direction that has a limit. */
type Limit = NonNullable<Bandwidth["ingress"]>;

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
export function isShaped({ bandwidth }: AttachSpec): boolean {
  return limited(bandwidth?.ingress) || limited(bandwidth?.egress);
}

/** feature-missing when this kernel cannot shape as `spec` asks. Makes nothing. */
export async function probeShaping(socket: NetlinkPort, { bandwidth }: AttachSpec): Promise<void> {
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
  spec: AttachSpec,
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
