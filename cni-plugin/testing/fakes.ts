// A working daemon side and host side in memory for the tests of the verbs. `before` lets a test fail or
// delay any operation.
import { isBefore } from "../../src/core/boot-moment.ts";
import { WeaveError } from "../../src/core/errors.ts";
import type {
  AddressWish,
  Attachment,
  AttachmentKey,
  Attachments,
  AttachmentTerms,
  BootMoment,
  EndpointFacts,
  Readiness,
} from "../../src/ports/attachments.ts";
import type {
  Attached,
  AttachSpec,
  Bandwidth,
  ContainerLink,
  HostEnd,
  Netns,
  NetnsSource,
} from "../../src/ports/kernel.ts";
import type { PluginCall, PluginOutcome, Plugins } from "../../src/ports/plugins.ts";
import type { CniKernel } from "../deps.ts";

/** Called with the name of each operation as it begins. */
export type Before = (operation: string) => void | Promise<void>;

const idOf = (key: AttachmentKey): string => `${key.network}/${key.containerId}/${key.ifname}`;

export class FakeAttachments implements Attachments {
  readonly held = new Map<string, Attachment>();
  /** Whether somebody asked for the bridge's address, and in which subnet. */
  readonly asked: (string | undefined)[] = [];
  ready: Readiness = { ready: true };
  /**
   * Addresses given to each container, taken in turn from 10.32.0.2 on; with `v6` one of fd00::/64 as well.
   */
  size = 4;
  v6 = false;
  bridgeAddresses: readonly string[] = ["10.32.0.1/12"];
  before: Before = () => undefined;
  /** How often somebody asked for it. */
  repairs = 0;

  repair(): void {
    this.repairs++;
  }

  readiness(): Readiness {
    return this.ready;
  }

  mtu(): number {
    return 1450;
  }

  bridge(): string {
    return "weave";
  }

  find(key: AttachmentKey): Attachment | undefined {
    return this.held.get(idOf(key));
  }

  all(): readonly Attachment[] {
    return [...this.held.values()];
  }

  async allocate(
    key: AttachmentKey,
    wish: AddressWish,
    terms: AttachmentTerms,
    began: BootMoment,
    signal: AbortSignal,
  ): Promise<Attachment> {
    await this.before("allocate");
    if (signal.aborted) throw new WeaveError("cancelled", "cancelled");
    if (this.held.has(idOf(key))) throw new WeaveError("ifname-exists", "held already");
    const used = new Set(
      [...this.held.values()].flatMap((one) => one.addresses.map((address) => address.split("/")[0])),
    );
    const addresses: string[] = [];
    for (const wanted of wish.chosen ?? wish.addresses ?? []) {
      const bare = wanted.split("/")[0] ?? "";
      if (used.has(bare)) throw new WeaveError("address-taken", `${bare} is in use`);
      addresses.push(wanted.includes("/") ? wanted : `${bare}/12`);
    }
    if (wish.addresses === undefined && wish.chosen === undefined) {
      const network = (wish.subnet ?? "10.32.0.0/12").split("/");
      const start = (network[0] ?? "").replace(/\.0$/, "");
      const n = Array.from({ length: this.size }, (_, i) => i + 2).find((i) => !used.has(`${start}.${i}`));
      if (n === undefined) throw new WeaveError("range-exhausted", "no address is free in 10.32.0.0/12");
      addresses.push(`${start}.${n}/${network[1] ?? ""}`);
      if (this.v6) addresses.push(`fd00::${n}/64`);
    }
    const { network, containerId, ifname } = key;
    const attachment = { network, containerId, ifname, ...terms, addresses, moment: began, committed: false };
    this.held.set(idOf(key), attachment);
    return attachment;
  }

  exposed(): readonly string[] {
    return [...this.bridgeAddresses, ...this.all().flatMap(({ gateways }) => gateways ?? [])];
  }

  async gateways(subnet: string | undefined): Promise<readonly string[]> {
    await this.before("gateways");
    this.asked.push(subnet);
    return this.bridgeAddresses;
  }

  async commit(key: AttachmentKey, { netns, link }: EndpointFacts): Promise<void> {
    await this.before("commit");
    const attachment = this.held.get(idOf(key));
    if (attachment === undefined) throw new WeaveError("unknown-attachment", "commit without allocate");
    const facts = { ...(netns === undefined ? {} : { netns }), ...link };
    this.held.set(idOf(key), { ...attachment, ...facts, committed: true });
  }

