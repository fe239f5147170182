import { describe, expect, test } from "vitest";
import { WeaveError } from "../src/core/errors.ts";
import { hostIfname } from "./host-ifname.ts";
import { Harness, NOTHING_LEFT } from "./testing/harness.ts";
import { CNI_VERSIONS } from "./versions.ts";

const HOST = hostIfname({ network: "net1", containerId: "c-1", ifname: "eth0" });

describe("a plain ADD", () => {
  test("reserves, attaches, commits and answers", async () => {
    const daemon = new Harness();
    const { exit, json } = await daemon.call("ADD");
    expect(exit).toBe(0);
    expect(json).toEqual({
      cniVersion: "1.1.0",
      interfaces: [
        { name: "weave", mac: "02:b0:00:00:00:01" },
        { name: HOST, mac: "02:00:00:00:00:01" },
        { name: "eth0", mac: "02:a0:0a:20:00:02", sandbox: "/run/netns/c1", mtu: 1450 },
      ],
      ips: [{ address: "10.32.0.2/12", gateway: "10.32.0.1", interface: 2 }],
      routes: [{ dst: "0.0.0.0/0", gw: "10.32.0.1" }],
      dns: {},
    });
    expect(daemon.kernel.links.get(HOST)).toMatchObject({
      ...{ ifname: "eth0", bridge: "weave", mac: "02:a0:0a:20:00:02", mtu: 1450, hairpin: true },
      ...{
        addresses: ["10.32.0.2/12"],
        routes: [{ dst: "0.0.0.0/0", gw: "10.32.0.1" }],
        netns: { id: "ns-1" },
      },
    });
    expect(daemon.attachments.held.get("net1/c-1/eth0")).toMatchObject({
      mac: "02:a0:0a:20:00:02",
      netns: "ns-1",
      hostIfname: HOST,
    });
    expect(daemon.residue().openNetns).toBe(0);
  });

  test.each(CNI_VERSIONS)("answers in version %s", async (cniVersion) => {
    const daemon = new Harness();
    const { exit, json } = await daemon.call("ADD", { config: { cniVersion } });
    expect(exit).toBe(0);
    expect(json["cniVersion"]).toBe(cniVersion);
    expect(json).toHaveProperty(cniVersion < "0.3.0" ? "ip4" : "interfaces");
  });

  test("without a version answers in 0.1.0", async () => {
    const { json } = await new Harness().call("ADD", { config: '{"name":"net1"}' });
    expect(json).toMatchObject({ cniVersion: "0.1.0", ip4: { ip: "10.32.0.2/12" } });
  });

  test("gives both families with a gateway each, the MAC from IPv4", async () => {
    const daemon = new Harness();
    daemon.attachments.v6 = true;
    daemon.attachments.bridgeAddresses = ["10.32.0.1/12", "fd00::1/64"];
    const { json } = await daemon.call("ADD");
    expect(json["ips"]).toEqual([
      { address: "10.32.0.2/12", gateway: "10.32.0.1", interface: 2 },
      { address: "fd00::2/64", gateway: "fd00::1", interface: 2 },
    ]);
    expect(daemon.kernel.links.get(HOST)?.mac).toBe("02:a0:0a:20:00:02");
  });

  test("works on the descriptor the forwarder holds, and says the path byte for byte", async () => {
    const daemon = new Harness();
    const netns = "/var/run/../run/netns/in a deep place";
    const { json } = await daemon.call("ADD", { netns, body: { netnsFd: 5 } });
    expect(json["interfaces"]).toContainEqual(expect.objectContaining({ sandbox: netns }));
    expect(daemon.kernel.links.get(HOST)?.netns.id).toBe("fd-5");
  });
});

describe("the configuration's wishes", () => {
  test("subnet, gateway, routes, MTU, hairpin and dns", async () => {
    const daemon = new Harness();
    const ipam = {
      type: "weave-ipam",
      subnet: "10.40.1.0/24",
      gateway: "10.40.1.9",
      routes: [{ dst: "10.0.0.0/8" }],
    };
    const config = { mtu: 1300, hairpinMode: false, dns: { nameservers: ["9.9.9.9"] }, ipam };
    const { json } = await daemon.call("ADD", { config });
    expect(json).toMatchObject({
      ips: [{ address: "10.40.1.2/24", gateway: "10.40.1.9" }],
      routes: [{ dst: "10.0.0.0/8", gw: "10.40.1.9" }],
      dns: { nameservers: ["9.9.9.9"] },
    });
    expect(daemon.kernel.links.get(HOST)).toMatchObject({ mtu: 1300, hairpin: false });
    expect(daemon.attachments.asked).toEqual([]);
  });

  test("the bridge is exposed in the subnet that needs a gateway, and only then", async () => {
    const daemon = new Harness();
    await daemon.call("ADD", { config: { ipam: { routes: [] } } });
    expect(daemon.attachments.asked).toEqual([]);
    await daemon.call("ADD", {
      id: "c-2",
      netns: "/x",
      body: { netnsFd: 7 },
      config: { ipam: { subnet: "10.40.1.0/24" } },
    });
    expect(daemon.attachments.asked).toEqual(["10.40.1.0/24"]);
  });

  test("a requested address and MAC are given exactly", async () => {
    const daemon = new Harness();
    const { json } = await daemon.call("ADD", { args: "IP=10.32.7.7;MAC=02:00:00:00:00:77" });
    expect(json["ips"]).toMatchObject([{ address: "10.32.7.7/12" }]);
    expect(json["interfaces"]).toContainEqual(
      expect.objectContaining({ name: "eth0", mac: "02:00:00:00:00:77" }),
    );
  });

  test("a requested address that is taken is an error, not another address", async () => {
    const daemon = new Harness();
    await daemon.call("ADD", { args: "IP=10.32.7.7" });
    const before = daemon.residue();
    expect((await daemon.call("ADD", { id: "c-2", args: "IP=10.32.7.7" })).json).toMatchObject({ code: 103 });
    expect(daemon.residue()).toEqual(before);
  });
});

