// What containers ask for beyond an address of the ring: addresses another plugin chose, ports of the host, MACs. Nobody owns
// these; what a host knows decides.
import { describe, expect, it } from "vitest";
import type { AddressWish, AttachmentTerms } from "../../src/ports/attachments.ts";
import type { Host } from "./host.ts";
import { addressOf, World } from "./world.ts";

async function pair(): Promise<{ w: World; alice: Host; bob: Host }> {
  const w = new World({
    seed: 5,
    universe: "10.32.0.0/24",
    peers: [
      { name: "alice", targets: [] },
      { name: "bob", targets: [addressOf(0)] },
    ],
  });
  await w.startAll();
  await w.run(10_000);
  return { w, alice: w.host("alice"), bob: w.host("bob") };
}

/** ADD as the plugin does it; what it was refused with, or undefined. */
async function add(
  { w, on }: { w: World; on: Host },
  container: string,
  asked: { wish?: AddressWish; terms?: AttachmentTerms; mac?: string },
): Promise<{ code: string; message: string } | undefined> {
  const key = { network: "weave", containerId: container, ifname: "eth0" };
  const moment = { bootId: "b", bootMs: 1 };
  const request = async (): Promise<{ code: string; message: string } | undefined> => {
    const { runner } = on;
    if (runner === undefined) throw new Error("not running");
    const allocated = await runner.request({
      kind: "allocate",
      key,
      moment,
      terms: asked.terms ?? {},
      ...asked.wish,
    });
    if (!allocated.ok) return allocated;
    const link = { mac: asked.mac ?? `02:00:00:00:00:${container}`, hostIfname: container, hairpin: true };
    const committed = await runner.request({ kind: "commit", key, facts: { link } });
    if (committed.ok) return undefined;
    await runner.request({ kind: "release", key });
    return committed;
  };
  return w.answer(request());
}

const chosen = (...addresses: string[]) => ({ wish: { chosen: addresses } });
const port = (hostPort: number, protocol: "tcp" | "udp" = "tcp") => ({
  terms: { ports: [{ protocol, hostPort, containerPort: 80 }] },
});

describe("an address another plugin chose", () => {
  it("is refused while a container of another host holds it, and the holder is named", async () => {
    const { w, alice, bob } = await pair();
    expect(await add({ w, on: alice }, "0a", chosen("172.20.0.2/24"))).toBeUndefined();
    await w.run(3_000);
    expect(await add({ w, on: bob }, "0b", chosen("172.20.0.2/24"))).toMatchObject({
      code: "address-taken",
      message: "172.20.0.2 is held by container 0a on alice",
    });
    await w.answer(alice.remove("0a"));
    await w.run(3_000);
    expect(await add({ w, on: bob }, "0b", chosen("172.20.0.2/24"))).toBeUndefined();
  });

  it("is refused while a container here, or a bridge, holds it", async () => {
    const { w, alice, bob } = await pair();
    expect(await add({ w, on: alice }, "0a", chosen("172.20.0.2/24"))).toBeUndefined();
    expect(await add({ w, on: alice }, "0b", chosen("172.20.0.2/16"))).toMatchObject({
      message: "172.20.0.2 is held by weave/0a/eth0",
    });
    const expose = { kind: "expose", addresses: ["172.20.0.1/24"], masquerade: false } as const;
    expect(await w.answer(alice.runner?.request(expose) ?? Promise.reject())).toMatchObject({ ok: true });
    expect(await w.answer(alice.runner?.request(expose) ?? Promise.reject())).toMatchObject({ ok: true });
    expect(await add({ w, on: alice }, "0c", chosen("172.20.0.1/24"))).toMatchObject({
      message: "172.20.0.1 is held by this host's bridge",
    });
    await w.run(3_000);
    expect(await w.answer(bob.runner?.request(expose) ?? Promise.reject())).toMatchObject({
      code: "address-taken",
      message: "172.20.0.1 is held by the bridge on alice",
    });
  });

  it("inside the range is claimed from the ring, so that nobody else is given it", async () => {
    const { w, alice, bob } = await pair();
    expect(await add({ w, on: bob }, "0b", chosen("10.32.0.2/24"))).toBeUndefined();
    expect(await add({ w, on: alice }, "0a", chosen("10.32.0.2/24"))).toMatchObject({
      code: "address-elsewhere",
    });
    expect(alice.runner?.node.attachments()).toEqual([]);
  });

  it("is told to everybody like any other", async () => {
    const { w, alice, bob } = await pair();
    await add({ w, on: alice }, "0a", chosen("172.20.0.2/24", "fd20::2/64"));
    await w.run(3_000);
    const known = bob.runner?.node.endpoints().byAddress;
    for (const address of ["172.20.0.2", "fd20::2"])
      expect(known?.get(address)).toMatchObject({ peer: "alice", mac: "02:00:00:00:00:0a" });
  });
});

