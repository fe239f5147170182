// What every Kernel must do, told as calls and the facts they leave. Run for the memory kernel, where `render` is its
// own, and for Linux, where it is read back with `ip`, `bridge` and `nft` (test/kernel/conformance.test.ts).
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { macForName } from "../../src/core/address/mac.ts";
import type { DatapathState } from "../../src/core/datapath/state.ts";
import type { AttachSpec, Kernel, RouteSpec } from "../../src/ports/kernel.ts";

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

const ALICE = macForName("alice");
const M1 = "02:a0:0a:20:00:05";
const M2 = "02:a0:0a:20:00:06";

function stateWith(overrides: Partial<DatapathState> = {}): DatapathState {
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
    firewall: { overlay: ["10.32.0.0/12", "fd32::/96"], masquerade: [], exempt: [], portMaps: [] },
    prune: true,
    ...overrides,
  };
}

const LINKS = `link weave bridge address ${ALICE} mtu 1450 stp off mcast_snooping off up
link vxlan-6784 vxlan id 6784 dstport 6784 local 10.99.0.1 nolearning address 02:c0:d2:7c:b8:63 mtu 1450 master weave learning off neigh_suppress on up
`;
const REMOTE = `flood dev vxlan-6784 dst 10.99.0.2
fdb ${M1} dev vxlan-6784 dst 10.99.0.2 self
fdb ${M1} dev vxlan-6784 master weave static sticky
neigh 10.32.0.5 dev weave lladdr ${M1} permanent
neigh fd32::5 dev weave lladdr ${M1} permanent
`;
/** The sets and maps of the firewall, those given with these elements. */
function sets(elements: Readonly<Record<string, string>> = {}): string {
  const held: Readonly<Record<string, string>> = {
    overlay4: "10.32.0.0/12",
    overlay6: "fd32::/96",
    ...elements,
  };
  return [
    "map hostports",
    "map ports",
    "set exempt",
    "set hairpin",
    "set masquerade",
    "set overlay",
    "set published",
  ]
    .flatMap((name) => [`${name}4`, `${name}6`])
    .map((name) => `nft ${name} { ${held[name.split(" ")[1] ?? ""] ?? ""} }\n`)
    .join("");
}
const SETS = sets();

