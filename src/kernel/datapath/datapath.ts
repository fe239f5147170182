// Brings a host to a DatapathState: links, then entries, then firewall and forwarding, then deletions.
//
// The kernel is read once; after that only differences to what is known are written, so an apply costs as many netlink
// calls as there are changes. Any failure makes the next apply (and one repetition within this one) read again.
import type { DatapathState } from "../../core/datapath/state.ts";
import type { DatapathReport } from "../../ports/kernel.ts";
import type { Accepts } from "../accept/accepts.ts";
import type { Firewall } from "../firewall.ts";
import type { Host } from "../host.ts";
import { ifIndex } from "../libc.ts";
import { TABLE } from "../nftables.ts";
import { listAddresses } from "../rtnetlink/address.ts";
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
import { ensureConnected } from "./connected.ts";
import type { Left, PortLeft } from "./drift.ts";
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
import { NAME, nameOf, wasHeld } from "./objects.ts";
import { canonical, describe, type Holding, nothingWanted, plan, type Step } from "./plan.ts";
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
  /** The routes of the bridge's addresses were looked at. */
  connected: boolean;
}

export class Datapath {
  readonly #host: Host;
  readonly #socket: NetlinkSocket;
  readonly #firewall: Firewall;
  readonly #indexOf: PortIndex;
  readonly #accepts: Accepts;
  readonly #wanted = nothingWanted();
  /** address -> the MAC containers here were last told. */
  readonly #told = new Map<string, string>();
  #known: Known | undefined;
  /** What was known before it was distrusted: what it has and the kernel has not, somebody else took away. */
  #former: Known | undefined;
  readonly #ports = new Map<number, PortLeft>();
  /** Where the address that packets to other hosts come from was seen last. */
  #underlay: { readonly address: string; readonly index: number; readonly name: string } | undefined;
  #tableDamaged = false;
  /** The last apply could not reach everything. */
  #failing = false;
  /** What the last apply brought the kernel to, or tried to. */
  #applied: DatapathState | undefined;
  #tail: Promise<unknown> = Promise.resolve();

  constructor(host: Host, socket: NetlinkSocket, firewall: Firewall, accepts: Accepts) {
    this.#accepts = accepts;
    this.#host = host;
    this.#socket = socket;
    this.#firewall = firewall;
    this.#indexOf = (name) => host.run(() => ifIndex(name));
  }

  /** Distrust what is known: the next apply reads the kernel again. */
  observe(): void {
    this.#former = this.#known ?? this.#former;
    this.#known = undefined;
    this.#accepts.distrust();
  }

  /**
   * Between two applies: what is not as the last one left it, found by `look`. It is told undefined when nobody knows what
   * was left, and an apply that reads the kernel is to come anyway.
   */
  drift(look: (left: Left | undefined) => Promise<readonly string[]>): Promise<readonly string[]> {
    const done = this.#tail.then(() => look(this.#left()));
    this.#tail = done.catch(() => {});
    return done;
  }

