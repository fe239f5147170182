// hostPort and traffic shaping by weave-net alone, in both spellings of runtimes; taken ports are refused.
import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import type { JsonObject, TestNamespace } from "../kernel/support/namespaces.ts";
import { askGreeting, serveGreeting } from "../support/greeter.ts";
import type { Host } from "../support/host.ts";
import { capitalised } from "../support/libcni/libcni.ts";
import { shapersOf } from "../support/pod-effects.ts";
import { expectError, failureOf } from "./errors.ts";
import { type Remains, remainsOf } from "./remains.ts";
import { useRig } from "./rig.ts";

describe("capabilities of weave-net", () => {
  const rig = useRig();
  let host: Host;
  let outside: { readonly namespace: TestNamespace; readonly address: string };
  let before: Remains;
  const network = rig.network({ capabilities: { portMappings: true, bandwidth: true } });

  beforeAll(async () => {
    host = rig.host;
    outside = await rig.lab.addOutsider();
    before = await remainsOf(host);
  });

  const spellings = [
    ["lower-case", (one: JsonObject) => one],
    ["capitalised", (one: JsonObject) => capitalised(one)],
  ] as const;

  it.each(spellings)("portMappings, %s: from everywhere, and gone with DEL", async (_, mangled) => {
    const portMappings = [
      { hostPort: 8080, containerPort: 80, protocol: "tcp", hostIP: "" },
      { hostPort: 5353, containerPort: 53, protocol: "udp" },
    ];
    const attached = await rig.attached(network, { capabilityArgs: mangled({ portMappings }) });
    const { pod } = attached;
    const servers = [
      await serveGreeting(pod.namespace, 80, "web"),
      await serveGreeting(pod.namespace, 53, "dns", "udp"),
    ];
    for (const from of [outside.namespace, host.namespace, pod.namespace]) {
      expect(await askGreeting(from, host.address, 8080)).toMatchObject({ name: "web" });
      expect(await askGreeting(from, host.address, 5353, "udp")).toMatchObject({ name: "dns" });
    }
    expect(await askGreeting(host.namespace, "127.0.0.1", 8080)).toMatchObject({ name: "web" });
    // The address of a client from outside is kept.
    expect(await askGreeting(outside.namespace, host.address, 8080)).toMatchObject({ seen: outside.address });
    for (const server of servers) server.stop();
    await rig.detach(attached);
    expect(await askGreeting(outside.namespace, host.address, 8080)).toBeUndefined();
    expect(await remainsOf(host)).toEqual(before);
  });

  it("a port that another container has is refused, naming it, and stays with it", async () => {
    const portMappings = [{ hostPort: 8080, containerPort: 80, protocol: "tcp" }];
    const holder = await rig.attached(network, { capabilityArgs: { portMappings } });
    const held = await remainsOf(host);
    const { run } = await failureOf(rig.attached(network, { capabilityArgs: { portMappings } }));
    expectError(run, 106, "8080", holder.pod.id.slice(0, 12));
    expect(await remainsOf(host)).toEqual(held);
    // Another protocol is another port.
    const udp = [{ hostPort: 8080, containerPort: 80, protocol: "udp" }];
    await rig.detach(await rig.attached(network, { capabilityArgs: { portMappings: udp } }));
    await rig.detach(holder);
    await rig.detach(await rig.attached(network, { capabilityArgs: { portMappings } }));
    expect(await remainsOf(host)).toEqual(before);
  });

  it.each(spellings)("bandwidth, %s: limits both directions, and is gone with DEL", async (_, mangled) => {
    const bandwidth = {
      ingressRate: 8e6,
      ingressBurst: 2 ** 32 - 1,
      egressRate: 16e6,
      egressBurst: 2 ** 32 - 1,
    };
    const attached = await rig.attached(network, { capabilityArgs: mangled({ bandwidth }) });
    const shapers = await shapersOf(host.namespace);
    const { hostIfname } = attached.pod;
    expect(shapers).toEqual(
      new Map([
        [hostIfname, 8e6],
        [hostIfname.replace("vw", "vi"), 16e6],
      ]),
    );
    await rig.cni.check(network, attached.attachment);
    await rig.detach(attached);
    expect(await remainsOf(host)).toEqual(before);
  });

  it.each([undefined, false, true])("portMappings to an address of host-local, ipMasq %s", async (ipMasq) => {
    const dataDir = mkdtempSync(join(rig.lab.dir, "host-local-"));
    const foreign = rig.network({
      capabilities: { portMappings: true },
      isGateway: true,
      ipMasq,
      ipam: { type: "host-local", dataDir, subnet: "172.20.9.0/24", routes: [{ dst: "0.0.0.0/0" }] },
    });
    const portMappings = [{ hostPort: 8080, containerPort: 80, protocol: "tcp" }];
    const attached = await rig.attached(foreign, { capabilityArgs: { portMappings } });
    const server = await serveGreeting(attached.pod.namespace, 80, "foreign");
    const own = await rig.attached();
    expect(attached.address).toMatch(/^172\.20\.9\./);
    for (const from of [outside.namespace, host.namespace, attached.pod.namespace, own.pod.namespace]) {
      expect(await askGreeting(from, host.address, 8080), from.name).toMatchObject({ name: "foreign" });
    }
    expect(await askGreeting(host.namespace, "127.0.0.1", 8080)).toMatchObject({ name: "foreign" });
    // The outsider has no route to that subnet: only masquerade brings its answers back.
    expect(await attached.pod.pings(outside.address)).toBe(ipMasq === true);
    server.stop();
    for (const one of [own, attached]) await rig.detach(one);
    const now = await remainsOf(host);
    expect(now.firewall).not.toContain("8080");
    expect(now.links).toEqual(before.links);
  });

  it("nothing declared, nothing done", async () => {
    const portMappings = [{ hostPort: 8080, containerPort: 80, protocol: "tcp" }];
    const { firewall } = await remainsOf(host);
    const attached = await rig.attached(rig.network(), { capabilityArgs: { portMappings } });
    expect((await remainsOf(host)).firewall).toBe(firewall);
    await rig.detach(attached);
  });
});
