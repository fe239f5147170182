// Hosts on their own network, and the way in and out of it: Weave Net's tests 130 (expose and hide), 135 (firewall rules that
// others flush) and 191 (bridge and rules removed by hand while the daemon was away).
import { beforeAll, describe, expect, it } from "vitest";
import { eventually, type TestNamespace } from "../kernel/support/namespaces.ts";
import type { Container } from "../support/container.ts";
import type { Host } from "../support/host.ts";
import { useLab } from "../support/lab.ts";
import { transfer } from "../support/traffic.ts";

/** What others break comes back within this (docs/status.md). */
const REPAIR_MS = 1_000;
const BYTES = 1 << 16;

describe("two hosts, exposed", () => {
  const lab = useLab(2);
  let h1: Host;
  let h2: Host;
  let near: Container;
  let far: Container;
  let outside: { readonly namespace: TestNamespace; readonly address: string };

  beforeAll(async () => {
    await lab.launchAll();
    [h1, h2] = [lab.host(1), lab.host(2)];
    outside = await lab.addOutsider();
    for (const host of lab.hosts) await host.weaveOk("expose");
    near = await lab.attached(h1, "near");
    far = await lab.attached(h2, "far");
    await lab.untilKnown([near, far]);
  });

  const pings = (from: TestNamespace, to: string): Promise<boolean> =>
    from.succeeds(`ping -n -c 1 -W 0.2 ${to}`);
  const reaches = (from: TestNamespace, to: string, withinMs?: number): Promise<unknown> =>
    eventually(`${from.name} pings ${to}`, () => pings(from, to), withinMs);
  /** Containers reach each other, their host, and the outside in the name of their host. */
  const allReach = async (): Promise<void> => {
    await reaches(near.namespace, far.address, REPAIR_MS);
    await reaches(h1.namespace, far.address, REPAIR_MS);
    await reaches(near.namespace, outside.address, REPAIR_MS);
  };

  it("expose and hide are for one subnet each, and the second time change nothing", async () => {
    const [one, two] = [lab.container(h1, "one"), lab.container(h2, "two")];
    await h1.weaveOk("attach", "10.2.1.1/24", one.namespace.path);
    await h2.weaveOk("attach", "10.2.2.2/24", two.namespace.path);
    expect(await pings(h1.namespace, "10.2.1.1")).toBe(false);
    for (const _ of [1, 2]) expect(await h1.weaveOk("expose", "10.2.1.10/24")).toBe("10.2.1.10/24\n");
    expect(await pings(h1.namespace, "10.2.1.1")).toBe(true);
    expect(await pings(h1.namespace, "10.2.2.2")).toBe(false);
    await h1.weaveOk("expose", "10.2.2.10/24");
    await reaches(h1.namespace, "10.2.2.2");
    expect(await pings(one.namespace, "10.2.2.2")).toBe(false); // attach gives no route to other subnets

    expect(await h1.weaveOk("hide", "10.2.1.10/24")).toBe("10.2.1.10/24\n");
    expect(await h1.weave("hide", "10.2.1.10/24")).toMatchObject({ exit: 0, stdout: "" });
    expect(await pings(h1.namespace, "10.2.1.1")).toBe(false);
    expect(await pings(h1.namespace, "10.2.2.2")).toBe(true);
    await h1.weaveOk("hide", "10.2.2.10/24");
    expect((await h1.status()).exposed).toHaveLength(1);
  });

  it("a port of one host leads to a container of the other, for a machine that knows neither", async () => {
    const listens = { 5001: far.address };
    await h1.namespace.run("nft add table ip ways");
    await h1.namespace.run("nft add chain ip ways in { type nat hook prerouting priority dstnat ; }");
    for (const [port, to] of Object.entries(listens))
      await h1.namespace.run(`nft add rule ip ways in tcp dport ${port} dnat to ${to}`);
    expect(await transfer(outside.namespace, far.namespace, h1.address, BYTES)).toBe(BYTES);
    await h1.namespace.run("nft delete table ip ways");
  });

  it("rules that others flush are back within a second", async () => {
    await allReach();
    await h1.namespace.run("iptables -P FORWARD DROP");
    await allReach();
    for (const line of ["nft flush ruleset", "iptables -F FORWARD", "iptables -t nat -F"]) {
      await h1.namespace.run(line);
      await h1.namespace.run("iptables -P FORWARD DROP");
      await allReach();
    }
    expect((await h1.status()).problems).toEqual([]);
  });

  it("bridge, VXLAN device and rules removed while the daemon was killed are there after its launch", async () => {
    const before = await h1.status();
    await h1.kill();
    for (const line of ["ip link del weave", "ip link del vxlan-6784", "nft flush ruleset", "iptables -F"])
      await h1.namespace.run(line);
    expect(await pings(near.namespace, far.address)).toBe(false);
    expect(await pings(near.namespace, outside.address)).toBe(false);
    await h1.launch();
    await allReach();
    await reaches(far.namespace, near.address);
    await lab.untilAllOk();
    const after = await h1.status();
    expect([after.name, after.exposed]).toEqual([before.name, before.exposed]);
  });
});