const FOREIGN = { ipam: { type: "host-local", subnet: "172.20.0.0/24" } };

describe("refused before any change", () => {
  test.each<[string, number, Parameters<Harness["call"]>[1]]>([
    ["a foreign ipam plugin without CNI_PATH", 4, { config: FOREIGN, env: { CNI_PATH: "" } }],
    ["a wish for the gateway", 103, { config: { ipam: { gateway: "10.32.0.9" } }, args: "IP=10.32.0.9" }],
    ["an unsupported field", 2, { config: { vlan: 100 } }],
    ["bad CNI_ARGS", 4, { args: "A=B=C" }],
    ["a multicast MAC", 7, { config: { runtimeConfig: { MAC: "01:00:00:00:00:01" } } }],
    ["a missing namespace", 101, { netns: "/run/netns/none" }],
    ["a namespace the forwarder did not find", 101, { body: { netnsError: "ENOENT" } }],
    ["a namespace the forwarder may not open", 8, { body: { netnsError: "EACCES" } }],
  ])("%s: code %i", async (_, code, call) => {
    const daemon = new Harness();
    const done: string[] = [];
    daemon.attachments.before = (operation) => void done.push(operation);
    expect((await daemon.call("ADD", call)).json).toMatchObject({ code });
    expect(done).toEqual([]);
    expect(daemon.residue()).toEqual(NOTHING_LEFT);
  });

  test("a gateway of another family than the addresses: code 7, nothing left", async () => {
    const daemon = new Harness();
    const { json } = await daemon.call("ADD", { config: { ipam: { gateway: "fd00::1" } } });
    expect(json).toMatchObject({ code: 7, msg: expect.stringContaining("ipam.gateway") });
    expect(daemon.residue()).toEqual(NOTHING_LEFT);
  });

  test("the host's namespace: code 8", async () => {
    const daemon = new Harness();
    daemon.kernel.before = (operation) => {
      if (operation === "openNetns") throw new WeaveError("netns-host", "that is the host");
    };
    expect((await daemon.call("ADD")).json).toMatchObject({ code: 8 });
    expect(daemon.residue()).toEqual(NOTHING_LEFT);
  });

  test("a second ADD: code 100, the first one untouched", async () => {
    const daemon = new Harness();
    await daemon.call("ADD");
    const before = daemon.residue();
    expect((await daemon.call("ADD")).json).toMatchObject({
      code: 100,
      msg: expect.stringContaining("eth0"),
    });
    expect(daemon.residue()).toEqual(before);
  });
});

describe("what fails half-way leaves nothing", () => {
  test.each<[string, number]>([
    ["gateways", 11],
    ["allocate", 11],
    ["attach", 11],
    ["commit", 11],
  ])("%s fails", async (where, code) => {
    const daemon = new Harness();
    const fail = (operation: string): void => {
      if (operation === where) throw new WeaveError("timeout", "too slow", { hint: "try again" });
    };
    daemon.attachments.before = fail;
    daemon.kernel.before = fail;
    expect((await daemon.call("ADD")).json).toMatchObject({ code, msg: "too slow; try again" });
    expect(daemon.residue()).toEqual(NOTHING_LEFT);
  });

  test.each(["openNetns", "gateways", "allocate", "attach", "commit"])(
    "the caller goes away during %s",
    async (where) => {
      const daemon = new Harness();
      const caller = new AbortController();
      const leave = (operation: string): void => {
        if (operation === where) caller.abort();
      };
      daemon.attachments.before = leave;
      daemon.kernel.before = leave;
      expect((await daemon.call("ADD", { signal: caller.signal })).json).toMatchObject({ code: 11 });
      expect(daemon.residue()).toEqual(NOTHING_LEFT);
    },
  );

  test("a bug is code 999, logged, and leaves nothing either", async () => {
    const daemon = new Harness();
    daemon.attachments.before = (operation) => {
      if (operation === "commit") throw new TypeError("undefined is not\n a function");
    };
    const { json } = await daemon.call("ADD");
    expect(json).toMatchObject({ code: 999, msg: "internal error: undefined is not a function" });
    expect(daemon.residue()).toEqual(NOTHING_LEFT);
    expect(daemon.logged).toEqual(["CNI call failed on a bug"]);
  });

  test("a link that was there before is not removed by the undo", async () => {
    const daemon = new Harness();
    await daemon.call("ADD");
    daemon.attachments.held.clear(); // the daemon lost its data, the container lives on
    expect((await daemon.call("ADD")).json).toMatchObject({ code: 100 });
    expect(daemon.residue()).toEqual({ addresses: "", links: HOST, openNetns: 0 });
  });

  test("an undo that fails is logged, the first error told", async () => {
    const daemon = new Harness();
    daemon.attachments.before = (operation) => {
      if (operation === "commit") throw new WeaveError("storage", "disk full");
    };
    daemon.kernel.before = (operation) => {
      if (operation === "detach") throw new WeaveError("kernel", "busy");
    };
    expect((await daemon.call("ADD")).json).toMatchObject({ code: 5, msg: "disk full" });
    expect(daemon.logged).toContain("after a failed ADD: cannot remove the interface");
    expect(daemon.residue()).toMatchObject({ addresses: "" });
  });

  test("an exhausted range: code 102", async () => {
    const daemon = new Harness();
    daemon.attachments.size = 0;
    expect((await daemon.call("ADD")).json).toMatchObject({ code: 102 });
    expect(daemon.residue()).toEqual(NOTHING_LEFT);
  });
});

