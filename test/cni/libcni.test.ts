// The tests' own libcni against plugins that only record: what it gives to each, in which order, and what it keeps.
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { TestNamespace } from "../kernel/support/namespaces.ts";
import { capitalised, Libcni, PluginFailure, parseNetwork } from "../support/libcni/libcni.ts";

const RESULT = {
  cniVersion: "1.1.0",
  interfaces: [{ name: "eth0", mtu: 1 }],
  ips: [{ address: "10.0.0.2/8" }],
};

describe("the tests' libcni", () => {
  const dir = mkdtempSync(join(tmpdir(), "weave-libcni-"));
  const namespace = new TestNamespace("libcni");
  const pod = { containerId: "c1", netns: "/run/netns/c1", ifname: "eth0" };
  let cni: Libcni;

  /** An executable that answers in JSON and fails on one verb. */
  function plugin(name: string, answer: unknown, failsOn = "none"): void {
    const file = join(dir, name);
    const failure = JSON.stringify({
      cniVersion: "1.0.0",
      code: 11,
      msg: `${name} is tired`,
      details: "very",
    });
    const script = [
      "#!/bin/sh",
      `[ "$CNI_COMMAND" = ${failsOn} ] && { echo '${failure}'; exit 3; }`,
      `[ "$CNI_COMMAND" = VERSION ] && { echo '{"cniVersion":"1.0.0","supportedVersions":["1.0.0"]}'; exit 0; }`,
      `[ "$CNI_COMMAND" = ADD ] && echo '${JSON.stringify(answer)}'`,
      `env | grep CNI_ | sort > ${file}.env`,
      "exit 0",
    ];
    writeFileSync(file, script.join("\n"));
    chmodSync(file, 0o755);
  }

  const order = (): string[] => cni.runs.map(({ command, type }) => `${command} ${type}`);
  const stdin = (number: number): unknown => JSON.parse(cni.runs[number]?.stdin ?? "");

  beforeAll(() => {
    plugin("first", RESULT);
    plugin("second", RESULT);
    plugin("tired", RESULT, "DEL");
    plugin("weak", RESULT, "ADD");
    writeFileSync(join(dir, "sleepy"), "#!/bin/sh\nexec sleep 60\n", { mode: 0o755 });
  });
  beforeEach(() => {
    cni = new Libcni({
      netns: namespace.path,
      binDirs: ["/nowhere", dir],
      cacheDir: mkdtempSync(join(dir, "c")),
    });
  });
  afterAll(() => {
    namespace.remove();
    rmSync(dir, { recursive: true });
  });

  it("runs a chain forwards on ADD and CHECK and backwards on DEL, with the result before it", async () => {
    const plugins = [{ type: "first", own: "<1>" }, { type: "second" }];
    const network = parseNetwork({ name: "n", cniVersion: "1.0.0", plugins });
    await cni.add(network, {
      ...pod,
      args: [
        ["A", "1"],
        ["B", "2"],
      ],
    });
    await cni.check(network, pod);
    await cni.del(network, pod);
    expect(order()).toEqual([
      "ADD first",
      "ADD second",
      "CHECK first",
      "CHECK second",
      "DEL second",
      "DEL first",
    ]);
    expect(cni.runs[0]?.stdin).toBe(
      '{"cniVersion":"1.0.0","name":"n","own":"\\u003c1\\u003e","type":"first"}',
    );
    const converted = { ...RESULT, cniVersion: "1.0.0", dns: {} };
    for (const later of [1, 2, 3, 4, 5]) expect(stdin(later)).toMatchObject({ prevResult: converted });
    expect(readFileSync(join(dir, "second.env"), "utf8").split("\n")).toEqual([
      "CNI_ARGS=",
      "CNI_COMMAND=DEL",
      "CNI_CONTAINERID=c1",
      "CNI_IFNAME=eth0",
      "CNI_NETNS=/run/netns/c1",
      `CNI_PATH=/nowhere:${dir}`,
      "",
    ]);
  });

  it("gives a plugin the capabilities it declares, and capitals where containerd is imitated", async () => {
    const plugins = [
      { type: "first", capabilities: { portMappings: true, mac: false } },
      { type: "second", capabilities: { bandwidth: true } },
    ];
    const offered = { portMappings: [{ hostPort: 1, hostIP: "" }], mac: "02:00:00:00:00:01" };
    const network = parseNetwork({ name: "n", cniVersion: "1.0.0", plugins });
    await cni.add(network, { ...pod, capabilityArgs: capitalised(offered) });
    expect(stdin(0)).toMatchObject({ runtimeConfig: { portMappings: [{ HostPort: 1, HostIP: "" }] } });
    expect(stdin(0)).not.toHaveProperty("runtimeConfig.mac");
    expect(stdin(1)).not.toHaveProperty("runtimeConfig");
  });

  it("keeps result, configuration and arguments of an attachment", async () => {
    const network = parseNetwork({ name: "n", cniVersion: "0.4.0", type: "first", own: 1 });
    const full = { ...pod, args: [["A", "1"]] as const, capabilityArgs: { mac: "x" } };
    await cni.add(network, full);
    const file = cni.cache.path("n", pod);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(cni.cache.lookup("n", pod)).toEqual({ network, attachment: full });
    const cached = {
      cniVersion: "0.4.0",
      interfaces: [{ name: "eth0" }],
      ips: [{ version: "4", address: "10.0.0.2/8" }],
    };
    expect(cni.cache.result(network, pod)).toEqual({ ...cached, dns: {} });
    const older = parseNetwork({ name: "n", cniVersion: "0.2.0", type: "first" });
    expect(cni.cache.result(older, pod)).toEqual({ cniVersion: "0.2.0", ip4: { ip: "10.0.0.2/8" }, dns: {} });
    await cni.del(older, pod); // below 0.4.0: no prevResult
    expect(stdin(1)).not.toHaveProperty("prevResult");
    expect(existsSync(file)).toBe(false);
  });

  it("stops at the first failure, and says it as the plugin did", async () => {
    const plugins = [{ type: "first" }, { type: "tired" }, { type: "second" }];
    const network = parseNetwork({ name: "n", cniVersion: "1.0.0", plugins });
    await cni.add(network, pod);
    await expect(cni.del(network, pod)).rejects.toMatchObject({ code: 11, msg: "tired is tired; very" });
    expect(order().slice(3)).toEqual(["DEL second", "DEL tired"]);
    expect(existsSync(cni.cache.path("n", pod))).toBe(true);
    const weak = parseNetwork({
      name: "n",
      cniVersion: "1.0.0",
      plugins: [{ type: "weak" }, { type: "first" }],
    });
    await expect(cni.add(weak, pod)).rejects.toBeInstanceOf(PluginFailure);
    expect(order().slice(5)).toEqual(["ADD weak"]);
    const absent = parseNetwork({ name: "n", cniVersion: "1.0.0", type: "absent" });
    await expect(cni.add(absent, pod)).rejects.toThrow("failed to find plugin");
  });

  it("chooses the highest version it knows, as libraries of that age do", () => {
    const list = {
      name: "n",
      cniVersion: "0.4.0",
      cniVersions: ["1.0.0", "1.1.0", "2.0.0"],
      plugins: [{ type: "t" }],
    };
    expect(parseNetwork(list).cniVersion).toBe("1.1.0");
    expect(parseNetwork(list, "1.0.0").cniVersion).toBe("0.4.0");
    expect(parseNetwork({ name: "n", type: "t" }).cniVersion).toBe("");
  });

  it("asks for CHECK, STATUS and GC only where the version and the network have them", async () => {
    const of = (cniVersion: string, more = {}) =>
      parseNetwork({ name: "n", cniVersion, plugins: [{ type: "first" }], ...more });
    await expect(cni.check(of("0.3.1"), pod)).rejects.toThrow("does not support CHECK");
    await cni.check(of("1.0.0", { disableCheck: "true" }), pod);
    await cni.status(of("1.0.0"));
    await cni.gc(of("1.0.0"), []);
    await cni.gc(of("1.1.0", { disableGC: true }), []);
    expect(order()).toEqual([]);
    await expect(cni.check(of("1.0.0"), pod)).rejects.toThrow("no cached result");
    await cni.status(of("1.1.0"));
    expect(order()).toEqual(["STATUS first"]);
    await expect(cni.validate(of("0.4.0"))).rejects.toThrow("does not support config version");
    await cni.validate(of("1.0.0"));
  });

  it("collects garbage by DEL for what it remembers, then GC with both names of the list", async () => {
    const network = parseNetwork({
      name: "n",
      cniVersion: "1.1.0",
      plugins: [{ type: "first" }, { type: "tired" }],
    });
    await cni.add(network, pod);
    await cni.add(network, { ...pod, containerId: "c2" });
    cni.runs.length = 0;
    await expect(cni.gc(network, [pod])).rejects.toThrow("tired is tired");
    expect(order()).toEqual(["DEL tired", "GC first", "GC tired"]);
    const list = [{ containerID: "c1", ifname: "eth0" }];
    expect(stdin(1)).toMatchObject({ "cni.dev/attachments": list, "cni.dev/valid-attachments": list });
  });

  it("kills the plugin that runs", async () => {
    const network = parseNetwork({ name: "n", cniVersion: "1.0.0", type: "sleepy" });
    const adding = cni.add(network, pod, AbortSignal.timeout(100));
    await expect(adding).rejects.toMatchObject({ run: { exit: -1 } });
  });
});