  #left(): Left | undefined {
    const known = this.#known ?? (this.#failing ? this.#former : undefined);
    const state = this.#applied;
    if (known === undefined || state === undefined) return undefined;
    const { devices } = known;
    return { state, devices, whole: known === this.#known, ports: this.#ports, underlay: this.#underlay };
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
      this.observe();
      report.retry();
      await this.#pass(state, report);
    }
    this.#failing = !report.clean;
    if (this.#failing) this.observe();
    // Unless it was distrusted meanwhile: then the next apply compares with what was known.
    else if (this.#known !== undefined) this.#former = undefined;
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
    await this.#accept(state, report);
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
    if (this.#former?.settings !== settings) {
      this.#former = undefined;
      this.#ports.clear();
    }
    const former = this.#former;
    try {
      const before = report.count;
      const index = await ensureBridge(this.#host, this.#socket, state.bridge, report);
      if (former !== undefined) report.repaired(NAME.bridge(state.bridge.name), report.since(before));
      const between = report.count;
      const vxlan = await ensureVxlan(
        this.#host,
        this.#socket,
        state.vxlan,
        { ...state.bridge, index },
        report,
      );
      if (former !== undefined) report.repaired(NAME.vxlan(state.vxlan.name), report.since(between));
      const terms = {
        host: this.#host,
        bridge: { name: state.bridge.name, index },
        seen: this.#ports,
        repairing: former !== undefined,
      };
      await ensurePorts(this.#socket, terms, state.ports, report);
      await this.#findUnderlay(state.vxlan.local, report);
      const devices = { bridge: index, bridgeName: state.bridge.name, vxlan };
      const ports = state.ports.map(({ name }) => name);
      const holding = await observe(this.#socket, devices, ports, this.#indexOf);
      this.#known = { devices, settings, holding, forwarding, loopbackPorts: undefined, connected: false };
      return this.#known;
    } catch (error) {
      report.failed(`${state.bridge.name}, ${state.vxlan.name}`, error);
      return undefined;
    }
  }

  async #entries(state: DatapathState, known: Known, adds: readonly Step[], report: Report): Promise<void> {
    const former = this.#former;
    const whole = await this.#carryOut(adds, known, report);
    for (const step of former === undefined ? [] : adds) {
      const name = nameOf(step);
      if (name === undefined || former === undefined || !wasHeld(step, former, known.devices)) continue;
      if (wasHeld(step, known, known.devices)) report.repaired(name, [describe(step)]);
    }
    if (!whole) return;
    if (!known.connected) await this.#connected(state, known, report);
    announceMoves(this.#host, known.devices, state.bridge.mac.toLowerCase(), adds, this.#told, report);
  }

  async #admit(state: DatapathState, report: Report): Promise<void> {
    try {
      await this.#firewall.admit(state);
    } catch (error) {
      report.lacking("nftables", error);
    }
  }

  /** Once after each reading: the kernel makes these routes with the addresses. */
  async #connected(state: DatapathState, known: Known, report: Report): Promise<void> {
    const { bridge } = known.devices;
    known.connected = true;
    const made = await ensureConnected(this.#socket, bridge, state.bridge.addresses, report);
    if (this.#former?.devices.bridge !== bridge) return;
    for (const dst of made) report.repaired(NAME.route(dst), [`route add ${dst}`]);
  }

  /** An uplink that was removed and made again needs nothing of us but that its name is no longer taken for granted. */
  async #findUnderlay(address: string, report: Report): Promise<void> {
    const wanted = canonical(address);
    const entry = (await listAddresses(this.#socket)).find((one) => one.address === wanted);
    if (entry === undefined) return;
    const former = this.#underlay;
    if (former?.address === wanted && former.index === entry.index) return;
    const name = (await getLink(this.#socket, entry.index))?.name ?? String(entry.index);
    this.#underlay = { address: wanted, index: entry.index, name };
    if (former?.address !== wanted) return;
    const message = `${wanted} is on ${name} now, interface ${entry.index}; it was on ${former.name}, interface ${former.index}`;
    report.repaired(NAME.underlay(wanted), [message]);
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
        const changes = this.#host.run(() => ensureSysctls([FORWARDING[family]]));
        report.changed(...changes);
        if (this.#former?.forwarding.has(family) === true) report.repairedSettings(changes);
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
      const { changes, again, flows, unguarded } = await this.#firewall.ensure(state);
      report.changed(...changes);
      if (this.#tableDamaged || again) report.repaired(NAME.table(TABLE), changes);
      this.#tableDamaged = false;
      if (flows !== undefined) report.lacking("conntrack", flows);
      if (unguarded !== undefined) report.lacking("nftables for bridges", unguarded);
      if (publishes(state)) this.#loopbackPorts(state, known, true, report);
    } catch (error) {
      report.lacking("nftables", error);
      this.#loopbackPorts(state, known, false, report);
    }
  }

  /** In the firewalls of others: they are asked when they changed, and when the kernel is read. */
  async #accept({ bridge }: DatapathState, report: Report): Promise<void> {
    for (const { object, changes, again, failure } of await this.#accepts.ensure(bridge.name)) {
      report.changed(...changes);
      if (again) report.repaired(object, changes);
      if (failure !== undefined) report.lacking(object, failure);
    }
  }

  #loopbackPorts(state: DatapathState, known: Known | undefined, on: boolean, report: Report): void {
    if (known === undefined || known.loopbackPorts === on) return;
    const setting = { ...LOOPBACK_PORTS, value: on ? LOOPBACK_PORTS.value : "0" };
    try {
      const changes = this.#host.run(() => ensureSysctls([setting], state.bridge.name));
      report.changed(...changes);
      const former = this.#former?.devices.bridge === known.devices.bridge ? this.#former : undefined;
      if (former?.loopbackPorts === on) report.repairedSettings(changes);
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
      if (await this.#firewall.verify()) this.#tableDamaged = true;
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