/** Runs the suite with a fresh host for each test. */
export function kernelConformance(name: string, create: () => Promise<KernelHarness>): void {
  describe(`kernel ${name}`, () => {
    let harness: KernelHarness;
    beforeEach(async () => {
      harness = await create();
    });
    afterEach(async () => {
      await harness?.close();
    });

    const apply = async (overrides: Partial<DatapathState> = {}): Promise<readonly string[]> => {
      const { changes, failures } = await harness.kernel.apply(stateWith(overrides));
      expect(failures).toEqual([]);
      return changes;
    };

    /** Names of the containers' host ends on the bridge. */
    const ports = async (): Promise<string[]> =>
      [...(await harness.kernel.hostEnds())].flatMap(([name, end]) => (end.bridge === "weave" ? [name] : []));

    const attach = async (path: string, overrides: Partial<AttachSpec> = {}) => {
      const netns = await harness.kernel.openNetns({ path });
      try {
        return await harness.kernel.attach({
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
        await harness.kernel.closeNetns(netns);
      }
    };

    test("a host that never applied anything holds nothing", async () => {
      expect(await harness.render()).toBe("");
    });

    test("the first apply makes everything, the second and a restart nothing", async () => {
      expect((await apply()).length).toBeGreaterThan(0);
      expect(await harness.render()).toBe(LINKS + REMOTE + SETS);
      expect(await apply()).toEqual([]);
      await harness.restart();
      expect(await apply()).toEqual(["nft load table inet weave"]);
      expect(await harness.render()).toBe(LINKS + REMOTE + SETS);
    });

    test("entries are added, moved and deleted, and each is told", async () => {
      await apply();
      expect(
        await apply({
          flood: ["10.99.0.2", "10.99.0.3"],
          forwarding: [{ mac: M1, vtep: "10.99.0.3" }],
          neighbours: [{ address: "10.32.0.5", mac: M2 }],
        }),
      ).toEqual([
        "flood add 10.99.0.3",
        `fdb set ${M1} dst 10.99.0.3`,
        `neighbour set 10.32.0.5 ${M2}`,
        `announce 10.32.0.5 ${M2}`,
        "neighbour del fd32::5",
      ]);
      expect(await harness.render()).toBe(
        `${LINKS}flood dev vxlan-6784 dst 10.99.0.2
flood dev vxlan-6784 dst 10.99.0.3
fdb ${M1} dev vxlan-6784 dst 10.99.0.3 self
fdb ${M1} dev vxlan-6784 master weave static sticky
neigh 10.32.0.5 dev weave lladdr ${M2} permanent
${SETS}`,
      );
      expect(await apply({ flood: [], forwarding: [], neighbours: [] })).toEqual([
        "neighbour del 10.32.0.5",
        `fdb del ${M1}`,
        "flood del 10.99.0.2",
        "flood del 10.99.0.3",
      ]);
      expect(await harness.render()).toBe(LINKS + SETS);
    });

    test("without prune a new process deletes only what it wanted itself, and local MACs' entries", async () => {
      await apply();
      await harness.restart();
      expect(await apply({ prune: false, flood: [], forwarding: [], neighbours: [] })).toEqual([
        "nft load table inet weave",
      ]);
      expect(await harness.render()).toBe(LINKS + REMOTE + SETS);
      await apply({ prune: false, flood: ["10.99.0.9"] });
      expect(await apply({ prune: false })).toEqual(["flood del 10.99.0.9"]);
      await harness.restart();
      // M1 has an address and no VTEP: it lives here now.
      expect(await apply({ prune: false, forwarding: [] })).toEqual([
        "nft load table inet weave",
        `fdb del ${M1}`,
      ]);
    });

    test("routes lead what comes from the bridge to single addresses, and go again", async () => {
      const lines = async (): Promise<string[]> =>
        (await harness.render()).split("\n").filter((line) => line.startsWith("route "));
      await apply();
      expect(await apply({ routes: ["9.0.2.2", "fd09::2"] })).toEqual([
        "route add 9.0.2.2",
        "route add fd09::2",
      ]);
      const both = ["route 9.0.2.2 dev weave iif weave", "route fd09::2 dev weave iif weave"];
      expect(await lines()).toEqual(both);
      await harness.kernel.observe();
      expect(await apply({ routes: ["9.0.2.2", "fd09::2"] })).toEqual([]);
      await harness.restart();
      expect(await apply({ routes: ["fd09::2"], prune: false })).toEqual(["nft load table inet weave"]);
      expect(await lines()).toEqual(both);
      expect(await apply({ routes: ["fd09::2"] })).toEqual(["route del 9.0.2.2"]);
      expect(await lines()).toEqual(["route fd09::2 dev weave iif weave"]);
    });

    test("expose adds address, forwarding and masquerade without loading the table again, and can be undone", async () => {
      await apply();
      const bridge = { ...stateWith().bridge, addresses: ["10.32.0.1/12", "fd32::1/96"] };
      const firewall = { ...stateWith().firewall, masquerade: ["10.32.0.0/12", "10.40.0.0/16", "fd32::/96"] };
      expect(await apply({ bridge, firewall })).toEqual([
        "address add 10.32.0.1/12",
        "address add fd32::1/96",
        "nft masquerade add 10.32.0.0/12",
        "nft masquerade add fd32::/96",
        "sysctl net.ipv4.ip_forward 1",
        "sysctl net.ipv6.conf.all.forwarding 1",
      ]);
      expect(await harness.render()).toBe(
        `${LINKS}address 10.32.0.1/12 dev weave
address fd32::1/96 dev weave
${REMOTE}forwarding ipv4
forwarding ipv6
${sets({ masquerade4: "10.32.0.0/12", masquerade6: "fd32::/96" })}`,
      );
      expect(await apply({ bridge, firewall })).toEqual([]);
      const narrower = { ...firewall, masquerade: ["10.32.0.0/16"] };
      expect(await apply({ bridge, firewall: narrower })).toEqual([
        "nft masquerade del 10.32.0.0/12",
        "nft masquerade add 10.32.0.0/16",
        "nft masquerade del fd32::/96",
      ]);
      // A new process finds elements nobody wants any more.
      await apply({ bridge, firewall });
      await harness.restart();
      expect(await apply({ bridge })).toEqual(["nft load table inet weave"]);
      expect(await harness.render()).toContain("nft set masquerade4 {  }\nnft set masquerade6 {  }\n");
      const undone = await apply();
      expect(undone).toContain("address del 10.32.0.1/12");
      // Not even the kernel's habit of dropping neighbours with the last address shows afterwards.
      expect(await harness.render()).toBe(`${LINKS + REMOTE}forwarding ipv4\nforwarding ipv6\n${SETS}`);
      expect(await apply()).toEqual([]);
    });

    test("blocks that touch come and go one by one", async () => {
      const [one, two, three] = ["10.32.0.0/16", "10.33.0.0/16", "10.34.0.0/16"];
      const masquerading = (...masquerade: string[]) =>
        apply({ firewall: { ...stateWith().firewall, masquerade } });
      await masquerading(one, two);
      expect(await masquerading(one, two, three)).toEqual([`nft masquerade add ${three}`]);
      expect(await masquerading(two, three)).toEqual([`nft masquerade del ${one}`]);
      expect(await masquerading(two)).toEqual([`nft masquerade del ${three}`]);
      expect(await masquerading(one, two)).toEqual([`nft masquerade add ${one}`]);
      expect(await harness.render()).toContain(`nft set masquerade4 { ${one}, ${two} }`);
      expect(await masquerading()).toHaveLength(2);
      expect(await harness.render()).toBe(LINKS + REMOTE + SETS);
    });

    test("ports are published and withdrawn, and subnets exempted, without loading the table again", async () => {
      await apply();
      const tcp = { protocol: "tcp", hostPort: 8080, address: "10.32.0.6", port: 80 } as const;
      const udp = { protocol: "udp", hostPort: 53, address: "FD32::0:6", port: 5353 } as const;
      const sctp = { ...tcp, protocol: "sctp", hostAddress: "10.99.0.1" } as const;
      const firewall = {
        ...stateWith().firewall,
        exempt: ["10.40.1.0/24", "fd40::/64"],
        portMaps: [tcp, udp, sctp],
      };
      expect(await apply({ firewall })).toEqual([
        "nft exempt add 10.40.1.0/24",
        "nft port add tcp . 8080 : 10.32.0.6 . 80",
        "nft port add 10.99.0.1 . sctp . 8080 : 10.32.0.6 . 80",
        "nft exempt add fd40::/64",
        "nft port add udp . 53 : fd32::6 . 5353",
        "sysctl net.ipv4.conf.weave.route_localnet 1",
      ]);
      const published = {
        exempt4: "10.40.1.0/24",
        exempt6: "fd40::/64",
        ports4: "tcp . 8080 : 10.32.0.6 . 80",
        ports6: "udp . 53 : fd32::6 . 5353",
        hostports4: "10.99.0.1 . sctp . 8080 : 10.32.0.6 . 80",
        published4: "10.32.0.6 . sctp . 80, 10.32.0.6 . tcp . 80",
        published6: "fd32::6 . udp . 5353",
        hairpin4: "10.32.0.6 . 10.32.0.6",
        hairpin6: "fd32::6 . fd32::6",
      };
      expect(await harness.render()).toBe(`${LINKS}${REMOTE}route_localnet weave\n${sets(published)}`);
      await harness.restart();
      expect(await apply({ firewall })).toEqual(["nft load table inet weave"]);
      expect(await harness.render()).toBe(`${LINKS}${REMOTE}route_localnet weave\n${sets(published)}`);
      // One port to another container, in one step.
      const moved = { ...firewall, portMaps: [{ ...tcp, address: "10.32.0.7" }, udp, sctp] };
      expect(await apply({ firewall: moved })).toEqual([
        "nft port del tcp . 8080 : 10.32.0.6 . 80",
        "nft port add tcp . 8080 : 10.32.0.7 . 80",
      ]);
      expect(await apply()).toEqual([
        "sysctl net.ipv4.conf.weave.route_localnet 0",
        "nft exempt del 10.40.1.0/24",
        "nft port del tcp . 8080 : 10.32.0.7 . 80",
        "nft port del 10.99.0.1 . sctp . 8080 : 10.32.0.6 . 80",
        "nft exempt del fd40::/64",
        "nft port del udp . 53 : fd32::6 . 5353",
      ]);
      expect(await harness.render()).toBe(LINKS + REMOTE + SETS);
      // A new process finds ports nobody wants any more.
      await apply({ firewall });
      await harness.restart();
      await apply();
      expect(await harness.render()).toBe(LINKS + REMOTE + SETS);
    });

    test("a port goes back on the bridge with its own hairpin setting", async () => {
      await apply();
      const [path, other] = [harness.addNetns(), harness.addNetns()];
      await attach(path, { hairpin: false });
      await attach(other, { hostIfname: "vw000000000002", mac: M1, addresses: ["10.32.0.7/12"] });
      const list = [
        { name: "vw000000000001", hairpin: true },
        { name: "vw000000000002", hairpin: false },
      ];
      await harness.kernel.observe();
      expect(await apply({ ports: list })).toEqual([
        "link set vw000000000001 type bridge_slave hairpin on",
        "link set vw000000000002 type bridge_slave hairpin off",
      ]);
      expect(await harness.render()).toMatch(
        /vw000000000001 .* hairpin on up\n.*vw000000000002 .* hairpin off up\n/,
      );
    });

    test("attach makes a configured interface; detach takes it away, once", async () => {
      await apply();
      const path = harness.addNetns();
      expect(await attach(path)).toEqual({
        hostMac: "02:d0:64:24:46:84",
        bridgeMac: ALICE,
        routes: [{ dst: "0.0.0.0/0", gw: "10.32.0.1" }],
      });
      expect(await harness.renderNetns(path)).toBe(
        `link eth0 address ${M2} mtu 1450 up
address 10.32.0.6/12 dev eth0
route 0.0.0.0/0 via 10.32.0.1 dev eth0
`,
      );
      expect(await ports()).toEqual(["vw000000000001"]);
      expect(await harness.render()).toContain(
        "link vw000000000001 veth mtu 1450 master weave learning on hairpin on up\n",
      );
      expect(await harness.kernel.detach("vw000000000001")).toBe(true);
      expect(await harness.kernel.detach("vw000000000001")).toBe(false);
      expect(await ports()).toEqual([]);
      expect(await harness.renderNetns(path)).toBe("");
    });

    test("bandwidth limits what a container receives and sends, and goes with it", async () => {
      await apply();
      const [both, one, none] = [harness.addNetns(), harness.addNetns(), harness.addNetns()];
      const limit = { rate: 8_000_000, burst: 400_000 };
      await attach(both, { bandwidth: { ingress: limit, egress: { rate: 1_000_000, burst: 8 } } });
      const second = { hostIfname: "vw000000000002", mac: M1, addresses: ["10.32.0.7/12"] };
      await attach(one, { ...second, bandwidth: { egress: limit } });
      const third = { hostIfname: "vw000000000003", mac: "02:a0:0a:20:00:08", addresses: ["10.32.0.8/12"] };
      await attach(none, { ...third, bandwidth: { ingress: { rate: 0, burst: 0 } } });
      const shapes = async () =>
        (await harness.render()).split("\n").filter((line) => line.startsWith("shape"));
      // A bucket smaller than a frame would let none through.
      expect(await shapes()).toEqual([
        "shape vw000000000001 egress rate 125000 burst 1468",
        "shape vw000000000001 ingress rate 1000000 burst 50000",
        "shape vw000000000002 egress rate 1000000 burst 50000",
      ]);
      const names = ["vw000000000001", "vw000000000002", "vw000000000003"];
      expect(await Promise.all(names.map((name) => harness.kernel.detach(name)))).toEqual([true, true, true]);
      expect(await shapes()).toEqual([]);
      expect(await harness.render()).toBe(LINKS + REMOTE + SETS);
    });

    test("what others took from the host is told object by object, and comes back with a new look", async () => {
      expect(await harness.kernel.faults()).toEqual([]);
      const bridge = { ...stateWith().bridge, addresses: ["10.32.0.1/12", "10.40.0.1/16", "fd32::1/96"] };
      const portMaps = [{ protocol: "tcp", hostPort: 8080, address: "10.32.0.6", port: 80 }] as const;
      const state = { bridge, routes: ["9.0.2.2"], firewall: { ...stateWith().firewall, portMaps } };
      await apply(state);
      expect(await harness.kernel.faults()).toEqual([]);
      const whole = await harness.render();
      const damages: (readonly [string, string])[] = [
        ["address 10.40.0.1/16", "bridge weave lacks its address 10.40.0.1/16"],
        ["flood 10.99.0.2", "VXLAN device vxlan-6784 does not flood to 10.99.0.2"],
        [`fdb ${M1}`, `FDB entry of ${M1} to 10.99.0.2 is missing`],
        ["neigh 10.32.0.5", `neighbour entry of 10.32.0.5 at ${M1} is missing`],
        ["route 9.0.2.2", "route to 9.0.2.2 over the bridge weave is missing"],
        ["nft", "firewall table inet weave is missing"],
        ["forwarding ipv4", "sysctl net.ipv4.ip_forward is 0, not 1"],
        ["forwarding ipv6", "sysctl net.ipv6.conf.all.forwarding is 0, not 1"],
        ["route_localnet weave", "sysctl net.ipv4.conf.weave.route_localnet is 0, not 1"],
      ];
      for (const [fact, words] of damages) {
        await harness.damage(fact);
        expect(await harness.kernel.faults(), fact).toEqual([words]);
        expect(await harness.kernel.faults(), fact).toEqual([words]);
        await harness.kernel.observe();
        expect((await apply(state)).length, fact).toBeGreaterThan(0);
        expect(await harness.kernel.faults(), fact).toEqual([]);
        expect(await harness.render()).toBe(whole);
      }
      await harness.damage("flood 10.99.0.2");
      await harness.damage("nft");
      expect(await harness.kernel.faults()).toHaveLength(2);
      // A new process has nothing it could compare with.
      await harness.restart();
      expect(await harness.kernel.faults()).toEqual([]);
      await apply(state);
      expect(await harness.render()).toBe(whole);
    });

    test("limits somebody took away are told and put back, each direction alone; hairpin mode is told", async () => {
      await apply();
      const name = "vw000000000001";
      const bandwidth = {
        ingress: { rate: 8_000_000, burst: 400_000 },
        egress: { rate: 1_000_000, burst: 8 },
      };
      await attach(harness.addNetns(), { hostIfname: name, bandwidth });
      const shapes = async () =>
        (await harness.render()).split("\n").filter((line) => line.startsWith("shape"));
      const whole = await shapes();
      expect(await harness.kernel.shapingFaults(name, bandwidth)).toEqual([]);
      expect(await harness.kernel.shape(name, bandwidth)).toBe(false);
      const damages: (readonly [string, string])[] = [
        ["ingress", `${name} has no limit (tbf) for what the container receives, 8000000 bit/s`],
        ["egress", `vi000000000001, which limits what the container behind ${name} sends, is missing`],
      ];
      for (const [direction, words] of damages) {
        await harness.damage(`shape ${name} ${direction}`);
        expect(await harness.kernel.shapingFaults(name, bandwidth)).toEqual([words]);
        expect(await shapes()).toHaveLength(1);
        expect(await harness.kernel.shape(name, bandwidth)).toBe(true);
        expect(await harness.kernel.shape(name, bandwidth)).toBe(false);
        expect(await shapes()).toEqual(whole);
      }
      // Other limits than those that stand; none are wanted; nothing is there.
      const faster = { ingress: { rate: 16_000_000, burst: 400_000 } };
      expect(await harness.kernel.shapingFaults(name, faster)).toEqual([
        `${name} has another limit (tbf) for what the container receives, 16000000 bit/s`,
      ]);
      expect(await harness.kernel.shapingFaults(name, {})).toEqual([]);
      expect(await harness.kernel.shapingFaults("vw00000000000f", bandwidth)).toEqual([]);
      expect(await harness.kernel.shape("vw00000000000f", bandwidth)).toBe(false);
      await harness.damage(`hairpin ${name}`);
      expect((await harness.kernel.hostEnds()).get(name)).toMatchObject({ bridge: "weave", hairpin: false });
    });

    test("an interface is looked at as it is, its host end with the MAC the other end has now", async () => {
      await apply();
      const path = harness.addNetns();
      const addresses = ["10.32.0.6/12", "fd32::6/96"];
      const routes = [
        { dst: "0.0.0.0/0", gw: "10.32.0.1" },
        { dst: "::/0", gw: "fd32::1" },
      ];
      await attach(path, { addresses, routes });
      // Nothing of a second interface is told of the first.
      const second = { hostIfname: "vw000000000002", ifname: "eth1", mac: "02:a0:0a:20:00:09" };
      await attach(path, { ...second, addresses: ["192.0.2.9/24", "fd99::9/64"], routes: [] });
      const end = { bridge: "weave", up: true, hairpin: true, containerMac: M2 };
      const [name, other] = ["vw000000000001", "vw000000000002"];
      const otherEnd = { ...end, containerMac: second.mac };
      expect(await harness.kernel.hostEnds()).toEqual(
        new Map([
          [name, end],
          [other, otherEnd],
        ]),
      );
      const netns = await harness.kernel.openNetns({ path });
      const link = await harness.kernel.look(netns, "eth0");
      const sorted = (list: readonly RouteSpec[] = []) =>
        list.map((route) => `${route.dst} ${route.gw}`).sort();
      expect({ ...link, routes: sorted(link?.routes) }).toEqual({
        up: true,
        mac: M2,
        mtu: 1450,
        addresses,
        routes: sorted([...routes, { dst: "10.32.0.0/12" }, { dst: "fd32::/96" }]),
        hostIfname: "vw000000000001",
      });
      expect(await harness.kernel.look(netns, "eth2")).toBeUndefined();
      await harness.setMac(path, "eth0", M1);
      expect((await harness.kernel.hostEnds()).get(name)).toEqual({ ...end, containerMac: M1 });
      expect((await harness.kernel.look(netns, "eth0"))?.mac).toBe(M1);
      await harness.kernel.closeNetns(netns);
    });

    test("only a namespace that is gone is dead", async () => {
      const [kept, removed] = [harness.addNetns(), harness.addNetns()];
      const ids: string[] = [];
      for (const path of [kept, removed]) {
        const netns = await harness.kernel.openNetns({ path });
        ids.push(netns.id);
        await harness.kernel.closeNetns(netns);
      }
      expect(await harness.kernel.deadNetns(ids)).toEqual(new Set());
      harness.removeNetns(removed);
      await expect.poll(() => harness.kernel.deadNetns(ids), { timeout: 10_000 }).toEqual(new Set([ids[1]]));
    });

    test("a second interface of the same name is refused and changes nothing", async () => {
      await apply();
      const path = harness.addNetns();
      await attach(path);
      const before = [await harness.render(), await harness.renderNetns(path)];
      await expect(attach(path, { hostIfname: "vw000000000002" })).rejects.toMatchObject({
        code: "ifname-exists",
      });
      expect([await harness.render(), await harness.renderNetns(path)]).toEqual(before);
      await attach(path, {
        hostIfname: "vw000000000002",
        ifname: "eth1",
        addresses: ["10.32.0.7/12"],
        routes: [],
      });
      expect(await ports()).toEqual(["vw000000000001", "vw000000000002"]);
    });

    test("attach without a bridge, or with a host name in use, is refused and leaves nothing", async () => {
      const path = harness.addNetns();
      await expect(attach(path)).rejects.toMatchObject({ code: "kernel", fields: { errno: "ENODEV" } });
      await apply();
      const other = harness.addNetns();
      await attach(other);
      await expect(attach(path)).rejects.toMatchObject({ code: "kernel", fields: { errno: "EEXIST" } });
      expect(await harness.renderNetns(path)).toBe("");
      expect(await ports()).toEqual(["vw000000000001"]);
    });

    test("a namespace that goes takes its interfaces with it", async () => {
      await apply();
      const path = harness.addNetns();
      await attach(path);
      harness.removeNetns(path);
      await expect.poll(() => ports(), { timeout: 10_000 }).toEqual([]);
    });

    test("the MTU falls for every container, and rises for those that had the former one", async () => {
      await apply();
      const [one, two] = [harness.addNetns(), harness.addNetns()];
      await attach(one);
      await attach(two, {
        hostIfname: "vw000000000002",
        mac: "02:a0:0a:20:00:07",
        addresses: ["10.32.0.7/12"],
        mtu: 1300,
      });
      const bridge = { ...stateWith().bridge, mtu: 1350 };
      expect(await apply({ bridge })).toContain("link set vw000000000001 mtu 1350");
      expect(await harness.renderNetns(one)).toContain("mtu 1350");
      expect(await harness.renderNetns(two)).toContain("mtu 1300");
      await apply();
      expect(await harness.renderNetns(one)).toContain("mtu 1450");
      expect(await harness.renderNetns(two)).toContain("mtu 1300");
    });

    test("another VNI or local address replaces or changes the VXLAN device", async () => {
      await apply();
      const vxlan = { ...stateWith().vxlan, local: "10.99.0.4" };
      expect(await apply({ vxlan })).toEqual(["link set vxlan-6784 type vxlan local 10.99.0.4 nolearning"]);
      const other = await apply({ vxlan: { ...vxlan, vni: 7 } });
      expect(other).toContain("link del vxlan-6784");
      expect(other).toContain("flood add 10.99.0.2");
      const expected = LINKS.replace("id 6784", "id 7").replace("local 10.99.0.1", "local 10.99.0.4");
      expect(await harness.render()).toBe(expected + REMOTE + SETS);
    });

    test("paths that are no container's namespace are told apart; ids are stable and distinct", async () => {
      const { paths, kernel } = harness;
      await expect(kernel.openNetns({ path: paths.missing })).rejects.toMatchObject({
        code: "netns-missing",
      });
      await expect(kernel.openNetns({ path: paths.file })).rejects.toMatchObject({ code: "netns-invalid" });
      await expect(kernel.openNetns({ path: paths.host })).rejects.toMatchObject({ code: "netns-host" });
      const [one, two] = [harness.addNetns(), harness.addNetns()];
      const opened = await Promise.all([one, one, two].map((path) => kernel.openNetns({ path })));
      const [a, again, b] = opened.map((netns) => netns.id);
      expect(again).toBe(a);
      expect(b).not.toBe(a);
      for (const netns of opened) await kernel.closeNetns(netns);
    });

    test("many attaches and detaches at once are each right", async () => {
      await apply();
      const numbers = Array.from({ length: 20 }, (_, i) => i + 10);
      const paths = numbers.map(() => harness.addNetns());
      await Promise.all(
        numbers.map((number, i) =>
          attach(paths[i] ?? "", {
            hostIfname: `vw0000000000${number}`,
            mac: `02:a0:0a:20:01:${number}`,
            addresses: [`10.32.1.${number}/12`],
          }),
        ),
      );
      for (const [i, number] of numbers.entries()) {
        expect(await harness.renderNetns(paths[i] ?? "")).toContain(
          `address 10.32.1.${number}/12 dev eth0\n`,
        );
      }
      expect((await ports()).length).toBe(20);
      const gone = await Promise.all(
        [...numbers, 99].map((number) => harness.kernel.detach(`vw0000000000${number}`)),
      );
      expect(gone).toEqual([...numbers.map(() => true), false]);
      expect(await ports()).toEqual([]);
    });

    test("clear takes away all that was made, for containers, too, and may be called again", async () => {
      const routes = ["172.20.0.9"];
      await harness.kernel.apply(stateWith({ routes }));
      const path = harness.addNetns();
      await attach(path, { bandwidth: { egress: { rate: 1e6, burst: 1e6 } } });
      const devices = { bridge: "weave", vxlan: "vxlan-6784" };
      const removed = await harness.kernel.clear(devices);
      expect(removed).toEqual(expect.arrayContaining(["link del vxlan-6784", "link del weave"]));
      expect(removed).toContain("nft delete table inet weave");
      expect(await harness.render()).toBe("");
      expect(await harness.renderNetns(path)).toBe("");
      expect(await harness.kernel.clear(devices)).toEqual([]);
      // Also by a process that made nothing of it, and what was cleared can be made again.
      await harness.kernel.apply(stateWith());
      expect(await harness.render()).toBe(LINKS + REMOTE + SETS);
      await harness.restart();
      expect(await harness.kernel.clear(devices)).not.toEqual([]);
      expect(await harness.render()).toBe("");
    });
  });
}
