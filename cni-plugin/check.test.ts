import { describe, expect, test } from "vitest";
import type { AttachSpec } from "../src/ports/kernel.ts";
import { type Call, Harness } from "./testing/harness.ts";

describe("STATUS", () => {
  const none: Call = { id: "", ifname: "", netns: "" };

  test("says nothing when addresses can be given", async () => {
    expect(await new Harness().call("STATUS", none)).toMatchObject({ exit: 0, stdout: "", stderr: "" });
  });

  test.each([
    [50, false],
    [51, true],
  ])("code %i when degraded is %s", async (code, degraded) => {
    const daemon = new Harness();
    daemon.attachments.ready = {
      ready: false,
      degraded,
      message: "nobody founded the ring",
      hint: "run: weave connect PEER",
    };
    const { exit, json } = await daemon.call("STATUS", none);
    expect(exit).toBe(1);
    expect(json).toMatchObject({ code, msg: "nobody founded the ring; run: weave connect PEER" });
  });

  test("a configuration ADD would refuse is refused", async () => {
    expect((await new Harness().call("STATUS", { ...none, config: { vlan: 9 } })).json).toMatchObject({
      code: 2,
    });
    const ipam = { program: "weave-ipam", config: { vlan: 9 } } as const;
    expect((await new Harness().call("STATUS", { ...none, ...ipam })).exit).toBe(0);
  });
});

describe("CHECK", () => {
  async function added(): Promise<{ daemon: Harness; config: Record<string, unknown> }> {
    const daemon = new Harness();
    const { json } = await daemon.call("ADD", { config: { cniVersion: "0.4.0" } });
    return { daemon, config: { cniVersion: "0.4.0", prevResult: json } };
  }

  test("succeeds right after ADD, any number of times at once", async () => {
    const { daemon, config } = await added();
    const answers = await Promise.all(Array.from({ length: 20 }, () => daemon.call("CHECK", { config })));
    expect(answers.every((answer) => answer.exit === 0 && answer.stdout === "")).toBe(true);
    expect(daemon.residue().openNetns).toBe(0);
  });

  test("tells what is missing", async () => {
    const { daemon, config } = await added();
    const check = async (call: Call = {}): Promise<Record<string, unknown>> =>
      (await daemon.call("CHECK", { config, ...call })).json;
    expect(await check({ config: { cniVersion: "0.4.0" } })).toMatchObject({
      code: 7,
      msg: expect.stringContaining("prevResult"),
    });
    expect(await check({ netns: "/other" })).toMatchObject({
      code: 105,
      msg: expect.stringContaining("/other"),
    });
    expect(await check({ body: { netnsError: "ENOENT" } })).toMatchObject({ code: 101 });
    expect(
      await check({ config: { ...config, prevResult: { ...Object(config["prevResult"]), ips: [] } } }),
    ).toMatchObject({
      code: 105,
      msg: expect.stringContaining("10.32.0.2/12"),
    });
    daemon.kernel.links.clear();
    expect(await check()).toMatchObject({ code: 105, msg: expect.stringContaining("no interface eth0") });
    await daemon.call("DEL");
    expect(await check()).toMatchObject({
      code: 105,
      msg: expect.stringContaining("no address is reserved"),
    });
  });

  test.each<[string, (daemon: Harness) => void]>([
    ["has no address 10.32.0.2/12", (daemon) => change(daemon, { addresses: ["10.32.0.9/12"] })],
    ["no route to 0.0.0.0/0", (daemon) => change(daemon, { routes: [] })],
    ["is no port of the bridge", (daemon) => change(daemon, { bridge: "docker0" })],
    ["not the namespace that ADD attached", (daemon) => daemon.kernel.netns.set("/run/netns/c1", "ns-2")],
    [
      "nftables",
      (daemon) => {
        const message = "the kernel is not as containers need it: nftables";
        daemon.attachments.ready = { ready: false, degraded: true, message, hint: "run: weave status" };
      },
    ],
  ])("%s", async (words, spoil) => {
    const { daemon, config } = await added();
    spoil(daemon);
    const answer = await daemon.call("CHECK", { config });
    expect(answer.json).toMatchObject({ code: 105, msg: expect.stringContaining(words) });
    expect(daemon.residue().openNetns).toBe(0);
  });

  test("what the host lacks is told, the first few by name, and put back after the answer", async () => {
    const daemon = new Harness();
    const config = {
      cniVersion: "0.4.0",
      runtimeConfig: { bandwidth: { ingressRate: 8000, ingressBurst: 800 } },
    };
    const { json } = await daemon.call("ADD", { config });
    const check = () => daemon.call("CHECK", { config: { cniVersion: "0.4.0", prevResult: json } });
    expect((await check()).exit).toBe(0);
    expect(daemon.attachments.repairs).toBe(0);

    const name = daemon.residue().links;
    change(daemon, { hairpin: false });
    daemon.kernel.unshaped.add(name);
    daemon.kernel.broken = ["bridge weave is down", "firewall table inet weave is missing", "one", "two"];
    const answer = await check();
    expect(answer.json).toMatchObject({
      code: 105,
      msg:
        `${name}, the host end, has hairpin mode off; ${name} has no limit; bridge weave is down; ` +
        "firewall table inet weave is missing; and 2 more",
    });
    expect(daemon.attachments.repairs).toBe(1);
    expect(daemon.kernel.shaped).toEqual([]);
    await expect.poll(() => daemon.kernel.shaped).toEqual([[name, { ingress: { rate: 8000, burst: 800 } }]]);

    change(daemon, { hairpin: true });
    daemon.kernel.broken = [];
    expect((await check()).exit).toBe(0);
    expect(daemon.attachments.repairs).toBe(1);
  });

  test("hairpin mode off is right where it was asked for", async () => {
    const daemon = new Harness();
    const { json } = await daemon.call("ADD", { config: { cniVersion: "0.4.0", hairpinMode: false } });
    const config = { cniVersion: "0.4.0", prevResult: json };
    expect((await daemon.call("CHECK", { config })).exit).toBe(0);
    change(daemon, { hairpin: true });
    expect((await daemon.call("CHECK", { config })).json).toMatchObject({
      code: 105,
      msg: expect.stringContaining("hairpin mode on"),
    });
  });

  test("limits nobody asked for, as another plugin may set them, are not looked at", async () => {
    const { daemon, config } = await added();
    daemon.kernel.unshaped.add(daemon.residue().links);
    expect((await daemon.call("CHECK", { config })).exit).toBe(0);
  });

  test("what later plugins changed is no fault: a MAC, which is followed, and routes and links of their own", async () => {
    const { daemon, config } = await added();
    daemon.kernel.macs.set(daemon.residue().links, "02:00:00:00:00:77");
    const prev = Object(config["prevResult"]);
    const prevResult = {
      ...prev,
      interfaces: [...prev.interfaces, { name: "ifb0", mac: "02:00:00:00:00:99" }],
      routes: [...prev.routes, { dst: "192.168.0.0/16", gw: "172.16.0.1" }, { dst: "198.51.100.0/24" }],
    };
    expect((await daemon.call("CHECK", { config: { ...config, prevResult } })).stdout).toBe("");
    expect([...daemon.attachments.held.values()][0]).toMatchObject({ mac: "02:00:00:00:00:77" });
  });
});

/** Changes the only link behind the daemon's back. */
function change(daemon: Harness, what: Partial<AttachSpec>): void {
  for (const [name, spec] of daemon.kernel.links) daemon.kernel.links.set(name, { ...spec, ...what });
}
