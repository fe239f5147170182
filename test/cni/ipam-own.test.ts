// weave-ipam below other network plugins: Debian's bridge and ptp get addresses of the overlay's range.
import { beforeAll, describe, expect, it } from "vitest";
import { CNI_VERSIONS } from "../../cni-plugin/versions.ts";
import type { JsonObject } from "../kernel/support/namespaces.ts";
import { callPlugin } from "../support/container.ts";
import type { Host } from "../support/host.ts";
import type { Network } from "../support/libcni/libcni.ts";
import { RESULT_SCHEMAS } from "../support/libcni/schema.ts";
import { failureOf } from "./errors.ts";
import { type Remains, remainsOf } from "./remains.ts";
import { listOf } from "./results.ts";
import { useRig } from "./rig.ts";

const GATEWAY = "10.45.0.1";

describe("weave-ipam", () => {
  const rig = useRig();
  let host: Host;
  let before: Remains;

  beforeAll(async () => {
    host = rig.host;
    before = await remainsOf(host);
  });

  const networkOf = (plugin: JsonObject, ipam: JsonObject = {}): Network =>
    rig.network({
      ...plugin,
      ipam: {
        type: "weave-ipam",
        subnet: "10.45.0.0/24",
        gateway: GATEWAY,
        routes: [{ dst: "0.0.0.0/0" }],
        ...ipam,
      },
    });

  it.each([
    ["bridge", { type: "bridge", bridge: "br-other", isGateway: true }],
    ["ptp", { type: "ptp" }],
  ])("below %s: ADD, CHECK and DEL of two containers", async (_, plugin) => {
    const network = networkOf(plugin);
    const [one, other] = [await rig.attached(network), await rig.attached(network)];
    expect(one.address).not.toBe(other.address);
    for (const attached of [one, other]) {
      expect(attached.address).toMatch(/^10\.45\.0\./);
      expect(listOf(attached.result, "ips")).toMatchObject([
        { address: `${attached.address}/24`, gateway: GATEWAY },
      ]);
      expect(await attached.pod.pings(GATEWAY)).toBe(true);
      await rig.cni.check(network, attached.attachment);
    }
    expect(await one.pod.pings(other.address)).toBe(true);
    expect((await remainsOf(host)).used).toBe(before.used + 2);
    // What such a container is reached by is the other plugin's affair.
    expect((await remainsOf(host)).endpoints).toEqual(before.endpoints);
    await rig.detach(one);
    await rig.detach(one);
    expect((await remainsOf(host)).used).toBe(before.used + 1);
    await rig.detach(other);
    expect((await remainsOf(host)).used).toBe(before.used);
  });

  it("never gives the gateway away that the configuration names", async () => {
    for (const type of ["weave-ipam", "weave-net"]) {
      const ipam = { type: "weave-ipam", subnet: "10.45.2.0/29", gateway: "10.45.2.2", routes: [] };
      const given: unknown[] = [];
      const pods = Array.from({ length: 6 }, () => rig.pod());
      const config = { cniVersion: "1.0.0", type, ipam };
      for (const pod of pods) given.push(...listOf((await pod.call("ADD", { config })).json, "ips"));
      for (const pod of pods) await pod.call("DEL", { config });
      expect(given).toHaveLength(5);
      expect(given).not.toContainEqual(expect.objectContaining({ address: "10.45.2.2/29" }));
    }
    expect((await remainsOf(host)).used).toBe(before.used);
  });

  it("CHECK fails when the address is not reserved any more", async () => {
    const network = networkOf({ type: "bridge", bridge: "br-other" });
    const attached = await rig.attached(network);
    const config = { cniVersion: "1.0.0", type: "weave-ipam" };
    await attached.pod.call("DEL", { config });
    // Debian's bridge prints it without cniVersion.
    expect(await failureOf(rig.cni.check(network, attached.attachment))).toMatchObject({
      code: 105,
      msg: expect.stringContaining("reserved"),
    });
    await rig.detach(attached);
  });

  it("gives an address that was asked for, and refuses one that is taken", async () => {
    const network = networkOf({ type: "bridge", bridge: "br-other" });
    // Debian's bridge itself refuses keys of CNI_ARGS that it does not know.
    const wish = {
      args: [
        ["IgnoreUnknown", "1"],
        ["IP", "10.45.0.77"],
      ] as const,
    };
    const attached = await rig.attached(network, wish);
    expect(attached.address).toBe("10.45.0.77");
    expect((await failureOf(rig.attached(network, wish))).code).toBe(103);
    await rig.detach(attached);
    expect((await remainsOf(host)).used).toBe(before.used);
  });

  it("never gives what a container of weave-net has", async () => {
    const own = await rig.attached(rig.network({ ipam: { subnet: "10.45.1.0/30", routes: [] } }));
    const network = networkOf(
      { type: "bridge", bridge: "br-other" },
      { subnet: "10.45.1.0/30", gateway: undefined },
    );
    const other = await rig.attached(network);
    expect(other.address).not.toBe(own.address);
    expect((await failureOf(rig.attached(network))).code).toBe(102);
    await rig.detach(other);
    await rig.detach(own);
    expect((await remainsOf(host)).used).toBe(before.used);
  });

  it.each([undefined, ...CNI_VERSIONS])("answers in version %s, without interfaces", async (cniVersion) => {
    const pod = rig.pod();
    const ipam = {
      type: "weave-ipam",
      gateway: GATEWAY,
      subnet: "10.45.0.0/24",
      routes: [{ dst: "192.0.2.0/24" }],
    };
    const config = { cniVersion, type: "weave-ipam", ipam };
    const { json } = await pod.call("ADD", { config });
    RESULT_SCHEMAS[cniVersion ?? "0.1.0"].parse(json);
    expect(json).not.toHaveProperty("interfaces");
    expect(JSON.stringify(json)).not.toContain("interface");
    expect(JSON.stringify(json)).toContain("192.0.2.0/24");
    expect(await pod.call("DEL", { config })).toMatchObject({ exit: 0, stdout: "" });
    expect((await remainsOf(host)).used).toBe(before.used);
  });

  it("frees what GC does not list", async () => {
    const network = networkOf({ type: "bridge", bridge: "br-other" });
    const [one, other] = [await rig.attached(network), await rig.attached(network)];
    const valid = [{ containerID: one.pod.id, ifname: "eth0" }];
    const config = { cniVersion: "1.1.0", type: "weave-ipam", "cni.dev/valid-attachments": valid };
    expect(await callPlugin(host, { command: "GC", config })).toMatchObject({ exit: 0, stdout: "" });
    expect((await remainsOf(host)).used).toBe(before.used + 1);
    await rig.detach(one);
    await rig.detach(other);
    expect((await remainsOf(host)).used).toBe(before.used);
  });

  it("without the daemon: ADD is code 11, DEL succeeds and frees the address later", async () => {
    const network = networkOf({ type: "bridge", bridge: "br-other" });
    const attached = await rig.attached(network);
    await host.stop();
    expect((await failureOf(rig.attached(network))).code).toBe(11);
    await rig.detach(attached);
    await host.launch();
    await host.until("the address is free", ({ ipam }) => ipam[0]?.used === before.used);
  });
});
