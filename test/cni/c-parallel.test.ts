// Cases 57 and 58 of the contract: many at once.
import { beforeAll, describe, expect, it } from "vitest";
import type { Host } from "../support/host.ts";
import { parseNetwork } from "../support/libcni/libcni.ts";
import { expectEmpty, type Remains, remainsOf } from "./remains.ts";
import { type Attached, attachmentOf, useRig } from "./rig.ts";

describe("C. at the same time", () => {
  const rig = useRig();
  let host: Host;
  let before: Remains;
  let bridge: string;

  beforeAll(async () => {
    host = rig.host;
    before = await remainsOf(host);
    bridge = before.endpoints[0] ?? "";
  });

  it("case 57: fifty ADDs give fifty addresses that all work", async () => {
    const attached = await Promise.all(Array.from({ length: 50 }, () => rig.attached()));
    expect(new Set(attached.map(({ address }) => address)).size).toBe(50);
    expect(await host.veths()).toHaveLength(50);
    for (const { pod } of attached) expect(await pod.pings(bridge)).toBe(true);
    await Promise.all(attached.map((one) => rig.detach(one)));
    expect(await remainsOf(host)).toEqual(before);
  });

  it("case 57: a storm of 200 ADDs and DELs leaves what lives, and in the end nothing", async () => {
    const pods = Array.from({ length: 20 }, (_, number) => rig.pod(`storm${number}`));
    const living: Attached[] = [];
    // Each pod five times ADD and DEL, the last ADD of every second one without a DEL; pods side by side.
    await Promise.all(
      pods.map(async (pod, number) => {
        for (let turn = 0; turn < 5; turn++) {
          const attached = await rig.attach(pod);
          if (turn === 4 && number % 2 === 1) living.push(attached);
          else await rig.detach(attached);
        }
      }),
    );
    const now = await remainsOf(host);
    expect(now.used).toBe(before.used + living.length);
    expect(new Set(now.endpoints)).toEqual(
      new Set([...before.endpoints, ...living.map(({ address }) => address)]),
    );
    expect(await host.veths()).toHaveLength(living.length);
    for (const { pod } of living) expect(await pod.pings(bridge)).toBe(true);
    await Promise.all(living.map((one) => rig.detach(one)));
    expect(await remainsOf(host)).toEqual(before);
    for (const pod of pods) await expectEmpty(pod);
  });

  it("two hundred pods come and go in a storm: nothing is left", { timeout: 120_000 }, async () => {
    const network = rig.network({ capabilities: { portMappings: true, bandwidth: true } });
    const addresses = new Set<string>();
    const pods = Array.from({ length: 200 }, (_, number) => ({ number, pod: rig.pod(`s${number}`) }));
    const waves = Array.from({ length: 8 }, (_, lane) => pods.filter(({ number }) => number % 8 === lane));
    const wishes = (number: number) => ({
      capabilityArgs: {
        portMappings: [{ hostPort: 20_000 + number, containerPort: 80, protocol: "tcp" }],
        ...(number % 4 === 0
          ? { bandwidth: { ingressRate: 1e7, ingressBurst: 1e6, egressRate: 1e7, egressBurst: 1e6 } }
          : {}),
      },
    });
    await Promise.all(
      waves.map(async (wave) => {
        for (const { number, pod } of wave)
          addresses.add((await rig.attach(pod, network, wishes(number))).address);
      }),
    );
    expect(addresses.size).toBe(200);
    expect(await host.veths()).toHaveLength(200);
    await Promise.all(
      waves.map(async (wave) => {
        for (const { number, pod } of wave)
          await rig.cni.del(network, attachmentOf(pod, "eth0", wishes(number)));
      }),
    );
    expect(await remainsOf(host)).toEqual(before);
  });

  it("five ADDs of one attachment: one is served, the others are refused, and DEL undoes it", async () => {
    const pod = rig.pod();
    const attachment = attachmentOf(pod);
    const outcomes = await Promise.allSettled(
      Array.from({ length: 5 }, () => rig.cni.add(rig.network(), attachment)),
    );
    const failures = outcomes.filter((one) => one.status === "rejected").map(({ reason }) => reason);
    expect(failures).toEqual(Array(4).fill(expect.objectContaining({ code: 100 })));
    expect(await pod.pings(bridge)).toBe(true);
    expect((await remainsOf(host)).used).toBe(before.used + 1);
    await rig.cni.del(rig.network(), attachment);
    expect(await remainsOf(host)).toEqual(before);
  });

  it("case 58: two interfaces of one container, as Mesos adds them", async () => {
    const pod = rig.pod();
    const network = rig.network();
    const [eth0, eth1] = [attachmentOf(pod, "eth0"), attachmentOf(pod, "eth1")];
    const results = await Promise.all([rig.cni.add(network, eth0), rig.cni.add(network, eth1)]);
    expect(new Set(results.map((result) => JSON.stringify(result["ips"]))).size).toBe(2);
    expect(await host.veths()).toHaveLength(2);
    await Promise.all([rig.cni.del(network, eth0), rig.cni.del(network, eth1)]);
    expect(await remainsOf(host)).toEqual(before);
    await expectEmpty(pod);
  });

  it("case 58: loopback beside it, as containerd adds it", async () => {
    const pod = rig.pod();
    await pod.namespace.run("ip link set lo down");
    const loopback = parseNetwork({
      cniVersion: "0.3.1",
      name: "cni-loopback",
      plugins: [{ type: "loopback" }],
    });
    const lo = attachmentOf(pod, "lo");
    const [attached] = await Promise.all([rig.attach(pod), rig.cni.add(loopback, lo)]);
    expect(await pod.pings(bridge)).toBe(true);
    expect(await pod.pings("127.0.0.1")).toBe(true);
    await Promise.all([rig.detach(attached), rig.cni.del(loopback, lo)]);
    expect(await remainsOf(host)).toEqual(before);
  });
});
