// A container's interface as it is now, for CHECK: what plugins behind us and the container itself made of it.
import type { ContainerLink, Netns } from "../ports/kernel.ts";
import type { Host } from "./host.ts";
import { inNetns } from "./netns.ts";
import { listAddresses } from "./rtnetlink/address.ts";
import { DirectSocket } from "./rtnetlink/direct.ts";
import { getLink, type Link } from "./rtnetlink/link.ts";
import { netnsIdOf } from "./rtnetlink/netns-id.ts";
import { listRoutes } from "./rtnetlink/route.ts";
import { NETLINK_ROUTE, type NetlinkPort } from "./rtnetlink/socket.ts";

/** The link-local prefix every IPv6 interface has by itself. */
const LINK_LOCAL = /^fe[89ab]/;

/** Undefined when the namespace has no interface of that name. netns-invalid when `netns` is none. */
export async function look(
  host: Host,
  outer: NetlinkPort,
  netns: Netns,
  ifname: string,
): Promise<ContainerLink | undefined> {
  const inner = inNetns(netns.fd, () => new DirectSocket(NETLINK_ROUTE));
  try {
    const link = await getLink(inner, ifname);
    if (link === undefined) return undefined;
    const addresses = await listAddresses(inner);
    const routes = await listRoutes(inner);
    const hostIfname = await otherEnd(host, outer, inner, link);
    return {
      up: link.up,
      mac: link.mac,
      mtu: link.mtu,
      addresses: addresses
        .filter((entry) => entry.index === link.index && !LINK_LOCAL.test(entry.address))
        .map((entry) => `${entry.address}/${entry.prefix}`),
      routes: routes
        .filter((route) => route.oif === link.index && !LINK_LOCAL.test(route.dst))
        .map(({ dst, gateway }) => ({ dst, ...(gateway === undefined ? {} : { gw: gateway }) })),
      ...(hostIfname === undefined ? {} : { hostIfname }),
    };
  } finally {
    await inner.close();
  }
}

/** Name of the other end of a pair, if that is on this host. */
async function otherEnd(
  host: Host,
  outer: NetlinkPort,
  inner: NetlinkPort,
  link: Link,
): Promise<string | undefined> {
  if (link.info.kind !== "other" || link.info.name !== "veth") return undefined;
  if (link.peer === undefined || link.peerNetnsId === undefined) return undefined;
  if ((await netnsIdOf(inner, host.fd)) !== link.peerNetnsId) return undefined;
  const end = await getLink(outer, link.peer);
  return end?.peer === link.index ? end.name : undefined;
}
