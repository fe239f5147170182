// What somebody else does to a host, command by command: told in words that name it, by reading alone; mended by the next
// look. The conformance suite has the entries; here are devices, firewall and limits.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { DatapathState } from "../../src/core/datapath/state.ts";
import { whyNot } from "./support/namespaces.ts";
import { renderHost } from "./support/read-back.ts";
import { type TestContainer, type TestHost, World } from "./support/world.ts";

const LIMIT = { rate: 10_000_000, burst: 1_000_000 };
const BANDWIDTH = { ingress: LIMIT, egress: LIMIT };

describe.skipIf(whyNot("tc") !== undefined)("faults", () => {
  let world: World;
  let alice: TestHost;
  let container: TestContainer;
  let state: DatapathState;
  let whole: string;

  beforeAll(async () => {
    world = new World();
    alice = world.host("alice");
    const bob = world.host("bob");
    await world.applyAll();
    container = await world.container(alice, { bandwidth: BANDWIDTH });
    await world.container(bob);
    const [address = ""] = container.addresses;
    const plain = world.state(alice);
    state = {
      ...plain,
      bridge: { ...plain.bridge, addresses: ["10.32.0.1/12"] },
      firewall: {
        ...plain.firewall,
        masquerade: ["10.32.0.0/12"],
        portMaps: [{ protocol: "tcp", hostPort: 8080, address, port: 80 }],
      },
    };
    await mend();
    whole = await renderHost(alice.netns);
  });
  afterAll(async () => {
    await world?.close();
  });

  async function mend(): Promise<void> {
    await alice.kernel.observe();
    const { failures } = await alice.kernel.apply(state);
    expect(failures).toEqual([]);
  }

  test.each([
    ["ip link set weave down", "bridge weave is down"],
    ["ip link set weave mtu 1400", "bridge weave has MTU 1400, not 1450"],
    ["ip link set weave type bridge stp_state 1", "bridge weave runs STP"],
    ["ip link set weave type bridge mcast_snooping 1", "bridge weave snoops multicast"],
    ["ip addr del 10.32.0.1/12 dev weave", "bridge weave lacks its address 10.32.0.1/12"],
    ["ip link del vxlan-6784", "VXLAN device vxlan-6784 is missing"],
    ["ip link set vxlan-6784 down", "VXLAN device vxlan-6784 is down"],
    ["ip link set vxlan-6784 nomaster", "VXLAN device vxlan-6784 is no port of the bridge weave"],
    ["ip link set vxlan-6784 mtu 1400", "VXLAN device vxlan-6784 has MTU 1400, not 1450"],
    ["bridge link set dev vxlan-6784 learning on", "vxlan-6784 learns MACs as a port of the bridge"],
    ["bridge link set dev vxlan-6784 neigh_suppress off", "neigh_suppress is off"],
    ["nft flush ruleset", "firewall table inet weave is missing"],
    ["nft flush chain inet weave postrouting", "firewall table inet weave lacks"],
    ["nft add rule inet weave guard drop", "has 1 rules too many"],
    ["nft flush map inet weave ports4", "map ports4 of the firewall table inet weave lacks tcp . 8080 :"],
    [
      "nft flush set inet weave masquerade4",
      "set masquerade4 of the firewall table inet weave lacks 10.32.0.0/12",
    ],
    [
      "nft add element inet weave masquerade4 { 192.0.2.0/24 }",
      "has 1 elements that weave did not put there",
    ],
    ["sysctl -qw net.ipv4.ip_forward=0", "net.ipv4.ip_forward is 0"],
    ["sysctl -qw net.ipv4.conf.weave.route_localnet=0", "net.ipv4.conf.weave.route_localnet is 0"],
  ])("%s", async (command, words) => {
    expect(await alice.kernel.faults()).toEqual([]);
    await alice.netns.run(command);
    const damaged = await alice.netns.run("ip link show");
    expect((await alice.kernel.faults()).join("; ")).toContain(words);
    expect(await alice.netns.run("ip link show")).toBe(damaged);
    await mend();
    expect(await alice.kernel.faults()).toEqual([]);
    expect(await renderHost(alice.netns)).toBe(whole);
  });

  test("a deleted bridge is one fault beside those of its device, and all of it comes back", async () => {
    await alice.netns.run("ip link del weave");
    const faults = await alice.kernel.faults();
    expect(faults[0]).toBe("bridge weave is missing");
    expect(faults.length).toBeLessThan(4);
    await mend();
    expect(await alice.kernel.faults()).toEqual([]);
    expect(await renderHost(alice.netns)).toBe(whole);
  });

  test("what network managers write is no fault, nor what goes with it", async () => {
    await alice.netns.run("ip link set weave address 02:12:34:56:78:9c");
    await alice.netns.run("ip addr add 192.0.2.1/24 dev weave");
    expect(await alice.kernel.faults()).toEqual([]);
    await alice.netns.run("ip addr del 192.0.2.1/24 dev weave");
    await mend();
    expect(await renderHost(alice.netns)).toBe(whole);
  });

  test("a wish that has not been carried out is no fault, and one that is under way is waited for", async () => {
    const mac = "02:a0:0a:20:09:09";
    const far = Array.from({ length: 1000 }, (_, i) => ({ address: `10.33.${i >> 8}.${i & 255}`, mac }));
    const more = { ...state, neighbours: [...state.neighbours, ...far] };
    const [, faults] = await Promise.all([alice.kernel.apply(more), alice.kernel.faults()]);
    expect(faults).toEqual([]);
    await mend();
  });

  test("hundreds who ask at once share a few readings", async () => {
    const started = performance.now();
    await alice.kernel.faults();
    const one = performance.now() - started;
    const before = performance.now();
    await Promise.all(Array.from({ length: 300 }, () => alice.kernel.faults()));
    expect(performance.now() - before).toBeLessThan(20 * one + 200);
  });

  test.each([
    ["tc qdisc del dev vwX root", "vwX has no limit (tbf)"],
    ["tc qdisc replace dev vwX root tbf rate 1mbit burst 10kb latency 25ms", "vwX has another limit (tbf)"],
    ["tc qdisc replace dev vwX root pfifo", "vwX has no limit (tbf)"],
    ["tc qdisc del dev vwX ingress", "vwX has no ingress filter"],
    ["tc filter del dev vwX ingress", "vwX has no ingress filter"],
    ["ip link del viX", "viX, which limits"],
    ["ip link set viX down", "is down"],
    ["tc qdisc del dev viX root", "viX has no limit (tbf)"],
  ])("%s", async (command, words) => {
    const { hostIfname } = container;
    const named = (text: string): string =>
      text.replace("vwX", hostIfname).replace("viX", hostIfname.replace("vw", "vi"));
    expect(await alice.kernel.shapingFaults(hostIfname, BANDWIDTH)).toEqual([]);
    await alice.netns.run(named(command));
    const damaged = await alice.netns.run("tc qdisc show");
    expect((await alice.kernel.shapingFaults(hostIfname, BANDWIDTH)).join("; ")).toContain(named(words));
    expect(await alice.netns.run("tc qdisc show")).toBe(damaged);
    expect(await alice.kernel.shape(hostIfname, BANDWIDTH)).toBe(true);
    expect(await alice.kernel.shapingFaults(hostIfname, BANDWIDTH)).toEqual([]);
    expect(await alice.kernel.shape(hostIfname, BANDWIDTH)).toBe(false);
    expect(await renderHost(alice.netns)).toBe(whole);
    const sent = await container.netns.run("ping -c 2 -i 0.1 -W 2 10.32.0.1");
    expect(sent).toContain(" 0% packet loss");
  });

  test("limits of any size are known again", async () => {
    const { hostIfname } = container;
    for (const limit of [
      { rate: 80_000_000_000, burst: 2 ** 32 - 1 },
      { rate: 1, burst: 8 },
      { rate: 12_345_678_901, burst: 1 },
    ]) {
      expect(await alice.kernel.shape(hostIfname, { ingress: limit, egress: limit })).toBe(true);
      expect(await alice.kernel.shapingFaults(hostIfname, { ingress: limit, egress: limit })).toEqual([]);
    }
    expect(await alice.kernel.shape(hostIfname, BANDWIDTH)).toBe(true);
    expect(await renderHost(alice.netns)).toBe(whole);
  });
});
