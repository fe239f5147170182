// The routes that come with the bridge's own addresses: without them the host reaches no container. The kernel makes them
// with the address and never again, so one that somebody deleted is made here.
import { formatCidr, networkOf, parseCidr } from "../../core/address/cidr.ts";
import { addRoute, listRoutes } from "../rtnetlink/route.ts";
import type { NetlinkSocket } from "../rtnetlink/socket.ts";
import type { Report } from "./report.ts";

/** Destinations of the routes that belong to these addresses, each with an address it comes with. */
export function connectedRoutes(addresses: readonly string[]): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const text of addresses) {
    const cidr = parseCidr(text);
    if (cidr === undefined || cidr.prefix === (cidr.family === 4 ? 32 : 128)) continue;
    const dst = formatCidr(networkOf(cidr));
    if (!found.has(dst)) found.set(dst, text.split("/")[0] ?? text);
  }
  return found;
}

/** Make those that are missing from the main table; answers their destinations. */
export async function ensureConnected(
  socket: NetlinkSocket,
  bridge: number,
  addresses: readonly string[],
  report: Report,
): Promise<readonly string[]> {
  const wanted = connectedRoutes(addresses);
  if (wanted.size === 0) return [];
  const held = new Set((await listRoutes(socket)).filter(({ oif }) => oif === bridge).map(({ dst }) => dst));
  const made: string[] = [];
  for (const [dst, connected] of wanted) {
    if (held.has(dst)) continue;
    try {
      // False where another route leads there: that one was put in its place on purpose.
      if (!(await addRoute(socket, { dst, oif: bridge, onlink: false, connected }))) continue;
      report.changed(`route add ${dst}`);
      made.push(dst);
    } catch (error) {
      report.lacking(`route ${dst}`, error);
    }
  }
  return made;
}
