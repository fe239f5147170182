// The plugin as a Mesos agent uses it, one host: what loads, what a task gets, what it can reach, and what is left when
// it ends, when its agent restarts and when its machine has rebooted.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { eventually, type TestNamespace } from "../kernel/support/namespaces.ts";
import type { Host } from "../support/host.ts";
import { useLab } from "../support/lab.ts";
import { MesosAgent } from "../support/mesos/agent.ts";
import type { Launched } from "../support/mesos/isolator.ts";
import { addressesOn, linksOf } from "../support/pod-effects.ts";
import { type Traces, tracesOf } from "../support/traces.ts";
import { transfer } from "../support/traffic.ts";

const WEAVE = { ipAddress: { networkName: "weave" } };

describe("a Mesos agent", () => {
  const lab = useLab(1);
  let host: Host;
  let agent: MesosAgent;
  let before: Traces;

  beforeAll(async () => {
    host = lab.host(1);
    await host.launch();
    await host.weaveOk("expose");
    agent = new MesosAgent(lab, host);
    await agent.install();
    before = await tracesOf(host);
  });
  afterEach(() => agent?.isolator.destroyAll());
  afterAll(() => agent?.remove());

  it("loads the network that setup brought, and nothing else of it", () => {
    const { paths, skipped } = agent.isolator.load();
    expect([...paths.keys()]).toEqual(["weave"]);
    expect([...skipped]).toEqual([]);
  });

  it("skips what Mesos skips, and reads files of any name", () => {
    const own = { name: "n", type: "weave-net" };
    const files: Record<string, unknown> = {
      "a.conflist": { cniVersion: "0.4.0", name: "list", plugins: [own] },
      "b.conf": { ...own, name: "no-ipam-type", ipam: { routes: [] } },
      "c.conf": { ...own, name: "no-such-ipam", ipam: { type: "none" } },
      "d.conf": { ...own, name: "no-such-plugin", type: "none" },
      "e.conf": { ...own, type: undefined },
      "f.conf.bak": { ...own, name: "backup" },
      g: { ...own, name: "no-extension", ipam: { type: "weave-ipam" } },
    };
    mkdirSync(join(agent.configDir, "directory.conf"));
    for (const [file, content] of Object.entries(files)) agent.write(file, content);
    writeFileSync(join(agent.configDir, ".h.conf.tmp"), '{"name":');
    const { paths, skipped } = agent.isolator.load();
    expect([...paths.keys()].sort()).toEqual(["backup", "no-extension", "weave"]);
    expect([...skipped.keys()].sort()).toEqual([
      ".h.conf.tmp",
      "a.conflist",
      "b.conf",
      "c.conf",
      "d.conf",
      "e.conf",
    ]);
    for (const file of [...skipped.keys(), "f.conf.bak", "g"]) rmSync(join(agent.configDir, file));
  });

  it("gives a service with ipAddress.networkName its address", async () => {
    const task = await launched();
    expect(await addressesOn(task.namespace, "eth0")).toEqual([task.address]);
    expect(task.address).toMatch(/^10\.3[2-9]\.|^10\.4[0-7]\./);
    const dir = agent.isolator.checkpoints.dir(task.id);
    expect(readFileSync(join(dir, "hosts"), "utf8")).toBe(
      `127.0.0.1 localhost\n${task.address} ${task.id}\n`,
    );
    expect((await host.status()).endpoints).toContainEqual(
      expect.objectContaining({ address: task.address, local: true }),
    );
    await destroyed(task);
  });

  it("lets executor and agent reach each other", async () => {
    const task = await launched();
    const [exposed] = (await host.status()).exposed;
    const bridge = exposed?.cidr.split("/")[0] ?? "";
    for (const address of [host.address, bridge]) {
      expect(await task.namespace.succeeds(`ping -n -c 1 -W 1 ${address}`)).toBe(true);
      expect(await transfer(task.namespace, host.namespace, address, 1 << 20)).toBe(1 << 20);
    }
    expect(await host.namespace.succeeds(`ping -n -c 1 -W 1 ${task.address}`)).toBe(true);
    expect(await transfer(host.namespace, task.namespace, task.address, 1 << 20)).toBe(1 << 20);
    await destroyed(task);
  });

  it("attaches a task to two networks at once, eth0 and eth1, with an address each", async () => {
    agent.write("second.json", {
      name: "second",
      type: "weave-net",
      ipam: { type: "weave-ipam", routes: [] },
    });
    const namespace = agent.executor();
    const networks = ["weave", "second"].map((name) => ({ mode: "container" as const, name }));
    const task = await agent.launch({ networks }, { namespace });
    const addresses = [...task.addresses.values()].flat();
    expect(new Set(addresses).size).toBe(2);
    expect(await addressesOn(namespace, "eth0")).toEqual(addresses.slice(0, 1));
    expect(await addressesOn(namespace, "eth1")).toEqual(addresses.slice(1));
    await agent.isolator.destroy(task.id);
    await nothingIsLeft();
  });

  it("runs nested containers, whose ids are joined by a dot", async () => {
    const parent = await launched();
    const child = await launched(`${parent.id}.sidecar`);
    const grandchild = await launched(`${child.id}.debug`);
    expect(await grandchild.namespace.succeeds(`ping -n -c 1 -W 1 ${parent.address}`)).toBe(true);
    await agent.isolator.destroy(child.id);
    expect(await grandchild.namespace.succeeds(`ping -n -c 1 -W 1 ${parent.address}`)).toBe(true);
    for (const { id } of [grandchild, parent]) await agent.isolator.destroy(id);
    await nothingIsLeft();
  });

  it("takes labels as they come", async () => {
    const labels = { ["k".repeat(300)]: "v".repeat(70_000), "a b": "ü;=\"'\\", empty: "" };
    const namespace = agent.executor();
    const task = await agent.launch({ ipAddress: { networkName: "weave", labels } }, { namespace });
    expect(task.addresses.get("weave")).toHaveLength(1);
    await agent.isolator.destroy(task.id);
    await nothingIsLeft();
  });

  it.each([undefined, "0.1.0", "0.2.0"])("learns the address at cniVersion %s", async (cniVersion) => {
    agent.write("versioned.conf", { name: "versioned", type: "weave-net", cniVersion });
    const task = await agent.launch({ ipAddress: { networkName: "versioned" } });
    expect(task.addresses.get("versioned")).toHaveLength(1);
    await agent.isolator.destroy(task.id);
    await nothingIsLeft();
  });

  // Not ours to change: this is why weave.conf says 0.2.0.
  it("learns no address from a result of a later version", async () => {
    agent.write("versioned.conf", { name: "versioned", type: "weave-net", cniVersion: "0.4.0" });
    const task = await agent.launch({ ipAddress: { networkName: "versioned" } });
    expect(task.addresses.get("versioned")).toEqual([]);
    await agent.isolator.destroy(task.id);
    await nothingIsLeft();
  });

  it("gives the container the name servers of the network", async () => {
    const dns = { nameservers: ["10.32.0.10"], domain: "weave.local", search: ["weave.local", "lan"] };
    agent.write("named.conf", { name: "named", type: "weave-net", cniVersion: "0.2.0", dns });
    const task = await agent.launch({ ipAddress: { networkName: "named" } });
    const file = join(agent.isolator.checkpoints.dir(task.id), "resolv.conf");
    expect(readFileSync(file, "utf8")).toBe(
      "domain weave.local\nsearch weave.local lan\nnameserver 10.32.0.10\n",
    );
    await agent.isolator.destroy(task.id);
    await nothingIsLeft();
  });

  it("undoes all networks of a launch of which one fails, and says why", async () => {
    agent.write("refused.conf", { name: "refused", type: "weave-net", vlan: 100 });
    const networks = ["weave", "refused"].map((name) => ({ mode: "container" as const, name }));
    const namespace = agent.executor();
    await expect(agent.launch({ networks }, { namespace })).rejects.toThrow(/'refused'.*"code":2.*vlan=100/);
    expect(await linksOf(namespace)).toEqual(["lo"]);
    expect(agent.isolator.checkpoints.containers()).toEqual([]);
    await nothingIsLeft();
  });

  it("launches and destroys ten tasks side by side", async () => {
    const tasks = await Promise.all(Array.from({ length: 10 }, () => launched()));
    expect(new Set(tasks.map(({ address }) => address)).size).toBe(10);
    await Promise.all(tasks.map(({ id }) => agent.isolator.destroy(id)));
    await nothingIsLeft();
  });

  it("finds its tasks again after its restart, and destroys those that ended meanwhile", async () => {
    const [alive, ended] = [await launched(), await launched()];
    const restarted = agent.restarted();
    expect(await restarted.recover(new Set([alive.id]))).toEqual([ended.id]);
    expect(await linksOf(ended.namespace)).toEqual(["lo"]);
    expect(await host.namespace.succeeds(`ping -n -c 1 -W 1 ${alive.address}`)).toBe(true);
    await restarted.destroy(alive.id);
    await nothingIsLeft();
  });

  it("releases after a reboot, when CNI_NETNS is left out since nothing is mounted any more", async () => {
    const task = await launched();
    agent.isolator.checkpoints.unmountNamespace(task.id);
    task.namespace.remove();
    expect(existsSync(agent.isolator.checkpoints.ns(task.id))).toBe(true);
    expect(await agent.restarted().recover(new Set())).toEqual([task.id]);
    await nothingIsLeft();
  });

  it("detaches with the configuration of the launch, whatever the file has become", async () => {
    agent.write("changing.conf", { name: "changing", type: "weave-net", mtu: 1300, hairpinMode: false });
    const namespace = agent.executor();
    const task = await agent.launch({ ipAddress: { networkName: "changing" } }, { namespace });
    agent.write("changing.conf", { name: "changing", type: "weave-net", mtu: 1200 });
    const next = agent.executor();
    const other = await agent.launch({ ipAddress: { networkName: "changing" } }, { namespace: next });
    expect((await namespace.json("ip -j link show eth0"))[0]).toMatchObject({ mtu: 1300 });
    expect((await next.json("ip -j link show eth0"))[0]).toMatchObject({ mtu: 1200 });
    rmSync(join(agent.configDir, "changing.conf"));
    for (const { id } of [task, other]) await agent.isolator.destroy(id);
    await nothingIsLeft();
  });

  // The runtime directory is on a tmpfs: of the tasks before a reboot the agent knows nothing, and calls no DEL.
  it("has the daemon release what a reboot took from the agent, too", async () => {
    const tasks = [await launched(), await launched()];
    for (const { id, namespace } of tasks) {
      agent.isolator.checkpoints.remove(id);
      namespace.remove();
    }
    await host.stop();
    await host.launch();
    await host.untilOk();
    await eventually("the addresses are free", async () => isDeepStrictEqual(await tracesOf(host), before));
  });

  it("releases while the daemon is away", async () => {
    const task = await launched();
    await host.stop();
    await agent.isolator.destroy(task.id);
    expect(await linksOf(task.namespace)).toEqual(["lo"]);
    await host.launch();
    await host.until("the address is released", (status) =>
      status.endpoints.every(({ address }) => address !== task.address),
    );
    await host.untilOk();
    await nothingIsLeft();
  });

  /** A running task with its only address. */
  async function launched(id?: string): Promise<Task> {
    const namespace = agent.executor();
    const task = await agent.launch(WEAVE, { namespace, ...(id === undefined ? {} : { id }) });
    const [address, ...others] = task.addresses.get("weave") ?? [];
    if (address === undefined || others.length > 0) throw new Error(`addresses: ${[...task.addresses]}`);
    return { ...task, namespace, address };
  }

  async function destroyed({ id, namespace }: Task): Promise<void> {
    await agent.isolator.destroy(id);
    expect(await linksOf(namespace)).toEqual(["lo"]);
    await nothingIsLeft();
  }

  async function nothingIsLeft(): Promise<void> {
    expect(await tracesOf(host)).toEqual(before);
    expect(agent.isolator.checkpoints.containers()).toEqual([]);
  }
});

interface Task extends Launched {
  readonly namespace: TestNamespace;
  readonly address: string;
}
