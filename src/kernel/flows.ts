// UDP flows follow the port maps. Connection tracking keeps a flow's translation as long as its packets come, so a client
// would go on talking to a container that is gone, or to the host where a container now listens.
import { networkInterfaces } from "node:os";
import type { PortMap } from "../core/datapath/state.ts";
import type { Host } from "./host.ts";
import { type Flow, forgetFlow, listUdpFlows } from "./rtnetlink/conntrack.ts";
import type { NetlinkSocket } from "./rtnetlink/socket.ts";
import { AF_INET, AF_INET6, canonicalAddress } from "./rtnetlink/wire.ts";

/**
 * Forget the flows whose port map went, or came, between `former` and `wanted`; addresses canonical. TCP and SCTP need
 * none of this: their connections end with the other side.
 */
export async function followPortMaps(
  host: Host,
  socket: NetlinkSocket,
  former: readonly PortMap[],
  wanted: readonly PortMap[],
): Promise<void> {
  const removed = without(former, wanted);
  const added = without(wanted, former);
  if (removed.length + added.length === 0) return;
  const local = added.length === 0 ? new Set<string>() : host.run(localAddresses);
  for (const family of [AF_INET, AF_INET6]) {
    const ofFamily = ({ address }: PortMap): boolean => address.includes(":") === (family === AF_INET6);
    const [gone, come] = [removed.filter(ofFamily), added.filter(ofFamily)];
    if (gone.length + come.length === 0) continue;
    for (const flow of await listUdpFlows(socket, family)) {
      if (gone.some((map) => leadsTo(flow, map)) || come.some((map) => shouldLeadTo(flow, map, local))) {
        await forgetFlow(socket, flow);
      }
    }
  }
}

/** Whether the flow was translated by this map, or as by it. */
function leadsTo({ original, reply }: Flow, map: PortMap): boolean {
  return (
    original.destinationPort === map.hostPort && reply.source === map.address && reply.sourcePort === map.port
  );
}

/** Whether the flow goes to the published port, and not yet to the container. */
function shouldLeadTo(flow: Flow, map: PortMap, local: ReadonlySet<string>): boolean {
  const { destination, destinationPort } = flow.original;
  if (destinationPort !== map.hostPort || leadsTo(flow, map)) return false;
  if (map.hostAddress !== undefined) return destination === map.hostAddress;
  return local.has(destination) || destination.startsWith("127.");
}

/** Addresses of the host: of all interfaces that are up. */
function localAddresses(): Set<string> {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return new Set(all.map(({ address }) => canonicalAddress(address)));
}

/** The UDP maps of `a` that `b` has not. */
function without(a: readonly PortMap[], b: readonly PortMap[]): readonly PortMap[] {
  const keyOf = (map: PortMap): string =>
    `${map.hostAddress ?? ""} ${map.hostPort} ${map.address} ${map.port}`;
  const held = new Set(b.filter(({ protocol }) => protocol === "udp").map(keyOf));
  return a.filter((map) => map.protocol === "udp" && !held.has(keyOf(map)));
}