  async release(key: AttachmentKey, before?: BootMoment): Promise<Attachment | undefined> {
    await this.before(`release ${key.containerId}`);
    const attachment = this.held.get(idOf(key));
    if (attachment !== undefined && before !== undefined && isBefore(before, attachment.moment)) return;
    this.held.delete(idOf(key));
    return attachment;
  }
}

/** Plugins of others: every call is noted, and answered by the function of its name. */
export class FakePlugins implements Plugins {
  readonly calls: PluginCall[] = [];
  readonly installed = new Map<string, (call: PluginCall) => PluginOutcome>();

  async run(call: PluginCall): Promise<PluginOutcome> {
    this.calls.push(call);
    const plugin = this.installed.get(call.type);
    if (plugin === undefined) throw new WeaveError("feature-missing", `there is no plugin ${call.type}`);
    return plugin(call);
  }

  /** The verbs a plugin was called with, in order. */
  verbs(): string[] {
    return this.calls.map(({ type, env }) => `${type} ${env["CNI_COMMAND"]}`);
  }
}

/** Namespaces by path; a link is known by its host name. */
export class FakeKernel implements CniKernel {
  readonly links = new Map<string, AttachSpec>();
  readonly netns = new Map<string, string>([["/run/netns/c1", "ns-1"]]);
  /** MACs that changed after attach, by host end. */
  readonly macs = new Map<string, string>();
  /** Ids of namespaces that exist no more. */
  readonly dead = new Set<string>();
  /** What faults() tells. */
  broken: readonly string[] = [];
  /** Host ends whose limits somebody took away. */
  readonly unshaped = new Set<string>();
  /** Calls of shape(). */
  readonly shaped: (readonly [string, Bandwidth])[] = [];
  open = 0;
  before: Before = () => undefined;

  async openNetns(source: NetnsSource): Promise<Netns> {
    await this.before("openNetns");
    const id = "path" in source ? this.netns.get(source.path) : `fd-${source.fd}`;
    if (id === undefined) throw new WeaveError("netns-missing", `${JSON.stringify(source)} does not exist`);
    this.open++;
    return { fd: 42, id };
  }

  async closeNetns(): Promise<void> {
    this.open--;
  }

  async attach(spec: AttachSpec): Promise<Attached> {
    await this.before("attach");
    for (const link of this.links.values()) {
      if (link.netns.id !== spec.netns.id || link.ifname !== spec.ifname) continue;
      throw new WeaveError("ifname-exists", `${spec.ifname} exists in the container`);
    }
    if (this.links.has(spec.hostIfname)) throw new WeaveError("kernel", `${spec.hostIfname}: EEXIST`);
    this.links.set(spec.hostIfname, spec);
    return { hostMac: "02:00:00:00:00:01", bridgeMac: "02:b0:00:00:00:01", routes: spec.routes };
  }

  async detach(hostIfname: string): Promise<boolean> {
    await this.before("detach");
    return this.links.delete(hostIfname);
  }

  async look(netns: Netns, ifname: string): Promise<ContainerLink | undefined> {
    await this.before("look");
    const spec = [...this.links.values()].find((one) => one.netns.id === netns.id && one.ifname === ifname);
    if (spec === undefined) return undefined;
    const { mtu, addresses, routes, hostIfname } = spec;
    return { up: true, mac: this.macs.get(hostIfname) ?? spec.mac, mtu, addresses, routes, hostIfname };
  }

  async hostEnds(): Promise<ReadonlyMap<string, HostEnd>> {
    await this.before("hostEnds");
    const end = ({ bridge, hostIfname, mac, hairpin }: AttachSpec): HostEnd => ({
      bridge,
      hairpin,
      up: true,
      containerMac: this.macs.get(hostIfname) ?? mac,
    });
    return new Map([...this.links].map(([name, spec]) => [name, end(spec)]));
  }

  async faults(): Promise<readonly string[]> {
    await this.before("faults");
    return this.broken;
  }

  async shapingFaults(hostIfname: string): Promise<readonly string[]> {
    await this.before("shapingFaults");
    return this.unshaped.has(hostIfname) ? [`${hostIfname} has no limit`] : [];
  }

  async shape(hostIfname: string, bandwidth: Bandwidth): Promise<boolean> {
    await this.before("shape");
    this.shaped.push([hostIfname, bandwidth]);
    return this.unshaped.delete(hostIfname);
  }

  async deadNetns(ids: readonly string[]): Promise<ReadonlySet<string>> {
    await this.before("deadNetns");
    return new Set(ids.filter((id) => this.dead.has(id)));
  }
}
