// Cases 76-86 and 89-95 of the contract: DEL succeeds whatever is missing, and frees what it names and nothing else.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { CNI_VERSIONS } from "../../cni-plugin/versions.ts";
import type { JsonObject } from "../kernel/support/namespaces.ts";
import type { Container, PluginAnswer } from "../support/container.ts";
import type { Host } from "../support/host.ts";
import { expectError } from "./errors.ts";
import { expectEmpty, type Remains, remainsOf } from "./remains.ts";
import { attachmentOf, useRig } from "./rig.ts";

describe("F. DEL", () => {
  const rig = useRig();
  let host: Host;
  let before: Remains;
  let pod: Container;
  let result: JsonObject;

  beforeAll(async () => {
    host = rig.host;
    before = await remainsOf(host);
  });
  afterEach(async () => {
    expect(await remainsOf(host)).toEqual(before);
  });

  const CONFIG = { cniVersion: "1.0.0" };

  async function added(config: JsonObject = {}): Promise<void> {
    pod = rig.pod();
    result = (await pod.add({ config: { ...CONFIG, ...config } })).json;
  }

  function expectSilence(answer: PluginAnswer): void {
    expect(answer, answer.stdout + answer.stderr).toMatchObject({ exit: 0, stdout: "" });
  }

  const withResult = (): JsonObject => ({ ...CONFIG, prevResult: result });

  it("case 76: link, address and firewall state are gone, silently", async () => {
    await added();
    expectSilence(await pod.call("DEL", { config: withResult() }));
    await expectEmpty(pod);
  });

  it("case 77: as often as it is called", async () => {
    await added();
    for (let turn = 0; turn < 10; turn++) expectSilence(await pod.call("DEL", { config: withResult() }));
  });

  it("case 78: without CNI_NETNS", async () => {
    await added();
    expectSilence(await pod.call("DEL", { env: { CNI_NETNS: undefined }, config: withResult() }));
    await expectEmpty(pod);
  });

  it("case 79: with an empty CNI_NETNS", async () => {
    await added();
    expectSilence(await pod.call("DEL", { env: { CNI_NETNS: "" }, config: withResult() }));
    await expectEmpty(pod);
  });

  it("case 80: after the namespace was deleted", async () => {
    await added();
    pod.namespace.remove();
    expectSilence(await pod.call("DEL", { config: withResult() }));
  });

  it("case 81: with a plain file where the namespace was", async () => {
    await added();
    const file = join(rig.lab.dir, "was-a-namespace");
    writeFileSync(file, "");
    expectSilence(await pod.call("DEL", { env: { CNI_NETNS: file }, config: withResult() }));
    await expectEmpty(pod);
  });

  it("case 82: after the interface was removed by hand", async () => {
    await added();
    await pod.namespace.run("ip link del eth0");
    expectSilence(await pod.call("DEL", { config: withResult() }));
  });

  it("case 83: after the interface was renamed", async () => {
    await added();
    await pod.namespace.run("ip link set eth0 down");
    await pod.namespace.run("ip link set eth0 name other");
    expectSilence(await pod.call("DEL", { config: withResult() }));
    await expectEmpty(pod);
  });

  it("case 84: of a container that was never added", async () => {
    expectSilence(await rig.pod().call("DEL", { config: CONFIG }));
  });

  it.each([
    ["no", undefined],
    ["an empty", {}],
    ["an older", { cniVersion: "0.2.0", ip4: { ip: "10.32.0.99/12" }, dns: {} }],
    ["a foreign", { cniVersion: "1.0.0", ips: [{ address: "192.0.2.1/24" }], interfaces: [{ name: "x" }] }],
    ["a garbage", { cniVersion: 7, interfaces: "none", ips: { a: 1 }, dns: [] }],
    ["a senseless", "prevResult"],
  ])("case 85: with %s prevResult", async (_, prevResult) => {
    await added();
    expectSilence(await pod.call("DEL", { config: { ...CONFIG, prevResult } }));
    await expectEmpty(pod);
  });

  it.each([
    ["another subnet", { ipam: { subnet: "10.47.0.0/16" } }],
    ["another bridge", { bridge: "br-other" }],
    ["a field that is refused", { vlan: 42 }],
    ["a value of a wrong type", { mtu: "big", ipam: "none" }],
    ["another version", { cniVersion: "0.2.0" }],
    ["CNI_ARGS that cannot be parsed", {}],
  ])("case 86: with %s in the configuration than at ADD", async (what, config) => {
    await added();
    const env = what.startsWith("CNI_ARGS") ? { CNI_ARGS: "A=B=C" } : {};
    expectSilence(await pod.call("DEL", { config: { ...withResult(), ...config }, env }));
    await expectEmpty(pod);
  });

  it("case 89: while an ADD for the same container runs", async () => {
    for (const wait of [0, 1, 3, 5, 8, 12, 20]) {
      pod = rig.pod(`race${wait}`);
      const adding = pod.call("ADD", { config: CONFIG });
      await new Promise((resolve) => setTimeout(resolve, wait));
      expectSilence(await pod.call("DEL", { config: CONFIG }));
      await adding;
      // The last word is DEL's: an ADD that was later than the DEL is DELeted by its runtime.
      expectSilence(await pod.call("DEL", { config: CONFIG }));
      expect(await remainsOf(host)).toEqual(before);
      await expectEmpty(pod);
    }
  });

  it("case 90: of eth1 leaves eth0 alone", async () => {
    const attached = await rig.attached();
    const network = rig.network({ ipam: { routes: [] } });
    const second = attachmentOf(attached.pod, "eth1");
    await rig.cni.add(network, second);
    await rig.cni.del(network, second);
    expect((await remainsOf(host)).endpoints).toContain(attached.address);
    expect(await attached.pod.pings(before.endpoints[0] ?? "")).toBe(true);
    await rig.detach(attached);
  });

  it("case 91: on one network leaves the same container on another alone", async () => {
    const attached = await rig.attached();
    const other = rig.network({ name: "other", ipam: { routes: [] } });
    // The same interface name, as a runtime would not do; the key differs by the network alone.
    await rig.cni.del(other, attached.attachment);
    expect(await attached.pod.pings(before.endpoints[0] ?? "")).toBe(true);
    const second = attachmentOf(attached.pod, "eth1");
    await rig.cni.add(other, second);
    await rig.detach(attached);
    expect(await host.veths()).toHaveLength(1);
    await rig.cni.del(other, second);
  });

  it("case 92: with bad JSON, code 6; without CNI_IFNAME, code 4", async () => {
    await added();
    expectError(await pod.call("DEL", { stdin: "{nope" }), 6);
    expectError(await pod.call("DEL", { env: { CNI_IFNAME: undefined } }), 4, "CNI_IFNAME");
    expectError(await pod.call("DEL", { env: { CNI_CONTAINERID: undefined } }), 4, "CNI_CONTAINERID");
    expectSilence(await pod.call("DEL", { config: withResult() }));
  });

  it.each([undefined, ...CNI_VERSIONS])("case 93: at version %s", async (cniVersion) => {
    await added({ cniVersion });
    expectSilence(await pod.call("DEL", { config: { cniVersion } }));
    await expectEmpty(pod);
  });

  it.each([true, false])(
    "case 94: ipMasq %s leaves no rule when the namespace has vanished",
    async (ipMasq) => {
      await added({ ipMasq, ipam: { subnet: "10.44.0.0/24", routes: [] } });
      pod.namespace.remove();
      expectSilence(await pod.call("DEL", { config: withResult() }));
      expect((await remainsOf(host)).firewall).toBe(before.firewall);
    },
  );

  it("case 95: an interface of the host that has the container's name survives", async () => {
    const env = { CNI_NETNS: host.namespace.path, CNI_IFNAME: "wan" };
    await rig.pod().call("DEL", { env, config: CONFIG });
    await rig.pod().call("DEL", { env: { ...env, CNI_NETNS: "/proc/self/ns/net" }, config: CONFIG });
    expect(await host.namespace.succeeds("ip link show wan")).toBe(true);
  });
});