describe("a gateway another plugin chose", () => {
  const gateway = "172.20.0.1/24";
  const with1 = (address: string) => ({ wish: { chosen: [address] }, terms: { gateways: [gateway] } });
  const bridgeOf = (host: Host) => host.runner?.node.datapath().bridge.addresses;

  it("is the bridge's on every host that asks, and nobody is told", async () => {
    const { w, alice, bob } = await pair();
    expect(await add({ w, on: alice }, "0a", with1("172.20.0.2/24"))).toBeUndefined();
    await w.run(3_000);
    expect(await add({ w, on: bob }, "0b", with1("172.20.0.3/24"))).toBeUndefined();
    await w.run(3_000);
    for (const host of [alice, bob]) {
      expect(bridgeOf(host)).toEqual([gateway]);
      expect(host.runner?.node.endpoints().byAddress.has("172.20.0.1")).toBe(false);
      expect(host.runner?.node.datapath().firewall.masquerade).toEqual([]);
    }
  });

  it("goes with the last attachment that has it, over a crash too", async () => {
    const { w, alice } = await pair();
    await add({ w, on: alice }, "0a", with1("172.20.0.2/24"));
    await add({ w, on: alice }, "0b", with1("172.20.0.3/24"));
    await w.answer(alice.remove("0a"));
    alice.kill();
    await alice.start();
    await w.run(3_000);
    expect(bridgeOf(alice)).toEqual([gateway]);
    await w.answer(alice.remove("0b"));
    expect(bridgeOf(alice)).toEqual([]);
  });

  it("is refused where a container has that address", async () => {
    const { w, alice, bob } = await pair();
    await add({ w, on: alice }, "0a", chosen("172.20.0.1/24"));
    await w.run(3_000);
    expect(await add({ w, on: bob }, "0b", with1("172.20.0.3/24"))).toMatchObject({
      message: "172.20.0.1 is held by container 0a on alice",
    });
    expect(bob.runner?.node.attachments()).toEqual([]);
  });

  it("inside the range is nobody else's while it is the bridge's, and free afterwards", async () => {
    const { w, alice } = await pair();
    const inside = { wish: { chosen: ["10.32.0.9/24"] }, terms: { gateways: ["10.32.0.1/24"] } };
    expect(await add({ w, on: alice }, "0a", inside)).toBeUndefined();
    expect(await add({ w, on: alice }, "0b", { wish: { addresses: ["10.32.0.1"] } })).toMatchObject({
      code: "address-taken",
    });
    await w.answer(alice.remove("0a"));
    expect(await add({ w, on: alice }, "0b", { wish: { addresses: ["10.32.0.1"] } })).toBeUndefined();
  });
});

describe("many addresses", () => {
  it("of a bridge are all known everywhere, over a crash too", async () => {
    const { w, alice, bob } = await pair();
    const subnets = Array.from({ length: 40 }, (_, i) => `172.20.${i}.1/24`);
    for (const address of subnets) {
      const expose = { kind: "expose", addresses: [address], masquerade: false } as const;
      expect(await w.answer(alice.runner?.request(expose) ?? Promise.reject())).toMatchObject({ ok: true });
    }
    await w.run(3_000);
    const known = bob.runner?.node.endpoints().byAddress;
    for (const address of subnets)
      expect(known?.get(address.split("/")[0] ?? "")).toMatchObject({ peer: "alice", label: "expose" });
    alice.kill();
    await alice.start();
    await w.run(3_000);
    expect([...(alice.runner?.node.endpoints().byAddress.keys() ?? [])]).toHaveLength(40);
  });

  it("of a container: sixteen, as one endpoint can tell", async () => {
    const { w, alice, bob } = await pair();
    const some = (count: number) => Array.from({ length: count }, (_, i) => `172.20.0.${i + 2}/24`);
    expect(await add({ w, on: alice }, "0a", chosen(...some(17)))).toMatchObject({ code: "bad-address" });
    expect(await add({ w, on: alice }, "0a", chosen(...some(16)))).toBeUndefined();
    await w.run(3_000);
    expect(bob.runner?.node.endpoints().byAddress.size).toBe(16);
  });
});

