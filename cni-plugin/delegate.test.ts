import { describe, expect, test } from "vitest";
import { WeaveError } from "../src/core/errors.ts";
import type { PluginCall } from "../src/ports/plugins.ts";
import { type Call, Harness, NOTHING_LEFT } from "./testing/harness.ts";

const IPAM = { type: "host-local", subnet: "172.20.0.0/24" };
const RESULT = {
  cniVersion: "1.1.0",
  ips: [{ address: "172.20.0.2/24", gateway: "172.20.0.1" }],
  routes: [{ dst: "0.0.0.0/0" }],
  dns: { nameservers: ["10.0.0.1"] },
};

/** A daemon beside which host-local is installed and answers so. */
function withPlugin(answer: (call: PluginCall) => unknown = () => RESULT, exit = 0): Harness {
  const daemon = new Harness();
  daemon.plugins.installed.set("host-local", (call) => ({
    exit,
    stdout: call.env["CNI_COMMAND"] === "DEL" ? "" : JSON.stringify(answer(call)),
    stderr: "",
  }));
  return daemon;
}

const add = (daemon: Harness, config: Record<string, unknown> = {}, call: Call = {}) =>
  daemon.call("ADD", { config: { ipam: IPAM, ...config }, ...call });

describe("ADD", () => {
  test("asks the plugin with our caller's variables and configuration, and uses what it chose", async () => {
    const daemon = withPlugin();
    const { json } = await add(daemon, {}, { args: "IgnoreUnknown=1;K8S_POD_NAME=p" });
    expect(json).toMatchObject({
      ips: [{ address: "172.20.0.2/24", gateway: "172.20.0.1", interface: 2 }],
      routes: [{ dst: "0.0.0.0/0", gw: "172.20.0.1" }],
      dns: { nameservers: ["10.0.0.1"] },
    });
    expect(daemon.plugins.calls).toMatchObject([
      {
        type: "host-local",
        path: "/opt/cni/bin",
        env: {
          CNI_COMMAND: "ADD",
          CNI_CONTAINERID: "c-1",
          CNI_IFNAME: "eth0",
          CNI_NETNS: "/run/netns/c1",
          CNI_ARGS: "IgnoreUnknown=1;K8S_POD_NAME=p",
        },
        stdin: JSON.stringify({ cniVersion: "1.1.0", name: "net1", ipam: IPAM }),
      },
    ]);
    expect([...daemon.kernel.links.values()][0]).toMatchObject({
      addresses: ["172.20.0.2/24"],
      mac: "02:a0:ac:14:00:02",
    });
    expect(daemon.attachments.asked).toEqual([]);
    expect(daemon.attachments.exposed()).toEqual(["10.32.0.1/12"]);
  });

  test("the oldest result is understood", async () => {
    const daemon = withPlugin(() => ({
      ip4: { ip: "172.20.0.2/24", gateway: "172.20.0.1", routes: [{ dst: "0.0.0.0/0" }] },
    }));
    const { json } = await add(daemon, { cniVersion: "0.2.0" });
    expect(json).toMatchObject({
      ip4: { ip: "172.20.0.2/24", gateway: "172.20.0.1", routes: [{ dst: "0.0.0.0/0", gw: "172.20.0.1" }] },
    });
  });

  test.each([
    [{ isGateway: true }, [], [{ dst: "10.0.0.0/8", gw: "172.20.0.1" }]],
    [
      { isDefaultGateway: true },
      [],
      [
        { dst: "10.0.0.0/8", gw: "172.20.0.1" },
        { dst: "0.0.0.0/0", gw: "172.20.0.1" },
      ],
    ],
  ])("%j: the gateway becomes the bridge's, also where nobody named one", async (wish, _, routes) => {
    const daemon = withPlugin(() => ({
      ips: [{ address: "172.20.0.2/24" }],
      routes: [{ dst: "10.0.0.0/8" }],
    }));
    expect((await add(daemon, wish)).json).toMatchObject({ routes });
    expect(daemon.attachments.exposed()).toContain("172.20.0.1/24");
  });

  test("ports of the host need the bridge in the plugin's subnet", async () => {
    const daemon = withPlugin();
    const runtimeConfig = { portMappings: [{ hostPort: 8080, containerPort: 80 }] };
    expect((await add(daemon, { runtimeConfig })).json).toMatchObject({
      code: 7,
      msg: expect.stringContaining("isGateway"),
    });
    expect(daemon.residue()).toEqual(NOTHING_LEFT);
    expect((await add(daemon, { runtimeConfig, isGateway: true })).json).not.toHaveProperty("code");
  });

  test("ourselves as that plugin, by name or by a link: refused before anybody waits for himself", async () => {
    const daemon = new Harness();
    const named = await daemon.call("ADD", { config: { ipam: { type: "weave-net" } } });
    expect(named.json).toMatchObject({ code: 7, msg: expect.stringContaining("weave-net") });
    const linked = await daemon.call("ADD", { env: { CNI_WEAVE_DELEGATE: "1" } });
    expect(linked.json).toMatchObject({ code: 7, msg: expect.stringContaining("ipam.type") });
    expect((await daemon.call("DEL", { config: { ipam: { type: "weave-net" } } })).exit).toBe(0);
  });

  test("the plugin's refusal is ours, its code and words kept; its DEL is called", async () => {
    const daemon = withPlugin(() => ({ code: 11, msg: "no lease", details: "dhcp" }), 1);
    expect((await add(daemon)).json).toMatchObject({ code: 11, msg: "ipam plugin host-local: no lease" });
    expect(daemon.plugins.verbs()).toEqual(["host-local ADD", "host-local DEL"]);
    expect(daemon.residue()).toEqual(NOTHING_LEFT);
  });

  test.each(["allocate", "attach", "commit"])(
    "when %s fails, the plugin's DEL is called and nothing is left",
    async (step) => {
      const daemon = withPlugin();
      const fail = (operation: string): void => {
        if (operation === step) throw new WeaveError("address-taken", "held by container x on host-2");
      };
      daemon.attachments.before = fail;
      daemon.kernel.before = fail;
      expect((await add(daemon, { isGateway: true })).json).toMatchObject({ code: 103 });
      expect(daemon.plugins.verbs()).toEqual(["host-local ADD", "host-local DEL"]);
      expect(daemon.residue()).toEqual(NOTHING_LEFT);
    },
  );

  test.each<[string, unknown]>([
    ["no address", { ips: [] }],
    ["no prefix", { ips: [{ address: "172.20.0.2" }] }],
    ["no JSON object", 5],
    ["a bad gateway", { ips: [{ address: "172.20.0.2/24", gateway: "x" }] }],
  ])("an answer with %s: code 6, nothing left", async (_, answer) => {
    const daemon = withPlugin(() => answer);
    expect((await add(daemon)).json).toMatchObject({ code: 6, msg: expect.stringContaining("host-local") });
    expect(daemon.residue()).toEqual(NOTHING_LEFT);
  });

  test("a plugin that is not there: said so", async () => {
    const { json } = await add(new Harness());
    expect(json).toMatchObject({ msg: expect.stringContaining("no plugin host-local") });
  });
});

