// Hosts on one machine:
//
//     alice ns            underlay ns            bob ns
//     eth0 10.99.0.1 ──── ul0 (bridge) ──── eth0 10.99.0.2
//     weave, vxlan-6784                     weave, vxlan-6784
//       │ veth                                │ veth
//     container ns                          container ns
import { execFileSync } from "node:child_process";
import { macForAddress, macForName } from "../../../src/core/address/mac.ts";
import type { DatapathState } from "../../../src/core/datapath/state.ts";
import { createLinuxKernel } from "../../../src/kernel/linux.ts";
import type { Attached, AttachSpec, Kernel } from "../../../src/ports/kernel.ts";
import { TestNamespace } from "./namespaces.ts";

export const BRIDGE = "weave";
export const VXLAN = "vxlan-6784";
const MTU = 1450;
export const OVERLAY = "10.32.0.0/12";
export const OVERLAY6 = "fd32::/96";

/** A container: its namespace and what it was given. */
export interface TestContainer {
  readonly netns: TestNamespace;
  readonly hostIfname: string;
  readonly mac: string;
  /** Without prefix; the first is the IPv4 one. */
  readonly addresses: readonly string[];
  readonly attached: Attached;
}

/** A host: a namespace with one uplink, and a kernel that acts in it. */
export class TestHost {
  readonly name: string;
  readonly address: string;
  readonly netns: TestNamespace;
  readonly bridgeMac: string;
  readonly containers: TestContainer[] = [];
  kernel: Kernel;

  constructor(name: string, address: string, netns: TestNamespace) {
    this.name = name;
    this.address = address;
    this.netns = netns;
    this.bridgeMac = macForName(name);
    this.kernel = createLinuxKernel({ netns: netns.path });
  }

  /** A daemon's restart: a kernel that knows nothing. */
  async restart(): Promise<void> {
    await this.kernel.close();
    this.kernel = createLinuxKernel({ netns: this.netns.path });
  }
}

export class World {
  readonly #underlay = new TestNamespace("underlay");
  readonly #namespaces: TestNamespace[] = [this.#underlay];
  readonly hosts: TestHost[] = [];
  #containers = 0;

  constructor() {
    ip(this.#underlay, "link add ul0 type bridge stp_state 0 forward_delay 0");
    ip(this.#underlay, "link set ul0 up");
  }

  get underlay(): TestNamespace {
    return this.#underlay;
  }

  /** A host at 10.99.0.N/24 and fd99::N/64, N counting from 1. */
  host(name: string): TestHost {
    const number = this.hosts.length + 1;
    const address = `10.99.0.${number}`;
    const netns = this.namespace(name);
    ip(this.#underlay, `link add h${number} type veth peer name eth0 netns ${netns.name}`);
    ip(this.#underlay, `link set h${number} master ul0 up`);
    ip(netns, `addr add ${address}/24 dev eth0`);
    ip(netns, `addr add fd99::${number}/64 dev eth0 nodad`);
    ip(netns, "link set eth0 up");
    const host = new TestHost(name, address, netns);
    this.hosts.push(host);
    return host;
  }

  /** Any further namespace, removed with the world. */
  namespace(label: string): TestNamespace {
    const netns = new TestNamespace(label);
    this.#namespaces.push(netns);
    return netns;
  }

  /** A machine on the underlay that is no host of ours, at 10.99.0.200 and fd99::c8. */
  outside(): TestNamespace {
    const netns = this.namespace("outside");
    ip(this.#underlay, `link add ho type veth peer name eth0 netns ${netns.name}`);
    ip(this.#underlay, "link set ho master ul0 up");
    ip(netns, "addr add 10.99.0.200/24 dev eth0");
    ip(netns, "addr add fd99::c8/64 dev eth0 nodad");
    ip(netns, "link set eth0 up");
    return netns;
  }

  /** The state every daemon would ask for, from what all hosts have. */
  state(host: TestHost, overrides: Partial<DatapathState> = {}): DatapathState {
    const others = this.hosts.filter((other) => other !== host);
    const entries = (of: readonly TestHost[]) =>
      of.flatMap((one) => one.containers.map((container) => ({ one, container })));
    return {
      bridge: { name: BRIDGE, mac: host.bridgeMac, mtu: MTU, addresses: [] },
      vxlan: { name: VXLAN, vni: 6784, port: 6784, local: host.address },
      ports: host.containers.map(({ hostIfname, mac, addresses }) => ({
        name: hostIfname,
        hairpin: true,
        mac,
        addresses,
      })),
      flood: others.map((other) => other.address),
      routes: [],
      forwarding: entries(others).map(({ one, container }) => ({ mac: container.mac, vtep: one.address })),
      neighbours: entries(this.hosts).flatMap(({ container }) =>
        container.addresses.map((address) => ({ address, mac: container.mac })),
      ),
      firewall: {
        overlay: [OVERLAY, OVERLAY6],
        masquerade: [],
        exempt: [],
        portMaps: [],
        controlPort: 6783,
        controls: [],
      },
      prune: true,
      ...overrides,
    };
  }

  /** Bring every host to its state; throws when something failed. */
  async applyAll(): Promise<void> {
    for (const host of this.hosts) {
      const { failures } = await host.kernel.apply(this.state(host));
      if (failures.length > 0) throw new Error(`${host.name}: ${JSON.stringify(failures)}`);
    }
  }

  /** Attach a new container with one IPv4 and one IPv6 address. */
  async container(host: TestHost, overrides: Partial<AttachSpec> = {}): Promise<TestContainer> {
    const number = ++this.#containers;
    const netns = this.namespace(`c${number}`);
    const addresses = overrides.addresses ?? [
      `10.32.0.${number + 9}/12`,
      `fd32::${(number + 9).toString(16)}/96`,
    ];
    const mac = overrides.mac ?? macForAddress(addresses[0]?.split("/")[0] ?? "");
    const hostIfname = overrides.hostIfname ?? hostEndName(number);
    const open = await host.kernel.openNetns({ path: netns.path });
    try {
      const attached = await host.kernel.attach({
        netns: open,
        ifname: "eth0",
        hostIfname,
        bridge: BRIDGE,
        mac,
        mtu: MTU,
        addresses,
        routes: [],
        hairpin: true,
        ...overrides,
      });
      const container = {
        netns,
        hostIfname,
        mac,
        addresses: addresses.map((address) => address.split("/")[0] ?? address),
        attached,
      };
      host.containers.push(container);
      return container;
    } finally {
      await host.kernel.closeNetns(open);
    }
  }

  async close(): Promise<void> {
    for (const host of this.hosts) await host.kernel.close();
    for (const netns of this.#namespaces) netns.remove();
  }
}

/** A name as the plugin gives it, for the container of that number. */
export function hostEndName(number: number): string {
  return `vw${number.toString(16).padStart(12, "0")}`;
}

function ip(ns: TestNamespace, line: string): void {
  execFileSync("ip", ["-n", ns.name, ...line.split(" ")]);
}
