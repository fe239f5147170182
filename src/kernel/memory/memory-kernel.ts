// A Kernel in memory, for tests of everything above it. It plans with the real planner and keeps what the real kernel
// would hold; the conformance suite proves both print the same facts after the same calls.
import { formatCidr, networkOf, parseCidr } from "../../core/address/cidr.ts";
import type { DatapathState } from "../../core/datapath/state.ts";
import { WeaveError } from "../../core/errors.ts";
import type { HostFacts, Kernel, RouteSpec } from "../../ports/kernel.ts";
import { describe, type Holding, movesIn, nothingWanted, plan, record, type Step } from "../datapath/plan.ts";
import { hostEndMac } from "../mac.ts";
import { TABLE } from "../nftables.ts";
import { kernelError } from "../rtnetlink/errors.ts";
import { damage, faultsOf, shapingFaultsOf } from "./damage.ts";
import { changeFirewall, changeLinks, changeLoopbackPorts, changePorts } from "./links.ts";
import { MemoryNamespaces, type MemoryNetns } from "./netns.ts";
import { type MemoryHost, render, renderInterfaces } from "./render.ts";

/**
 * What close() leaves is what a host keeps when its daemon ends; a call after it acts as a new process on that host.
 */
export interface MemoryKernel extends Kernel {
  /** Put something at a path: a namespace (default), an ordinary file, or the host's own namespace. */
  addNetns(path: string, kind?: MemoryNetns["kind"]): void;
  /** The runtime removes a namespace: its interfaces, and their host ends, go with it. */
  removeNetns(path: string): void;
  /** Give an interface another MAC, as a plugin behind us may. */
  setMac(path: string, ifname: string, mac: string): void;
  /** Somebody else takes a fact away: see damage.ts. */
  damage(fact: string): void;
  /** The next call of an operation rejects with `error` and does nothing. */
  failNext(operation: keyof Kernel, error: Error): void;
  /** Everything held, one fact a line, sorted within its kind. */
  render(): string;
  /** Interfaces of a namespace, one fact a line. Empty when nothing is there. */
  renderNetns(path: string): string;
  /** Namespaces opened and not closed. */
  readonly openCount: number;
  /** How often apply was called. */
  readonly applied: number;
}

