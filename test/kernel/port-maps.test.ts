// Published ports for real: from everywhere, over both families, with the client's address where it can be kept; and that
// they open nothing else.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { DatapathState, PortMap } from "../../src/core/datapath/state.ts";
import { ask, type Echo, echo } from "./support/echo.ts";
import { type TestNamespace, whyNot } from "./support/namespaces.ts";
import { OVERLAY, OVERLAY6, type TestContainer, type TestHost, World } from "./support/world.ts";

const PROTOCOLS = ["tcp", "udp"] as const;

describe.skipIf(whyNot() !== undefined)("port maps", () => {
  let world: World;
  let alice: TestHost;
  let bob: TestHost;
  let outside: TestNamespace;
  let web: TestContainer;
  /** Has no default route. */
  let bare: TestContainer;
  let other: TestContainer;
  let far: TestContainer;
  const servers: Echo[] = [];

  const exposed = (host: TestHost, portMaps: readonly PortMap[]): DatapathState => {
    const state = world.state(host);
    const number = host === alice ? 1 : 2;
    return {
      ...state,
      bridge: { ...state.bridge, addresses: [`10.32.0.${number}/12`, `fd32::${number}/96`] },
      firewall: {
        overlay: [OVERLAY, OVERLAY6],
        masquerade: [OVERLAY, OVERLAY6],
        exempt: [],
        portMaps,
        controlPort: 6783,
        controls: [],
      },
    };
  };
  const publish = async (...portMaps: PortMap[]): Promise<readonly string[]> => {
    const { changes, failures } = await alice.kernel.apply(exposed(alice, portMaps));
    expect(failures).toEqual([]);
    return changes;
  };
  const v4 = (container: TestContainer): string => container.addresses[0] ?? "";
  const v6 = (container: TestContainer): string => container.addresses[1] ?? "";
  const map = (
    container: TestContainer,
    hostPort: number,
    protocol: PortMap["protocol"] = "tcp",
    hostAddress?: string,
  ): PortMap[] =>
    [v4(container), v6(container)]
      .map((address) => ({ protocol, hostPort, address, port: 80, ...(hostAddress && { hostAddress }) }))
      .filter((one) => hostAddress === undefined || one.address.includes(":") === hostAddress.includes(":"));
  const serve = async (ns: TestNamespace, name: string, port: number, host?: string): Promise<void> => {
    servers.push(await echo(ns, name, port, host));
  };

  beforeAll(async () => {
    world = new World();
    alice = world.host("alice");
    bob = world.host("bob");
    await world.applyAll();
    const routes = (gw: number) => ({
      routes: [
        { dst: "0.0.0.0/0", gw: `10.32.0.${gw}` },
        { dst: "::/0", gw: `fd32::${gw}` },
      ],
    });
    web = await world.container(alice, routes(1));
    bare = await world.container(alice);
    other = await world.container(alice, routes(1));
    far = await world.container(bob, routes(2));
    outside = world.outside();
    await bob.kernel.apply(exposed(bob, []));
    await serve(web.netns, "web", 80);
  });
  afterAll(async () => {
    for (const server of servers) await server.stop();
    await world?.close();
  });
  test("a client outside reaches the container, which sees that client's address", async () => {
    expect(await publish(...map(web, 8080), ...map(web, 8080, "udp"))).toEqual(
      expect.arrayContaining([
        `nft port add tcp . 8080 : ${v4(web)} . 80`,
        `nft port add udp . 8080 : ${v6(web)} . 80`,
        "sysctl net.ipv4.conf.weave.route_localnet 1",
      ]),
    );
    for (const protocol of PROTOCOLS) {
      expect(await ask(outside, protocol, "10.99.0.1", 8080)).toBe("web 10.99.0.200");
      expect(await ask(outside, protocol, "fd99::1", 8080)).toBe("web fd99::c8");
    }
    expect(await ask(outside, "tcp", "10.99.0.1", 8081)).toBe("ECONNREFUSED");
    // Nor is the port published by hosts that were not asked to.
    expect(await ask(outside, "tcp", "10.99.0.2", 8080)).toBe("ECONNREFUSED");
  });

  test("the host reaches it by each of its addresses and by 127.0.0.1, the container needing no route back", async () => {
    await serve(bare.netns, "bare", 80);
    await publish(...map(web, 8080), ...map(bare, 8090), ...map(bare, 8090, "udp"));
    for (const address of ["10.99.0.1", "10.32.0.1", "127.0.0.1", "127.0.0.9"]) {
      expect(await ask(alice.netns, "tcp", address, 8080), address).toBe("web 10.32.0.1");
      for (const protocol of PROTOCOLS) {
        expect(await ask(alice.netns, protocol, address, 8090), address).toBe("bare 10.32.0.1");
      }
    }
    expect(await ask(alice.netns, "tcp", "fd99::1", 8090)).toBe("bare fd32::1");
    expect(await ask(alice.netns, "tcp", "fd32::1", 8090)).toBe("bare fd32::1");
    expect(await ask(alice.netns, "tcp", "::1", 8090)).toBe("ECONNREFUSED");
  });

  // br_netfilter takes a container's packet to another container, its destination once translated, for a bridged one.
  test.each(["0", "1"])(
    "containers reach it with bridge-nf-call-iptables %s, whichever they are",
    async (on) => {
      for (const family of ["ip", "ip6"]) {
        await alice.netns.run(`sysctl -qw net.bridge.bridge-nf-call-${family}tables=${on}`);
      }
      await publish(...map(web, 8080), ...map(web, 8080, "udp"));
      for (const protocol of PROTOCOLS) {
        for (const container of [web, other]) {
          const who = `${protocol} ${v4(container)}`;
          expect(await ask(container.netns, protocol, "10.99.0.1", 8080), who).toBe("web 10.32.0.1");
          expect(await ask(container.netns, protocol, "10.32.0.1", 8080), who).toBe("web 10.32.0.1");
          expect(await ask(container.netns, protocol, "fd99::1", 8080), who).toBe("web fd32::1");
        }
        expect(await ask(far.netns, protocol, "10.99.0.1", 8080)).toBe("web 10.99.0.2");
        expect(await ask(far.netns, protocol, "10.32.0.1", 8080)).toBe("web 10.32.0.1");
        expect(await ask(far.netns, protocol, "fd99::1", 8080)).toBe("web fd99::2");
      }
      // Those whose addresses another address manager gave are outside the ranges, and still reach themselves and others.
      const state = exposed(alice, [...map(web, 8080), ...map(web, 8080, "udp")]);
      await alice.kernel.apply({ ...state, firewall: { ...state.firewall, overlay: [], masquerade: [] } });
      for (const protocol of PROTOCOLS) {
        expect(await ask(web.netns, protocol, "10.99.0.1", 8080)).toBe("web 10.32.0.1");
        expect(await ask(web.netns, protocol, "fd99::1", 8080)).toBe("web fd32::1");
        expect(await ask(other.netns, protocol, "10.99.0.1", 8080)).toMatch(/^web 10\.32\./);
        expect(await ask(other.netns, protocol, "fd99::1", 8080)).toMatch(/^web fd32:/);
      }
    },
  );

  test("given one address of the host it answers on that, and comes before a port of all addresses", async () => {
    await alice.netns.run("ip addr add 10.99.0.101/24 dev eth0");
    await publish(...map(web, 8081, "tcp", "10.99.0.101"));
    expect(await ask(outside, "tcp", "10.99.0.101", 8081)).toBe("web 10.99.0.200");
    expect(await ask(alice.netns, "tcp", "10.99.0.101", 8081)).toBe("web 10.32.0.1");
    expect(await ask(outside, "tcp", "10.99.0.1", 8081)).toBe("ECONNREFUSED");
    expect(await ask(alice.netns, "tcp", "127.0.0.1", 8081)).toBe("ECONNREFUSED");
    await publish(
      ...map(bare, 8081),
      ...map(web, 8081, "tcp", "10.99.0.101"),
      ...map(web, 8083, "tcp", "fd99::1"),
    );
    expect(await ask(alice.netns, "tcp", "10.99.0.101", 8081)).toBe("web 10.32.0.1");
    expect(await ask(alice.netns, "tcp", "10.99.0.1", 8081)).toBe("bare 10.32.0.1");
    expect(await ask(outside, "tcp", "fd99::1", 8083)).toBe("web fd99::c8");
    expect(await ask(outside, "tcp", "10.99.0.1", 8083)).toBe("ECONNREFUSED");
    // "Any" may be spelled out.
    await publish({ protocol: "tcp", hostAddress: "0.0.0.0", hostPort: 8084, address: v4(web), port: 80 });
    expect(await ask(outside, "tcp", "10.99.0.1", 8084)).toBe("web 10.99.0.200");
  });

  test("SCTP is mapped, too", async () => {
    await publish(...map(web, 8082, "sctp"));
    const table = await alice.netns.run("nft list table inet weave");
    expect(table).toContain(`elements = { sctp . 8082 : ${v4(web)} . 80 }`);
    expect(table).toContain(`elements = { ${v6(web)} . sctp . 80 }`);
  });

  test("what the host serves on 127.0.0.1 stays out of a container's reach", async () => {
    await serve(alice.netns, "secret", 9999, "127.0.0.1");
    await publish(...map(web, 8080));
    // A container that may configure its own network sends to 127.0.0.1 by way of the host.
    for (const line of [
      "sysctl -qw net.ipv4.conf.all.route_localnet=1",
      "ip addr del 127.0.0.1/8 dev lo",
      "ip route add 127.0.0.1 via 10.32.0.1",
    ]) {
      await other.netns.run(line);
    }
    expect(await ask(other.netns, "tcp", "127.0.0.1", 9999)).toBe("silence");
    // It is the guard that keeps it out; and a flushed chain is noticed.
    await alice.netns.run("nft flush chain inet weave guard");
    expect(await ask(other.netns, "tcp", "127.0.0.1", 9999)).toBe(`secret ${v4(other)}`);
    await alice.kernel.observe();
    expect(await publish(...map(web, 8080))).toEqual(["nft load table inet weave"]);
    expect(await ask(other.netns, "tcp", "127.0.0.1", 9999)).toBe("silence");
  });

  test("UDP flows follow their port: from the host to a container, to another one, and back", async () => {
    await serve(alice.netns, "host", 5353);
    const askUdp = () => ask(outside, "udp", "10.99.0.1", 5353, 40_000);
    const udpMap = (container: TestContainer, hostAddress?: string) =>
      map(container, 5353, "udp", hostAddress);
    await publish();
    expect(await askUdp()).toBe("host 10.99.0.200");
    await publish(...udpMap(web));
    expect(await askUdp()).toBe("web 10.99.0.200");
    await publish(...udpMap(web, "10.99.0.1"));
    expect(await askUdp()).toBe("web 10.99.0.200");
    await publish();
    expect(await askUdp()).toBe("host 10.99.0.200");
    await publish(...udpMap(web));
    expect(await askUdp()).toBe("web 10.99.0.200");
    // While the daemon was away its containers changed.
    await alice.restart();
    await publish();
    expect(await askUdp()).toBe("host 10.99.0.200");
  });

  test("other flows, also to the same port elsewhere, are not forgotten", async () => {
    await serve(outside, "dns", 5353);
    await publish();
    expect(await ask(alice.netns, "udp", "10.99.0.200", 5353, 40_001)).toBe("dns 10.99.0.1");
    const flows = async () => (await alice.netns.run("conntrack -L -p udp --dst 10.99.0.200")).split(/\s+/);
    expect(await flows()).toContain("sport=40001");
    await publish(...map(web, 5353, "udp"));
    await publish();
    expect(await flows()).toContain("sport=40001");
  });

  test("lost elements come back; with the last port nothing is left", async () => {
    const maps = [...map(web, 8080), ...map(web, 8085, "tcp", "10.99.0.101")];
    await publish(...maps);
    for (const set of ["ports4", "hostports4", "published4"]) {
      const kind = set === "published4" ? "set" : "map";
      await alice.netns.run(`nft flush ${kind} inet weave ${set}`);
      await alice.kernel.observe();
      expect(await publish(...maps), set).toEqual(["nft load table inet weave"]);
    }
    expect(await publish(...maps)).toEqual([]);
    await publish();
    expect(await alice.netns.run("nft list table inet weave")).not.toMatch(
      /(ports|published)[46] \{[^}]*elements/,
    );
    expect(await alice.netns.run("sysctl -n net.ipv4.conf.weave.route_localnet")).toBe("0\n");
    expect(await ask(outside, "tcp", "10.99.0.1", 8080)).toBe("ECONNREFUSED");
  });

  test("from and to an exempt subnet nothing is masqueraded", async () => {
    const state = exposed(alice, []);
    const [subnet] = [`${v4(web)}/32`];
    await serve(outside, "wide", 7000);
    await outside.run(`ip route add ${OVERLAY} via 10.99.0.1`);
    await alice.kernel.apply(state);
    expect(await ask(web.netns, "tcp", "10.99.0.200", 7000)).toBe("wide 10.99.0.1");
    expect(await ask(outside, "tcp", v4(web), 80)).toBe("web 10.32.0.1");
    const { changes } = await alice.kernel.apply({
      ...state,
      firewall: { ...state.firewall, exempt: [subnet] },
    });
    expect(changes).toEqual([`nft exempt add ${subnet}`]);
    expect(await ask(web.netns, "tcp", "10.99.0.200", 7000)).toBe(`wide ${v4(web)}`);
    expect(await ask(outside, "tcp", v4(web), 80)).toBe("web 10.99.0.200");
  });
});
