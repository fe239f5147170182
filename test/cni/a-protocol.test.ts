// Cases 1-24 of the contract: environment, stdin and the configuration's outer form. No case leaves anything behind.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Container, callPlugin, type PluginCall } from "../support/container.ts";
import type { Host } from "../support/host.ts";
import { expectError } from "./errors.ts";
import { runRaw } from "./raw.ts";
import { expectEmpty, type Remains, remainsOf } from "./remains.ts";
import { useRig } from "./rig.ts";

describe("A. protocol and validation", () => {
  const rig = useRig();
  let host: Host;
  let before: Remains;
  let pod: Container;

  beforeAll(async () => {
    host = rig.host;
    before = await remainsOf(host);
  });
  beforeEach(() => {
    pod = rig.pod();
  });
  // Also after a failed test; with the configuration and the variables of the default.
  afterEach(async () => {
    await pod.call("DEL");
    expect(await remainsOf(host)).toEqual(before);
    await expectEmpty(pod);
  });

  const CONFIG = { cniVersion: "1.0.0", name: "weave", type: "weave-net" };
  /** The six variables of Mesos and nothing else. */
  const six = (command: string): Record<string, string> => ({
    ...pod.env(),
    CNI_COMMAND: command,
    CNI_PATH: host.cniBinDir,
    PATH: "/usr/bin:/bin",
  });

  /** ADD must succeed; DEL with the same. */
  async function works(call: Partial<PluginCall> = {}): Promise<void> {
    const added = await pod.call("ADD", call);
    expect(added.exit, added.stdout + added.stderr).toBe(0);
    expect(await pod.call("DEL", call)).toMatchObject({ exit: 0, stdout: "" });
  }

  async function fails(call: Partial<PluginCall>, code: number | number[], ...says: string[]): Promise<void> {
    expectError(await pod.call("ADD", call), code, ...says);
  }

  it("case 1: without CNI_COMMAND it says what it is on stderr, exit 0", async () => {
    for (const env of [{}, { CNI_COMMAND: "" }]) {
      const answer = await runRaw(host, { env, stdin: [] });
      expect(answer).toMatchObject({ exit: 0, stdout: "" });
      expect(answer.stderr).toMatch(/weave-net \d+\.\d+\.\d+/);
      expect(answer.stderr).toContain("0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0");
    }
  });

  it("case 2: an unknown CNI_COMMAND, code 4", async () => {
    const answer = await callPlugin(host, { command: "FOO" });
    expectError(answer, 4, "CNI_COMMAND", "FOO");
    expectError(await callPlugin(host, { command: "FOO", stdin: "{nope" }), 6); // bad JSON comes first
  });

  it("case 3: ADD without its three variables names all of them at once, code 4", async () => {
    const env = { CNI_CONTAINERID: undefined, CNI_NETNS: undefined, CNI_IFNAME: undefined };
    await fails({ env }, 4, "CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME");
  });

  it("case 4: CHECK without CNI_NETNS, code 4", async () => {
    expectError(await pod.call("CHECK", { env: { CNI_NETNS: undefined } }), 4, "CNI_NETNS");
  });

  it("case 5: DEL without CNI_NETNS succeeds", async () => {
    const answer = await pod.call("DEL", { env: { CNI_NETNS: undefined } });
    expect(answer).toMatchObject({ exit: 0, stdout: "" });
  });

  it.each(["x/..", "-x", "a b", "x%%", ".x", "é"])("case 6: container id %j, code 4", async (id) => {
    const answer = await pod.call("ADD", { env: { CNI_CONTAINERID: id } });
    expectError(answer, 4, "CNI_CONTAINERID");
    expect(answer.json["details"]).toBe(id);
  });

  const uuid = "0f7a9c3e-1d2b-4c5d-8e6f-a1b2c3d4e5f6";
  it.each(
    ["x", "0123456789abcdef".repeat(4), `${uuid}.${uuid}`, `Z${"_.-x0".repeat(51)}`.slice(0, 255)].map(
      (id) => ({ id, length: id.length }),
    ),
  )("case 7: a container id of $length characters is accepted", async ({ id }) => {
    await works({ env: { CNI_CONTAINERID: id } });
  });

  it.each(["abcdefghijklmnop", ".", "..", "a/b", "a:b", "a b", "a\tb", "a\u00a0b"])(
    "case 8: interface name %j, code 4",
    async (ifname) => fails({ env: { CNI_IFNAME: ifname } }, 4, "CNI_IFNAME"),
  );

  it("case 9: an interface name of 15 characters", async () => {
    const env = { CNI_IFNAME: "abcdefghijklmno" };
    await pod.add({ env });
    expect(await pod.namespace.succeeds("ip link show abcdefghijklmno")).toBe(true);
    await pod.call("DEL", { env });
  });

  it("case 10: an empty stdin, code 6", async () => fails({ stdin: "" }, 6));

  it("case 11: stdin that is no JSON, code 6", async () => {
    for (const stdin of ["{nope", '{"name":"weave"', "\u0000", '{"a":1}}', "\ufeff{}"])
      await fails({ stdin }, 6);
  });

  it("case 12: stdin that is no object, code 6 or 7", async () => {
    for (const stdin of ["[]", "null", '"x"', "1", "true"]) await fails({ stdin }, [6, 7]);
  });

  it("case 13: a missing or bad network name, code 7", async () => {
    await fails({ config: { name: undefined } }, 7);
    await fails({ config: { name: "" } }, 7);
    const answer = await pod.call("ADD", { config: { name: "a b" } });
    expectError(answer, 7);
    expect(answer.json["details"]).toBe("a b");
  });

  it("case 14: more than 1 MiB of configuration", async () => {
    await works({
      config: { padding: "x".repeat(1 << 20), many: Array.from({ length: 10_000 }, () => ({})) },
    });
  });

  describe("case 15: stdin", () => {
    const text = JSON.stringify(CONFIG);

    it("in pieces of one byte", async () => {
      expect(await runRaw(host, { env: six("ADD"), stdin: [...text] })).toMatchObject({ exit: 0 });
      expect(await runRaw(host, { env: six("DEL"), stdin: [...text] })).toMatchObject({ exit: 0 });
    });

    it("from a regular file", async () => {
      const file = join(rig.lab.dir, "network.conf");
      writeFileSync(file, text);
      const script = `exec "$0" < ${file}`;
      expect(await runRaw(host, { env: six("ADD"), script })).toMatchObject({ exit: 0 });
      expect(await runRaw(host, { env: six("DEL"), script })).toMatchObject({ exit: 0 });
    });

    it("closed, code 6", async () => {
      expectError(await runRaw(host, { env: six("ADD"), script: 'exec "$0" <&-' }), 6);
    });
  });

  it.each(["9.9.9", "1.0", "abc", "1.0.0 ", "v1.0.0"])("case 16: version %j, code 1", async (cniVersion) => {
    const answer = await pod.call("ADD", { config: { cniVersion } });
    expectError(answer, 1);
    for (const known of ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"])
      expect(answer.json["details"]).toContain(`"${known}"`);
    expect(answer.json["details"]).toContain(cniVersion);
    expectError(await pod.call("CHECK", { config: { cniVersion } }), [1, 6]);
  });

  it("case 17: every error is one JSON object with code and message, whatever the verb", async () => {
    const calls: readonly PluginCall[] = [
      ...["ADD", "DEL", "CHECK", "GC", "STATUS", "FOO"].flatMap((command) =>
        ["{nope", "[]", '{"name":7}', '{"name":"x","cniVersion":7}', '{"name":"x","cniVersion":"7"}'].map(
          (stdin) => ({ command, stdin }),
        ),
      ),
      { command: "ADD", config: { mtu: "big" } },
      { command: "ADD", config: { ipam: { subnet: "nonsense" } } },
      { command: "ADD", config: { ipam: [] } },
      { command: "ADD", config: { isGateway: "yes" } },
      { command: "ADD", config: { dns: "8.8.8.8" } },
      { command: "ADD", config: { ipam: { routes: [{}] } } },
      { command: "ADD", config: { runtimeConfig: { ips: "10.0.0.1" } } },
      { command: "CHECK", config: { prevResult: "x" } },
      { command: "GC", config: { cniVersion: "1.1.0", "cni.dev/valid-attachments": "x" } },
    ];
    for (const call of calls) {
      const answer = await callPlugin(host, { ...call, env: pod.env() });
      expectError(answer, [1, 4, 6, 7, 105]);
    }
  });

  it("case 18: stdout of a successful ADD is one JSON document and nothing else", async () => {
    const noisy = { WEAVE_DEBUG: "1", DEBUG: "*", NODE_DEBUG: "net,http" };
    const { stdout } = await pod.add({ env: noisy });
    const parsed: unknown = JSON.parse(stdout);
    expect(parsed).toHaveProperty("ips");
  });

  it("case 19: the six variables of Mesos are enough", async () => {
    const text = JSON.stringify({ name: "weave", type: "weave-net", cniVersion: "0.2.0" });
    const added = await runRaw(host, { env: six("ADD"), stdin: [text] });
    expect(added, added.stdout).toMatchObject({ exit: 0, json: { ip4: {} } });
    expect(await runRaw(host, { env: six("DEL"), stdin: [text] })).toMatchObject({ exit: 0, stdout: "" });
  });

  it("case 20: deleted working directory, umask 077, closed stderr", async () => {
    const dir = mkdtempSync(join(rig.lab.dir, "gone-"));
    const script = `cd ${dir} && rmdir ${dir} && umask 077 && exec "$0" 2>&-`;
    const added = await runRaw(host, { env: six("ADD"), stdin: [JSON.stringify(CONFIG)], script });
    expect(added, added.stdout).toMatchObject({ exit: 0 });
    rmSync(dir, { recursive: true, force: true });
    expect(await runRaw(host, { env: six("DEL"), stdin: [JSON.stringify(CONFIG)] })).toMatchObject({
      exit: 0,
    });
  });

  it("case 21: without CNI_PATH our own addresses work, a foreign ipam.type is code 4", async () => {
    await works({ env: { CNI_PATH: undefined } });
    await works({ env: { CNI_PATH: undefined }, config: { ipam: { type: "weave-ipam" } } });
    const ipam = { type: "host-local", subnet: "10.40.0.0/24", dataDir: rig.lab.dir };
    await fails({ env: { CNI_PATH: undefined }, config: { ipam } }, 4, "CNI_PATH");
  });

  it("case 22: unknown keys, and keys of the runtime without content, are accepted", async () => {
    const reserved = { capabilities: { ips: true }, runtimeConfig: {}, args: {}, prevResult: {} };
    const unknown = {
      foo: { bar: [1, null] },
      "cni.dev/x": 1,
      ipMasqBackend: "nftables",
      cniVersions: ["1.0.0"],
    };
    await works({ config: { ...CONFIG, ...reserved, ...unknown } });
    await works({ config: { runtimeConfig: null, args: null, ipam: null, dns: null } });
  });

  it.each([
    ["vlan", 100],
    ["vlanTrunk", [{ id: 42 }]],
    ["promiscMode", true],
    ["disableContainerInterface", true],
    ["macspoofchk", true],
  ])("case 23: unsupported field %s, code 2 with key and value", async (key, value) => {
    const text = JSON.stringify(Array.isArray(value) ? value[0] : value);
    await fails({ config: { [key]: value } }, 2, key, text);
  });

  it.each(["vlan", "promiscMode", "macspoofchk"])("case 23: %s switched off is no request", async (key) => {
    await works({ config: { [key]: key === "vlan" ? 0 : false } });
  });

  it("case 24: CNI_ARGS, unknown keys only with IgnoreUnknown, in any order", async () => {
    await fails({ env: { CNI_ARGS: "FOO=bar" } }, 4, "FOO");
    await fails({ env: { CNI_ARGS: "A=B=C" } }, 4, "A=B=C");
    await fails({ env: { CNI_ARGS: "FOO=bar;IgnoreUnknown=0" } }, 4, "FOO");
    await fails({ env: { CNI_ARGS: "IgnoreUnknown=1;FOO" } }, 4, "FOO");
    const pairs = ["FOO=bar", "IgnoreUnknown=1", "K8S_POD_NAME=web", "K8S_POD_UID="];
    for (let turn = 0; turn < pairs.length; turn++) {
      await works({ env: { CNI_ARGS: pairs.join(";") } });
      pairs.push(pairs.shift() ?? "");
    }
    await works({ env: { CNI_ARGS: "IgnoreUnknown=true;FOO=bar" } });
    await works({ env: { CNI_ARGS: "" } });
  });
});