/** `facts` is what inspect() tells; by default a host with one uplink and nothing missing. */
export function createMemoryKernel(facts: Partial<HostFacts> = {}): MemoryKernel {
  const namespaces = new MemoryNamespaces();
  const failures = new Map<keyof Kernel, Error[]>();
  const host: MemoryHost = {
    links: undefined,
    holding: nothingHeld(),
    veths: new Map(),
    forwarding: new Set(),
    loopbackPorts: false,
    foundPeers: [],
  };
  let wanted = nothingWanted();
  let told = new Map<string, string>();
  let applied = 0;
  let appliedLast: DatapathState | undefined;
  /** Ports are looked at only by an apply that reads the kernel. */
  let distrusted = true;
  let fresh = true;

  /** Every operation passes here: the fault asked for, else the work, always asynchronous as in the real one. */
  const act = async <T>(operation: keyof Kernel, work: () => T): Promise<T> => {
    await Promise.resolve();
    const fault = failures.get(operation)?.shift();
    if (fault !== undefined) throw fault;
    return work();
  };

  const carryOut = (steps: readonly Step[], changes: string[]): void => {
    for (const step of steps) {
      if (step.kind === "home-set" && !host.veths.has(step.port)) continue;
      record(step, host.holding, wanted);
      changes.push(describe(step));
    }
  };

  const apply = (state: DatapathState) => {
    applied++;
    appliedLast = state;
    const changes = changeLinks(host, state);
    const unknown = fresh || (distrusted && host.links?.firewall === undefined);
    if (distrusted) changes.push(...changePorts(host, state.ports));
    distrusted = false;
    const steps = plan(state, host.holding, wanted);
    carryOut(steps.adds, changes);
    for (const { address, mac } of movesIn(steps.adds, told)) changes.push(`announce ${address} ${mac}`);
    const publishes = state.firewall.portMaps.some(({ address }) => !address.includes(":"));
    if (!publishes) changes.push(...changeLoopbackPorts(host, false));
    changes.push(...changeFirewall(host, state, unknown));
    if (publishes) changes.push(...changeLoopbackPorts(host, true));
    fresh = false;
    for (const address of state.bridge.addresses) {
      const family = address.includes(":") ? 6 : 4;
      if (host.forwarding.has(family)) continue;
      host.forwarding.add(family);
      changes.push(`sysctl net.${family === 4 ? "ipv4.ip_forward" : "ipv6.conf.all.forwarding"} 1`);
    }
    carryOut(steps.deletes, changes);
    return { changes, failures: [] };
  };

  /** A port goes, and what the bridge had at it. */
  const forget = (name: string): boolean => {
    for (const [mac, port] of host.holding.homes) if (port === name) host.holding.homes.delete(mac);
    return host.veths.delete(name);
  };

  const clear = ({ bridge, vxlan }: Parameters<Kernel["clear"]>[0]): readonly string[] => {
    const removed = [...host.veths.keys()].map((name) => `link del ${name}`);
    for (const { inside, ifname } of host.veths.values()) inside.delete(ifname);
    host.veths.clear();
    if (host.links !== undefined) removed.push(`link del ${vxlan}`, `link del ${bridge}`);
    if (host.links?.firewall !== undefined) removed.push(`nft delete table inet ${TABLE}`);
    host.links = undefined;
    host.holding = nothingHeld();
    host.loopbackPorts = false;
    wanted = nothingWanted();
    fresh = true;
    return removed;
  };

  return {
    inspect: () =>
      act("inspect", () => ({
        routes: [],
        addresses: [{ dev: "eth0", address: "192.0.2.1", mtu: 1500 }],
        defaultSource: { address: "192.0.2.1", mtu: 1500 },
        missing: [],
        ...facts,
      })),
    linkMtu: (name) =>
      act("linkMtu", () => {
        const addresses = facts.addresses ?? [{ dev: "eth0", mtu: 1500 }];
        return addresses.find(({ dev }) => dev === name)?.mtu;
      }),
    apply: (state) => act("apply", () => apply(structuredClone(state))),
    observe: () =>
      act("observe", () => {
        distrusted = true;
      }),
    // Nobody else touches it but damage(), which is for those who look.
    watch: () => act("watch", () => {}),
    faults: () => act("faults", () => (appliedLast === undefined ? [] : faultsOf(host, appliedLast))),
    openNetns: (source) => act("openNetns", () => namespaces.open(source)),
    closeNetns: (netns) => act("closeNetns", () => namespaces.close(netns)),
    attach: (spec) =>
      act("attach", () => {
        const inside = namespaces.interfaces(spec.netns);
        if (inside.has(spec.ifname)) {
          throw new WeaveError("ifname-exists", `the namespace already has an interface ${spec.ifname}`);
        }
        const bridge = host.links?.bridge;
        if (bridge?.name !== spec.bridge)
          throw kernelError({ operation: "link get", object: spec.bridge }, "ENODEV");
        if (host.veths.has(spec.hostIfname)) {
          throw kernelError({ operation: "link add", object: spec.hostIfname }, "EEXIST");
        }
        inside.set(spec.ifname, {
          name: spec.ifname,
          mac: spec.mac,
          mtu: spec.mtu,
          addresses: [...spec.addresses],
          routes: spec.routes.map((route) => ({ ...route })),
        });
        host.veths.set(spec.hostIfname, {
          inside,
          ifname: spec.ifname,
          mtu: spec.mtu,
          hairpin: spec.hairpin,
          bandwidth: structuredClone(spec.bandwidth),
        });
        const { homes, master } = host.holding;
        const mac = spec.mac.toLowerCase();
        if (!homes.has(mac) && !master.has(mac)) homes.set(mac, spec.hostIfname);
        return { hostMac: hostEndMac(spec.hostIfname), bridgeMac: bridge.mac, routes: spec.routes };
      }),
    detach: (hostIfname) =>
      act("detach", () => {
        const veth = host.veths.get(hostIfname);
        if (veth === undefined) return false;
        veth.inside.delete(veth.ifname);
        return forget(hostIfname);
      }),
    shapingFaults: (hostIfname, bandwidth) =>
      act("shapingFaults", () => {
        const veth = host.veths.get(hostIfname);
        return veth === undefined ? [] : shapingFaultsOf(hostIfname, veth, bandwidth);
      }),
    shape: (hostIfname, bandwidth) =>
      act("shape", () => {
        const veth = host.veths.get(hostIfname);
        if (veth === undefined || shapingFaultsOf(hostIfname, veth, bandwidth).length === 0) return false;
        veth.bandwidth = structuredClone(bandwidth);
        return true;
      }),
    look: (netns, ifname) =>
      act("look", () => {
        const inside = namespaces.interfaces(netns);
        const link = inside.get(ifname);
        if (link === undefined) return undefined;
        const [hostIfname] =
          [...host.veths].find(([, veth]) => veth.inside === inside && veth.ifname === ifname) ?? [];
        return {
          up: true,
          mac: link.mac,
          mtu: link.mtu,
          addresses: [...link.addresses],
          routes: [...connected(link.addresses), ...link.routes],
          ...(hostIfname === undefined ? {} : { hostIfname }),
        };
      }),
    hostEnds: () =>
      act("hostEnds", () => {
        const bridge = host.links?.bridge.name;
        return new Map(
          [...host.veths].map(([name, veth]) => {
            const containerMac = veth.inside.get(veth.ifname)?.mac;
            return [
              name,
              {
                up: true,
                ...(bridge === undefined ? {} : { bridge, hairpin: veth.hairpin }),
                ...(containerMac === undefined ? {} : { containerMac }),
              },
            ];
          }),
        );
      }),
    deadNetns: (ids) => act("deadNetns", () => new Set(ids.filter((id) => namespaces.isDead(id)))),
    clear: (devices) => act("clear", () => clear(devices)),
    close: () =>
      act("close", () => {
        appliedLast = undefined;
        wanted = nothingWanted();
        told = new Map();
        fresh = true;
        distrusted = true;
      }),

    addNetns: (path, kind = "netns") => namespaces.add(path, kind),
    removeNetns(path) {
      const netns = namespaces.remove(path);
      if (netns?.kind !== "netns") return;
      for (const [name, veth] of host.veths) if (veth.inside === netns.interfaces) forget(name);
    },
    setMac(path, ifname, mac) {
      const netns = namespaces.get(path);
      const link = netns?.kind === "netns" ? netns.interfaces.get(ifname) : undefined;
      if (link !== undefined) link.mac = mac;
    },
    damage: (fact) => damage(host, fact),
    failNext(operation, error) {
      failures.set(operation, [...(failures.get(operation) ?? []), error]);
    },
    render: () => render(host),
    renderNetns(path) {
      const netns = namespaces.get(path);
      return netns?.kind === "netns" ? renderInterfaces([...netns.interfaces.values()]) : "";
    },
    get openCount() {
      return namespaces.openCount;
    },
    get applied() {
      return applied;
    },
  };
}

/** The routes the kernel makes of addresses. */
function connected(addresses: readonly string[]): RouteSpec[] {
  return addresses.flatMap((address) => {
    const cidr = parseCidr(address);
    return cidr === undefined || cidr.prefix === (cidr.family === 4 ? 32 : 128)
      ? []
      : [{ dst: formatCidr(networkOf(cidr)) }];
  });
}

function nothingHeld(): Holding {
  return {
    addresses: new Set(),
    flood: new Set(),
    self: new Map(),
    master: new Map(),
    homes: new Map(),
    neighbours: new Map(),
    routes: new Set(),
  };
}
