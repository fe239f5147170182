// What the tests of a Kernel work on: the host under test, a datapath they all begin with, and the text it leaves.
import { expect } from "vitest";
import { macForName } from "../../src/core/address/mac.ts";
import type { DatapathState } from "../../src/core/datapath/state.ts";
import type { Attached, AttachSpec, Kernel } from "../../src/ports/kernel.ts";

/** A host of its own for one test. */
export interface KernelHarness {
  readonly kernel: Kernel;
  /** Paths that are no container's namespace. */
  readonly paths: { readonly missing: string; readonly file: string; readonly host: string };
  /** A new container namespace; its path. */
  addNetns(): string;
  removeNetns(path: string): void;
  /** Another plugin gives a container's interface another MAC. */
  setMac(path: string, ifname: string, mac: string): Promise<void>;
  /** Somebody else takes away a fact: "address 10.32.0.1/12", "shape vw000000000001 ingress" (memory/damage.ts has all). */
  damage(fact: string): Promise<void>;
  /** The same host with a new process. */
  restart(): Promise<void>;
  /** The facts the host holds. */
  render(): Promise<string>;
  renderNetns(path: string): Promise<string>;
  close(): Promise<void>;
}

/** Of the bridge. */
export const ALICE = macForName("alice");
/** The container of the neighbour. */
export const M1 = "02:a0:0a:20:00:05";
/** The container that is attached here. */
export const M2 = "02:a0:0a:20:00:06";

/** A host whose one neighbour has one container, with IPv4 and IPv6, but for `overrides`. */
export function stateWith(overrides: Partial<DatapathState> = {}): DatapathState {
  return {
    bridge: { name: "weave", mac: ALICE, mtu: 1450, addresses: [] },
    vxlan: { name: "vxlan-6784", vni: 6784, port: 6784, local: "10.99.0.1" },
    ports: [],
    flood: ["10.99.0.2"],
    forwarding: [{ mac: M1, vtep: "10.99.0.2" }],
    neighbours: [
      { address: "10.32.0.5", mac: M1 },
      { address: "fd32::5", mac: M1 },
    ],
    routes: [],
    firewall: {
      overlay: ["10.32.0.0/12", "fd32::/96"],
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

/** What stateWith() leaves, in three texts: its devices, the entries of the other host, its firewall. */
export const LINKS = `link weave bridge address ${ALICE} mtu 1450 stp off mcast_snooping off up
link vxlan-6784 vxlan id 6784 dstport 6784 local 10.99.0.1 nolearning address 02:c0:d2:7c:b8:63 mtu 1450 master weave learning off neigh_suppress on up
`;
export const REMOTE = `flood dev vxlan-6784 dst 10.99.0.2
fdb ${M1} dev vxlan-6784 dst 10.99.0.2 self
fdb ${M1} dev vxlan-6784 master weave static sticky
neigh 10.32.0.5 dev weave lladdr ${M1} permanent
neigh fd32::5 dev weave lladdr ${M1} permanent
`;
/** The sets and maps of the firewall, those given with these elements. */
export function sets(elements: Readonly<Record<string, string>> = {}): string {
  const held: Readonly<Record<string, string>> = {
    overlay4: "10.32.0.0/12",
    overlay6: "fd32::/96",
    peers4: "10.99.0.2",
    ...elements,
  };
  const both = (...names: readonly string[]) => names.flatMap((name) => [`${name}4`, `${name}6`]);
  return [
    ...both("map hostports", "map ports", "set controls", "set exempt"),
    "set exposed",
    ...both("set hairpin", "set masquerade", "set overlay", "set peers", "set published"),
  ]
    .map((name) => `nft ${name} { ${held[name.split(" ")[1] ?? ""] ?? ""} }\n`)
    .join("");
}
/** As stateWith() has them. */
export const SETS = sets();

/** The host of the test that runs. */
export interface Subject {
  harness(): KernelHarness;
  /** Applies stateWith(overrides), without a failure; what was changed. */
  apply(overrides?: Partial<DatapathState>): Promise<readonly string[]>;
  /** Attaches a container that has 10.32.0.6 and M2, but for `overrides`. */
  attach(path: string, overrides?: Partial<AttachSpec>): Promise<Attached>;
  /** Names of the containers' host ends on the bridge. */
  ports(): Promise<string[]>;
}

/** `harness` is asked at each call: every test has another. */
export function subjectOf(harness: () => KernelHarness): Subject {
  return {
    harness,
    async apply(overrides = {}) {
      const { changes, failures } = await harness().kernel.apply(stateWith(overrides));
      expect(failures).toEqual([]);
      return changes;
    },
    async attach(path, overrides = {}) {
      const { kernel } = harness();
      const netns = await kernel.openNetns({ path });
      try {
        return await kernel.attach({
          netns,
          ifname: "eth0",
          hostIfname: "vw000000000001",
          bridge: "weave",
          mac: M2,
          mtu: 1450,
          addresses: ["10.32.0.6/12"],
          routes: [{ dst: "0.0.0.0/0", gw: "10.32.0.1" }],
          hairpin: true,
          ...overrides,
        });
      } finally {
        await kernel.closeNetns(netns);
      }
    },
    async ports() {
      const ends = await harness().kernel.hostEnds();
      return [...ends].flatMap(([name, end]) => (end.bridge === "weave" ? [name] : []));
    },
  };
}
