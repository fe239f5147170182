// Attaches a container: a veth pair whose one end is a port of the bridge and whose other end is born inside the
// container's namespace, configured and announced there. All or nothing.
import { contains, parseCidr } from "../core/address/cidr.ts";
import { WeaveError } from "../core/errors.ts";
import type { Attached, AttachSpec, RouteSpec } from "../ports/kernel.ts";
import type { Host } from "./host.ts";
import { ifIndex } from "./libc.ts";
import { hostEndMac } from "./mac.ts";
import { inNetns } from "./netns.ts";
import { announcement, sendFrames } from "./packet.ts";
import { addAddress } from "./rtnetlink/address.ts";
import { DirectSocket } from "./rtnetlink/direct.ts";
import { errnoOf, kernelError } from "./rtnetlink/errors.ts";
import { claimHome } from "./rtnetlink/fdb.ts";

import { changeNamed, createLink, deleteLink, getLink, type Link } from "./rtnetlink/link.ts";
import { encodePort, encodeVeth, VETH_QUEUES } from "./rtnetlink/link-info.ts";
import { announceOwn } from "./rtnetlink/neighbour.ts";
import { addRoute } from "./rtnetlink/route.ts";
import { NETLINK_ROUTE, type NetlinkPort } from "./rtnetlink/socket.ts";
import { ifbName, isShaped, probeShaping, shape } from "./shaping.ts";
import { CONTAINER_IPV6_SYSCTLS, PORT_SYSCTLS, setSysctls } from "./sysctl.ts";

/**
 * Create and configure the pair; `bound` is told when its MAC has an entry at its port. ifname-exists, kernel,
 * feature-missing. On failure nothing of it is left.
 */
export async function attach(
  host: Host,
  outer: NetlinkPort,
  spec: AttachSpec,
  bound: (port: string, mac: string) => void,
): Promise<Attached> {
  const inner = inNetns(spec.netns.fd, () => new DirectSocket(NETLINK_ROUTE));
  try {
    const bridge = await existing(outer, spec.bridge);
    const shaped = isShaped(spec);
    if (shaped) await probeShaping(outer, spec);
    await createPair(outer, inner, bridge, spec);
    try {
      if (await configureHostEnd(host, outer, spec)) bound(spec.hostIfname, spec.mac);
      // Before the container's end is up: not one frame passes beside the limits.
      if (shaped) await shape(host, outer, await existing(outer, spec.hostIfname), spec);
      return await configureContainerEnd(outer, inner, bridge, spec);
    } catch (error) {
      await deleteLink(outer, spec.hostIfname);
      const ifb = ifbName(spec.hostIfname);
      if (shaped && ifb !== undefined) await deleteLink(outer, ifb);
      throw error;
    }
  } finally {
    await inner.close();
  }
}

async function createPair(
  outer: NetlinkPort,
  inner: NetlinkPort,
  bridge: Link,
  spec: AttachSpec,
): Promise<void> {
  try {
    await createLink(outer, spec.hostIfname, {
      mac: hostEndMac(spec.hostIfname),
      mtu: spec.mtu,
      master: bridge.index,
      queues: VETH_QUEUES,
      info: encodeVeth({ ifname: spec.ifname, mac: spec.mac, mtu: spec.mtu, netnsFd: spec.netns.fd }),
    });
  } catch (error) {
    // One errno for two names.
    if (errnoOf(error) === "EEXIST" && (await getLink(inner, spec.ifname)) !== undefined)
      throw ifnameExists(spec);
    throw error;
  }
}

/** Whether the port has the MAC for itself. */
async function configureHostEnd(host: Host, outer: NetlinkPort, spec: AttachSpec): Promise<boolean> {
  // Before it is up, when IPv6 has nothing yet that would have to be taken away again under the kernel's lock for links.
  host.run(() => setSysctls(PORT_SYSCTLS, spec.hostIfname));
  await changeNamed(outer, spec.hostIfname, { up: true, info: encodePort({ hairpin: spec.hairpin }) });
  // Before its first frame: from a port that learned it another container could take it back.
  const port = host.run(() => ifIndex(spec.hostIfname));
  return claimHome(outer, port, spec.mac);
}

async function configureContainerEnd(
  outer: NetlinkPort,
  inner: NetlinkPort,
  bridge: Link,
  spec: AttachSpec,
): Promise<Attached> {
  const fd = spec.netns.fd;
  if (spec.addresses.some((address) => address.includes(":"))) {
    inNetns(fd, () => setSysctls(CONTAINER_IPV6_SYSCTLS, spec.ifname));
  }
  await changeNamed(inner, spec.ifname, { up: true });
  // Asking for a link makes the kernel finish its carrier work; an announcement sent before that is lost now and then.
  const { index } = await existing(inner, spec.ifname);
  for (const address of spec.addresses) await addAddress(inner, index, address);
  const routes: RouteSpec[] = [];
  for (const route of spec.routes) if (await addContainerRoute(inner, index, spec, route)) routes.push(route);
  const hostEnd = await existing(outer, spec.hostIfname);
  await announce(inner, index, spec);
  return { hostMac: hostEnd.mac, bridgeMac: bridge.mac, routes };
}

/** IPv4 through the kernel's own ARP; IPv6 has nothing like it, so its advertisements are sent as frames. */
async function announce(inner: NetlinkPort, index: number, spec: AttachSpec): Promise<void> {
  const frames: Buffer[] = [];
  for (const cidr of spec.addresses) {
    const address = cidr.split("/")[0] ?? cidr;
    if (address.includes(":")) frames.push(announcement(address, spec.mac));
    else await announceOwn(inner, index, address);
  }
  if (frames.length > 0) inNetns(spec.netns.fd, () => sendFrames(index, frames));
}

/** False when the namespace has a route there already. */
async function addContainerRoute(
  inner: NetlinkPort,
  oif: number,
  spec: AttachSpec,
  route: RouteSpec,
): Promise<boolean> {
  const onlink = route.gw !== undefined && !onLink(route.gw, spec.addresses);
  return addRoute(inner, {
    dst: route.dst,
    oif,
    onlink,
    ...(route.gw === undefined ? {} : { gateway: route.gw }),
  });
}

/** Whether an address's own subnet makes the gateway reachable. */
function onLink(gateway: string, addresses: readonly string[]): boolean {
  const target = parseCidr(gateway);
  if (target === undefined) throw new WeaveError("bad-address", `not a gateway address: ${gateway}`);
  return addresses.some((address) => {
    const cidr = parseCidr(address);
    return cidr !== undefined && contains(cidr, target);
  });
}

async function existing(socket: NetlinkPort, name: string): Promise<Link> {
  const link = await getLink(socket, name);
  if (link === undefined) throw kernelError({ operation: "link get", object: name }, "ENODEV");
  return link;
}

function ifnameExists(spec: AttachSpec): WeaveError {
  return new WeaveError("ifname-exists", `the namespace already has an interface ${spec.ifname}`, {
    hint: "delete the earlier attachment, or use another interface name",
    fields: { ifname: spec.ifname },
  });
}
