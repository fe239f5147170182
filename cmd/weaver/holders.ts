// Who has addresses on this host, as the API shows it, and which of the bridge's a user means.
import type { HandLink } from "../../cni-plugin/by-hand.ts";
import type { Holders, Links, Wish } from "../../src/api/control.ts";
import type { Report } from "../../src/api/report.ts";
import { contains, parseCidr } from "../../src/core/address/cidr.ts";
import { WeaveError } from "../../src/core/errors.ts";
import type { Daemon } from "../../src/daemon/daemon.ts";

/** Weave Net's name for who holds the bridge's addresses. */
const EXPOSE = "weave:expose";

/** The bridge first, then containers in the order of their ids. */
export function holdersOf({ node }: Pick<Daemon, "node">): Holders {
  const exposed = node.exposed().map(({ cidr }) => cidr);
  const bridge = exposed.length === 0 ? [] : [{ ident: EXPOSE, mac: node.bridgeMac, addresses: exposed }];
  const containers = node
    .attachments()
    .filter(({ committed }) => committed)
    .map(({ containerId, network, ifname, mac, addresses }) => ({
      ident: containerId,
      network,
      ifname,
      ...(mac === undefined ? {} : { mac }),
      addresses: [...addresses],
    }))
    .sort((a, b) => a.ident.localeCompare(b.ident, "en") || a.ifname.localeCompare(b.ifname, "en"));
  return { holders: [...bridge, ...containers] };
}

/** For the API. */
export const linksOf = (links: readonly HandLink[]): Links["links"] =>
  links.map((link) => ({ ...link, addresses: [...link.addresses] }));

/** The bridge's addresses a user names, one by one or by subnet. Throws bad-address. */
export function namedBy({ addresses, subnets }: Wish, { node }: Pick<Daemon, "node">): readonly string[] {
  for (const text of [...addresses, ...subnets]) {
    if (text === "default" || parseCidr(text) !== undefined) continue;
    throw new WeaveError("bad-address", `"${text}" is not an address or a subnet`);
  }
  const wanted = subnets.flatMap((text) => (text === "default" ? node.config.defaultSubnets : [text]));
  const inside = node
    .exposed()
    .map(({ cidr }) => cidr)
    .filter((cidr) => {
      const own = parseCidr(cidr);
      return wanted.some((text) => {
        const subnet = parseCidr(text);
        return own !== undefined && subnet !== undefined && contains(subnet, own);
      });
    });
  return [...new Set([...addresses, ...inside])];
}

/** What the daemon takes of its host. */
export function processFacts(): Report["process"] {
  const { rss, heapUsed } = process.memoryUsage();
  return {
    node: process.version,
    uptimeSeconds: Math.round(process.uptime()),
    residentBytes: rss,
    heapBytes: heapUsed,
  };
}
