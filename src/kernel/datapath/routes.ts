// Routes for what comes from the bridge and must go back to it: to endpoints of other hosts in subnets the bridge is not
// in. They stand in a table of their own that only packets from the bridge are led to, so that no peer's word changes where
// the host itself sends anything.
import { contains, parseAddress, parseCidr } from "../../core/address/cidr.ts";
import { addRoute, deleteRoute, listRoutes, type Route } from "../rtnetlink/route.ts";
import { addRule, deleteRule, listRules } from "../rtnetlink/rule.ts";
import type { NetlinkPort, NetlinkSocket } from "../rtnetlink/socket.ts";

interface Bridge {
  readonly bridge: number;
  readonly bridgeName: string;
}

/** Our VXLAN port, as a number nobody else takes. The priority is before main (32766). */
export const TABLE = 6784;
const PRIORITY = 6784;

/** A route to another host's container, for what comes from containers here. */
export async function addBridgeRoute(
  socket: NetlinkSocket,
  { bridge, bridgeName }: Bridge,
  address: string,
): Promise<void> {
  const family = address.includes(":") ? 6 : 4;
  // What this host reaches otherwise than by its default route stays so for its containers, whatever a peer says.
  if ((await ledElsewhere(socket, bridge, [address])).size > 0) return;
  await addRule(socket, { family, iif: bridgeName, table: TABLE, priority: PRIORITY });
  await addRoute(socket, { dst: cidrOf(address), oif: bridge, onlink: false, table: TABLE });
}

/** Takes it away; one that is gone already is no error. */
export async function deleteBridgeRoute(
  socket: NetlinkSocket,
  { bridge }: Bridge,
  address: string,
): Promise<void> {
  await deleteRoute(socket, { dst: cidrOf(address), oif: bridge, onlink: false, table: TABLE });
}

/** Take away the rules that led to our table; the routes went with the bridge. What was there, in words for people. */
export async function removeBridgeRules(socket: NetlinkPort, bridgeName: string): Promise<readonly string[]> {
  const removed: string[] = [];
  for (const rule of await listRules(socket)) {
    if (rule.iif !== bridgeName || rule.table !== TABLE) continue;
    if (await deleteRule(socket, rule))
      removed.push(`rule del iif ${bridgeName} lookup ${TABLE} (IPv${rule.family})`);
  }
  return removed;
}

/** Without the rule that leads to it, a route is as good as none: it is then made again, and the rule with it. */
export async function observeBridgeRoutes(
  socket: NetlinkSocket,
  { bridge, bridgeName }: Bridge,
): Promise<Set<string>> {
  const routes = (await listRoutes(socket, TABLE)).filter(({ oif }) => oif === bridge);
  if (routes.length === 0) return new Set();
  const rules = (await listRules(socket)).filter(({ iif, table }) => iif === bridgeName && table === TABLE);
  const led = new Set(rules.map(({ family }) => family));
  return new Set(
    routes.map(({ dst }) => dst.split("/")[0] ?? dst).filter((a) => led.has(a.includes(":") ? 6 : 4)),
  );
}

/** Those of `addresses` that addBridgeRoute leaves alone. */
export async function ledElsewhere(
  socket: NetlinkPort,
  bridge: number,
  addresses: readonly string[],
): Promise<ReadonlySet<string>> {
  const routes = await listRoutes(socket);
  return new Set(addresses.filter((address) => routes.some((route) => isElsewhere(route, bridge, address))));
}

function isElsewhere({ dst, isDefault, oif }: Route, bridge: number, address: string): boolean {
  const [subnet, wanted] = [parseCidr(dst), parseAddress(address)];
  return (
    !isDefault && oif !== bridge && subnet !== undefined && wanted !== undefined && contains(subnet, wanted)
  );
}

const cidrOf = (address: string): string => `${address}/${address.includes(":") ? 128 : 32}`;
