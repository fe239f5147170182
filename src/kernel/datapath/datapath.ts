// Brings a host to a DatapathState: links, then entries, then firewall and forwarding, then deletions.
//
// The kernel is read once; after that only differences to what is known are written, so an apply costs as many netlink
// calls as there are changes. Any failure makes the next apply (and one repetition within this one) read again.
import type { DatapathState } from "../../core/datapath/state.ts";
import type { DatapathReport } from "../../ports/kernel.ts";
import type { Firewall } from "../firewall.ts";
import type { Host } from "../host.ts";
import { ifIndex } from "../libc.ts";
import { getLink } from "../rtnetlink/link.ts";
import { listRoutes } from "../rtnetlink/route.ts";
import type { NetlinkSocket } from "../rtnetlink/socket.ts";
import {
  ensureSysctls,
  FORWARDING,
  ipv6Available,
  LOOPBACK_PORTS,
  readSysctl,
  sysctlExists,
  UPLINK_ACCEPT_RA,
} from "../sysctl.ts";
import {
  announceMoves,
  carryOut,
  type Devices,
  observe,
  observeNeighbours,
  type PortIndex,
} from "./entries.ts";
import { datapathFaults, sysctlFault } from "./faults.ts";
import { ensureBridge, ensureVxlan } from "./links.ts";
import { type Holding, nothingWanted, plan, type Step } from "./plan.ts";
import { ensurePorts } from "./ports.ts";
import { Report } from "./report.ts";

interface Known {
  readonly devices: Devices;
  /** The link settings the devices were brought to. */
  readonly settings: string;
  readonly holding: Holding;
  /** Families forwarding was switched on for. */
  readonly forwarding: Set<4 | 6>;
  /** Whether LOOPBACK_PORTS is on; undefined when nobody looked. */
  loopbackPorts: boolean | undefined;
}

export class Datapath {
  readonly #host: Host;
  readonly #socket: NetlinkSocket;
  readonly #firewall: Firewall;
  readonly #indexOf: PortIndex;
  readonly #wanted = nothingWanted();
  /** address -> the MAC containers here were last told. */
  readonly #told = new Map<string, string>();
  #known: Known | undefined;
  /** What the last apply brought the kernel to, or tried to. */
  #applied: DatapathState | undefined;
  #tail: Promise<unknown> = Promise.resolve();

  constructor(host: Host, socket: NetlinkSocket, firewall: Firewall) {
    this.#host = host;
    this.#socket = socket;
    this.#firewall = firewall;
    this.#indexOf = (name) => host.run(() => ifIndex(name));
  }

  /** Distrust what is known: the next apply reads the kernel again. */
  observe(): void {
    this.#known = undefined;
  }

  /** An attach bound this MAC to its port. */
  bound(port: string, mac: string): void {
    this.#known?.holding.homes.set(mac.toLowerCase(), port);
  }

  /** One at a time, in order of calling. */
  apply(state: DatapathState): Promise<DatapathReport> {
    const done = this.#tail.then(() => this.#apply(state));
    this.#tail = done.catch(() => {});
    return done;
  }

  /** What the kernel lacks of the state applied last; applies asked for before are waited for. */
  faults(): Promise<readonly string[]> {
    const done = this.#tail.then(() => this.#faults());
    this.#tail = done.catch(() => {});
    return done;
  }

