// A working daemon side and host side in memory for the tests of the verbs. `before` lets a test fail or
// delay any operation.
import { WeaveError } from "../../src/core/errors.ts";
import type { Attachment, AttachmentKey, Attachments, Readiness } from "../../src/ports/attachments.ts";
import type { Attached, AttachSpec, Netns, NetnsSource } from "../../src/ports/kernel.ts";
import type { CniKernel } from "../deps.ts";

/** Called with the name of each operation as it begins. */
export type Before = (operation: string) => void | Promise<void>;

const idOf = (key: AttachmentKey): string => `${key.network}/${key.containerId}/${key.ifname}`;

export class FakeAttachments implements Attachments {
  readonly held = new Map<string, Attachment>();
  /** Whether somebody asked for the bridge's address, and in which subnet. */
  readonly exposed: (string | undefined)[] = [];
  ready: Readiness = { ready: true };
  /**
   * Addresses given to each container, taken in turn from 10.32.0.2 on; with `v6` one of fd00::/64 as well.
   */
  size = 4;
  v6 = false;
  bridgeAddresses: readonly string[] = ["10.32.0.1/12"];
  before: Before = () => undefined;

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

  list(network: string): readonly Attachment[] {
    return [...this.held.values()].filter((one) => one.network === network);
  }

  async allocate(
    key: AttachmentKey,
    wish: { subnet?: string; addresses?: readonly string[] },
    signal: AbortSignal,
  ): Promise<Attachment> {
    await this.before("allocate");
    if (signal.aborted) throw new WeaveError("cancelled", "cancelled");
    if (this.held.has(idOf(key))) throw new WeaveError("ifname-exists", "held already");
    const used = new Set(
      [...this.held.values()].flatMap((one) => one.addresses.map((address) => address.split("/")[0])),
    );
    const addresses: string[] = [];
    for (const wanted of wish.addresses ?? []) {
      const bare = wanted.split("/")[0] ?? "";
      if (used.has(bare)) throw new WeaveError("address-taken", `${bare} is in use`);
      addresses.push(wanted.includes("/") ? wanted : `${bare}/12`);
    }
    if (wish.addresses === undefined) {
      const network = (wish.subnet ?? "10.32.0.0/12").split("/");
      const start = (network[0] ?? "").replace(/\.0$/, "");
      const n = Array.from({ length: this.size }, (_, i) => i + 2).find((i) => !used.has(`${start}.${i}`));
      if (n === undefined) throw new WeaveError("range-exhausted", "no address is free in 10.32.0.0/12");
      addresses.push(`${start}.${n}/${network[1] ?? ""}`);
      if (this.v6) addresses.push(`fd00::${n}/64`);
    }
    const attachment = { network: key.network, containerId: key.containerId, ifname: key.ifname, addresses };
    this.held.set(idOf(key), attachment);
    return attachment;
  }

  async gateways(subnet: string | undefined): Promise<readonly string[]> {
    await this.before("gateways");
    this.exposed.push(subnet);
    return this.bridgeAddresses;
  }

  async commit(
    key: AttachmentKey,
    facts: { mac: string; netns: string; hostIfname: string } | undefined,
  ): Promise<void> {
    await this.before("commit");
    const attachment = this.held.get(idOf(key));
    if (attachment === undefined) throw new WeaveError("unknown-attachment", "commit without allocate");
    this.held.set(idOf(key), { ...attachment, ...facts });
  }

  async release(key: AttachmentKey): Promise<Attachment | undefined> {
    await this.before(`release ${key.containerId}`);
    const attachment = this.held.get(idOf(key));
    this.held.delete(idOf(key));
    return attachment;
  }
}

/** Namespaces by path; a link is known by its host name. */
export class FakeKernel implements CniKernel {
  readonly links = new Map<string, AttachSpec>();
  readonly netns = new Map<string, string>([["/run/netns/c1", "ns-1"]]);
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
    return { hostMac: "02:00:00:00:00:01", bridgeMac: "02:b0:00:00:00:01" };
  }

  async detach(hostIfname: string): Promise<boolean> {
    await this.before("detach");
    return this.links.delete(hostIfname);
  }

  async ports(): Promise<readonly string[]> {
    return [...this.links.keys()];
  }
}
