// What is not sent: no ARP across hosts to resolve a remote container, and no copy of a unicast frame to anybody but
// its receiver. Each capture is shown to see such packets when there are some.
import { beforeAll, describe, expect, it } from "vitest";
import { capture, eventually, type TestNamespace } from "../kernel/support/namespaces.ts";
import type { Container } from "../support/container.ts";
import { useLab } from "../support/lab.ts";

describe("traffic that must not be", () => {
  const lab = useLab(3);
  let one: Container;
  let bystander: Container;
  let other: Container;

  beforeAll(async () => {
    await lab.launchAll();
    one = await lab.attached(lab.host(1));
    bystander = await lab.attached(lab.host(1), "bystander");
    other = await lab.attached(lab.host(2));
    await lab.untilKnown([one, bystander, other]);
    await one.reaches(other.address);
    for (const [host, remote] of [
      [lab.host(1), other],
      [lab.host(2), one],
    ] as const) {
      const mac = await remote.mac();
      await eventually(`${host.nickname} holds the entries of ${remote.address}`, async () => {
        const held = [
          await host.namespace.run("bridge fdb show dev vxlan-6784"),
          await host.namespace.run("ip neigh show dev weave"),
        ];
        return held.every((text) => text.includes(mac));
      });
    }
  });

  it("resolves a remote container without ARP on the underlay", async () => {
    expect(await arpAcross()).toEqual([]);
    expect(await one.namespace.run("ip neigh show dev eth0")).toContain(await other.mac());
  });

  it("would have shown it: without suppression the same does send ARP", async () => {
    const { namespace } = lab.host(1);
    await lab.host(1).kill(); // it would mend at once what is damaged here and below
    await namespace.run("bridge link set dev vxlan-6784 neigh_suppress off");
    expect(await arpAcross()).not.toEqual([]);
    await namespace.run("bridge link set dev vxlan-6784 neigh_suppress on");
    expect(await arpAcross()).toEqual([]);
  });

  it("floods unicast to no other local container and to no other host", async () => {
    const local = await capture(bystander.namespace, "eth0", "icmp");
    const remote = await capture(lab.host(3).namespace, "wan", "udp port 6784");
    await pingTenTimes(one.namespace, other.address);
    expect(icmp(await remote.stop())).toEqual([]);
    expect(icmp(await local.stop())).toEqual([]);
  });

  it("would have shown that, too: without their entries frames go everywhere", async () => {
    const { namespace } = lab.host(1);
    const mac = await other.mac();
    await namespace.run(`bridge fdb del ${mac} dev vxlan-6784 self`);
    await namespace.run(`bridge fdb del ${mac} dev vxlan-6784 master`);
    const local = await capture(bystander.namespace, "eth0", "icmp");
    const remote = await capture(lab.host(3).namespace, "wan", "udp port 6784");
    await pingTenTimes(one.namespace, other.address);
    expect(icmp(await remote.stop())).not.toEqual([]);
    expect(icmp(await local.stop())).not.toEqual([]);
  });

  /** ARP inside VXLAN while container one resolves the other afresh. */
  async function arpAcross(): Promise<string[]> {
    await one.namespace.run("ip neigh flush dev eth0");
    const watching = await capture(lab.underlay.namespace, "lan", "udp port 6784");
    await pingTenTimes(one.namespace, other.address);
    const lines = await watching.stop();
    expect(icmp(lines).length).toBeGreaterThan(9); // the capture sees what is inside VXLAN
    return lines.filter((line) => line.includes("ethertype ARP"));
  }
});

async function pingTenTimes(from: TestNamespace, address: string): Promise<void> {
  await from.run(`ping -n -c 10 -i 0.02 -W 1 ${address}`);
}

const icmp = (lines: readonly string[]): string[] => lines.filter((line) => line.includes("ICMP echo"));
