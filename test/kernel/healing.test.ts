// What others do to a host comes back by itself within a second, without losing the rest, and is told as a repair: object,
// time and count. Each line of the promise with real objects, damaged by the tools an operator or another program uses.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import type { DatapathState } from "../../src/core/datapath/state.ts";
import { DatapathFollower } from "../../src/daemon/follower.ts";
import type { RepairRecord } from "../../src/daemon/repairs.ts";
import { Host } from "../../src/kernel/host.ts";
import { NotificationSocket, ROUTE_GROUPS } from "../../src/kernel/rtnetlink/notifications.ts";
import { NETLINK_ROUTE } from "../../src/kernel/rtnetlink/socket.ts";
import { eventually, type TestNamespace, whyNot } from "./support/namespaces.ts";
import { renderHost } from "./support/read-back.ts";
import { type TestContainer, type TestHost, World } from "./support/world.ts";

const DEADLINE_MS = 1_000;
const FOREIGN_CONTAINER = "172.31.7.7";
const silent = { debug() {}, info() {}, warn() {}, error() {} };

describe.skipIf(whyNot() !== undefined)("healing", () => {
  let world: World;
  let alice: TestHost;
  let bob: TestHost;
  let a1: TestContainer;
  let b1: TestContainer;
  let follower: DatapathFollower;
  let state: DatapathState;
  let whole: string;

  beforeAll(async () => {
    world = new World();
    alice = world.host("alice");
    bob = world.host("bob");
    await world.applyAll();
    a1 = await world.container(alice);
    b1 = await world.container(bob);
    const plain = world.state(alice);
    state = {
      ...plain,
      bridge: { ...plain.bridge, addresses: ["10.32.0.1/12", "fd32::1/96"] },
      routes: [FOREIGN_CONTAINER],
      firewall: {
        ...plain.firewall,
        masquerade: ["10.32.0.0/12"],
        portMaps: [{ protocol: "tcp", hostPort: 8080, address: a1.addresses[0] ?? "", port: 80 }],
      },
    };
    await bob.kernel.apply(world.state(bob));
    follower = new DatapathFollower(alice.kernel, () => state, silent);
    follower.changed();
    await follower.settled();
    expect(follower.failures()).toEqual([]);
    whole = await picture(alice.netns);
  });
  afterAll(async () => {
    await follower?.stop();
    await world?.close();
  });
  afterEach(async () => {
    await follower.settled();
  });

  /** Everything of ours, read by the tools of others. */
  async function picture(ns: TestNamespace): Promise<string> {
    const routes = await ns.run("ip -4 route show dev weave");
    const routes6 = await ns.run("ip -6 route show dev weave proto kernel 10::/4 fd32::/96");
    const port = (await ns.json(`ip -j link show ${a1.hostIfname}`))[0];
    const sysctls = await ns.run(
      `sysctl net.ipv4.ip_forward net.ipv6.conf.all.forwarding net.ipv4.conf.weave.rp_filter net.ipv6.conf.weave.accept_ra net.ipv6.conf.weave.disable_ipv6 net.ipv6.conf.vxlan-6784.disable_ipv6 net.ipv6.conf.${a1.hostIfname}.disable_ipv6 net.ipv4.conf.weave.route_localnet`,
    );
    const text = [await renderHost(ns), routes, routes6, `${port?.["address"]} ${port?.["mtu"]}`, sysctls];
    return text.join("\n").replace(/ linkdown/g, "");
  }

  const repaired = (object: string): RepairRecord | undefined =>
    follower.repairs().find((repair) => repair.object.startsWith(object));

  /** Damage, then wait for the fact that all is as it was, told as a repair of `object`. */
  async function heals(damage: () => Promise<unknown>, object: string): Promise<void> {
    const before = repaired(object)?.count ?? 0;
    const from = Date.now();
    await damage();
    let now = "";
    const done = eventually(
      "all is as before",
      async () => {
        now = await picture(alice.netns).catch(String);
        return now === whole && (repaired(object)?.count ?? 0) > before;
      },
      DEADLINE_MS,
    );
    await done.catch((error: unknown) => {
      expect(now, JSON.stringify(follower.repairs())).toBe(whole);
      expect(follower.repairs().map((repair) => repair.object)).toContain(object);
      throw error;
    });
    const record = repaired(object);
    expect(record?.count).toBe(before + 1);
    expect(record?.time).toBeGreaterThanOrEqual(from);
    expect(record?.message).not.toBe("");
    expect(await a1.netns.run(`ping -c 1 -W 1 ${b1.addresses[0]}`)).toContain(" 0% packet loss");
  }

  test.each([
    ["bridge fdb del 00:00:00:00:00:00 dev vxlan-6784 dst BOB self", "flood entry 10.99.0.2"],
    ["bridge fdb del MAC dev vxlan-6784 dst BOB self", "FDB entry MAC"],
    ["bridge fdb del MAC dev vxlan-6784 master", "FDB entry MAC"],
    ["bridge fdb replace MAC dev vxlan-6784 dst 10.99.0.77 self static", "FDB entry MAC"],
    ["bridge fdb del HOME dev PORT master", "FDB entry HOME"],
    ["ip neigh del ADDRESS dev weave", "neighbour ADDRESS"],
    ["ip neigh replace ADDRESS lladdr 02:00:00:00:00:99 dev weave nud permanent", "neighbour ADDRESS"],
    ["ip link del vxlan-6784", "VXLAN device vxlan-6784"],
    ["ip link set vxlan-6784 down", "VXLAN device vxlan-6784"],
    ["ip link set vxlan-6784 nomaster", "VXLAN device vxlan-6784"],
    ["bridge link set dev vxlan-6784 neigh_suppress off", "VXLAN device vxlan-6784"],
    ["ip link del weave", "bridge weave"],
    ["ip link set weave down", "bridge weave"],
    ["ip link set PORT nomaster", "port PORT"],
    ["ip link set PORT down", "port PORT"],
    ["ip addr del 10.32.0.1/12 dev weave", "address 10.32.0.1/12"],
    ["ip addr del fd32::1/96 dev weave", "address fd32::1/96"],
    ["ip route del 10.32.0.0/12 dev weave", "route 10.32.0.0/12"],
    ["ip -6 route del fd32::/96 dev weave", "route fd32::/96"],
    [`ip route del ${FOREIGN_CONTAINER} table 6784`, `route ${FOREIGN_CONTAINER}`],
    ["ip rule del priority 6784", `route ${FOREIGN_CONTAINER}`],
    ["nft flush ruleset", "nftables table weave"],
    ["nft flush chain inet weave postrouting", "nftables table weave"],
    ["nft delete element inet weave masquerade4 { 10.32.0.0/12 }", "nftables table weave"],
    ["nft delete table bridge weave", "nftables table weave"],
    ["nft flush set bridge weave homes4", "nftables table weave"],
    ["sysctl -w net.ipv4.ip_forward=0", "sysctl net.ipv4.ip_forward"],
    ["sysctl -w net.ipv6.conf.all.forwarding=0", "sysctl net.ipv6.conf.all.forwarding"],
    ["sysctl -w net.ipv4.conf.weave.rp_filter=1", "sysctl net.ipv4.conf.weave.rp_filter"],
    ["sysctl -w net.ipv6.conf.weave.disable_ipv6=1", "sysctl net.ipv6.conf.weave.disable_ipv6"],
    ["sysctl -w net.ipv4.conf.weave.route_localnet=0", "sysctl net.ipv4.conf.weave.route_localnet"],
    ["sysctl -w net.ipv6.conf.vxlan-6784.disable_ipv6=0", "sysctl net.ipv6.conf.vxlan-6784.disable_ipv6"],
    ["sysctl -w net.ipv6.conf.PORT.disable_ipv6=0", "sysctl net.ipv6.conf.PORT.disable_ipv6"],
    ["ip link set weave address 02:00:00:00:00:77", "bridge weave"],
    ["ip link set vxlan-6784 address 02:00:00:00:00:77", "VXLAN device vxlan-6784"],
    ["ip link set PORT address 02:00:00:00:00:77", "port PORT"],
    ["ip link set weave mtu 1400", "bridge weave"],
    ["ip link set vxlan-6784 mtu 1400", "VXLAN device vxlan-6784"],
    ["ip link set PORT mtu 1400", "port PORT"],
  ])("%s", async (line, object) => {
    const filled = (text: string): string =>
      text
        .replace("BOB", bob.address)
        .replace("HOME", a1.mac)
        .replace("MAC", b1.mac)
        .replace("ADDRESS", b1.addresses[0] ?? "")
        .replace("PORT", a1.hostIfname);
    await heals(() => alice.netns.run(filled(line)), filled(object));
  });

  test("the underlay interface removed and made again under another name", async () => {
    const hostEnd = "h1";
    const from = world.underlay;
    const before = repaired("underlay 10.99.0.1")?.count ?? 0;
    const remake = async (name: string): Promise<void> => {
      await alice.netns.run(`ip link del ${name === "eth1" ? "eth0" : "eth1"}`);
      await from.run(`ip link add ${hostEnd} type veth peer name ${name} netns ${alice.netns.name}`);
      await from.run(`ip link set ${hostEnd} master ul0 up`);
      await alice.netns.run(`ip addr add 10.99.0.1/24 dev ${name}`);
      await alice.netns.run(`ip link set ${name} up`);
    };
    for (const [index, name] of ["eth1", "eth0"].entries()) {
      await remake(name);
      await eventually(
        "told, and containers reach each other",
        async () =>
          repaired("underlay 10.99.0.1")?.count === before + index + 1 &&
          (await a1.netns.succeeds(`ping -c 1 -W 1 ${b1.addresses[0]}`)),
        DEADLINE_MS,
      );
      expect(repaired("underlay 10.99.0.1")?.message).toContain(`is on ${name} now`);
    }
    expect(await picture(alice.netns)).toBe(whole);
  });

  test("own changes are no drift: the kernel is read anew for none of them", async () => {
    const observe = vi.spyOn(alice.kernel, "observe");
    const former = state;
    try {
      const another = await world.container(alice);
      state = {
        ...former,
        ports: [...former.ports, { name: another.hostIfname, hairpin: true, addresses: another.addresses }],
        flood: [...former.flood, "10.99.0.77"],
        forwarding: [...former.forwarding, { mac: "02:00:00:00:00:55", vtep: "10.99.0.77" }],
        neighbours: [...former.neighbours, { address: "10.32.9.9", mac: "02:00:00:00:00:55" }],
        bridge: { ...former.bridge, mtu: 1400 },
      };
      follower.changed();
      await follower.settled();
      await alice.kernel.detach(another.hostIfname);
      alice.containers.pop();
      state = former;
      follower.changed();
      await follower.settled();
      await quiet();
      // A reading that began in the middle of a change may be one too many; more would go on for ever.
      expect(observe.mock.calls.length).toBeLessThanOrEqual(1);
    } finally {
      state = former;
      observe.mockRestore();
    }
    expect(follower.failures()).toEqual([]);
    expect(await picture(alice.netns)).toBe(whole);
  });

  test("a thousand links of another engine cost nothing but reading, and hide no damage", async () => {
    const observe = vi.spyOn(alice.kernel, "observe");
    const lines = Array.from({ length: 500 }, (_, i) => `link add docker${i} type veth peer name peer${i}`);
    const undo = Array.from({ length: 500 }, (_, i) => `link set docker${i} group 77`);
    try {
      const flood = batch(alice.netns, lines);
      const before = repaired("flood entry 10.99.0.2")?.count ?? 0;
      await alice.netns.run("bridge fdb del 00:00:00:00:00:00 dev vxlan-6784 dst 10.99.0.2 self");
      await eventually(
        "the flood entry is back",
        () => repaired("flood entry 10.99.0.2")?.count === before + 1,
        DEADLINE_MS,
      );
      await flood;
      await quiet();
      expect(observe.mock.calls.length).toBeLessThanOrEqual(3);
    } finally {
      await batch(alice.netns, undo);
      await alice.netns.run("ip link del group 77", 30_000);
      observe.mockRestore();
    }
  });

  test("messages that are lost are told, once, and what comes after them is read", async () => {
    const socket = inNetns(alice.netns, () => new NotificationSocket(NETLINK_ROUTE, ROUTE_GROUPS));
    const lines = Array.from({ length: 1_500 }, (_, i) => `link set lo alias ${"x".repeat(200)}${i}`);
    try {
      for (let round = 0; round < 4; round++) await batch(alice.netns, lines);
      expect(drainAll(socket).lost).toBe(true);
      await alice.netns.run("ip link set lo alias end");
      expect(drainAll(socket)).toMatchObject({ lost: false });
    } finally {
      socket.close();
    }
  });
});

/** Ten looks of the monitor, its settings twice: what it would do it has done. */
const quiet = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1_000));

/** Many `ip` commands by one process. */
async function batch(ns: TestNamespace, lines: readonly string[]): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "weave-batch-"));
  try {
    writeFileSync(join(directory, "lines"), `${lines.join("\n")}\n`);
    await ns.run(`ip -batch ${directory}/lines`, 30_000);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function inNetns<T>(ns: TestNamespace, work: () => T extends PromiseLike<unknown> ? never : T): T {
  const host = new Host(ns.path);
  try {
    return host.run(work);
  } finally {
    host.close();
  }
}

function drainAll(socket: NotificationSocket): { readonly lost: boolean; readonly count: number } {
  let [lost, count] = [false, 0];
  for (let former = -1; former !== count; ) {
    former = count;
    lost = socket.drain(() => count++) || lost;
  }
  return { lost, count };
}
