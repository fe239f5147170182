// What somebody else does to a host behind a memory kernel's back, and what the kernel then says it lacks.
import type { DatapathState } from "../../core/datapath/state.ts";
import type { Bandwidth } from "../../ports/kernel.ts";
import { entryFaults, sysctlFault } from "../datapath/faults.ts";
import { TABLE } from "../nftables.ts";
import { ifbName, missingIfb, shapingFault, tokenBucket } from "../shaping.ts";
import type { MemoryHost, MemoryVeth } from "./render.ts";

/**
 * Take one fact away, named by the first words of its line in render(): "address 10.32.0.1/12", "flood 10.99.0.2",
 * "fdb MAC", "neigh ADDRESS", "route ADDRESS", "forwarding ipv4", "route_localnet weave", "nft" (the whole table),
 * "shape HOST-END ingress", "hairpin HOST-END" (switched off).
 */
export function damage(host: MemoryHost, fact: string): void {
  const [kind = "", object = "", direction] = fact.split(" ");
  const { holding } = host;
  const veth = host.veths.get(object);
  const damages: Readonly<Record<string, () => void>> = {
    address: () => holding.addresses.delete(object),
    flood: () => holding.flood.delete(object),
    fdb: () => holding.self.delete(object) || holding.homes.delete(object),
    neigh: () => holding.neighbours.delete(object),
    route: () => holding.routes.delete(object),
    forwarding: () => host.forwarding.delete(object === "ipv6" ? 6 : 4),
    route_localnet: () => {
      host.loopbackPorts = false;
    },
    nft: () => {
      if (host.links !== undefined) host.links.firewall = undefined;
    },
    shape: () => removeLimit(veth, direction),
    hairpin: () => {
      if (veth !== undefined) veth.hairpin = false;
    },
  };
  const one = damages[kind];
  if (one === undefined) throw new Error(`no such damage: ${fact}`);
  one();
}

/** Kernel.faults. */
export function faultsOf(host: MemoryHost, state: DatapathState): readonly string[] {
  const families = new Set(state.bridge.addresses.map((address) => (address.includes(":") ? 6 : 4) as 4 | 6));
  const publishes = state.firewall.portMaps.some(({ address }) => !address.includes(":"));
  const localnet = `ipv4/conf/${state.bridge.name}/route_localnet`;
  const bit = (on: boolean): string => (on ? "1" : "0");
  return [
    ...entryFaults({ ...state, ports: state.ports.filter(({ name }) => host.veths.has(name)) }, host.holding),
    ...(host.links?.firewall === undefined ? [`firewall table inet ${TABLE} is missing`] : []),
    ...[...families].flatMap((family) => {
      const key = family === 4 ? "ipv4/ip_forward" : "ipv6/conf/all/forwarding";
      return sysctlFault(key, bit(host.forwarding.has(family)), "1") ?? [];
    }),
    ...(publishes ? [sysctlFault(localnet, bit(host.loopbackPorts), "1") ?? []] : []).flat(),
  ];
}

/** Kernel.shapingFaults. */
export function shapingFaultsOf(name: string, veth: MemoryVeth, wanted: Bandwidth): readonly string[] {
  const ifb = ifbName(name) ?? "";
  return (["ingress", "egress"] as const).flatMap((direction) => {
    const [limit, held] = [wanted[direction], veth.bandwidth?.[direction]];
    if (limit === undefined || limit.rate === 0) return [];
    if (held === undefined) {
      return direction === "egress" ? [missingIfb(ifb, name)] : [shapingFault(name, "no", "receives", limit)];
    }
    const bucket = (one: typeof limit): string => JSON.stringify(tokenBucket(one, veth.mtu));
    if (bucket(held) === bucket(limit)) return [];
    return direction === "egress"
      ? [shapingFault(ifb, "another", "sends", limit)]
      : [shapingFault(name, "another", "receives", limit)];
  });
}

function removeLimit(veth: MemoryVeth | undefined, direction: string | undefined): void {
  if (veth === undefined) return;
  const { ingress, egress } = veth.bandwidth ?? {};
  veth.bandwidth =
    direction === "ingress"
      ? egress === undefined
        ? {}
        : { egress }
      : ingress === undefined
        ? {}
        : { ingress };
}