describe("DEL", () => {
  test("link, address, then the plugin, with the configuration of now", async () => {
    const daemon = withPlugin();
    await add(daemon);
    expect((await daemon.call("DEL", { config: { ipam: IPAM, dns: {} } })).exit).toBe(0);
    expect(daemon.residue()).toEqual(NOTHING_LEFT);
    expect(daemon.plugins.verbs()).toEqual(["host-local ADD", "host-local DEL"]);
    expect(daemon.plugins.calls[1]?.stdin).toContain('"dns"');
  });

  test("with another configuration the plugin of ADD is called, with what ADD was told", async () => {
    const daemon = withPlugin();
    await add(daemon);
    await daemon.call("DEL", { config: { ipam: { type: "static" } } });
    expect(daemon.plugins.verbs()).toEqual(["host-local ADD", "host-local DEL"]);
    expect(daemon.plugins.calls[1]).toMatchObject({
      path: "/opt/cni/bin",
      stdin: daemon.plugins.calls[0]?.stdin,
      env: { CNI_NETNS: "/run/netns/c1" },
    });
  });

  test("a plugin that is no more does not keep the container from going", async () => {
    const daemon = withPlugin();
    await add(daemon);
    daemon.plugins.installed.clear();
    const answer = await daemon.call("DEL", { config: { ipam: IPAM } });
    expect(answer.exit).toBe(0);
    expect(answer.stderr).toContain("weave-net: there is no plugin host-local");
    expect(daemon.residue()).toEqual(NOTHING_LEFT);
  });

  test("a dead namespace: the plugin is told although no runtime asks", async () => {
    const daemon = withPlugin();
    await add(daemon);
    daemon.kernel.links.clear();
    daemon.kernel.dead.add("ns-1");
    await daemon.plugin.reconcile();
    expect(daemon.plugins.verbs()).toEqual(["host-local ADD", "host-local DEL"]);
  });
});

test("CHECK, GC and STATUS reach the plugin, and its error is ours", async () => {
  const daemon = withPlugin();
  const { json: prevResult } = await add(daemon);
  daemon.plugins.installed.set("host-local", () => ({
    exit: 1,
    stdout: '{"code":50,"msg":"full"}',
    stderr: "",
  }));
  const none = { id: "", ifname: "", netns: "" };
  const config = { ipam: IPAM };
  expect((await daemon.call("STATUS", { ...none, config })).json).toMatchObject({ code: 50 });
  expect((await daemon.call("CHECK", { config: { ...config, prevResult } })).json).toMatchObject({
    code: 50,
  });
  expect((await daemon.call("GC", { ...none, config })).json).toMatchObject({
    code: 104,
    msg: expect.stringContaining("full"),
  });
});
