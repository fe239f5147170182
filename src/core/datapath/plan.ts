// The desired datapath, from what gossip knows. Entries are programmed ahead rather than learned or looked up on a miss:
// gossip knows (address, MAC, peer) before the first packet, a stopped daemon delays nothing, and no container can take
// over another's traffic by sending with its MAC. Cost per remote endpoint: two FDB entries and a neighbour (0.16 ms);
// per peer: one flood entry, two FDB entries and a neighbour for its bridge, and one copy of each broadcast frame.
import { type Cidr, contains, formatCidr, networkOf, parseCidr } from "../address/cidr.ts";
import { linkLocalOf } from "../address/mac.ts";
import type { Endpoint } from "../endpoints/endpoint.ts";
import { bridgeMacOf, type PeerRecord } from "../mesh/peer-record.ts";
import type { DatapathState, PortMap, PortState } from "./state.ts";

/** Bytes VXLAN adds inside the underlay's MTU: outer IP (20 or 40), UDP 8, VXLAN 8, inner Ethernet 14. RFC 7348, 5. */
export const VXLAN_OVERHEAD = { 4: 50, 6: 70 } as const;

/** The least MTU with which an interface has IPv6 (RFC 8200, 5; IPV6_MIN_MTU of net/ipv6.h). */
export const IPV6_MIN_MTU = 1280;

/** What the datapath follows from. */
export interface PlanInput {
  readonly self: string;
  readonly bridgeName: string;
  readonly bridgeMac: string;
  readonly vxlanName: string;
  readonly vni: number;
  readonly vxlanPort: number;
  readonly controlPort: number;
  readonly underlay: string;
  /** What our own underlay allows; the plan takes the least over the peers. */
  readonly mtu: number;
  readonly universes: readonly string[];
  /** Address (without prefix) to MAC of every container here, announced or not. */
  readonly here: ReadonlyMap<string, string>;
  /** Host ends of local containers. */
  readonly ports: readonly PortState[];
  readonly portMaps: readonly PortMap[];
  /** Subnets whose containers' configurations say so, whatever is exposed. */
  readonly masquerade: readonly string[];
  readonly exempt: readonly string[];
  readonly exposed: readonly { readonly cidr: string; readonly masquerade: boolean }[];
  readonly peers: ReadonlyMap<string, PeerRecord>;
  readonly endpoints: ReadonlyMap<string, Endpoint>;
  readonly prune: boolean;
}

/** The other peers packets can be sent to. One that has not found its network yet says a loopback address. */
export const othersOf = ({ self, underlay, peers }: Pick<PlanInput, "self" | "underlay" | "peers">) =>
  [...peers].filter(
    ([name, record]) =>
      name !== self && record.underlay !== underlay && !/^(127\.|::1$)/.test(record.underlay),
  );

/** The MTU of the overlay: the least of all hosts'. `by`: the peer that has it, absent when it is this host. */
export function agreedMtu(input: Pick<PlanInput, "self" | "underlay" | "mtu" | "peers">): {
  readonly mtu: number;
  readonly by?: string;
} {
  let least: { readonly mtu: number; readonly by?: string } = { mtu: input.mtu };
  for (const [by, { mtu }] of othersOf(input)) if (mtu < least.mtu) least = { mtu, by };
  return least;
}

/** The whole desired state; the same input gives the same state. */
export function plan(input: PlanInput): DatapathState {
  const others = othersOf(input);
  const { mtu } = agreedMtu(input);
  const vteps = new Map(others.map(([name, record]) => [name, record.underlay]));
  const own = new Set(input.exposed.map(({ cidr }) => cidr.split("/")[0]));
  const localMacs = new Set([input.bridgeMac, ...input.here.values()]);
  const forwarding = new Map<string, string>();
  const routes: string[] = [];
  // Hosts must stay reachable, whatever somebody claims to have a container at.
  const underlays = new Set([input.underlay, ...[...input.peers.values()].map(({ underlay }) => underlay)]);
  const led = [...input.universes, ...input.exposed.map(({ cidr }) => cidr)].flatMap(
    (c) => parseCidr(c) ?? [],
  );
  // Our own containers are served here, whoever else has their addresses.
  const neighbours = [...input.here].map(([address, mac]) => ({ address, mac }));
  // Bridges reach each other, exposed or not: by these ways paths are probed, and no probe is flooded to all hosts.
  for (const [name, record] of others) {
    const mac = bridgeMacOf(name, record);
    const address = linkLocalOf(mac);
    if (localMacs.has(mac) || address === undefined) continue;
    forwarding.set(mac, record.underlay);
    if (mtu >= IPV6_MIN_MTU) neighbours.push({ address, mac });
  }
  for (const [address, endpoint] of input.endpoints) {
    const vtep = vteps.get(endpoint.peer);
    if (endpoint.peer !== input.self && vtep === undefined) continue; // its peer record has not arrived yet
    // A peer's claim to a MAC of ours must not carry our containers' frames away.
    if (vtep !== undefined && !localMacs.has(endpoint.mac)) forwarding.set(endpoint.mac, vtep);
    if (own.has(address) || input.here.has(address)) continue;
    if (vtep !== undefined) neighbours.push({ address, mac: endpoint.mac });
    if (vtep !== undefined && !isLed(address, led) && !underlays.has(address)) routes.push(address);
  }
  return {
    bridge: {
      name: input.bridgeName,
      mac: input.bridgeMac,
      mtu,
      addresses: input.exposed.map(({ cidr }) => cidr),
    },
    vxlan: { name: input.vxlanName, vni: input.vni, port: input.vxlanPort, local: input.underlay },
    ports: input.ports,
    flood: [...new Set(vteps.values())].sort(),
    forwarding: [...forwarding].map(([mac, vtep]) => ({ mac, vtep })),
    neighbours,
    routes,
    firewall: {
      overlay: input.universes,
      masquerade: [
        ...new Set([
          ...input.exposed.filter((e) => e.masquerade).map((e) => networkText(e.cidr)),
          ...input.masquerade,
        ]),
      ],
      exempt: input.exempt,
      portMaps: input.portMaps,
      controlPort: input.controlPort,
      controls: others
        .filter(([, { port }]) => port !== input.controlPort)
        .map(([, { underlay, port }]) => ({ address: underlay, port })),
    },
    prune: input.prune,
  };
}

/** Addresses of the ranges need no route: where the bridge is in them at all, its own subnet leads there. */
function isLed(address: string, subnets: readonly Cidr[]): boolean {
  const cidr = parseCidr(address);
  return cidr === undefined || subnets.some((subnet) => contains(subnet, cidr));
}

function networkText(text: string): string {
  const cidr = parseCidr(text);
  return cidr === undefined ? text : formatCidr(networkOf(cidr));
}
