// The sample configuration of the DC/OS documents with its `type` changed to weave-net, on two agents: `bridge` of
// another name, host-local addresses outside the overlay's range, no masquerade, an MTU that may be too large.
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { eventually, type TestNamespace } from "../kernel/support/namespaces.ts";
import { askGreeting, serveGreeting } from "../support/greeter.ts";
import type { Host } from "../support/host.ts";
import { useLab } from "../support/lab.ts";
import { MesosAgent } from "../support/mesos/agent.ts";
import type { Launched } from "../support/mesos/isolator.ts";
import { type Traces, tracesOf } from "../support/traces.ts";
import { transfer } from "../support/traffic.ts";

const DCOS = { ipAddress: { networkName: "dcos" } };

describe("the DC/OS sample", () => {
  const lab = useLab(2);
  const agents: MesosAgent[] = [];
  const before: Traces[] = [];

  beforeAll(async () => {
    await lab.launchAll();
    for (const host of lab.hosts) {
      const agent = new MesosAgent(lab, host);
      agents.push(agent);
      await agent.install();
    }
  });
  afterEach(async () => {
    for (const agent of agents) await agent.isolator.destroyAll();
  });
  afterAll(() => {
    for (const agent of agents) agent.remove();
  });

  /** As in the documents; `dataDir` keeps host-local's reservations out of the machine's. */
  const sample = (host: Host, ipam: object, dataDir = "host-local") => ({
    name: "dcos",
    type: "weave-net",
    bridge: "m-dcos",
    isGateway: true,
    ipMasq: false,
    mtu: 1420,
    ipam: {
      type: "host-local",
      ...ipam,
      routes: [{ dst: "0.0.0.0/0" }],
      dataDir: join(lab.dir, host.nickname, dataDir),
    },
  });

  const write = (number: number, ipam: object, dataDir?: string): void => {
    const agent = agents[number - 1];
    agent?.write("dcos.conf", sample(agent.host, ipam, dataDir));
  };

  it("attaches to the overlay's bridge, says so, and the bridge is the gateway", async () => {
    write(1, { subnet: "9.0.1.0/25" });
    const [one, other] = [await launched(1), await launched(1)];
    const host = lab.host(1);
    expect(one.address).toBe("9.0.1.2");
    expect(one.stderr).toMatch(/m-dcos/);
    expect(await host.namespace.succeeds("ip link show m-dcos")).toBe(false);
    const [route] = await one.namespace.json("ip -j route show default");
    expect(route).toMatchObject({ gateway: "9.0.1.1" });
    const bridges = await host.namespace.json("ip -j -4 address show weave");
    expect(JSON.stringify(bridges)).toContain('"9.0.1.1"');
    expect(await one.pings(other.address)).toBe(true);
    expect(await transfer(one.namespace, other.namespace, other.address, 1 << 20)).toBe(1 << 20);
    // Executor and agent.
    expect(await one.pings(host.address)).toBe(true);
    expect(await transfer(host.namespace, one.namespace, one.address, 1 << 20)).toBe(1 << 20);
    for (const task of [one, other]) await task.destroy();
    await nothingIsLeft(1);
  });

  it("lowers an MTU above the overlay's and warns; one below it stays", async () => {
    const overlay = (await lab.host(1).status()).datapath.mtu;
    const base = sample(lab.host(1), { subnet: "9.0.1.0/25" });
    for (const [asked, given] of [
      [9000, overlay],
      [1300, 1300],
    ]) {
      agents[0]?.write("dcos.conf", { ...base, mtu: asked });
      const task = await launched(1);
      const [link] = await task.namespace.json("ip -j link show eth0");
      expect(link?.["mtu"]).toBe(given);
      expect(/9000/.test(task.stderr)).toBe(asked === 9000);
      await task.destroy();
    }
    await nothingIsLeft(1);
  });

  it("connects agents that have a subnet each", async () => {
    write(1, { subnet: "9.0.1.0/25" });
    write(2, { subnet: "9.0.2.0/25" });
    const [one, other] = [await launched(1), await launched(2)];
    expect(other.address).toMatch(/^9\.0\.2\./);
    await connected(one, other);
    for (const task of [one, other]) await task.destroy();
    for (const number of [1, 2]) await nothingIsLeft(number);
  });

  it("connects agents that share a subnet and have a part of it each", async () => {
    const part = (from: number, to: number) => ({
      subnet: "9.0.3.0/24",
      rangeStart: `9.0.3.${from}`,
      rangeEnd: `9.0.3.${to}`,
      gateway: `9.0.3.${from - 1}`,
    });
    write(1, part(10, 99), "parts");
    write(2, part(110, 199), "parts");
    const [one, other] = [await launched(1), await launched(2)];
    expect([one.address, other.address]).toEqual(["9.0.3.10", "9.0.3.110"]);
    await connected(one, other);
    for (const task of [one, other]) await task.destroy();
    for (const number of [1, 2]) await nothingIsLeft(number);
  });

  it("refuses an address that the other agent's host-local gave, naming the holder", async () => {
    for (const number of [1, 2]) write(number, { subnet: "9.0.4.0/25" }, "alike");
    const one = await launched(1);
    await lab
      .host(2)
      .until("knows the first task", ({ endpoints }) =>
        endpoints.some(({ address }) => address === one.address),
      );
    await expect(agents[1]?.launch(DCOS)).rejects.toThrow(new RegExp(`"code":103.*${one.address}.*h1`));
    expect(await lab.host(2).veths()).toEqual([]);
    expect(await one.pings(lab.host(1).address)).toBe(true);
    await one.destroy();
    for (const number of [1, 2]) await nothingIsLeft(number);
  });

  it("maps ports to host-local's addresses, alone and behind mesos-cni-port-mapper", async () => {
    const [agent, host] = [agents[0], lab.host(1)];
    if (agent === undefined) throw new Error("there is no agent");
    const { name, ...delegate } = sample(host, { subnet: "9.0.5.0/25" });
    agent.write("dcos.conf", { name, ...delegate });
    agent.write("mapped.conf", {
      name: "mapped",
      type: "mesos-cni-port-mapper",
      chain: "DCOS-TEST",
      excludeDevices: ["weave"],
      delegate: { ...delegate, cniVersion: "0.1.0" },
    });
    const outside = (await lab.addOutsider()).namespace;
    for (const [networkName, hostPort] of [
      ["dcos", 8080],
      ["mapped", 8081],
    ] as const) {
      const namespace = agent.executor();
      const container = { portMappings: [{ containerPort: 80, hostPort }] };
      const task = await agent.launch({ ipAddress: { networkName }, container }, { namespace });
      expect(task.addresses.get(networkName)?.[0]).toMatch(/^9\.0\.5\./);
      await serveGreeting(namespace, 80, networkName);
      for (const from of [outside, host.namespace, lab.host(2).namespace, namespace]) {
        const answer = await askGreeting(from, host.address, hostPort);
        expect(answer, `${networkName} from ${from.name}`).toMatchObject({ name: networkName });
      }
      await agent.isolator.destroy(task.id);
      expect(await askGreeting(outside, host.address, hostPort)).toBeUndefined();
    }
    await nothingIsLeft(1);
  });

  async function launched(number: number): Promise<Task> {
    const agent = agents[number - 1];
    if (agent === undefined) throw new Error(`there is no agent ${number}`);
    before[number - 1] ??= withoutBridge(await tracesOf(agent.host));
    const namespace = agent.executor();
    const task = await agent.launch(DCOS, { namespace });
    const [address] = task.addresses.get("dcos") ?? [];
    if (address === undefined) throw new Error("Mesos learnt no address");
    return {
      ...task,
      namespace,
      address,
      pings: (to) => namespace.succeeds(`ping -n -c 1 -W 1 ${to}`),
      destroy: () => agent.isolator.destroy(task.id),
    };
  }

  async function connected(one: Task, other: Task): Promise<void> {
    await eventually(`${one.address} pings ${other.address}`, () => one.pings(other.address));
    await eventually(`${other.address} pings ${one.address}`, () => other.pings(one.address));
    const bytes = 1 << 20;
    expect(await transfer(one.namespace, other.namespace, other.address, bytes)).toBe(bytes);
    expect(await transfer(other.namespace, one.namespace, one.address, bytes)).toBe(bytes);
  }

  async function nothingIsLeft(number: number): Promise<void> {
    expect(withoutBridge(await tracesOf(lab.host(number)))).toEqual(before[number - 1]);
    expect(agents[number - 1]?.isolator.checkpoints.containers()).toEqual([]);
  }
});

interface Task extends Launched {
  readonly namespace: TestNamespace;
  readonly address: string;
  pings(address: string): Promise<boolean>;
  destroy(): Promise<void>;
}

/** The bridge keeps the gateways it was given: they are the host's, not a container's. */
function withoutBridge({ veths, journal }: Traces): Traces {
  return { veths, journal };
}
