// What others do to a host comes back by itself within a second, without losing the rest, and is told as a repair: object,
// time and count. Each line of the promise with real objects, damaged by the tools an operator or another program uses.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { DatapathState } from "../../src/core/datapath/state.ts";
import { DatapathFollower } from "../../src/daemon/follower.ts";
import type { RepairRecord } from "../../src/daemon/repairs.ts";
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
    ["nft flush ruleset", "nftables table inet weave"],
    ["nft flush chain inet weave postrouting", "nftables table inet weave"],
    ["nft delete element inet weave masquerade4 { 10.32.0.0/12 }", "nftables table inet weave"],
    ["sysctl -w net.ipv4.ip_forward=0", "sysctl net.ipv4.ip_forward"],
    ["sysctl -w net.ipv6.conf.all.forwarding=0", "sysctl net.ipv6.conf.all.forwarding"],
    ["sysctl -w net.ipv4.conf.weave.rp_filter=1", "sysctl net.ipv4.conf.weave.rp_filter"],
    ["sysctl -w net.ipv6.conf.weave.disable_ipv6=1", "sysctl net.ipv6.conf.weave.disable_ipv6"],
    ["sysctl -w net.ipv4.conf.weave.route_localnet=0", "sysctl net.ipv4.conf.weave.route_localnet"],
    ["sysctl -w net.ipv6.conf.vxlan-6784.disable_ipv6=0", "sysctl net.ipv6.conf.vxlan-6784.disable_ipv6"],
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
        .replace("MAC", b1.mac)
        .replace("ADDRESS", b1.addresses[0] ?? "")
        .replace("PORT", a1.hostIfname);
    await heals(() => alice.netns.run(filled(line)), filled(object));
  });
});
