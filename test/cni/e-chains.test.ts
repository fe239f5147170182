// Cases 68-74 of the contract: Debian's plugins behind ours, and others before it. They work with iptables and tc in
// the host's namespace, which is a test's own.
import { cpSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { eventually, type JsonObject, type TestNamespace } from "../kernel/support/namespaces.ts";
import type { Container } from "../support/container.ts";
import { askGreeting, serveGreeting } from "../support/greeter.ts";
import type { Host } from "../support/host.ts";
import { capitalised } from "../support/libcni/libcni.ts";
import { failureOf } from "./errors.ts";
import { expectEmpty, type Remains, remainsOf, untilAsBefore } from "./remains.ts";
import { listOf } from "./results.ts";
import { attachmentOf, DEBIAN, useRig } from "./rig.ts";

const PORTMAP = { type: "portmap", snat: true, capabilities: { portMappings: true } };
const BANDWIDTH = { type: "bandwidth", capabilities: { bandwidth: true } };
const OURS = { type: "weave-net" };

describe("E. chains", () => {
  const rig = useRig();
  let host: Host;
  let outside: { namespace: TestNamespace; address: string };
  let before: Remains;

  beforeAll(async () => {
    host = rig.host;
    outside = await rig.lab.addOutsider();
    before = await remainsOf(host);
  });

  const natRules = (): Promise<string> => host.namespace.run("iptables-save -t nat");

  describe.each([
    ["lower-case", (one: JsonObject) => one],
    ["capitalised as of containerd", (one: JsonObject) => capitalised(one)],
  ])("case 68: portmap behind us, %s", (_, mangled) => {
    it("reaches the pod from outside, from the host, over 127.0.0.1 and from the pod itself", async () => {
      const portMappings = [{ hostPort: 8080, containerPort: 80, protocol: "tcp" }];
      const network = rig.chain("1.0.0", [OURS, PORTMAP]);
      const attached = await rig.attached(network, { capabilityArgs: mangled({ portMappings }) });
      const server = await serveGreeting(attached.pod.namespace, 80, "pod");
      expect(await natRules()).toContain(`--to-destination ${attached.address}:80`);
      expect(await askGreeting(outside.namespace, host.address, 8080)).toMatchObject({ name: "pod" });
      expect(await askGreeting(host.namespace, host.address, 8080)).toMatchObject({ name: "pod" });
      expect(await askGreeting(host.namespace, "127.0.0.1", 8080)).toMatchObject({ name: "pod" });
      expect(await askGreeting(attached.pod.namespace, host.address, 8080)).toMatchObject({ name: "pod" });
      server.stop();
      await rig.detach(attached);
      expect(await natRules()).not.toContain(attached.address);
      expect(await remainsOf(host)).toEqual(before);
    });
  });

  it("case 69: bandwidth behind us shapes our host end, and does nothing unasked", async () => {
    const network = rig.chain("1.0.0", [OURS, BANDWIDTH]);
    const bandwidth = { ingressRate: 8e6, ingressBurst: 8e6, egressRate: 16e6, egressBurst: 8e6 };
    const attached = await rig.attached(network, { capabilityArgs: { bandwidth } });
    const qdiscs = await host.namespace.run(`tc qdisc show dev ${attached.pod.hostIfname}`);
    expect(qdiscs).toContain("tbf");
    expect(qdiscs).toContain("8Mbit");
    expect(await host.namespace.run("ip link show type ifb")).toContain("bwp");
    await rig.detach(attached);
    expect(await remainsOf(host)).toEqual(before);
    const plain = await rig.attached(network);
    expect(await host.namespace.run(`tc qdisc show dev ${plain.pod.hostIfname}`)).not.toContain("tbf");
    await rig.detach(plain);
    expect(await remainsOf(host)).toEqual(before);
  });

  it.each(["0.4.0", "1.0.0"])(
    "case 70: firewall behind us at %s passes what FORWARD would drop",
    async (version) => {
      await host.namespace.run("iptables -P FORWARD DROP");
      try {
        // The overlay's traffic beyond the host, and between two pods where bridged frames go through iptables.
        await eventually("weave accepts it, too", async () =>
          (await host.namespace.run("iptables -S FORWARD")).includes("-i weave -j ACCEPT"),
        );
        const network = rig.chain(version, [OURS, { type: "firewall" }]);
        const [one, other] = [await rig.attached(network), await rig.attached(network)];
        const rules = await host.namespace.run("iptables-save -t filter");
        for (const { address } of [one, other])
          expect(rules).toContain(`-A CNI-FORWARD -s ${address}/32 -j ACCEPT`);
        expect(await one.pod.pings(outside.address)).toBe(true);
        expect(await one.pod.pings(other.address)).toBe(true);
        // It is the plugin's rule, before ours, that did.
        const counted = await host.namespace.run("iptables-save -c -t filter");
        expect(counted).toMatch(
          new RegExp(`\\[[1-9]\\d*:\\d+\\] -A CNI-FORWARD -s ${one.address}/32 -j ACCEPT`),
        );
        for (const attached of [one, other]) await rig.detach(attached);
        const left = await host.namespace.run("iptables-save -t filter");
        for (const { address } of [one, other]) expect(left).not.toContain(address);
      } finally {
        await host.namespace.run("iptables -P FORWARD ACCEPT");
      }
      expect(await remainsOf(host)).toEqual(before);
    },
  );

  it("case 71: a MAC changed by tuning: CHECK and DEL succeed", async () => {
    const mac = "02:aa:bb:cc:dd:01";
    const tuning = { type: "tuning", mac, dataDir: join(rig.lab.dir, "tuning") };
    const network = rig.chain("1.0.0", [OURS, tuning]);
    const attached = await rig.attached(network);
    expect(await attached.pod.mac()).toBe(mac);
    expect(listOf(attached.result, "interfaces")[2]).toMatchObject({ name: "eth0", mac });
    await rig.cni.check(network, attached.attachment);
    await rig.detach(attached);
    expect(await remainsOf(host)).toEqual(before);
    await expectEmpty(attached.pod);
  });

  it("case 72: what plugins before us returned stands in front of ours", async () => {
    const attached = await rig.attached(rig.chain("1.0.0", [{ type: "loopback" }, OURS]));
    const first = rig.cni.runs.at(-2)?.json ?? {};
    const count = listOf(first, "interfaces").length;
    expect(count).toBeGreaterThan(0);
    const interfaces = listOf(attached.result, "interfaces");
    expect(interfaces.slice(0, count)).toEqual(listOf(first, "interfaces"));
    expect(interfaces.slice(count).map(({ name }) => name)).toEqual([
      "weave",
      attached.pod.hostIfname,
      "eth0",
    ]);
    const ips = listOf(attached.result, "ips");
    expect(ips.slice(0, -1)).toEqual(listOf(first, "ips"));
    expect(ips.at(-1)).toMatchObject({ interface: count + 2 });
    await rig.detach(attached);
    expect(await remainsOf(host)).toEqual(before);
  });

  it("case 72: members of a prevResult that only an unknown plugin knows are kept", async () => {
    const pod = rig.pod();
    const prevResult = {
      cniVersion: "1.0.0",
      interfaces: [{ name: "net1", mac: "02:00:00:00:00:01", sandbox: pod.namespace.path, unknown: 7 }],
      ips: [{ address: "192.0.2.5/24", interface: 0, unknown: "x" }],
      routes: [{ dst: "192.0.2.0/24", unknown: true }],
      dns: { nameservers: ["192.0.2.53"] },
      "example.org/own": { a: 1 },
    };
    const { json } = await pod.add({ config: { cniVersion: "1.0.0", prevResult } });
    expect(json).toMatchObject({
      dns: prevResult.dns,
      "example.org/own": { a: 1 },
      interfaces: [prevResult.interfaces[0], { name: "weave" }, {}, { name: "eth0" }],
      ips: [prevResult.ips[0], { interface: 3 }],
      routes: [prevResult.routes[0], { dst: "0.0.0.0/0" }],
    });
    await pod.del();
  });

  it("case 73: a result that went through portmap is enough for CHECK and DEL", async () => {
    const network = rig.chain("1.0.0", [OURS, PORTMAP]);
    const portMappings = [{ hostPort: 8081, containerPort: 80, protocol: "tcp" }];
    const pod = rig.pod();
    const attachment = attachmentOf(pod, "eth0", { capabilityArgs: { portMappings } });
    const cni = rig.libraryWithoutIp6tables(host);
    await cni.add(network, attachment);
    await cni.check(network, attachment);
    await cni.del(network, attachment);
    expect(await remainsOf(host)).toEqual(before);
    // Members of 1.1.0 lost on the way: an older plugin does not know them.
    const { json } = await pod.add({ config: { cniVersion: "1.1.0" } });
    const interfaces = listOf(json, "interfaces").map(({ mtu: _mtu, ...rest }) => rest);
    const config = { cniVersion: "1.1.0", prevResult: { ...json, interfaces } };
    expect(await pod.call("CHECK", { config })).toMatchObject({ exit: 0, stdout: "" });
    expect(await pod.call("DEL", { config })).toMatchObject({ exit: 0, stdout: "" });
    expect(await remainsOf(host)).toEqual(before);
  });

  describe("case 74: a plugin behind us whose executable is gone at DEL", () => {
    /** A pod whose DEL failed before it came to us. */
    async function lost(): Promise<Container> {
      const bin = join(rig.lab.dir, "vanishing");
      mkdirSync(bin, { recursive: true });
      cpSync(join(DEBIAN, "tuning"), join(bin, "vanishing"));
      const cni = rig.libraryOf(host, { binDirs: [host.cniBinDir, bin] });
      const network = rig.chain("1.0.0", [OURS, { type: "vanishing" }]);
      const pod = rig.pod("lost");
      const attachment = attachmentOf(pod);
      await cni.add(network, attachment);
      rmSync(join(bin, "vanishing"));
      await expect(cni.del(network, attachment)).rejects.toThrow('failed to find plugin "vanishing"');
      expect(await host.veths()).toContain(pod.hostIfname); // ours was never called
      return pod;
    }

    it("GC frees what it held", async () => {
      await lost();
      await rig.libraryOf(host).gc(rig.network({ cniVersion: "1.1.0" }), []);
      expect(await remainsOf(host)).toEqual(before);
    });

    it("the next start frees it when the namespace is gone", async () => {
      (await lost()).namespace.remove();
      await host.stop();
      await host.launch();
      await host.untilOk();
      await untilAsBefore(host, before, "all is freed");
    });
  });

  it("a failure behind us is the runtime's to clean up, and DEL of the whole chain does", async () => {
    const network = rig.chain("1.0.0", [OURS, { type: "tuning", sysctl: { "net.ipv4.nonsense": "1" } }]);
    const pod = rig.pod();
    expect((await failureOf(rig.attach(pod, network))).run.type).toBe("tuning");
    await rig.cni.del(network, attachmentOf(pod));
    expect(await remainsOf(host)).toEqual(before);
    await expectEmpty(pod);
  });
});