  async #faults(): Promise<readonly string[]> {
    const state = this.#applied;
    if (state === undefined) return [];
    return [
      ...(await datapathFaults(this.#socket, state, this.#indexOf)),
      ...(await this.#firewall.faults()),
      ...this.#host.run(() => sysctlFaults(state)),
    ];
  }

  async #apply(state: DatapathState): Promise<DatapathReport> {
    const report = new Report();
    const trusted = this.#known !== undefined;
    await this.#pass(state, report);
    if (!report.clean && trusted) {
      // What was known may be what was wrong: somebody deleted the bridge, say.
      this.#known = undefined;
      report.retry();
      await this.#pass(state, report);
    }
    if (!report.clean) this.#known = undefined;
    return report.finish();
  }

  async #pass(asked: DatapathState, report: Report): Promise<void> {
    const state = this.#host.run(ipv6Available) ? asked : withoutIpv6(asked, report);
    this.#applied = state;
    const known = await this.#links(state, report);
    const steps = known === undefined ? undefined : plan(state, known.holding, this.#wanted);
    if (steps?.adds.some((step) => step.kind === "flood-add") === true) await this.#admit(state, report);
    if (known !== undefined && steps !== undefined) await this.#entries(state, known, steps.adds, report);
    await this.#translate(state, known, report);
    if (known === undefined || steps === undefined || steps.deletes.length === 0) return;
    await this.#carryOut(steps.deletes, known, report);
    if (steps.deletes.some((step) => step.kind === "address-del"))
      await this.#restoreNeighbours(state, known, report);
  }

  /** Devices and what they hold; undefined when there is no datapath to speak of. */
  async #links(state: DatapathState, report: Report): Promise<Known | undefined> {
    const { addresses: _, ...bridge } = state.bridge;
    const settings = JSON.stringify([bridge, state.vxlan]);
    if (this.#known?.settings === settings) return this.#known;
    const forwarding = this.#known?.forwarding ?? new Set<4 | 6>();
    if (this.#known === undefined) await this.#verifyFirewall(report);
    this.#known = undefined;
    try {
      const index = await ensureBridge(this.#host, this.#socket, state.bridge, report);
      const vxlan = await ensureVxlan(
        this.#host,
        this.#socket,
        state.vxlan,
        { ...state.bridge, index },
        report,
      );
      await ensurePorts(this.#socket, { name: state.bridge.name, index }, state.ports, report);
      const devices = { bridge: index, bridgeName: state.bridge.name, vxlan };
      const ports = state.ports.map(({ name }) => name);
      const holding = await observe(this.#socket, devices, ports, this.#indexOf);
      this.#known = { devices, settings, holding, forwarding, loopbackPorts: undefined };
      return this.#known;
    } catch (error) {
      report.failed(`${state.bridge.name}, ${state.vxlan.name}`, error);
      return undefined;
    }
  }

  async #entries(state: DatapathState, known: Known, adds: readonly Step[], report: Report): Promise<void> {
    if (!(await this.#carryOut(adds, known, report))) return;
    announceMoves(this.#host, known.devices, state.bridge.mac.toLowerCase(), adds, this.#told, report);
  }

  async #admit(state: DatapathState, report: Report): Promise<void> {
    try {
      await this.#firewall.admit(state);
    } catch (error) {
      report.lacking("nftables", error);
    }
  }

  /** Masquerade before forwarding: no packet leaves with an address the outside cannot answer. */
  async #translate(state: DatapathState, known: Known | undefined, report: Report): Promise<void> {
    await this.#firewallAndLoopback(state, known, report);
    if (known === undefined) return;
    for (const family of [4, 6] as const) {
      const exposed = state.bridge.addresses.some((address) => address.includes(":") === (family === 6));
      if (!exposed || known.forwarding.has(family)) continue;
      try {
        if (family === 6) await this.#keepAdvertisedRoutes(report);
        report.changed(...this.#host.run(() => ensureSysctls([FORWARDING[family]])));
        known.forwarding.add(family);
      } catch (error) {
        report.failed(`IPv${family} forwarding`, error);
      }
    }
  }

  /** Published ports answer on 127.0.0.1 only while the table, which has the guard against misuse, is known to be there. */
  async #firewallAndLoopback(state: DatapathState, known: Known | undefined, report: Report): Promise<void> {
    try {
      if (!publishes(state)) this.#loopbackPorts(state, known, false, report);
      const { changes, flows, unguarded } = await this.#firewall.ensure(state);
      report.changed(...changes);
      if (flows !== undefined) report.lacking("conntrack", flows);
      if (unguarded !== undefined) report.lacking("nftables for bridges", unguarded);
      if (publishes(state)) this.#loopbackPorts(state, known, true, report);
    } catch (error) {
      report.lacking("nftables", error);
      this.#loopbackPorts(state, known, false, report);
    }
  }

  #loopbackPorts(state: DatapathState, known: Known | undefined, on: boolean, report: Report): void {
    if (known === undefined || known.loopbackPorts === on) return;
    const setting = { ...LOOPBACK_PORTS, value: on ? LOOPBACK_PORTS.value : "0" };
    try {
      report.changed(...this.#host.run(() => ensureSysctls([setting], state.bridge.name)));
      known.loopbackPorts = on;
    } catch (error) {
      report.failed("ports on 127.0.0.1", error);
    }
  }

  /** Before IPv6 forwarding goes on: uplinks that live on router advertisements must go on doing so. */
  async #keepAdvertisedRoutes(report: Report): Promise<void> {
    const routes = (await listRoutes(this.#socket)).filter(
      (route) => route.advertised && route.oif !== undefined,
    );
    for (const index of new Set(routes.map((route) => route.oif))) {
      const link = index === undefined ? undefined : await getLink(this.#socket, index);
      if (link === undefined) continue;
      const key = UPLINK_ACCEPT_RA.key.replace("DEV", link.name);
      if (this.#host.run(() => readSysctl(key)) !== "1") continue;
      report.changed(...this.#host.run(() => ensureSysctls([UPLINK_ACCEPT_RA], link.name)));
    }
  }

  /** With its last address an interface loses all neighbour entries of that family, permanent ones too (arp_ifdown). */
  async #restoreNeighbours(state: DatapathState, known: Known, report: Report): Promise<void> {
    try {
      const held = await observeNeighbours(this.#socket, known.devices.bridge);
      known.holding.neighbours.clear();
      for (const [address, mac] of held) known.holding.neighbours.set(address, mac);
    } catch (error) {
      report.failed("neighbours", error);
      return;
    }
    const lost = plan(state, known.holding, this.#wanted).adds.filter(
      (step) => step.kind === "neighbour-set",
    );
    await this.#carryOut(lost, known, report);
  }

  #carryOut(steps: readonly Step[], { devices, holding }: Known, report: Report): Promise<boolean> {
    return carryOut(this.#socket, devices, this.#indexOf, steps, holding, this.#wanted, report);
  }

  async #verifyFirewall(report: Report): Promise<void> {
    try {
      await this.#firewall.verify();
    } catch (error) {
      report.lacking("nftables", error);
    }
  }
}

/** Settings that a living network needs and others like to change. */
function sysctlFaults(state: DatapathState): string[] {
  const families = new Set(state.bridge.addresses.map((address) => (address.includes(":") ? 6 : 4)));
  const wanted = [
    ...[...families].map((family) => FORWARDING[family]),
    ...(publishes(state) ? [LOOPBACK_PORTS] : []),
  ];
  return wanted.flatMap(({ key, value }) => {
    const name = key.replace("DEV", state.bridge.name);
    return sysctlExists(name) ? (sysctlFault(name, readSysctl(name), value) ?? []) : [];
  });
}

/** Whether a container here has an IPv4 port of the host. */
function publishes({ firewall }: DatapathState): boolean {
  return firewall.portMaps.some(({ address }) => !address.includes(":"));
}

/** On a kernel without IPv6 its entries can only fail: say so once instead of once each. */
function withoutIpv6(state: DatapathState, report: Report): DatapathState {
  const v4 = (text: string): boolean => !text.includes(":");
  const neighbours = state.neighbours.filter((entry) => v4(entry.address));
  const addresses = state.bridge.addresses.filter(v4);
  const routes = state.routes.filter(v4);
  const left = state.neighbours.length - neighbours.length + state.bridge.addresses.length - addresses.length;
  if (left > 0)
    report.lacking("IPv6", `${left} IPv6 entries left out: this kernel has IPv6 off (ipv6.disable=1)`);
  return { ...state, neighbours, routes, bridge: { ...state.bridge, addresses } };
}
