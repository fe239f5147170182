// What a daemon must know of its host before it starts: routes its range could overlap, addresses it can be reached
// at, and what is missing. Reads only: features are probed by requests the kernel refuses, nothing is made.
import type { HostFacts } from "../ports/kernel.ts";
import type { Host } from "./host.ts";
import { isInstalled } from "./programs.ts";
import { type InterfaceAddress, listAddresses } from "./rtnetlink/address.ts";
import { errnoOf } from "./rtnetlink/errors.ts";
import { kindExists, type Link, listLinks } from "./rtnetlink/link.ts";
import { listRoutes, type Route } from "./rtnetlink/route.ts";
import { NETLINK_NETFILTER, type NetlinkPort, NetlinkSocket } from "./rtnetlink/socket.ts";
import { ipv6Available } from "./sysctl.ts";

/** Kinds of links we make, and the kernel option each comes with. */
const KINDS = [
  { kind: "bridge", brings: "kernel option CONFIG_BRIDGE (modprobe bridge)" },
  { kind: "vxlan", brings: "kernel option CONFIG_VXLAN (modprobe vxlan)" },
  { kind: "veth", brings: "kernel option CONFIG_VETH (modprobe veth)" },
] as const;

export async function inspect(host: Host, socket: NetlinkPort): Promise<HostFacts> {
  const links = new Map((await listLinks(socket)).map((link) => [link.index, link]));
  const routes = await listRoutes(socket);
  const addresses = (await listAddresses(socket)).flatMap((entry) => {
    const link = links.get(entry.index);
    return link === undefined || !usable(entry, link) ? [] : [{ entry, link }];
  });
  // Interface order is that of the index; of one interface the kernel's own order, IPv4 first, stays.
  addresses.sort((a, b) => a.link.index - b.link.index);
  const source = defaultSource(routes, addresses);
  return {
    routes: routes
      .filter((route) => !route.isDefault)
      .map((route) => ({
        dst: route.dst,
        dev: (route.oif === undefined ? undefined : links.get(route.oif)?.name) ?? "",
      })),
    addresses: addresses.map(({ entry, link }) => ({
      dev: link.name,
      address: entry.address,
      mtu: link.mtu,
    })),
    ...(source === undefined ? {} : { defaultSource: source }),
    missing: await missing(host, socket),
  };
}

interface Placed {
  readonly entry: InterfaceAddress;
  readonly link: Link;
}

function usable(entry: InterfaceAddress, link: Link): boolean {
  return entry.global && link.up && !link.loopback;
}

/** Of the best default route, IPv4 if there is one: its own source address, or the first of its interface. */
function defaultSource(routes: readonly Route[], addresses: readonly Placed[]): HostFacts["defaultSource"] {
  const defaults = routes.filter((route) => route.isDefault && route.oif !== undefined);
  const rank = (route: Route): number => (route.dst.includes(":") ? 2 ** 33 : 0) + route.metric;
  defaults.sort((a, b) => rank(a) - rank(b));
  for (const route of defaults) {
    const six = route.dst.includes(":");
    const candidates = addresses.filter(
      ({ entry, link }) => link.index === route.oif && entry.address.includes(":") === six,
    );
    const chosen = candidates.find(({ entry }) => entry.address === route.source) ?? candidates[0];
    if (chosen !== undefined) return { address: chosen.entry.address, mtu: chosen.link.mtu };
  }
  return undefined;
}

async function missing(host: Host, socket: NetlinkPort): Promise<HostFacts["missing"]> {
  const found: { what: string; brings: string }[] = [];
  for (const { kind, brings } of KINDS) {
    try {
      if (!(await kindExists(socket, kind))) found.push({ what: `links of kind ${kind}`, brings });
    } catch (error) {
      if (errnoOf(error) !== "EPERM") throw error;
      found.push({
        what: "the right to configure networks",
        brings: "root (CAP_NET_ADMIN and CAP_SYS_ADMIN)",
      });
      return found;
    }
  }
  if (!isInstalled("nft")) found.push({ what: "nft", brings: "apt-get install nftables" });
  if (!netfilterAvailable(host)) {
    found.push({ what: "nf_tables", brings: "kernel option CONFIG_NF_TABLES (modprobe nf_tables)" });
  }
  if (!host.run(ipv6Available)) {
    found.push({ what: "IPv6", brings: "a boot without ipv6.disable=1 (ND would be flooded to all hosts)" });
  }
  return found;
}

/** Without nfnetlink a netfilter socket cannot even be opened (EPROTONOSUPPORT). */
function netfilterAvailable(host: Host): boolean {
  try {
    void host.run(() => new NetlinkSocket(NETLINK_NETFILTER)).close();
    return true;
  } catch {
    return false;
  }
}