describe("several attachments", () => {
  test("second interface, second network, ids alike in the front: all distinct", async () => {
    const daemon = new Harness();
    daemon.attachments.size = 10;
    const id = "0123456789abcdef";
    await daemon.call("ADD", { id: `${id}1` });
    expect((await daemon.call("ADD", { id: `${id}1`, ifname: "eth1" })).exit).toBe(0);
    expect((await daemon.call("ADD", { id: `${id}1`, ifname: "eth2", config: { name: "net2" } })).exit).toBe(
      0,
    );
    expect((await daemon.call("ADD", { id: `${id}2`, body: { netnsFd: 9 } })).exit).toBe(0);
    expect(daemon.kernel.links.size).toBe(4);
    expect(new Set([...daemon.attachments.held.values()].map((one) => one.addresses[0])).size).toBe(4);
  });

  test("same ifname in the same namespace by another id: code 100, nothing reserved", async () => {
    const daemon = new Harness();
    await daemon.call("ADD");
    const before = daemon.residue();
    expect((await daemon.call("ADD", { id: "c-2" })).json).toMatchObject({ code: 100 });
    expect(daemon.residue()).toEqual(before);
  });

  test("in parallel all get different addresses", async () => {
    const daemon = new Harness();
    daemon.attachments.size = 50;
    const ids = Array.from({ length: 50 }, (_, i) => i);
    const answers = await Promise.all(
      ids.map((i) => daemon.call("ADD", { id: `c-${i}`, body: { netnsFd: i } })),
    );
    expect(answers.every((answer) => answer.exit === 0)).toBe(true);
    expect(new Set([...daemon.attachments.held.values()].map((one) => one.addresses[0])).size).toBe(50);
  });

  test("two ADDs of one attachment at once: one wins", async () => {
    const daemon = new Harness();
    const answers = await Promise.all([daemon.call("ADD"), daemon.call("ADD")]);
    expect(answers.map((answer) => answer.exit)).toEqual([0, 1]);
    expect(daemon.attachments.held.size).toBe(1);
    expect(daemon.kernel.links.size).toBe(1);
  });
});

describe("weave-ipam", () => {
  test("gives an address and no interface, and touches no namespace", async () => {
    const daemon = new Harness();
    const ipam = { type: "weave-ipam", gateway: "10.32.0.1", routes: [{ dst: "0.0.0.0/0" }] };
    const call = {
      program: "weave-ipam",
      config: { cniVersion: "1.0.0", vlan: 5, ipam },
      body: { netnsError: "ENOENT" },
    } as const;
    const { json } = await daemon.call("ADD", call);
    expect(json).toEqual({
      cniVersion: "1.0.0",
      ips: [{ address: "10.32.0.2/12", gateway: "10.32.0.1" }],
      routes: [{ dst: "0.0.0.0/0" }],
      dns: {},
    });
    expect(daemon.residue()).toEqual({ addresses: "net1/c-1/eth0", links: "", openNetns: 0 });
    expect((await daemon.call("ADD", call)).json).toMatchObject({ code: 100 });
    expect((await daemon.call("DEL", call)).exit).toBe(0);
    expect(daemon.residue()).toEqual(NOTHING_LEFT);
  });

  test("undoes itself when the caller goes away", async () => {
    const daemon = new Harness();
    const caller = new AbortController();
    daemon.attachments.before = (operation) => void (operation === "commit" && caller.abort());
    expect((await daemon.call("ADD", { program: "weave-ipam", signal: caller.signal })).json).toMatchObject({
      code: 11,
    });
    expect(daemon.residue()).toEqual(NOTHING_LEFT);
  });
});
