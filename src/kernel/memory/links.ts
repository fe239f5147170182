// Bridge, VXLAN device and firewall of a memory kernel: what they become, and the words the real kernel reports.
import type { DatapathState } from "../../core/datapath/state.ts";
import { describeChanges, differences, setsOf, tableStateOf } from "../firewall-sets.ts";
import type { MemoryHost } from "./render.ts";

/** Bring the links to `state`; entries of a VXLAN device that had to be made anew are gone. */
export function changeLinks(host: MemoryHost, state: DatapathState): string[] {
  const changes: string[] = [];
  const { addresses: _, ...bridge } = state.bridge;
  const former = host.links;
  if (former === undefined) {
    changes.push(`link add ${bridge.name} type bridge address ${bridge.mac} mtu ${bridge.mtu}`);
  } else if (former.bridge.mtu !== bridge.mtu) {
    changes.push(
      `link set ${bridge.name} mtu ${bridge.mtu}`,
      ...changePortMtus(host, former.bridge.mtu, bridge.mtu),
    );
  }
  const { name, vni, port, local } = state.vxlan;
  if (former !== undefined && (former.vxlan.vni !== vni || former.vxlan.port !== port)) {
    changes.push(`link del ${name}`);
    host.holding.flood.clear();
    host.holding.self.clear();
    host.holding.master.clear();
  }
  if (former === undefined || changes.includes(`link del ${name}`)) {
    changes.push(`link add ${name} type vxlan id ${vni} local ${local} dstport ${port}`);
  } else if (former.vxlan.local !== local) {
    changes.push(`link set ${name} type vxlan local ${local} nolearning`);
  }
  host.links = {
    bridge: { ...bridge, addresses: [] },
    vxlan: state.vxlan,
    firewall: former === undefined ? tableStateOf(state) : former.firewall,
  };
  return changes;
}

/** Bring the firewall to `state`; `unknown` when what the kernel holds must not be trusted to be there. */
export function changeFirewall(host: MemoryHost, state: DatapathState, unknown: boolean): string[] {
  if (host.links === undefined) return [];
  const former = host.links.firewall;
  if (former === undefined && !unknown) return [];
  if (unknown) host.foundPeers = former?.peers ?? [];
  if (state.prune) host.foundPeers = [];
  const firewall = tableStateOf(state, host.foundPeers);
  host.links.firewall = firewall;
  if (unknown || former === undefined) return ["nft load table inet weave"];
  return describeChanges(differences(setsOf(former), setsOf(firewall)));
}

/** Give the ports that are there their hairpin setting. */
export function changePorts(host: MemoryHost, ports: DatapathState["ports"]): string[] {
  return ports.flatMap(({ name, hairpin }) => {
    const veth = host.veths.get(name);
    if (veth === undefined || veth.hairpin === hairpin) return [];
    veth.hairpin = hairpin;
    return [`link set ${name} type bridge_slave hairpin ${hairpin ? "on" : "off"}`];
  });
}

/** Let published ports answer on 127.0.0.1, or not. */
export function changeLoopbackPorts(host: MemoryHost, on: boolean): string[] {
  const bridge = host.links?.bridge.name;
  if (bridge === undefined || host.loopbackPorts === on) return [];
  host.loopbackPorts = on;
  return [`sysctl net.ipv4.conf.${bridge}.route_localnet ${on ? 1 : 0}`];
}

/** The rule of the real kernel: larger ones fall, those that had the former value rise. */
function changePortMtus(host: MemoryHost, former: number, mtu: number): string[] {
  return [...host.veths].flatMap(([name, veth]) => {
    if (mtu < former ? veth.mtu <= mtu : veth.mtu !== former) return [];
    veth.mtu = mtu;
    const inner = veth.inside.get(veth.ifname);
    if (inner !== undefined) inner.mtu = mtu;
    return [`link set ${name} mtu ${mtu}`];
  });
}
