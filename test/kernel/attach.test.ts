// Attaching and detaching containers on one host: configuration, announcements, and that failures leave nothing.
import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ifIndex } from "../../src/kernel/libc.ts";
import { inNetns } from "../../src/kernel/netns.ts";
import type { AttachSpec } from "../../src/ports/kernel.ts";
import { capture, eventually, type TestNamespace, whyNot } from "./support/namespaces.ts";
import { BRIDGE, type TestHost, World } from "./support/world.ts";

describe.skipIf(whyNot() !== undefined)("attach", () => {
  let world: World;
  let alice: TestHost;

  beforeAll(async () => {
    world = new World();
    alice = world.host("alice");
    await world.applyAll();
  });

  afterAll(async () => {
    await world?.close();
  });

  /** Links of a namespace other than loopback, by name. */
  const linksOf = async (ns: TestNamespace): Promise<string[]> =>
    (await ns.json("ip -j link show")).map((link) => String(link["ifname"])).filter((name) => name !== "lo");

  const refused = async (overrides: Partial<AttachSpec>): Promise<unknown> => {
    const before = await linksOf(alice.netns);
    const netns = world.namespace("refused");
    const open = await alice.kernel.openNetns({ path: netns.path });
    const error: unknown = await alice.kernel
      .attach({
        netns: open,
        ifname: "eth0",
        hostIfname: "vethwerefused",
        bridge: BRIDGE,
        mac: "02:a0:0a:20:03:01",
        mtu: 1450,
        addresses: ["10.32.3.1/12"],
        routes: [],
        hairpin: false,
        ...overrides,
      })
      .then(
        () => "attached",
        (reason: unknown) => reason,
      );
    await alice.kernel.closeNetns(open);
    expect(await linksOf(netns)).toEqual([]);
    expect(await linksOf(alice.netns)).toEqual(before);
    return error;
  };

  test("a container can use its addresses at once, IPv6 too, where the runtime had IPv6 off", async () => {
    const netns = world.namespace("v6off");
    await netns.run("sysctl -qw net.ipv6.conf.default.disable_ipv6=1");
    const open = await alice.kernel.openNetns({ path: netns.path });
    await alice.kernel.attach({
      netns: open,
      ifname: "eth0",
      hostIfname: "vethwev6",
      bridge: BRIDGE,
      mac: "02:a0:0a:20:02:01",
      mtu: 1450,
      addresses: ["10.32.2.1/12", "fd32::2:1/96"],
      routes: [
        { dst: "0.0.0.0/0", gw: "10.32.0.1" },
        { dst: "::/0", gw: "fd32::1" },
        { dst: "10.200.0.0/16" },
      ],
      hairpin: true,
    });
    await alice.kernel.closeNetns(open);
    const addresses = await netns.run("ip -6 addr show dev eth0 scope global");
    expect(addresses).toContain("fd32::2:1/96");
    expect(addresses).not.toContain("tentative");
    expect(await netns.run("ip route show")).toContain("default via 10.32.0.1 dev eth0");
    expect(await netns.run("ip route show")).toContain("10.200.0.0/16 dev eth0 scope link");
    expect(await netns.run("ip -6 route show default")).toContain("via fd32::1");
    const peer = await world.container(alice);
    expect(await netns.run(`ping -c 1 -W 2 ${peer.addresses[1]}`)).toContain(" 0% packet loss");
  });

  test("the host end has no address of its own", async () => {
    const container = await world.container(alice);
    expect(await alice.netns.run(`ip -6 addr show dev ${container.hostIfname}`)).toBe("");
  });

  test("a gateway outside every subnet is reached on the link", async () => {
    const container = await world.container(alice, {
      addresses: ["10.32.4.1/32"],
      mac: "02:a0:0a:20:04:01",
      routes: [{ dst: "0.0.0.0/0", gw: "169.254.1.1" }],
    });
    expect(await container.netns.run("ip route show default")).toContain("via 169.254.1.1 dev eth0 onlink");
  });

  test("other containers hear of a new one: gratuitous ARP and neighbour advertisement", async () => {
    const listener = await world.container(alice);
    const heard = await capture(listener.netns, "eth0", "arp or icmp6");
    for (let i = 0; i < 10; i++) {
      await world.container(alice);
    }
    const text = (await heard.stop()).join("\n");
    const announced = alice.containers.slice(-10);
    for (const { addresses } of announced) {
      expect(text).toContain(`Request who-has ${addresses[0]} tell ${addresses[0]}`);
      expect(text).toContain(`neighbor advertisement, tgt is ${addresses[1]}`);
    }
  });

  test("an announcement is made once, and leaves no neighbour behind", async () => {
    const listener = await world.container(alice);
    const heard = await capture(listener.netns, "eth0", "arp");
    const { netns, addresses } = await world.container(alice);
    // With no entry left the kernel has nothing to ask for again.
    expect(await netns.json("ip -j neigh show")).toEqual([]);
    const lines = (await heard.stop()).filter((line) => line.includes(`who-has ${addresses[0]} `));
    expect(lines).toHaveLength(1);
  });

  test("hairpin is a setting of the host port", async () => {
    const port = alice.containers.at(-1)?.hostIfname ?? "";
    const hairpin = (name: string): Promise<string> => alice.netns.run(`bridge -d link show dev ${name}`);
    expect(await hairpin(port)).toContain("hairpin on");
    const { hostIfname } = await world.container(alice, { hairpin: false });
    expect(await hairpin(hostIfname)).toContain("hairpin off");
  });

  test("a namespace can be named by a process and its descriptor", async () => {
    const netns = world.namespace("byfd");
    // The child holds the namespace as descriptor 3; the path then goes away, as one in another mount namespace would.
    const child = spawn("sleep", ["60"], {
      stdio: ["ignore", "ignore", "ignore", openSync(netns.path, "r")],
    });
    try {
      const pid = await eventually("sleep runs", () => child.pid);
      const byPath = await alice.kernel.openNetns({ path: netns.path });
      netns.remove();
      const open = await alice.kernel.openNetns({ pid, fd: 3 });
      expect(open.id).toBe(byPath.id);
      await alice.kernel.closeNetns(byPath);
      await alice.kernel.closeNetns(open);
      await expect(alice.kernel.openNetns({ pid, fd: 77 })).rejects.toMatchObject({ code: "netns-missing" });
      await expect(alice.kernel.openNetns({ pid: 4_194_303, fd: 3 })).rejects.toMatchObject({
        code: "netns-missing",
      });
    } finally {
      child.kill();
    }
  });

  test("another kind of namespace, and a directory, are no network namespaces", async () => {
    for (const path of ["/proc/self/ns/mnt", "/proc/self/ns/user", "/", "/dev/null"]) {
      await expect(alice.kernel.openNetns({ path })).rejects.toMatchObject({ code: "netns-invalid" });
    }
  });

  test("failures at every stage leave nothing", async () => {
    expect(await refused({ bridge: "nosuchbridge" })).toMatchObject({
      code: "kernel",
      fields: { errno: "ENODEV" },
    });
    expect(await refused({ mac: "01:00:00:00:00:01" })).toMatchObject({ code: "kernel" });
    expect(await refused({ addresses: ["10.32.3.1/12", "nonsense"] })).toMatchObject({ code: "bad-address" });
    expect(await refused({ routes: [{ dst: "0.0.0.0/0", gw: "nonsense" }] })).toMatchObject({
      code: "bad-address",
    });
    expect(await refused({ routes: [{ dst: "10.0.0.0/8", gw: "224.0.0.1" }] })).toMatchObject({
      code: "kernel",
    });
    expect(await refused({ ifname: "bad/name" })).toMatchObject({ code: "kernel" });
    expect(await refused({ hostIfname: "a-name-of-more-than-15" })).toMatchObject({ code: "kernel" });
    expect(await refused({ mtu: 5 })).toMatchObject({ code: "kernel" });
  });

  test("no attach leaves a descriptor open", async () => {
    const { readdirSync } = await import("node:fs");
    const container = await world.container(alice);
    await alice.kernel.detach(container.hostIfname);
    // Packet sockets close a moment later.
    const settled = async (): Promise<number> => {
      let last = -1;
      return eventually("descriptors settle", async () => {
        const now = readdirSync("/proc/self/fd").length;
        const same = now === last;
        last = now;
        await new Promise((resolve) => setTimeout(resolve, 50));
        return same && now;
      });
    };
    const before = await settled();
    for (let i = 0; i < 5; i++) {
      const one = await world.container(alice);
      await alice.kernel.detach(one.hostIfname);
      await refused({ mtu: 5 });
    }
    expect(await settled()).toBe(before);
  });

  test("when a detach has answered both ends are gone and their names are free", async () => {
    const netns = world.namespace("again");
    const open = await alice.kernel.openNetns({ path: netns.path });
    const host = openSync(alice.netns.path, "r");
    const hostIfname = "vwfeedfeedfeed";
    // Other deletions are under way all the time, so that the kernel is at work on some whenever one answers.
    const others = Array.from({ length: 20 }, (_, i) => `vethwo${i}`);
    for (const [i, name] of others.entries())
      await alice.netns.run(`ip link add ${name} type veth peer name vpo${i}`);
    for (const other of others) {
      await alice.kernel.attach({
        netns: open,
        ifname: "eth0",
        hostIfname,
        bridge: BRIDGE,
        mac: "02:a0:0a:20:03:02",
        mtu: 1450,
        addresses: ["10.32.3.2/12"],
        routes: [],
        hairpin: false,
      });
      const also = alice.kernel.detach(other);
      const gone = await alice.kernel.detach(hostIfname);
      // Looked at in the same turn: a moment later they would be gone in any case.
      expect([
        gone,
        inNetns(host, () => ifIndex(hostIfname)),
        inNetns(open.fd, () => ifIndex("eth0")),
      ]).toEqual([true, 0, 0]);
      expect(await also).toBe(true);
    }
    expect(await alice.kernel.detach(hostIfname)).toBe(false);
    await alice.kernel.closeNetns(open);
    closeSync(host);
  });

  test("fifty interfaces go in less than a fifth of the time of one by one", async () => {
    for (let i = 0; i < 50; i++) await alice.netns.run(`ip link add vethwb${i} type veth peer name vpb${i}`);
    const started = performance.now();
    expect(await alice.kernel.detach("vethwb0")).toBe(true);
    const alone = performance.now() - started;
    const rest = Array.from({ length: 49 }, (_, i) => `vethwb${i + 1}`);
    const together = performance.now();
    expect(await Promise.all(rest.map((name) => alice.kernel.detach(name)))).toEqual(rest.map(() => true));
    expect(performance.now() - together).toBeLessThan(Math.max(alone, 10) * 10);
  });
});
