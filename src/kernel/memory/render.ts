// The facts a memory kernel holds, as text near to what `ip`, `bridge` and `nft` print: one fact a line, in a fixed
// order, so that a test compares two short texts. The conformance suite reads the same lines out of the real kernel.
import type { BridgeState, VxlanState } from "../../core/datapath/state.ts";
import type { AttachSpec, Bandwidth } from "../../ports/kernel.ts";
import type { Holding } from "../datapath/plan.ts";
import { setsOf, type TableState } from "../firewall-sets.ts";
import { vxlanMac } from "../mac.ts";
import { tokenBucket } from "../shaping.ts";
import type { MemoryInterface } from "./netns.ts";

type Limit = NonNullable<Bandwidth["ingress"]>;

/** All a memory kernel holds for its host. */
export interface MemoryHost {
  links:
    | {
        readonly bridge: BridgeState;
        readonly vxlan: VxlanState;
        /** Undefined when somebody deleted the table. */
        firewall: TableState | undefined;
      }
    | undefined;
  holding: Holding;
  readonly veths: Map<string, MemoryVeth>;
  readonly forwarding: Set<4 | 6>;
  /** Peers let in because a former process let them in. */
  foundPeers: readonly string[];
  /** Whether published ports answer on 127.0.0.1. */
  loopbackPorts: boolean;
}

/** The host end of a veth pair, and where its other end is. */
export interface MemoryVeth {
  readonly inside: Map<string, MemoryInterface>;
  readonly ifname: string;
  mtu: number;
  hairpin: boolean;
  bandwidth: AttachSpec["bandwidth"];
}

export function render(host: MemoryHost): string {
  if (host.links === undefined) return "";
  const { bridge, vxlan, firewall } = host.links;
  const { holding } = host;
  const on = (value: boolean): string => (value ? "on" : "off");
  return lines([
    [`link ${bridge.name} bridge address ${bridge.mac} mtu ${bridge.mtu} stp off mcast_snooping off up`],
    [
      `link ${vxlan.name} vxlan id ${vxlan.vni} dstport ${vxlan.port} local ${vxlan.local} nolearning ` +
        `address ${vxlanMac(bridge.mac)} mtu ${bridge.mtu} master ${bridge.name} learning off neigh_suppress on up`,
    ],
    [...host.veths].map(
      ([name, veth]) =>
        `link ${name} veth mtu ${veth.mtu} master ${bridge.name} learning on hairpin ${on(veth.hairpin)} up`,
    ),
    [...host.veths].flatMap(([name, { mtu, bandwidth }]) => [
      ...shape(name, "ingress", bandwidth?.ingress, mtu),
      ...shape(name, "egress", bandwidth?.egress, mtu),
    ]),
    [...holding.addresses].map((address) => `address ${address} dev ${bridge.name}`),
    [...holding.flood].map((vtep) => `flood dev ${vxlan.name} dst ${vtep}`),
    [...holding.self].map(([mac, vtep]) => `fdb ${mac} dev ${vxlan.name} dst ${vtep} self`),
    [...holding.master].map(
      ([mac, { sticky }]) =>
        `fdb ${mac} dev ${vxlan.name} master ${bridge.name} static${sticky ? " sticky" : ""}`,
    ),
    [...holding.homes].map(([mac, port]) => `fdb ${mac} dev ${port} master ${bridge.name} static sticky`),
    [...holding.neighbours].map(
      ([address, mac]) => `neigh ${address} dev ${bridge.name} lladdr ${mac} permanent`,
    ),
    [...holding.routes].map((address) => `route ${address} dev ${bridge.name} iif ${bridge.name}`),
    [...host.forwarding].map((family) => `forwarding ipv${family}`),
    host.loopbackPorts ? [`route_localnet ${bridge.name}`] : [],
    firewall === undefined ? [] : sets(firewall),
  ]);
}

/** Interfaces of a container's namespace, without loopback. */
export function renderInterfaces(interfaces: readonly MemoryInterface[]): string {
  return lines([
    interfaces.map((one) => `link ${one.name} address ${one.mac} mtu ${one.mtu} up`),
    interfaces.flatMap((one) => one.addresses.map((address) => `address ${address} dev ${one.name}`)),
    interfaces.flatMap((one) =>
      one.routes.map(
        (route) => `route ${route.dst}${route.gw === undefined ? "" : ` via ${route.gw}`} dev ${one.name}`,
      ),
    ),
  ]);
}

function shape(name: string, direction: string, limit: Limit | undefined, mtu: number): string[] {
  if (limit === undefined || limit.rate === 0) return [];
  const { rate, burst } = tokenBucket(limit, mtu);
  return [`shape ${name} ${direction} rate ${rate} burst ${burst}`];
}

function sets(firewall: TableState): string[] {
  return setsOf(firewall).map(
    ({ kind, name, elements }) => `nft ${kind} ${name} { ${[...elements.keys()].sort().join(", ")} }`,
  );
}

function lines(groups: readonly (readonly string[])[]): string {
  return groups
    .flatMap((group) => [...group].sort())
    .map((line) => `${line}\n`)
    .join("");
}
