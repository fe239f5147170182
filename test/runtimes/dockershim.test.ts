// The plugin under a kubelet of the dockershim era: `--network-plugin=cni`, single-plugin configuration, loopback by a
// plugin of its own, namespaces known as /proc/PID/ns/net, teardown after the pod's death.
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { eventually, type TestNamespace } from "../kernel/support/namespaces.ts";
import { installedConfig } from "../support/container.ts";
import { Kubelet, type Pod, type PodSpec } from "../support/dockershim/kubelet.ts";
import { askGreeting, serveGreeting } from "../support/greeter.ts";
import type { Host } from "../support/host.ts";
import { useLab } from "../support/lab.ts";
import { linksOf, shapersOf } from "../support/pod-effects.ts";
import { type Traces, tracesOf } from "../support/traces.ts";
import { transfer } from "../support/traffic.ts";

describe("kubelet with dockershim", () => {
  const lab = useLab(1);
  let host: Host;
  let kubelet: Kubelet;
  let outside: TestNamespace;
  let before: Traces;

  beforeAll(async () => {
    host = lab.host(1);
    await host.launch();
    await host.weaveOk("expose");
    kubelet = newKubelet();
    outside = (await lab.addOutsider()).namespace;
    before = await tracesOf(host);
  });

  afterEach(() => kubelet?.stopAll());

  function newKubelet(annotationsAsArgs = false): Kubelet {
    return new Kubelet({
      namespace: host.namespace,
      confDir: host.cniConfDir,
      binDirs: [host.cniBinDir, "/usr/lib/cni"],
      cacheDir: join(lab.dir, "kubelet"),
      annotationsAsArgs,
    });
  }

  it("takes the first file that loads, and passes over what does not", async () => {
    const ours = installedConfig(host);
    const files: Record<string, string> = {
      "01-half.conf": '{"cniVersion":"0.4.0","name":"ha',
      "02-list-as.conf": JSON.stringify({ name: "list", plugins: [ours] }),
      "03-empty.conflist": JSON.stringify({ cniVersion: "0.4.0", name: "empty", plugins: [] }),
      "04-newer.conf": JSON.stringify({ ...ours, name: "newer", cniVersion: "1.0.0" }),
      "05-other.conf.bak": JSON.stringify({ ...ours, name: "backup" }),
      "06-missing.conf": JSON.stringify({ ...ours, name: "missing", type: "none" }),
    };
    for (const [file, text] of Object.entries(files)) write(file, text);
    expect((await kubelet.status()).name).toBe("weave");
    write("07-first.json", JSON.stringify({ ...ours, name: "first" }));
    expect((await kubelet.status()).name).toBe("first");
    for (const file of [...Object.keys(files), "07-first.json"]) rmSync(join(host.cniConfDir, file));
    expect((await kubelet.status()).name).toBe("weave");
  });

  it("gives a pod eth0 with an address kubelet can read, and loopback", async () => {
    const pod = await running("web");
    const [endpoint] = (await host.status()).endpoints.filter(({ address }) => address === pod.ip);
    expect(endpoint).toMatchObject({ local: true });
    const [lo] = await pod.spec.namespace.json("ip -j -4 address show lo");
    expect(lo).toMatchObject({
      flags: expect.arrayContaining(["UP"]),
      addr_info: [expect.objectContaining({ local: "127.0.0.1" })],
    });
    // A probe of kubelet's, and the API server from the pod.
    expect(await transfer(host.namespace, pod.spec.namespace, pod.ip, 1 << 16)).toBe(1 << 16);
    expect(await transfer(pod.spec.namespace, host.namespace, host.address, 1 << 16)).toBe(1 << 16);
    // The service address of the pod itself comes back to it.
    expect(await transfer(pod.spec.namespace, pod.spec.namespace, pod.ip, 1 << 16)).toBe(1 << 16);
    await kubelet.stopPod(pod);
    await nothingIsLeft();
  });

  it("maps host ports and shapes as the annotations say, and takes both away", async () => {
    const pod = await running("shaped", {
      annotations: { "kubernetes.io/ingress-bandwidth": "8M", "kubernetes.io/egress-bandwidth": "4M" },
      ports: [
        { containerPort: 80, hostPort: 8080 },
        { containerPort: 53, hostPort: 5353, protocol: "UDP" },
        { containerPort: 9090 },
      ],
    });
    await serveGreeting(pod.spec.namespace, 80, "web");
    await serveGreeting(pod.spec.namespace, 53, "dns", "udp");
    expect(await askGreeting(outside, host.address, 8080)).toMatchObject({ name: "web" });
    expect(await askGreeting(outside, host.address, 5353, "udp")).toMatchObject({ name: "dns" });
    expect([...(await shapersOf(host.namespace)).values()].sort()).toEqual([4_000_000, 8_000_000]);
    await kubelet.stopPod(pod);
    expect(await askGreeting(outside, host.address, 8080)).toBeUndefined();
    expect(await shapersOf(host.namespace)).toEqual(new Map());
    await nothingIsLeft();
  });

  it("says in one line which pod has a host port, and undoes the pod that wanted it too", async () => {
    const ports = [{ containerPort: 80, hostPort: 8081 }];
    const holder = await running("holder", { ports });
    const namespace = lab.container(host, "late").namespace;
    const refused = kubelet.runPod({ name: "late", namespace, ports });
    await expect(refused).rejects.toMatchObject({
      code: 106,
      msg: expect.stringMatching(/^[^\n]*8081[^\n]*$/),
    });
    await expect(refused).rejects.toThrow(holder.sandbox.id);
    await kubelet.stopPod(holder);
    await nothingIsLeft();
  });

  it("tears down when the pod has died, with CNI_NETNS empty, again and again", async () => {
    const pod = await running("killed", { ports: [{ containerPort: 80, hostPort: 8082 }] });
    await pod.sandbox.die();
    const runs = kubelet.runs.length;
    for (let time = 0; time < 3; time++) await kubelet.stopPod(pod);
    expect(kubelet.runs.slice(runs).map(({ command, exit }) => [command, exit])).toEqual(
      Array.from({ length: 3 }, () => ["DEL", 0]),
    );
    await nothingIsLeft();
  });

  it("tears down with the configuration of the moment", async () => {
    const path = join(host.cniConfDir, "10-weave.conf");
    const original = JSON.stringify(installedConfig(host), null, 2);
    const pods = [await running("old-1"), await running("old-2")];
    const changed = {
      ...installedConfig(host),
      hairpinMode: false,
      mtu: 1300,
      ipam: { subnet: "10.40.0.0/16" },
    };
    write("10-weave.conf", JSON.stringify(changed));
    await kubelet.status();
    for (const pod of pods) await kubelet.stopPod(pod);
    writeFileSync(path, `${original}\n`);
    await kubelet.status();
    await nothingIsLeft();
  });

  it("starts a pod of a StatefulSet anew, over and over: its port and its neighbours find it", async () => {
    const ports = [{ containerPort: 80, hostPort: 8083 }];
    const neighbour = await running("neighbour");
    let pod = await running("db-0", { ports });
    for (let life = 1; life <= 5; life++) {
      // As after a node's trouble: every second time the process is gone before kubelet tears down.
      if (life % 2 === 0) await pod.sandbox.die();
      await kubelet.stopPod(pod);
      pod = await running("db-0", { ports });
      await serveGreeting(pod.spec.namespace, 80, `life-${life}`);
      expect(await askGreeting(outside, host.address, 8083)).toMatchObject({ name: `life-${life}` });
      expect(await askGreeting(neighbour.spec.namespace, pod.ip, 80)).toMatchObject({ name: `life-${life}` });
    }
    for (const one of [pod, neighbour]) await kubelet.stopPod(one);
    await nothingIsLeft();
  });

  it("runs eight pods side by side", async () => {
    const pods = await Promise.all(Array.from({ length: 8 }, (_, number) => running(`p${number}`)));
    expect(new Set(pods.map(({ ip }) => ip)).size).toBe(8);
    await Promise.all(pods.map((pod) => kubelet.stopPod(pod)));
    await nothingIsLeft();
  });

  it("takes annotations that arrive as arguments", async () => {
    const old = newKubelet(true);
    const annotations = { "kubernetes.io/config.source": "api", "scheduler.alpha/critical-pod": "" };
    const pod = await old.runPod({
      name: "annotated",
      namespace: lab.container(host).namespace,
      annotations,
    });
    expect(pod.ip).toMatch(/^10\./);
    await old.stopPod(pod);
    await nothingIsLeft();
  });

  it("stops pods while the daemon is away, and the daemon catches up", async () => {
    const pod = await running("away");
    await host.stop();
    await kubelet.stopPod(pod);
    const namespace = lab.container(host, "early").namespace;
    await expect(kubelet.runPod({ name: "early", namespace })).rejects.toMatchObject({ code: 11 });
    await host.launch();
    await host.untilOk();
    await eventually("all is released", async () =>
      (await host.status()).endpoints.every(({ address }) => address !== pod.ip),
    );
    await nothingIsLeft();
  });

  function running(name: string, more: Partial<PodSpec> = {}): Promise<Pod> {
    return kubelet.runPod({ name, namespace: lab.container(host, name).namespace, ...more });
  }

  function write(file: string, text: string): void {
    writeFileSync(join(host.cniConfDir, file), text);
  }

  async function nothingIsLeft(): Promise<void> {
    expect(await tracesOf(host)).toEqual(before);
    const links = await linksOf(host.namespace);
    expect(links.filter((name) => /^v[wi]/.test(name))).toEqual([]);
  }
});
