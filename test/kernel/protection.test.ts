// What containers and strangers may not do, each shown twice: with the rules taken out the attack works, with them it fails.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { DatapathState } from "../../src/core/datapath/state.ts";
import { ask, type Echo, echo } from "./support/echo.ts";
import { BROADCAST, claim, etherFrame, routerAdvertisement, sendRaw, tagged } from "./support/forge.ts";
import { capture, eventually, type TestNamespace, whyNot } from "./support/namespaces.ts";
import { OVERLAY, OVERLAY6, type TestContainer, type TestHost, World } from "./support/world.ts";

/** Takes the rules of one chain out, and puts them back by the kernel's own means. */
async function without(
  host: TestHost,
  state: DatapathState,
  chains: readonly string[],
  work: () => Promise<void>,
) {
  for (const chain of chains) await host.netns.run(`nft flush chain ${chain}`);
  try {
    await work();
  } finally {
    await host.kernel.observe();
    await host.kernel.apply(state);
  }
}

describe.skipIf(whyNot() !== undefined)("protection", () => {
  let world: World;
  let alice: TestHost;
  let bob: TestHost;
  /** Two containers of alice, the second one the villain; one of bob. */
  let a1: TestContainer;
  let villain: TestContainer;
  let b1: TestContainer;
  let other: TestContainer;
  let outside: TestNamespace;
  const servers: Echo[] = [];

  const exposed = (host: TestHost, overrides: Partial<DatapathState> = {}): DatapathState => {
    const state = world.state(host);
    const number = world.hosts.indexOf(host) + 1;
    return {
      ...state,
      bridge: { ...state.bridge, addresses: [`10.32.0.${number}/12`, `fd32::${number}/96`] },
      firewall: { ...state.firewall, masquerade: [OVERLAY, OVERLAY6] },
      ...overrides,
    };
  };

  beforeAll(async () => {
    world = new World();
    alice = world.host("alice");
    bob = world.host("bob");
    outside = world.outside();
    await world.applyAll();
    const routes = (v4: string, v6: string) => ({
      routes: [
        { dst: "0.0.0.0/0", gw: v4 },
        { dst: "::/0", gw: v6 },
      ],
    });
    other = await world.container(alice);
    a1 = await world.container(alice, routes("10.32.0.1", "fd32::1"));
    villain = await world.container(alice, routes("10.32.0.1", "fd32::1"));
    b1 = await world.container(bob, routes("10.32.0.2", "fd32::2"));
    for (const host of [alice, bob]) {
      servers.push(await echo(host.netns, host.name, 6783));
      servers.push(await echo(host.netns, `${host.name}-service`, 5353));
    }
  });

  beforeEach(async () => {
    for (const host of [alice, bob]) expect((await host.kernel.apply(exposed(host))).failures).toEqual([]);
  });

  afterAll(async () => {
    for (const server of servers) await server.stop();
    await world?.close();
  });

  describe("VXLAN", () => {
    /** A stranger with a device of the same number, who says a1's host is where a1 is. */
    const stranger = async (v6 = false) => {
      const [local, remote] = v6 ? ["fd99::c8", "fd99::1"] : ["10.99.0.200", alice.address];
      await outside.run(
        `ip link add vx0 address 02:00:00:00:00:66 type vxlan id 6784 dstport 6784 local ${local} remote ${remote} nolearning`,
      );
      await outside.run("ip addr add 10.47.0.66/12 dev vx0");
      await outside.run("ip link set vx0 up");
      await outside.run(`ip neigh add ${a1.addresses[0]} lladdr ${a1.mac} dev vx0`);
    };
    const injected = async (): Promise<boolean> => {
      const seen = await capture(a1.netns, "eth0", "icmp and src 10.47.0.66");
      await outside.succeeds(`ping -c 2 -i 0.1 -W 1 ${a1.addresses[0]}`);
      return (await seen.stop()).length > 0;
    };

    test.each(["IPv4", "IPv6"])("from who is no peer is dropped, over %s", async (family) => {
      const v6 = family === "IPv6";
      const moved = (state: DatapathState): DatapathState =>
        v6
          ? { ...state, vxlan: { ...state.vxlan, local: "fd99::1" }, flood: ["fd99::2"], forwarding: [] }
          : state;
      const state = moved(exposed(alice));
      expect((await alice.kernel.apply(state)).failures).toEqual([]);
      await stranger(v6);
      try {
        expect(await injected()).toBe(false);
        await without(alice, state, ["inet weave vxlan"], async () => {
          expect(await injected()).toBe(true);
        });
        expect(await injected()).toBe(false);
        // One that joins is let in by an element, without a load; one that goes is shut out again.
        const joined = { ...state, flood: [...state.flood, v6 ? "fd99::c8" : "10.99.0.200"] };
        expect((await alice.kernel.apply(joined)).changes.join()).not.toContain("nft load");
        expect(await injected()).toBe(true);
        await alice.kernel.apply(state);
        expect(await injected()).toBe(false);
      } finally {
        await outside.run("ip link del vx0");
        await alice.kernel.apply(exposed(alice));
      }
    });

    test("between peers is not tracked: no rule asks for its state, and looking it up costs", async () => {
      const tracked = async (): Promise<boolean> => {
        for (const { netns } of [alice, bob]) await netns.succeeds("conntrack -F");
        expect(await a1.netns.run(`ping -c 1 -W 2 ${b1.addresses[0]}`)).toContain(" 0% packet loss");
        const lists = [alice, bob].map(({ netns }) => netns.run("conntrack -L -p udp"));
        return (await Promise.all(lists)).join().includes("dport=6784");
      };
      expect(await tracked()).toBe(false);
      await without(alice, exposed(alice), ["inet weave guard", "inet weave untracked"], async () => {
        expect(await tracked()).toBe(true);
      });
      expect(await tracked()).toBe(false);
    });

    test("a daemon that starts and does not know all yet shuts nobody out", async () => {
      await alice.restart();
      await alice.kernel.apply(exposed(alice, { flood: [], prune: false }));
      expect(await alice.netns.run("nft list set inet weave peers4")).toContain(bob.address);
      expect(await a1.netns.run(`ping -c 2 -i 0.1 -W 2 ${b1.addresses[0]}`)).toContain(" 0% packet loss");
      await alice.kernel.apply(exposed(alice, { flood: [], forwarding: [] }));
      expect(await alice.netns.run("nft list set inet weave peers4")).not.toContain(bob.address);
    });
  });

  describe("control and VXLAN ports", () => {
    const ROUTES = ["inet weave containers", "inet weave forward", "inet weave input"];
    const targets = () => [
      "10.32.0.1", // the bridge of its own host
      alice.address,
      "10.32.0.2", // that of another
      bob.address,
      "fd32::1",
      "fd99::1",
      "fd32::2",
      "fd99::2",
    ];

    test("TCP 6783 answers no container, on whatever host and address", async () => {
      for (const target of targets())
        expect([target, await ask(villain.netns, "tcp", target, 6783)]).toEqual([target, "silence"]);
      for (const target of targets())
        expect([target, await ask(villain.netns, "tcp", target, 5353)]).not.toEqual([target, "silence"]);
      expect(await ask(outside, "tcp", alice.address, 6783)).toContain("alice");
    });

    test("with the rules taken out it does", async () => {
      await without(alice, exposed(alice), ROUTES, async () => {
        await without(bob, exposed(bob), ROUTES, async () => {
          for (const target of targets())
            expect(await ask(villain.netns, "tcp", target, 6783)).toMatch(/alice|bob/);
        });
      });
    });

    test("a peer's daemon at another port is out of reach, too", async () => {
      const controls = [
        { address: bob.address, port: 5353 },
        { address: "fd99::2", port: 5353 },
      ];
      const state = exposed(alice);
      await alice.kernel.apply({ ...state, firewall: { ...state.firewall, controls } });
      for (const { address } of controls)
        expect(await ask(villain.netns, "tcp", address, 5353)).toBe("silence");
      await alice.kernel.apply(state);
      for (const { address } of controls)
        expect(await ask(villain.netns, "tcp", address, 5353)).toContain("bob");
    });

    /** A frame for a1 inside VXLAN inside UDP to a host's underlay address, as a container may send it. */
    const tunnelled = async (): Promise<boolean> => {
      const inner = etherFrame(b1.mac, villain.mac, 0x88b5, Buffer.alloc(46, 0x5a));
      const vxlan = Buffer.concat([Buffer.from([8, 0, 0, 0, 0, 0x1a, 0x80, 0]), inner]);
      const seen = await capture(b1.netns, "eth0", "ether proto 0x88b5");
      for (let i = 0; i < 3; i++)
        await villain.netns.exec([
          process.execPath,
          "-e",
          `const u=require("dgram").createSocket("udp4");u.send(Buffer.from("${vxlan.toString("hex")}","hex"),6784,"${bob.address}",()=>u.close())`,
        ]);
      return (await seen.stop()).length > 0;
    };

    test("UDP 6784 of another host is out of reach, though the packet would bear this host's address", async () => {
      expect(await tunnelled()).toBe(false);
      await without(alice, exposed(alice), ["inet weave forward"], async () => {
        expect(await tunnelled()).toBe(true);
      });
    });
  });

  describe("services of the host", () => {
    const linkLocal = async (): Promise<string> => {
      const [link] = await alice.netns.json("ip -j -6 addr show dev weave scope link");
      const found = JSON.stringify(link).match(/"local":"(fe80[^"]+)"/)?.[1];
      return `${found}%eth0`;
    };

    test("before exposure there is nothing but echo and ND", async () => {
      const hidden = world.state(alice);
      await alice.kernel.apply(hidden);
      const target = await linkLocal();
      expect(await villain.netns.run(`ping -c 1 -W 2 ${target}`)).toContain(" 0% packet loss");
      expect(await ask(villain.netns, "tcp", target, 5353)).toBe("silence");
      expect(await ask(villain.netns, "udp", target, 5353)).toBe("silence");
      await without(alice, hidden, ["inet weave containers"], async () => {
        expect(await ask(villain.netns, "tcp", target, 5353)).toContain("alice-service");
      });
    });

    test("after it they answer, at every address but the link-local one", async () => {
      for (const target of ["10.32.0.1", alice.address, "fd32::1", "fd99::1"])
        expect(await ask(villain.netns, "tcp", target, 5353)).toContain("alice-service");
      expect(await ask(villain.netns, "udp", "10.32.0.1", 5353)).toContain("alice-service");
      expect(await ask(villain.netns, "tcp", await linkLocal(), 5353)).toBe("silence");
    });

    test("what the host itself asks of a container is answered, also before exposure", async () => {
      await alice.kernel.apply(world.state(alice));
      const [link] = await a1.netns.json("ip -j -6 addr show dev eth0 scope link");
      const inside = JSON.stringify(link).match(/"local":"(fe80[^"]+)"/)?.[1];
      const server = await echo(a1.netns, "a1", 8080);
      try {
        expect(await ask(alice.netns, "tcp", `${inside}%weave`, 8080)).toContain("a1");
      } finally {
        await server.stop();
      }
    });

    test("127.0.0.0/8 is out of reach, even with route_localnet", async () => {
      await alice.netns.run("sysctl -qw net.ipv4.conf.weave.route_localnet=1");
      // The container sends what belongs to its own loopback out of its interface.
      for (const line of [
        "sysctl -qw net.ipv4.conf.all.route_localnet=1",
        "ip addr del 127.0.0.1/8 dev lo",
        "ip route add 127.0.0.1 via 10.32.0.1",
      ]) {
        await villain.netns.run(line);
      }
      expect(await ask(villain.netns, "tcp", "127.0.0.1", 5353)).toBe("silence");
      await without(alice, exposed(alice), ["inet weave guard"], async () => {
        expect(await ask(villain.netns, "tcp", "127.0.0.1", 5353)).toContain("alice-service");
      });
    });
  });

  describe("another's MAC and address", () => {
    /** Whether what b1 and the host send to a1 arrives at the villain, and not at a1. */
    const stolen = async (from: TestNamespace, target: string, attack: () => void): Promise<boolean> => {
      await from.succeeds(`ping -c 1 -W 1 ${target}`);
      const seen = await capture(villain.netns, "eth0", "icmp or (icmp6 and ip6[40] == 128)");
      attack();
      await from.succeeds(`ping -c 3 -i 0.1 -W 1 ${target}`);
      return (await seen.stop()).some((line) => line.includes(`> ${target}: ICMP`));
    };

    test("frames with another's MAC do not move it to the sender's port", async () => {
      const spoof = () => sendRaw(villain.netns, [etherFrame(BROADCAST, a1.mac, 0x88b5, Buffer.alloc(46))]);
      const [target = ""] = a1.addresses;
      expect(await stolen(other.netns, target, spoof)).toBe(false);
      // As it would be without the entry: the bridge learns who sends.
      await alice.netns.run(`bridge fdb del ${a1.mac} dev ${a1.hostIfname} master`);
      expect(await stolen(other.netns, target, spoof)).toBe(true);
      await alice.kernel.observe();
      expect((await alice.kernel.apply(exposed(alice))).changes).toContain(
        `fdb add ${a1.mac} dev ${a1.hostIfname}`,
      );
      expect(await stolen(other.netns, target, spoof)).toBe(false);
    });

    test.each([
      ["announced to all", (address: string) => claim(address, villain.mac)],
      ["told to one", (address: string) => claim(address, villain.mac, other.mac)],
      ["behind a tag of VLAN 0", (address: string) => tagged(claim(address, villain.mac, other.mac))],
    ])("another's address %s is not believed", async (_, forged) => {
      const chains = ["bridge weave prerouting"];
      for (const target of a1.addresses) {
        const spoof = () => sendRaw(villain.netns, [forged(target)]);
        expect([target, await stolen(other.netns, target, spoof)]).toEqual([target, false]);
        await without(alice, exposed(alice), chains, async () => {
          expect([target, await stolen(other.netns, target, spoof)]).toEqual([target, true]);
        });
        await other.netns.run("ip neigh flush all");
      }
    });

    test("nor that of a container of another host, or the gateway", async () => {
      for (const target of [...b1.addresses, "10.32.0.1", "fd32::1"]) {
        const spoof = () => sendRaw(villain.netns, [claim(target, villain.mac, other.mac)]);
        expect([target, await stolen(other.netns, target, spoof)]).toEqual([target, false]);
        await without(alice, exposed(alice), ["bridge weave prerouting"], async () => {
          expect([target, await stolen(other.netns, target, spoof)]).toEqual([target, true]);
        });
        await other.netns.run("ip neigh flush all");
      }
    });

    test("nor a router's word: advertisements and redirects", async () => {
      const routes = () => other.netns.run("ip -6 route show default");
      await other.netns.run("sysctl -qw net.ipv6.conf.eth0.accept_ra=2");
      const spoof = () => sendRaw(villain.netns, [routerAdvertisement(villain.mac)]);
      const before = await routes();
      spoof();
      await alice.netns.run(`ping -c 2 -i 0.2 -W 1 ${a1.addresses[0]}`);
      expect(await routes()).toBe(before);
      await without(alice, exposed(alice), ["bridge weave prerouting"], async () => {
        spoof();
        await eventually("the villain is a default route", async () => (await routes()).includes("proto ra"));
      });
      await other.netns.run("ip -6 route flush proto ra");
    });

    test("all of it in elements over netlink: a container that comes and goes loads no table", async () => {
      const late = await world.container(alice);
      const came = await alice.kernel.apply(exposed(alice));
      expect(came.failures).toEqual([]);
      expect(came.changes.join()).not.toContain("nft load");
      expect(await alice.netns.run("nft list set bridge weave homes4")).toContain(
        `"${late.hostIfname}" . ${late.addresses[0]}`,
      );
      expect(await alice.kernel.faults()).toEqual([]);
      await alice.kernel.detach(late.hostIfname);
      alice.containers.pop();
      const went = await alice.kernel.apply(exposed(alice));
      expect(went.changes.join()).not.toContain("nft load");
      expect(await alice.netns.run("nft list table bridge weave")).not.toContain(late.hostIfname);
      expect(await alice.kernel.faults()).toEqual([]);
    });

    test("a thousand endpoints of others are elements, too", async () => {
      const state = exposed(alice);
      const neighbours = Array.from({ length: 1000 }, (_, i) => ({
        address: `10.33.${i >> 8}.${i & 255}`,
        mac: b1.mac,
      }));
      const many = { ...state, neighbours: [...state.neighbours, ...neighbours] };
      const { changes, failures } = await alice.kernel.apply(many);
      expect(failures).toEqual([]);
      expect(changes.join()).not.toContain("nft load");
      expect(await alice.kernel.faults()).toEqual([]);
      await alice.kernel.apply(state);
      expect(await alice.kernel.faults()).toEqual([]);
    });

    test("a table that somebody deleted or emptied is told, and comes back", async () => {
      await alice.netns.run("nft flush set bridge weave homes4");
      expect((await alice.kernel.faults()).join()).toContain(
        "set homes4 of the firewall table bridge weave lacks",
      );
      await alice.netns.run("nft delete table bridge weave");
      expect((await alice.kernel.faults()).join()).toContain("firewall table bridge weave has 0 of its");
      await alice.kernel.observe();
      await alice.kernel.apply(exposed(alice));
      expect(await alice.kernel.faults()).toEqual([]);
    });
  });

  describe("what goes on working", () => {
    const pings = (from: TestContainer, to: string) => from.netns.run(`ping -c 1 -W 2 ${to}`);

    test("containers find each other, the gateway and the outside from empty caches", async () => {
      for (const container of [a1, villain, other, b1]) await container.netns.run("ip neigh flush all");
      for (const to of [...other.addresses, ...b1.addresses, "10.32.0.1", "fd32::1", "10.99.0.200"])
        expect(await pings(a1, to)).toContain(" 0% packet loss");
    });

    test("a container announces its own address, and with a MAC it has since", async () => {
      const [address = ""] = other.addresses;
      await pings(a1, address);
      const mac = "02:00:00:00:0b:0b";
      await other.netns.run(`ip link set eth0 address ${mac}`);
      sendRaw(other.netns, [claim(address, mac)]);
      await eventually("a1 knows the new MAC", async () =>
        (await a1.netns.json("ip -j neigh show dev eth0")).some(
          (entry) => entry["dst"] === address && entry["lladdr"] === mac,
        ),
      );
      expect(await pings(a1, address)).toContain(" 0% packet loss");
      // The daemon follows it a moment later.
      const state = exposed(alice);
      const followed = {
        ...state,
        ports: state.ports.map((port) => (port.name === other.hostIfname ? { ...port, mac } : port)),
        neighbours: state.neighbours.map((entry) => (entry.address === address ? { ...entry, mac } : entry)),
      };
      expect((await alice.kernel.apply(followed)).changes).toEqual(
        expect.arrayContaining([
          `fdb add ${mac} dev ${other.hostIfname}`,
          `fdb del ${other.mac} dev ${other.hostIfname}`,
        ]),
      );
      expect(await pings(a1, address)).toContain(" 0% packet loss");
      await other.netns.run(`ip link set eth0 address ${other.mac}`);
      expect((await alice.kernel.apply(state)).failures).toEqual([]);
      expect(await pings(a1, address)).toContain(" 0% packet loss");
    });

    test("an address nobody was given moves between containers as they announce it", async () => {
      const spare = "10.40.0.40";
      for (const holder of [other, villain, other]) {
        await holder.netns.run(`ip addr add ${spare}/12 dev eth0`);
        sendRaw(holder.netns, [claim(spare, holder.mac)]);
        expect(await pings(a1, spare)).toContain(" 0% packet loss");
        await holder.netns.run(`ip addr del ${spare}/12 dev eth0`);
      }
    });

    test("duplicate addresses are still found: a probe and its answer pass", async () => {
      const [, address = ""] = a1.addresses;
      await other.netns.run("sysctl -qw net.ipv6.conf.eth0.accept_dad=1 net.ipv6.conf.eth0.dad_transmits=1");
      await other.netns.run(`ip addr add ${address}/96 dev eth0`);
      await eventually("the address is known to be taken", async () =>
        (await other.netns.run("ip -6 addr show dev eth0")).includes("dadfailed"),
      );
      await other.netns.run(`ip addr del ${address}/96 dev eth0`);
    });
  });
});
