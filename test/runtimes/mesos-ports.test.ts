// Port mappings of Mesos tasks, which arrive in `args` and not in runtimeConfig: mapped by weave-net itself, and by
// mesos-cni-port-mapper with weave-net as its delegate.
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { TestNamespace } from "../kernel/support/namespaces.ts";
import { askGreeting, serveGreeting, type Transport } from "../support/greeter.ts";
import type { Host } from "../support/host.ts";
import { useLab } from "../support/lab.ts";
import { MesosAgent } from "../support/mesos/agent.ts";
import type { Launched } from "../support/mesos/isolator.ts";
import type { Service } from "../support/mesos/network-info.ts";
import { type Traces, tracesOf } from "../support/traces.ts";

describe("port mappings of Mesos", () => {
  const lab = useLab(1);
  let host: Host;
  let agent: MesosAgent;
  let outside: TestNamespace;
  let before: Traces;

  beforeAll(async () => {
    host = lab.host(1);
    await host.launch();
    await host.weaveOk("expose");
    agent = new MesosAgent(lab, host);
    await agent.install();
    outside = (await lab.addOutsider()).namespace;
    before = await tracesOf(host);
  });
  afterEach(() => agent?.isolator.destroyAll());
  afterAll(() => agent?.remove());

  const service = (
    networkName: string,
    ...portMappings: { containerPort: number; hostPort?: number; protocol?: string }[]
  ): Service => ({ ipAddress: { networkName }, container: { portMappings } });

  it("reach the container from other machines, from the host, and from the container itself", async () => {
    const { task, namespace } = await launched(
      service("weave", { hostPort: 8080, containerPort: 80, protocol: "tcp,udp" }, { containerPort: 81 }),
    );
    for (const transport of ["tcp", "udp"] as const) {
      await serveGreeting(namespace, 80, "task", transport);
      expect(await ask(outside, host.address, 8080, transport), `${transport} from outside`).toBe("task");
      expect(await ask(host.namespace, host.address, 8080, transport), `${transport} from the host`).toBe(
        "task",
      );
      expect(await ask(namespace, host.address, 8080, transport), `${transport} from itself`).toBe("task");
    }
    expect(await ask(host.namespace, "127.0.0.1", 8080)).toBe("task");
    await agent.isolator.destroy(task.id);
    expect(await ask(outside, host.address, 8080)).toBeUndefined();
    await nothingIsLeft();
  });

  it("refuse a port that another task has, naming it, and give it to the next when that has ended", async () => {
    const wanted = service("weave", { hostPort: 8081, containerPort: 80 });
    const { task, namespace } = await launched(wanted);
    await serveGreeting(namespace, 80, "first");
    await expect(agent.launch(wanted)).rejects.toThrow(new RegExp(`"code":106.*8081.*${task.id}`));
    expect(await ask(outside, host.address, 8081)).toBe("first");
    await agent.isolator.destroy(task.id);

    const next = await launched(wanted);
    await serveGreeting(next.namespace, 80, "next");
    expect(await ask(outside, host.address, 8081)).toBe("next");
    await agent.isolator.destroy(next.task.id);
    await nothingIsLeft();
  });

  it("are made by mesos-cni-port-mapper with weave-net as delegate, which gets no cniVersion", async () => {
    agent.write("mapped.conf", {
      name: "mapped",
      type: "mesos-cni-port-mapper",
      chain: "MESOS-TEST-PORTS",
      excludeDevices: ["weave"],
      delegate: { type: "weave-net", ipam: { type: "weave-ipam" } },
    });
    const { task, namespace } = await launched(service("mapped", { hostPort: 8082, containerPort: 80 }));
    expect(task.addresses.get("mapped")).toHaveLength(1);
    await serveGreeting(namespace, 80, "mapped");
    expect(await ask(outside, host.address, 8082)).toBe("mapped");
    expect(await mapperRules()).toEqual([expect.stringContaining(`container_id: ${task.id}`)]);
    await agent.isolator.destroy(task.id);
    expect(await ask(outside, host.address, 8082)).toBeUndefined();
    expect(await mapperRules()).toEqual([]);
    await nothingIsLeft();
  });

  it("find a delegate that fails: its error reaches Mesos, and nothing stays", async () => {
    agent.write("mapped-refused.conf", {
      name: "mapped-refused",
      type: "mesos-cni-port-mapper",
      chain: "MESOS-TEST-PORTS",
      delegate: { type: "weave-net", vlan: 7 },
    });
    await expect(agent.launch(service("mapped-refused"))).rejects.toThrow(/"code":102.*vlan=7/);
    await nothingIsLeft();
  });

  async function launched(wanted: Service): Promise<{ task: Launched; namespace: TestNamespace }> {
    const namespace = agent.executor();
    return { task: await agent.launch(wanted, { namespace }), namespace };
  }

  /** Name of who answers. */
  async function ask(
    from: TestNamespace,
    address: string,
    port: number,
    transport: Transport = "tcp",
  ): Promise<string | undefined> {
    return (await askGreeting(from, address, port, transport))?.name;
  }

  async function mapperRules(): Promise<string[]> {
    const rules = await host.namespace.run("iptables -w -t nat -S MESOS-TEST-PORTS");
    return rules.split("\n").filter((rule) => rule.startsWith("-A"));
  }

  async function nothingIsLeft(): Promise<void> {
    expect(await tracesOf(host)).toEqual(before);
    expect(agent.isolator.checkpoints.containers()).toEqual([]);
  }
});
