// The installed plugin in every version of the specification: ADD and DEL from 0.1.0 on, the rest where it came.
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { CNI_VERSIONS } from "../../cni-plugin/versions.ts";
import { type Container, callPlugin, installedConfig } from "../support/container.ts";
import type { Host } from "../support/host.ts";
import { useLab } from "../support/lab.ts";
import { tracesOf } from "../support/traces.ts";

const address = z.string().regex(/^10\.\d+\.\d+\.\d+\/12$/);
const gateway = z.string().regex(/^10\.\d+\.\d+\.\d+$/);
const mac = z.string().regex(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/);
const routes = z.tuple([z.strictObject({ dst: z.literal("0.0.0.0/0"), gw: gateway })]);
const dns = z.strictObject({});

const families = z.strictObject({
  cniVersion: z.string(),
  ip4: z.strictObject({ ip: address, gateway, routes }),
  dns,
});

/** `ip` and `link`: what a version has besides what all have. */
function lists(ip: z.ZodRawShape, link: z.ZodRawShape) {
  return z.strictObject({
    cniVersion: z.string(),
    interfaces: z.tuple([
      z.strictObject({ name: z.literal("weave"), mac }),
      z.strictObject({ name: z.string(), mac }),
      z.strictObject({ name: z.literal("eth0"), mac, sandbox: z.string(), ...link }),
    ]),
    ips: z.tuple([z.strictObject({ address, gateway, interface: z.literal(2), ...ip })]),
    routes,
    dns,
  });
}

const withVersion = lists({ version: z.literal("4") }, {});
const SHAPES: Record<(typeof CNI_VERSIONS)[number], z.ZodType<{ cniVersion: string }>> = {
  "0.1.0": families,
  "0.2.0": families,
  "0.3.0": withVersion,
  "0.3.1": withVersion,
  "0.4.0": withVersion,
  "1.0.0": lists({}, {}),
  "1.1.0": lists({}, { mtu: z.int() }),
};

describe("every version of the specification", () => {
  const lab = useLab(1);
  let host: Host;
  let container: Container;

  beforeAll(async () => {
    host = lab.host(1);
    await host.launch();
    await host.weaveOk("expose");
  });

  // A test that failed in its middle must not fail those after it.
  afterEach(() => container?.call("DEL"));

  it("installs a single-plugin configuration for the kubelets of Weave Net's time", () => {
    expect(installedConfig(host)).toMatchObject({ name: "weave", type: "weave-net", cniVersion: "0.4.0" });
  });

  it.each([undefined, ...CNI_VERSIONS])("ADD and DEL at %s", async (version) => {
    const before = await tracesOf(host);
    container = lab.container(host);
    const config = { cniVersion: version };
    const { json, stdout } = await container.add({ config });
    const answered = version ?? "0.1.0";
    const result = SHAPES[answered].parse(json);
    expect(result.cniVersion).toBe(answered);
    expect(stdout.trim().split("\n")).toHaveLength(1);

    const [link] = await container.namespace.json("ip -j address show eth0");
    expect(link).toMatchObject({
      operstate: "UP",
      addr_info: expect.arrayContaining([
        expect.objectContaining({ local: container.address, prefixlen: 12 }),
      ]),
    });
    if (answered >= "0.3.0") {
      expect(json["interfaces"]).toMatchObject([
        { name: "weave" },
        { name: container.hostIfname },
        { mac: link?.["address"], sandbox: container.namespace.path },
      ]);
      expect(await host.veths()).toEqual([container.hostIfname]);
    }
    if (answered === "1.1.0") expect(json["interfaces"]).toMatchObject([{}, {}, { mtu: link?.["mtu"] }]);
    const [bridge] = (await host.status()).exposed;
    expect(await container.pings(bridge?.cidr.split("/")[0] ?? "")).toBe(true);

    const gone = await container.call("DEL", { config: { ...config, prevResult: json } });
    expect(gone).toMatchObject({ exit: 0, stdout: "" });
    expect(await container.namespace.succeeds("ip link show eth0")).toBe(false);
    expect(await tracesOf(host)).toEqual(before);
    expect(await container.call("DEL", { config })).toMatchObject({ exit: 0, stdout: "" });
  });

  it("VERSION tells them all, without the daemon's help or variables", async () => {
    const { exit, json } = await callPlugin(host, { command: "VERSION", stdin: "" });
    expect(exit).toBe(0);
    expect(json["supportedVersions"]).toEqual([...CNI_VERSIONS]);
    expect(json["cniVersion"]).toBe("1.1.0");
  });

  it("STATUS from 1.1.0 on", async () => {
    const ready = await callPlugin(host, { command: "STATUS", config: { cniVersion: "1.1.0" } });
    expect(ready).toMatchObject({ exit: 0, stdout: "" });
    const early = await callPlugin(host, { command: "STATUS", config: { cniVersion: "1.0.0" } });
    expect(early.exit).not.toBe(0);
    expect(early.json["code"]).toBe(1);
  });

  it("GC removes what the runtime does not list, and that alone", async () => {
    const before = await tracesOf(host);
    const [kept, lost] = [await lab.attached(host, "kept"), await lab.attached(host, "lost")];
    container = lost;
    const valid = [{ containerID: kept.id, ifname: "eth0" }];
    const config = { cniVersion: "1.1.0", "cni.dev/valid-attachments": valid };
    const other = await callPlugin(host, { command: "GC", config: { ...config, name: "another" } });
    expect(other.exit).toBe(0);
    expect(await host.veths()).toHaveLength(2);
    expect(await callPlugin(host, { command: "GC", config })).toMatchObject({ exit: 0, stdout: "" });
    expect(await host.veths()).toEqual([kept.hostIfname]);
    expect((await host.status()).endpoints.map((e) => e.address)).not.toContain(lost.address);
    await kept.del();
    expect(await tracesOf(host)).toEqual(before);
  });

  it("CHECK finds an attachment as ADD left it, and misses it after DEL", async () => {
    container = lab.container(host);
    const { json } = await container.add();
    expect(await container.call("CHECK", { config: { prevResult: json } })).toMatchObject({
      exit: 0,
      stdout: "",
    });
    await container.del();
    const missed = await container.call("CHECK", { config: { prevResult: json } });
    expect(missed.exit).not.toBe(0);
    expect(missed.json["code"]).toBe(105);
  });
});
