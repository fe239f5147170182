// Every rtnetlink object against the real kernel: made by our code, read back by `ip` and `bridge`, and the other way round.
import { openSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { inNetns, warmThreadPool } from "../../src/kernel/netns.ts";
import { addAddress, deleteAddress, listAddresses } from "../../src/kernel/rtnetlink/address.ts";
import { DirectSocket } from "../../src/kernel/rtnetlink/direct.ts";
import { addFlood, deleteFdb, deleteFlood, listFdb, setFdb } from "../../src/kernel/rtnetlink/fdb.ts";
import {
  changeLink,
  createLink,
  deleteGroup,
  deleteLink,
  getLink,
  groupLink,
  kindExists,
  listLinks,
} from "../../src/kernel/rtnetlink/link.ts";
import {
  encodeBridge,
  encodePort,
  encodeVeth,
  encodeVxlan,
  encodeVxlanChange,
} from "../../src/kernel/rtnetlink/link-info.ts";
import { deleteNeighbour, listNeighbours, setNeighbour } from "../../src/kernel/rtnetlink/neighbour.ts";
import { addRoute, listRoutes } from "../../src/kernel/rtnetlink/route.ts";
import { NETLINK_ROUTE, type NetlinkPort, NetlinkSocket } from "../../src/kernel/rtnetlink/socket.ts";
import { TestNamespace, whyNot } from "./support/namespaces.ts";

const MAC = "02:a0:0a:20:00:05";

const SOCKETS = [
  ["through the event loop", NetlinkSocket],
  ["directly", DirectSocket],
] as const;

describe.skipIf(whyNot() !== undefined).each(SOCKETS)("rtnetlink %s", (_, Socket) => {
  let ns: TestNamespace;
  let other: TestNamespace;
  let socket: NetlinkPort;
  let bridge: number;
  let vxlan: number;

  const index = async (name: string): Promise<number> => (await getLink(socket, name))?.index ?? 0;

  beforeAll(async () => {
    await warmThreadPool();
    ns = new TestNamespace("rt");
    other = new TestNamespace("rt-other");
    socket = inNetns(openSync(ns.path, "r"), () => new Socket(NETLINK_ROUTE));
    await createLink(socket, "br", {
      mac: "02:b0:00:00:00:01",
      up: true,
      info: encodeBridge({ stp: false, mcastSnooping: false }),
    });
    bridge = await index("br");
    const info = encodeVxlan({ vni: 42, port: 6784, local: "10.99.0.1", learning: false });
    await createLink(socket, "vx", { mac: "02:c0:00:00:00:01", mtu: 1400, master: bridge, info });
    vxlan = await index("vx");
  });

  afterAll(async () => {
    await socket?.close();
    ns?.remove();
    other?.remove();
  });

  test("links: bridge, VXLAN and port settings", async () => {
    await changeLink(
      socket,
      { index: vxlan, name: "vx" },
      { info: encodePort({ learning: false, neighSuppress: true }) },
    );
    await changeLink(
      socket,
      { index: vxlan, name: "vx" },
      { up: true, info: encodeVxlanChange({ local: "10.99.0.3", learning: false }) },
    );
    const shown = await ns.run("ip -d link show vx");
    expect(shown).toMatch(/mtu 1400 .*master br/);
    expect(shown).toMatch(/vxlan id 42 local 10.99.0.3 .*dstport 6784 nolearning/);
    expect(shown).toMatch(/learning off .*neigh_suppress on/);
    expect(await ns.run("ip -d link show br")).toMatch(/stp_state 0 .*mcast_snooping 0/);
    expect(await getLink(socket, "vx")).toMatchObject({
      up: true,
      mtu: 1400,
      master: bridge,
      info: { kind: "vxlan", vni: 42, port: 6784, local: "10.99.0.3", learning: false },
      port: { learning: false, neighSuppress: true, hairpin: false },
    });
    expect(await getLink(socket, "nosuch")).toBeUndefined();
    await expect(createLink(socket, "br", {})).rejects.toMatchObject({
      code: "kernel",
      message: "link add br: EEXIST",
      fields: { operation: "link add", object: "br", errno: "EEXIST" },
    });
  });

  test("links: a veth pair into another namespace, grouped and deleted together", async () => {
    const netnsFd = openSync(other.path, "r");
    for (const n of [1, 2]) {
      const info = encodeVeth({ ifname: `in${n}`, mac: `02:a0:00:00:00:0${n}`, mtu: 1300, netnsFd });
      await createLink(socket, `out${n}`, { up: true, mtu: 1300, master: bridge, info });
    }
    expect(await other.run("ip link show in1")).toMatch(/mtu 1300 [\s\S]*02:a0:00:00:00:01/);
    expect((await listLinks(socket, bridge)).map((link) => link.name)).toEqual(["vx", "out1", "out2"]);
    await groupLink(socket, "out1", 4242);
    await groupLink(socket, "out2", 4242);
    const own = inNetns(openSync(ns.path, "r"), () => new DirectSocket(NETLINK_ROUTE));
    expect(await deleteGroup(own, 4242)).toBe(true);
    expect(await deleteGroup(own, 4242)).toBe(false);
    await own.close();
    expect(await deleteLink(socket, "out1")).toBe(false);
    expect(await other.run("ip link show")).not.toContain("in1");
  });

  test("links: probing a kind makes nothing", async () => {
    expect(await kindExists(socket, "bridge")).toBe(true);
    expect(await kindExists(socket, "no-such-kind")).toBe(false);
    expect((await listLinks(socket)).map((link) => link.name)).toEqual(["lo", "br", "vx"]);
  });

  test("addresses", async () => {
    expect(await addAddress(socket, bridge, "10.32.0.1/12")).toBe(true);
    expect(await addAddress(socket, bridge, "10.32.0.1/12")).toBe(false);
    expect(await addAddress(socket, bridge, "fd32::1/96")).toBe(true);
    const shown = await ns.run("ip addr show dev br");
    expect(shown).toContain("inet 10.32.0.1/12 scope global br");
    expect(shown).toContain("inet6 fd32::1/96 scope global nodad");
    await ns.run("ip addr add 192.0.2.7/24 dev br");
    const held = (await listAddresses(socket)).filter((entry) => entry.index === bridge && entry.global);
    expect(held.map((entry) => `${entry.address}/${entry.prefix}`)).toEqual([
      "10.32.0.1/12",
      "192.0.2.7/24",
      "fd32::1/96",
    ]);
    expect(await deleteAddress(socket, bridge, "192.0.2.7/24")).toBe(true);
    expect(await deleteAddress(socket, bridge, "192.0.2.7/24")).toBe(false);
  });

  test("routes", async () => {
    await addAddress(socket, bridge, "10.32.0.1/12");
    await addAddress(socket, bridge, "fd32::1/96");
    expect(
      await addRoute(socket, { dst: "0.0.0.0/0", gateway: "10.32.0.9", oif: bridge, onlink: false }),
    ).toBe(true);
    expect(
      await addRoute(socket, { dst: "0.0.0.0/0", gateway: "10.32.0.8", oif: bridge, onlink: false }),
    ).toBe(false);
    expect(
      await addRoute(socket, { dst: "10.200.0.0/16", gateway: "172.16.0.1", oif: bridge, onlink: true }),
    ).toBe(true);
    expect(await addRoute(socket, { dst: "::/0", gateway: "fd32::9", oif: bridge, onlink: false })).toBe(
      true,
    );
    const shown = await ns.run("ip route show");
    expect(shown).toContain("default via 10.32.0.9 dev br");
    expect(shown).toContain("10.200.0.0/16 via 172.16.0.1 dev br onlink");
    expect(await ns.run("ip -6 route show default")).toContain("via fd32::9 dev br");
    await ns.run("ip route add blackhole 198.51.100.0/24");
    await ns.run("ip route add 203.0.113.0/24 dev br table 77");
    const held = await listRoutes(socket);
    expect(held).toContainEqual(
      expect.objectContaining({ dst: "0.0.0.0/0", isDefault: true, gateway: "10.32.0.9", oif: bridge }),
    );
    expect(held).toContainEqual(expect.objectContaining({ dst: "198.51.100.0/24", oif: undefined }));
    expect(held.some((route) => route.dst === "203.0.113.0/24")).toBe(false);
    await expect(
      addRoute(socket, { dst: "10.9.0.0/16", gateway: "172.16.0.1", oif: bridge, onlink: false }),
    ).rejects.toMatchObject({
      message: "route add 10.9.0.0/16: ENETUNREACH",
    });
  });

  test("neighbours", async () => {
    await setNeighbour(socket, bridge, "10.32.0.5", MAC);
    await setNeighbour(socket, bridge, "fd32::5", MAC);
    await setNeighbour(socket, bridge, "10.32.0.5", "02:a0:00:00:00:09");
    const shown = await ns.run("ip neigh show dev br nud permanent");
    expect(shown).toContain("10.32.0.5 lladdr 02:a0:00:00:00:09 PERMANENT");
    expect(shown).toContain(`fd32::5 lladdr ${MAC} PERMANENT`);
    const held = (await listNeighbours(socket, bridge)).filter((entry) => entry.permanent);
    expect(held.map((entry) => entry.address).sort()).toEqual(["10.32.0.5", "fd32::5"]);
    expect(await deleteNeighbour(socket, bridge, "fd32::5")).toBe(true);
    expect(await deleteNeighbour(socket, bridge, "fd32::5")).toBe(false);
  });

  test("the FDB: flood list, both halves, moving", async () => {
    expect(await addFlood(socket, vxlan, "10.99.0.2")).toBe(true);
    expect(await addFlood(socket, vxlan, "10.99.0.4")).toBe(true);
    await addFlood(socket, vxlan, "10.99.0.4");
    await setFdb(socket, vxlan, MAC, "10.99.0.2");
    await setFdb(socket, vxlan, MAC, "10.99.0.4");
    const shown = await ns.run("bridge fdb show dev vx");
    expect(shown).toContain(`${MAC} dst 10.99.0.4 self`);
    expect(shown).toContain(`${MAC} sticky master br static`);
    expect(shown.match(/00:00:00:00:00:00/g)?.length).toBe(2);
    expect(await listFdb(socket, { bridge, vxlan })).toEqual({
      flood: new Set(["10.99.0.2", "10.99.0.4"]),
      self: new Map([[MAC, "10.99.0.4"]]),
      master: new Map([[MAC, { sticky: true }]]),
      homes: new Map(),
    });
    expect(await deleteFdb(socket, vxlan, MAC, "self")).toBe(true);
    expect(await deleteFdb(socket, vxlan, MAC, "self")).toBe(false);
    expect(await deleteFdb(socket, vxlan, MAC, "master")).toBe(true);
    expect(await deleteFdb(socket, vxlan, MAC, "master")).toBe(false);
    await deleteFlood(socket, vxlan, "10.99.0.2");
    await deleteFlood(socket, vxlan, "10.99.0.2");
    expect((await listFdb(socket, { bridge, vxlan })).flood).toEqual(new Set(["10.99.0.4"]));
    await deleteFlood(socket, vxlan, "10.99.0.4");
    await deleteFlood(socket, vxlan, "10.99.0.4");
    expect((await listFdb(socket, { bridge, vxlan })).flood).toEqual(new Set());
  });

  test("dumps and requests side by side on one socket do not disturb each other", async () => {
    const jobs = Array.from({ length: 40 }, (_, n) => [
      listNeighbours(socket, bridge),
      setNeighbour(socket, bridge, `10.40.0.${n + 1}`, MAC),
      listLinks(socket),
      getLink(socket, "br"),
    ]).flat();
    await Promise.all(jobs);
    expect(
      (await listNeighbours(socket, bridge)).filter((entry) => entry.address.startsWith("10.40.")).length,
    ).toBe(40);
  });

  test("a closed socket refuses", async () => {
    const closed = inNetns(openSync(ns.path, "r"), () => new Socket(NETLINK_ROUTE));
    const last = getLink(closed, "br");
    await closed.close();
    expect((await last)?.name).toBe("br");
    await expect(getLink(closed, "br")).rejects.toMatchObject({ fields: { errno: "EBADF" } });
  });
});