describe("readiness", () => {
  it("looks at the subnet that is asked about", async () => {
    const { w, alice } = await pair();
    const ready = (subnet?: string) => alice.runner?.node.readiness(subnet);
    expect(ready()).toEqual({ ready: true });
    expect(ready("10.32.0.0/25")).toEqual({ ready: true });
    expect(ready("1.2.3.0/24")).toMatchObject({
      ready: false,
      message: expect.stringContaining("1.2.3.0/24"),
    });
    for (const i of [1, 2]) await add({ w, on: alice }, `0${i}`, { wish: { addresses: [`10.32.0.${i}`] } });
    expect(ready("10.32.0.0/30")).toMatchObject({
      ready: false,
      message: expect.stringContaining("10.32.0.0/30"),
    });
    await w.answer(alice.remove("01"));
    expect(ready("10.32.0.0/30")).toEqual({ ready: true });
  });
});

describe("a port of the host", () => {
  it("leads to one container; the second that asks gets no address either", async () => {
    const { w, alice } = await pair();
    expect(await add({ w, on: alice }, "0a", port(8080))).toBeUndefined();
    expect(await add({ w, on: alice }, "0b", port(8080))).toMatchObject({
      code: "port-taken",
      message: "port tcp 8080 of this host leads to weave/0a/eth0",
    });
    expect(alice.runner?.node.attachments()).toHaveLength(1);
    expect(await add({ w, on: alice }, "0b", port(8080, "udp"))).toBeUndefined();
    expect(alice.runner?.node.datapath().firewall.portMaps).toHaveLength(2);
    await w.answer(alice.remove("0a"));
    expect(await add({ w, on: alice }, "0c", port(8080))).toBeUndefined();
  });

  it("asked for twice in one breath is refused", async () => {
    const { w, alice } = await pair();
    const ports = [80, 81].map((containerPort) => ({
      protocol: "tcp" as const,
      hostPort: 8080,
      containerPort,
    }));
    expect(await add({ w, on: alice }, "0a", { terms: { ports } })).toMatchObject({
      code: "port-taken",
      message: "port tcp 8080 of this host was asked for twice",
    });
  });

  it("is free on every other host", async () => {
    const { w, alice, bob } = await pair();
    expect(await add({ w, on: alice }, "0a", port(8080))).toBeUndefined();
    expect(await add({ w, on: bob }, "0b", port(8080))).toBeUndefined();
  });

  it("that weave listens on is refused", async () => {
    const { w, alice } = await pair();
    const { port: control, vxlanPort } = alice.runner?.node.config ?? { port: 0, vxlanPort: 0 };
    for (const asked of [port(control), port(vxlanPort, "udp")])
      expect(await add({ w, on: alice }, "0a", asked)).toMatchObject({ code: "port-taken" });
    expect(await add({ w, on: alice }, "0a", port(vxlanPort))).toBeUndefined();
  });

  it("survives a crash with its container", async () => {
    const { w, alice } = await pair();
    await add({ w, on: alice }, "0a", port(8080));
    alice.kill();
    await alice.start();
    await w.run(3_000);
    expect(alice.runner?.node.datapath().firewall.portMaps).toMatchObject([{ hostPort: 8080 }]);
    expect(await add({ w, on: alice }, "0b", port(8080))).toMatchObject({ code: "port-taken" });
  });
});

describe("a MAC", () => {
  const MAC = "02:00:00:00:00:77";

  it("wished twice is refused, on one host and on two", async () => {
    const { w, alice, bob } = await pair();
    expect(await add({ w, on: alice }, "0a", { mac: MAC })).toBeUndefined();
    expect(await add({ w, on: alice }, "0b", { mac: MAC })).toMatchObject({ code: "address-taken" });
    await w.run(3_000);
    expect(await add({ w, on: bob }, "0c", { mac: MAC })).toMatchObject({
      code: "address-taken",
      message: `the MAC ${MAC} is in use by container 0a on alice`,
    });
    expect(bob.runner?.node.attachments()).toEqual([]);
  });

  it("that changed later is told to everybody, by committing again", async () => {
    const { w, alice, bob } = await pair();
    await add({ w, on: alice }, "0a", chosen("172.20.0.2/24"));
    const key = { network: "weave", containerId: "0a", ifname: "eth0" };
    const link = { mac: MAC, hostIfname: "0a", hairpin: true };
    await w.answer(alice.runner?.request({ kind: "commit", key, facts: { link } }) ?? Promise.reject());
    await w.run(3_000);
    expect(bob.runner?.node.endpoints().byAddress.get("172.20.0.2")).toMatchObject({ mac: MAC });
  });
});
