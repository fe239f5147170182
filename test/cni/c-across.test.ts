// Cases 35 and 36 of the contract: the others learn of a new container before they would miss it, on the same host
// and on another.
import { beforeAll, describe, expect, it } from "vitest";
import { capture, eventually, type TestNamespace } from "../kernel/support/namespaces.ts";
import type { Host } from "../support/host.ts";
import { type Attached, useRig } from "./rig.ts";

describe("C. what others see of an ADD", () => {
  const rig = useRig({ hosts: 2 });
  let near: Attached;
  let far: Attached;

  beforeAll(async () => {
    near = await rig.attached(undefined, undefined, "near");
    far = await onHost(rig.lab.host(2), "far");
    await eventually("the two reach each other", () => near.pod.pings(far.address));
  });

  const onHost = (host: Host, label: string, mac?: string, address?: string): Promise<Attached> => {
    const args: [string, string][] = [["IgnoreUnknown", "1"]];
    if (mac !== undefined) args.push(["MAC", mac]);
    if (address !== undefined) args.push(["IP", address]);
    return rig.attach(rig.lab.container(host, label), undefined, { args });
  };

  it("case 35: a gratuitous ARP reaches containers of the same host, and the other host knows within a second", async () => {
    const seen = await capture(near.pod.namespace, "eth0", "arp");
    const attached = await onHost(rig.host, "new");
    const mac = await attached.pod.mac();
    const other = rig.lab.host(2).namespace;
    // The other host answers its containers' questions itself; an announcement there is for those who know another
    // MAC, which is the next case.
    await eventually(
      "the other host has the entry",
      async () => (await entry(other, attached.address)) === mac,
      1000,
    );
    expect(announcements(await seen.stop(), attached.address)).not.toEqual([]);
    await rig.detach(attached);
  });

  it("case 35: those who knew the address by another MAC learn the new one", async () => {
    const [address, old, fresh] = ["10.41.0.1", "02:00:00:00:00:0a", "02:00:00:00:00:0b"];
    const first = await onHost(rig.host, "old", old, address);
    for (const other of [near, far]) {
      await eventually(`${other.pod.namespace.name} knows it`, () => other.pod.pings(address));
      expect(await neighbour(other, address)).toBe(old);
    }
    await rig.detach(first);
    const second = await onHost(rig.host, "new", fresh, address);
    for (const other of [near, far]) {
      await eventually(
        "the entry is refreshed",
        async () => (await neighbour(other, address)) === fresh,
        1000,
      );
      expect(await other.pod.pings(address)).toBe(true);
    }
    await rig.detach(second);
  });

  it("case 35: also when the address moves to another host", async () => {
    const [address, old, fresh] = ["10.41.0.2", "02:00:00:00:00:0c", "02:00:00:00:00:0d"];
    const first = await onHost(rig.host, "old", old, address);
    for (const other of [near, far]) await eventually("it is known", () => other.pod.pings(address));
    await rig.detach(first);
    const second = await onHost(rig.lab.host(2), "new", fresh, address);
    for (const other of [near, far]) {
      await eventually(
        "the entry is refreshed",
        async () => (await neighbour(other, address)) === fresh,
        1000,
      );
      expect(await other.pod.pings(address)).toBe(true);
    }
    await rig.detach(second);
  });

  it("case 36: the first ping after ADD is answered, on the same host and on the other", async () => {
    for (let turn = 0; turn < 5; turn++) {
      const attached = await onHost(rig.host, `turn${turn}`);
      // One packet each, to the neighbour and across.
      expect(await attached.pod.pings(near.address)).toBe(true);
      expect(await attached.pod.pings(far.address)).toBe(true);
      await rig.detach(attached);
      const other = await onHost(rig.lab.host(2), `other${turn}`);
      expect(await other.pod.pings(near.address)).toBe(true);
      expect(await other.pod.pings(far.address)).toBe(true);
      await rig.detach(other);
    }
  });

  const neighbour = (of: Attached, address: string): Promise<unknown> => entry(of.pod.namespace, address);
});

/** The MAC a namespace has for an address. */
async function entry(namespace: TestNamespace, address: string): Promise<unknown> {
  const [found] = await namespace.json(`ip -j neighbour show ${address}`);
  return found?.["lladdr"];
}

/** Gratuitous ARP for an address: question or answer that tells of itself. */
const announcements = (lines: readonly string[], address: string): readonly string[] =>
  lines.filter(
    (line) =>
      (line.includes(`who-has ${address}`) && line.includes(`tell ${address}`)) ||
      line.includes(`Reply ${address} is-at`),
  );
