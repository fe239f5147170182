// Two hosts joined by VXLAN from a hand-fed plan: packets really cross, and only where they should.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { transfer } from "../support/traffic.ts";
import { capture, eventually, whyNot } from "./support/namespaces.ts";
import { BRIDGE, type TestContainer, type TestHost, VXLAN, World } from "./support/world.ts";

const reason = whyNot();

describe.skipIf(reason !== undefined)("two hosts", () => {
  let world: World;
  let alice: TestHost;
  let bob: TestHost;
  let a1: TestContainer;
  let a2: TestContainer;
  let b1: TestContainer;

  beforeAll(async () => {
    world = new World();
    alice = world.host("alice");
    bob = world.host("bob");
    await world.applyAll();
    a1 = await world.container(alice);
    a2 = await world.container(alice);
    b1 = await world.container(bob);
    await world.applyAll();
  });

  afterAll(async () => {
    await world?.close();
  });

  test("containers reach each other across hosts both ways, IPv4 and IPv6", async () => {
    for (const [from, to] of [
      [a1, b1],
      [b1, a1],
    ] as const) {
      for (const address of to.addresses) {
        expect(await from.netns.run(`ping -c 3 -i 0.05 -W 2 ${address}`)).toContain(" 0% packet loss");
      }
    }
  });

  test("a full-size packet crosses", async () => {
    expect(await a1.netns.run(`ping -c 2 -i 0.05 -W 2 -M do -s 1422 ${b1.addresses[0]}`)).toContain(
      " 0% packet loss",
    );
  });

  test("resolving a remote or local container sends no ARP and no NS over the underlay", async () => {
    for (const container of [a1, a2, b1]) await container.netns.run("ip neigh flush all");
    const onWire = await capture(alice.netns, "eth0", "udp port 6784");
    for (const address of [...b1.addresses, ...a2.addresses]) {
      expect(await a1.netns.run(`ping -c 1 -W 2 ${address}`)).toContain(" 0% packet loss");
    }
    const text = (await onWire.stop()).join("\n");
    expect(text).toMatch(/ICMP/);
    expect(text).not.toMatch(/ARP|neighbor (solicitation|advertisement)/);
  });

  test("unicast is not flooded to other local containers, nor to other hosts", async () => {
    const other = await capture(a2.netns, "eth0", "icmp");
    expect(await a1.netns.run(`ping -c 5 -i 0.05 -W 2 ${b1.addresses[0]}`)).toContain(" 0% packet loss");
    expect(await b1.netns.run(`ping -c 5 -i 0.05 -W 2 ${a1.addresses[0]}`)).toContain(" 0% packet loss");
    expect(await other.stop()).toEqual([]);
  });

  test("broadcast reaches the other host through the flood list", async () => {
    const there = await capture(b1.netns, "eth0", "icmp and ether broadcast");
    await a1.netns.succeeds("ping -b -c 2 -i 0.2 -W 1 10.47.255.255");
    expect((await there.stop()).length).toBe(2);
  });

  test("asking for the same state again changes nothing, neither here nor from a fresh process", async () => {
    expect(await alice.kernel.apply(world.state(alice))).toEqual({ changes: [], failures: [] });
    await alice.restart();
    // The firewall table is replaced as a whole once by every new process.
    expect(await alice.kernel.apply(world.state(alice))).toEqual({
      changes: ["nft load table inet weave"],
      failures: [],
    });
  });

  test("a restart loses no packet", async () => {
    const ping = a1.netns.run(`ping -c 100 -i 0.01 -W 2 ${b1.addresses[0]}`);
    for (let i = 0; i < 3; i++) {
      await alice.restart();
      await bob.restart();
      await world.applyAll();
    }
    expect(await ping).toContain(" 0% packet loss");
  });

  test("what somebody deletes comes back after observe, and by itself when a call failed", async () => {
    await alice.netns.run(`bridge fdb del ${b1.mac} dev ${VXLAN} dst ${bob.address} self`);
    await alice.netns.run(`ip neigh del ${b1.addresses[0]} dev ${BRIDGE}`);
    expect((await alice.kernel.apply(world.state(alice))).changes).toEqual([]);
    await alice.kernel.observe();
    expect([...(await alice.kernel.apply(world.state(alice))).changes].sort()).toEqual([
      `fdb add ${b1.mac} dst ${bob.address}`,
      `neighbour add ${b1.addresses[0]} ${b1.mac}`,
    ]);

    await alice.netns.run(`ip link del ${VXLAN}`);
    const plus = world.state(alice, { flood: [bob.address, "10.99.0.77"] });
    const report = await alice.kernel.apply(plus);
    expect(report.failures).toEqual([]);
    expect(report.changes).toContain("flood add 10.99.0.77");
    expect((await alice.kernel.apply(world.state(alice))).changes).toEqual(["flood del 10.99.0.77"]);
    expect(await a1.netns.run(`ping -c 2 -i 0.05 -W 2 ${b1.addresses[0]}`)).toContain(" 0% packet loss");
  });

  test("after an attach that found no bridge the next apply makes it again", async () => {
    const carol = world.host("carol");
    await carol.kernel.apply(world.state(carol));
    await carol.netns.run(`ip link del ${BRIDGE}`);
    await expect(world.container(carol)).rejects.toMatchObject({ code: "kernel" });
    expect((await carol.kernel.apply(world.state(carol))).failures).toEqual([]);
    await world.container(carol);
    await carol.kernel.close();
    world.hosts.pop();
  });

  test("without prune nothing found is deleted; with it, what nobody wants goes", async () => {
    const stray = "02:a0:0a:20:00:63";
    await alice.netns.run(`bridge fdb add ${stray} dev ${VXLAN} dst 10.99.0.9 self master static`);
    await alice.netns.run(`bridge fdb append 00:00:00:00:00:00 dev ${VXLAN} dst 10.99.0.9 self permanent`);
    await alice.netns.run(`ip neigh add 10.32.0.99 lladdr ${stray} nud permanent dev ${BRIDGE}`);
    await alice.restart();
    const kept = await alice.kernel.apply(world.state(alice, { prune: false }));
    expect(kept.changes).toEqual(["nft load table inet weave"]);
    const pruned = await alice.kernel.apply(world.state(alice));
    expect([...pruned.changes].sort()).toEqual([
      `fdb del ${stray}`,
      "flood del 10.99.0.9",
      "neighbour del 10.32.0.99",
    ]);
    expect(await alice.netns.run(`bridge fdb show dev ${VXLAN}`)).not.toContain(stray);
  });

  test("without prune what this process wanted itself is deleted, and a moved entry is moved", async () => {
    const extra = { mac: "02:a0:0a:20:00:64", vtep: bob.address };
    const state = world.state(alice, { prune: false });
    await alice.kernel.apply({ ...state, forwarding: [...state.forwarding, extra] });
    const moved = { ...extra, vtep: "10.99.0.9" };
    expect(
      (await alice.kernel.apply({ ...state, forwarding: [...state.forwarding, moved] })).changes,
    ).toEqual([`fdb set ${extra.mac} dst 10.99.0.9`]);
    expect((await alice.kernel.apply(state)).changes).toEqual([`fdb del ${extra.mac}`]);
  });

  test("a local container that uses a remote MAC does not pull its traffic", async () => {
    const thief = await world.container(alice, {
      mac: b1.mac,
      addresses: ["10.32.7.7/12"],
    });
    alice.containers.pop();
    await thief.netns.succeeds(`ping -c 2 -i 0.05 -W 1 ${a1.addresses[0]}`);
    expect(await a1.netns.run(`ping -c 3 -i 0.05 -W 2 ${b1.addresses[0]}`)).toContain(" 0% packet loss");
    await alice.kernel.detach(thief.hostIfname);
  });

  test("an entry given twice counts once and settles", async () => {
    const state = world.state(alice);
    const twice = {
      ...state,
      flood: [...state.flood, ...state.flood],
      forwarding: [...state.forwarding, ...state.forwarding],
      neighbours: [
        ...state.neighbours,
        { address: "10.32.9.9", mac: a1.mac },
        { address: "10.32.9.9", mac: a2.mac },
      ],
    };
    await alice.kernel.apply(twice);
    expect(await alice.kernel.apply(twice)).toEqual({ changes: [], failures: [] });
    await alice.kernel.apply(state);
  });

  test("one bad entry is reported and the rest is done", async () => {
    const state = world.state(alice);
    const report = await alice.kernel.apply({
      ...state,
      flood: ["not-an-address", ...state.flood, "10.99.0.50"],
    });
    expect(report.changes).toEqual(["flood add 10.99.0.50"]);
    expect(report.failures).toEqual([
      { object: "flood add not-an-address", message: "not an IP address: not-an-address" },
    ]);
    await alice.kernel.apply(state);
  });

  test("when an endpoint's MAC changes, containers of this host learn it at once", async () => {
    await a1.netns.run(`ping -c 1 -W 2 ${b1.addresses[0]}`);
    await a1.netns.run(`ping -c 1 -W 2 ${b1.addresses[1]}`);
    const mac = "02:a0:0a:20:00:65";
    const onWire = await capture(alice.netns, "eth0", "udp port 6784");
    const state = world.state(alice);
    const report = await alice.kernel.apply({
      ...state,
      forwarding: [...state.forwarding, { mac, vtep: bob.address }],
      neighbours: state.neighbours.map((entry) =>
        b1.addresses.includes(entry.address) ? { ...entry, mac } : entry,
      ),
    });
    expect(report.changes).toContain(`announce ${b1.addresses[0]} ${mac}`);
    await eventually(
      "a1 has the new MAC in its cache",
      async () =>
        (await a1.netns.json("ip -j neigh show dev eth0")).filter((entry) => entry["lladdr"] === mac)
          .length === 2,
    );
    expect((await onWire.stop()).join("\n")).not.toMatch(/ARP|neighbor advertisement/);
    await alice.kernel.apply(state);
    await a1.netns.run("ip neigh flush all");
  });

  test("an address that comes back with another MAC is announced to the containers here", async () => {
    const [address = ""] = b1.addresses;
    const state = world.state(alice);
    const without = { ...state, neighbours: state.neighbours.filter((entry) => entry.address !== address) };
    await alice.kernel.apply(without);
    const moved = { address, mac: "02:00:5e:00:53:72" };
    const report = await alice.kernel.apply({ ...without, neighbours: [...without.neighbours, moved] });
    expect(report.changes).toContain(`announce ${address} ${moved.mac}`);
    await alice.kernel.apply(state);
  });

  test("below the least MTU of IPv6 the overlay carries IPv4, and comes back from there", async () => {
    const mtu = (size: number) => {
      const state = world.state(alice);
      return { ...state, bridge: { ...state.bridge, mtu: size } };
    };
    const low = await alice.kernel.apply(mtu(1000));
    expect(low.failures.filter(({ message }) => message.includes("sysctl"))).toEqual([]);
    expect(await a1.netns.succeeds(`ping -c 1 -W 2 ${b1.addresses[0]}`)).toBe(true);
    const late = await world.container(alice, { mtu: 1000, addresses: ["10.32.9.9/12"] });
    expect(await late.netns.succeeds(`ping -c 1 -W 2 ${a1.addresses[0]}`)).toBe(true);
    alice.containers.pop();
    await alice.kernel.detach(late.hostIfname);
    expect((await alice.kernel.apply(mtu(1450))).failures).toEqual([]);
    expect((await alice.netns.run("cat /proc/sys/net/ipv6/conf/weave/accept_ra")).trim()).toBe("0");
    await alice.kernel.apply(world.state(alice));
  });

  test("a bridge that was deleted is made anew, and the containers' ports are put back on it", async () => {
    await alice.netns.run(`ip link del ${BRIDGE}`);
    await alice.netns.run(`ip link set ${a2.hostIfname} down`);
    await alice.kernel.observe();
    const report = await alice.kernel.apply(world.state(alice));
    expect(report.failures).toEqual([]);
    for (const { hostIfname } of [a1, a2]) {
      expect(report.changes).toContain(`link set ${hostIfname} master ${BRIDGE} up`);
    }
    for (const from of [a1, a2]) {
      expect(await from.netns.succeeds(`ping -c 1 -W 2 ${b1.addresses[0]}`)).toBe(true);
    }
  });

  test("TCP carries data both ways, every byte of it", async () => {
    const bytes = 4 << 20;
    for (const [from, to] of [
      [a1, b1],
      [b1, a1],
    ] as const) {
      expect(await transfer(from.netns, to.netns, to.addresses[0] ?? "", bytes)).toBe(bytes);
    }
  });
});
