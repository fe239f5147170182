// The plugin under CRI-O: networks loaded only when every plugin speaks their version, CHECK after each ADD, teardown
// from the cache, STATUS before the first pod, GC at CRI-O's start.
import { randomBytes } from "node:crypto";
import { appendFileSync, existsSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { eventually, isObject, type TestNamespace } from "../kernel/support/namespaces.ts";
import { Crio, type NetworkResult } from "../support/crio/ocicni.ts";
import type { PodNetwork, RuntimeConfig } from "../support/crio/pod.ts";
import { askGreeting, serveGreeting } from "../support/greeter.ts";
import type { Host } from "../support/host.ts";
import { useLab } from "../support/lab.ts";
import { addressesOn, linksOf, shapersOf } from "../support/pod-effects.ts";
import { type Traces, tracesOf } from "../support/traces.ts";

/** Everything declared that CRI-O can send, also what is nothing to us. */
const EVERYTHING = {
  cniVersion: "1.1.0",
  name: "everything",
  plugins: [
    {
      type: "weave-net",
      capabilities: {
        portMappings: true,
        bandwidth: true,
        ips: true,
        mac: true,
        dns: true,
        aliases: true,
        cgroupPath: true,
        ipRanges: true,
        "io.kubernetes.cri.pod-annotations": true,
      },
    },
  ],
};

describe("CRI-O", () => {
  const lab = useLab(1);
  const started: Crio[] = [];
  let host: Host;
  let crio: Crio;
  let outside: TestNamespace;
  let before: Traces;

  beforeAll(async () => {
    host = lab.host(1);
    await setup("conflist");
    write("20-everything.conflist", EVERYTHING);
    outside = (await lab.addOutsider()).namespace;
  });
  afterEach(() => crio?.stopAll());
  afterAll(() => {
    for (const one of started) one.stop();
  });

  it("asks STATUS every 500 ms until the daemon serves", async () => {
    crio = await restarted();
    expect(crio.defaultNetwork).toBe("weave");
    await expect(crio.status()).rejects.toMatchObject({ code: 50 });
    const waiting = crio.ready();
    await host.launch();
    const failures = await waiting;
    expect(failures.every((message) => message.includes("code 50"))).toBe(true);
    await host.weaveOk("expose");
    await host.untilOk();
    before = await tracesOf(host);
  });

  it("loads only networks whose every plugin speaks their version", async () => {
    const plugin = { type: "weave-net" };
    const files: Record<string, object> = {
      "01-missing.conflist": { cniVersion: "1.0.0", name: "missing", plugins: [plugin, { type: "none" }] },
      // Debian's portmap ends at 1.0.0.
      "02-newer.conflist": { cniVersion: "1.1.0", name: "newer", plugins: [plugin, { type: "portmap" }] },
      "03-list.conf": { cniVersion: "1.0.0", name: "list", plugins: [plugin] },
      "11-again.conf": { cniVersion: "1.0.0", name: "weave", ...plugin, mtu: 1000 },
      "12-second.conf": { cniVersion: "0.3.1", name: "second", ...plugin, ipam: { routes: [] } },
    };
    for (const [file, content] of Object.entries(files)) write(file, content);
    write("04-half.conflist", '{"name":');
    await eventually("the second network is loaded", () => crio.networks.includes("second"));
    await eventually("only valid networks", () => crio.networks.join() === "weave,second,everything");
    for (const file of [...Object.keys(files), "04-half.conflist"].filter((name) => !name.startsWith("12"))) {
      rmSync(path(file));
    }
  });

  it("notices a network that is written as setup writes it, and its removal", async () => {
    const early = path("05-early.conflist");
    const text = `${JSON.stringify({ ...EVERYTHING, name: "early" })}\n`;
    writeFileSync(path(".early.tmp"), text.slice(0, -1));
    renameSync(path(".early.tmp"), early);
    appendFileSync(early, "\n");
    await eventually("the early network is the default", () => crio.defaultNetwork === "early");
    rmSync(early);
    await eventually("ours is the default again", () => crio.defaultNetwork === "weave");
  });

  it("checks each pod right after its ADD and reports the cached result", async () => {
    const pod = newPod("checked");
    const runs = crio.runs.length;
    const [result] = await crio.runPod(pod);
    // VERSION: an event of the directories may still be under way.
    const verbs = crio.runs.slice(runs).map(({ command }) => command);
    expect(verbs.filter((verb) => verb !== "VERSION")).toEqual(["ADD", "CHECK"]);
    const address = addressOf(result);
    expect(await addressesOn(pod.netns, "eth0")).toEqual([address]);
    for (let time = 0; time < 3; time++) expect(addressOf((await crio.podStatus(pod))[0])).toBe(address);
    await crio.stopPod(pod);
    await expect(crio.podStatus(pod)).rejects.toThrow();
    await nothingIsLeft();
  });

  it("gives the address and MAC it asks for, ports and rates; takes what else it sends", async () => {
    const wishes = newPod("wishes", {
      ip: "10.40.0.40",
      mac: "02:00:00:00:40:40",
      portMappings: [{ hostPort: 8090, containerPort: 80, protocol: "tcp", hostIP: "" }],
      bandwidth: { ingressRate: 8e6, ingressBurst: 8e6, egressRate: 4e6, egressBurst: 4e6 },
      cgroupPath: "/kubepods.slice/pod1.slice",
      podAnnotations: { "io.kubernetes.cri-o.x": '{"a":"b=c;d"}' },
    });
    const pod = { ...wishes, networks: ["everything"], aliases: { everything: ["db", "db-0"] } };
    const [result] = await crio.runPod(pod);
    expect(addressOf(result)).toBe("10.40.0.40");
    const [link] = await pod.netns.json("ip -j link show eth0");
    expect(link?.["address"]).toBe("02:00:00:00:40:40");
    await serveGreeting(pod.netns, 80, "db");
    expect(await askGreeting(outside, host.address, 8090)).toMatchObject({ name: "db" });
    expect([...(await shapersOf(host.namespace)).values()].sort()).toEqual([4e6, 8e6]);
    await crio.stopPod(pod);
    expect(await shapersOf(host.namespace)).toEqual(new Map());
    await nothingIsLeft();
  });

  it("attaches a pod to two networks, one after the other", async () => {
    const pod = { ...newPod("two"), networks: ["weave", "second"] };
    const results = await crio.runPod(pod);
    expect(results.map(({ ifname }) => ifname)).toEqual(["eth0", "eth1"]);
    expect(await addressesOn(pod.netns, "eth1")).toEqual([addressOf(results[1])]);
    await crio.stopPod(pod);
    await nothingIsLeft();
  });

  it("tears down from its cache when the configuration has changed or gone", async () => {
    const pod = { ...newPod("cached"), networks: ["weave"] };
    await crio.runPod(pod);
    rmSync(path("10-weave.conflist"));
    await eventually("the network is gone", () => !crio.networks.includes("weave"));
    await crio.stopPod(pod);
    await nothingIsLeft();
    await setup("conflist");
    await eventually("ours is the default again", () => crio.defaultNetwork === "weave");
  });

  it("keeps its pods while setup exchanges the list for a single configuration and back", async () => {
    const pods = [newPod("under-list"), newPod("under-conf")];
    const [underList, underConf] = pods;
    if (underList === undefined || underConf === undefined) throw new Error("two pods");
    await crio.runPod(underList);
    await setup("conf");
    await eventually("the file is loaded", () => crio.defaultFile === path("10-weave.conf"));
    await crio.runPod(underConf);
    for (const pod of pods) await crio.podStatus(pod);
    await setup("conflist");
    expect(existsSync(path("10-weave.conf"))).toBe(false);
    for (const pod of pods) await crio.podStatus(pod);
    for (const pod of pods) await crio.stopPod(pod);
    await nothingIsLeft();
  });

  it("tears down a pod whose namespace is gone, twice", async () => {
    const pod = newPod("gone", {
      portMappings: [{ hostPort: 8091, containerPort: 80, protocol: "udp", hostIP: "" }],
    });
    await crio.runPod(pod);
    pod.netns.remove();
    for (let time = 0; time < 2; time++) await crio.stopPod(pod);
    await nothingIsLeft();
  });

  it("undoes a pod that cannot be attached to its second network", async () => {
    const pod = { ...newPod("half"), networks: ["weave", "weave"] };
    const blocker = new Set(await linksOf(pod.netns));
    await pod.netns.run("ip link add eth1 type veth peer name other");
    await expect(crio.runPod(pod)).rejects.toMatchObject({ code: 100 });
    await pod.netns.run("ip link del eth1");
    expect(new Set(await linksOf(pod.netns))).toEqual(blocker);
    await nothingIsLeft();
  });

  it("collects at its start what its crash left, and spares the pods it knows", async () => {
    const [alive, cached, uncached] = [newPod("alive"), newPod("cached"), newPod("uncached")];
    for (const pod of [alive, cached, uncached]) await crio.runPod(pod);
    crio.stop();
    // One whose cache entry is lost, too: for it only GC remains.
    rmSync(join(lab.dir, "crio/results", `weave-${uncached.id}-eth0`));
    crio = await restarted();
    await crio.gc([alive]);
    await crio.podStatus(alive);
    expect(await host.veths()).toHaveLength(1);
    for (const pod of [cached, uncached]) expect(await linksOf(pod.netns)).toEqual(["lo"]);
    await crio.gc([]);
    await nothingIsLeft();
    await crio.stopPod(alive);
    await nothingIsLeft();
  });

  it("keeps pods and GC apart, and runs pods side by side", async () => {
    const pods = Array.from({ length: 8 }, (_, number) => newPod(`p${number}`));
    const results = await Promise.all(pods.map((pod) => crio.runPod(pod)));
    expect(new Set(results.map(([result]) => addressOf(result))).size).toBe(8);
    const [first, ...others] = pods;
    const late = newPod("late");
    await Promise.all([
      ...others.map((pod) => crio.stopPod(pod)),
      crio.gc([...(first === undefined ? [] : [first]), late]),
      crio.runPod(late),
    ]);
    for (const pod of [...(first === undefined ? [] : [first]), late]) {
      await crio.podStatus(pod);
      await crio.stopPod(pod);
    }
    await nothingIsLeft();
  });

  async function setup(format: string): Promise<void> {
    const places = ["--cni-bin-dir", host.cniBinDir, "--cni-conf-dir", host.cniConfDir];
    await host.weaveOk("setup", ...places, "--format", format);
  }

  const path = (file: string): string => join(host.cniConfDir, file);

  async function restarted(): Promise<Crio> {
    const one = await Crio.start({
      namespace: host.namespace,
      confDir: host.cniConfDir,
      binDirs: [host.cniBinDir, "/usr/lib/cni"],
      cacheDir: join(lab.dir, "crio"),
      cniArgs: [["SITE", "north"]],
    });
    started.push(one);
    return one;
  }

  function newPod(name: string, runtimeConfig?: RuntimeConfig): PodNetwork {
    return {
      id: randomBytes(32).toString("hex"),
      name,
      netns: lab.container(host, name).namespace,
      ...(runtimeConfig === undefined ? {} : { runtimeConfig }),
    };
  }

  function write(file: string, content: unknown): void {
    const text = typeof content === "string" ? content : JSON.stringify(content);
    writeFileSync(path(file), text);
  }

  async function nothingIsLeft(): Promise<void> {
    expect(await tracesOf(host)).toEqual(before);
    const links = await linksOf(host.namespace);
    expect(links.filter((name) => /^v[wi]/.test(name))).toEqual([]);
  }
});

/** Of the first address, without prefix. */
function addressOf(result: NetworkResult | undefined): string | undefined {
  const ips: unknown = result?.result["ips"];
  const [first]: unknown[] = Array.isArray(ips) ? ips : [];
  return isObject(first) ? String(first["address"]).split("/")[0] : undefined;
}
