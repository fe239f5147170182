// Which gateway and which routes a container gets. Pure: the bridge's addresses are asked for by the caller,
// and only when needed, because asking may expose the bridge.
import { contains, parseCidr } from "../src/core/address/cidr.ts";
import type { RouteSpec } from "../src/ports/kernel.ts";
import type { IpamConfig, NetworkConfig } from "./config.ts";

/** Whether the configuration leaves the gateway to the bridge. */
export function needsBridgeGateway(config: NetworkConfig): boolean {
  if (config.isGateway || config.isDefaultGateway) return true;
  if (config.ipam.gateway !== undefined) return false;
  return config.ipam.routes === undefined || config.ipam.routes.some((route) => route.gw === undefined);
}

/**
 * The gateway for an address: the configured one, else the bridge's address in its subnet, else any of the
 * same family.
 */
export function gatewayFor(
  address: string,
  ipam: IpamConfig,
  bridgeAddresses: readonly string[],
): string | undefined {
  const own = parseCidr(address);
  const candidates = ipam.gateway === undefined ? bridgeAddresses : [ipam.gateway];
  const usable = candidates.filter((candidate) => parseCidr(candidate)?.family === own?.family);
  const chosen = usable.find((candidate) => isInside(address, candidate)) ?? usable[0];
  return chosen?.split("/")[0];
}

/** Which routes a container is to have: those given, and a default route of each family it has a gateway for. */
export interface RouteWish {
  readonly routes: readonly RouteSpec[];
  readonly byDefault: boolean;
}

/** Without routes given, a default route; an empty list means none. */
export const ownRoutes = ({ ipam, isDefaultGateway }: NetworkConfig): RouteWish => ({
  routes: ipam.routes ?? [],
  byDefault: ipam.routes === undefined || isDefaultGateway,
});

/**
 * Routes in the order they must be made. A gateway outside the container's subnet gets a route of its own
 * first: the kernel refuses a next hop it cannot reach.
 */
export function routesFor(
  wish: RouteWish,
  ips: readonly { address: string; gateway?: string }[],
): RouteSpec[] {
  const wanted: RouteSpec[] = wish.routes.map((route) => {
    const gw = route.gw ?? ips.find((ip) => sameFamily(ip.address, route.dst))?.gateway;
    return { dst: route.dst, ...(gw === undefined ? {} : { gw }) };
  });
  if (wish.byDefault) {
    for (const ip of ips) {
      const dst = ip.address.includes(":") ? "::/0" : "0.0.0.0/0";
      if (ip.gateway !== undefined && !wanted.some((route) => route.dst === dst))
        wanted.push({ dst, gw: ip.gateway });
    }
  }
  const outside = new Set(
    wanted.flatMap(({ gw }) => (gw === undefined || ips.some((ip) => isInside(ip.address, gw)) ? [] : [gw])),
  );
  return [...[...outside].map((gw) => ({ dst: `${gw}/${gw.includes(":") ? 128 : 32}` })), ...wanted];
}

/** Whether an address lies in the subnet of another, which has its prefix. */
export function isInside(address: string, candidate: string): boolean {
  const subnet = parseCidr(address);
  const inner = parseCidr(candidate.split("/")[0] ?? "");
  return (
    subnet !== undefined && inner !== undefined && subnet.family === inner.family && contains(subnet, inner)
  );
}

const sameFamily = (a: string, b: string): boolean => a.includes(":") === b.includes(":");
