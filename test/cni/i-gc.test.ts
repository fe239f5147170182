// Cases 120-129 of the contract: GC removes what the runtime does not list, of its network, and nothing else. The
// runtime that collects has no cache, so that nothing but GC is called.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { callPlugin } from "../support/container.ts";
import type { Host } from "../support/host.ts";
import type { Libcni } from "../support/libcni/libcni.ts";
import { expectError } from "./errors.ts";
import { expectEmpty, type Remains, remainsOf } from "./remains.ts";
import { type Attached, attachmentOf, useRig } from "./rig.ts";

describe("I. GC", () => {
  const rig = useRig();
  let host: Host;
  let before: Remains;
  let bridge: string;
  let collector: Libcni;
  let living: Attached[] = [];

  beforeAll(async () => {
    host = rig.host;
    before = await remainsOf(host);
    bridge = before.endpoints[0] ?? "";
    collector = rig.libraryOf(host);
  });
  afterEach(async () => {
    for (const one of living) await rig.detach(one);
    living = [];
    expect(await remainsOf(host)).toEqual(before);
  });

  const network = (config = {}) => rig.network({ cniVersion: "1.1.0", ...config });
  const listed = (attached: readonly Attached[], ifname = "eth0") =>
    attached.map(({ pod }) => ({ containerID: pod.id, ifname }));
  /** GC with exactly these keys. */
  const gc = (keys: object, config: object = {}) =>
    callPlugin(host, { command: "GC", config: { ...network().plugins[0], ...config, ...keys } });

  async function three(config = {}, wishes = {}): Promise<[Attached, Attached, Attached]> {
    const made = [];
    for (const label of ["one", "two", "three"])
      made.push(await rig.attached(network(config), wishes, label));
    living = made;
    const [one, two, third] = made;
    if (one === undefined || two === undefined || third === undefined)
      throw new Error("three were asked for");
    return [one, two, third];
  }

  async function expectAlive(...all: readonly Attached[]): Promise<void> {
    for (const { pod } of all) expect(await pod.pings(bridge)).toBe(true);
    expect([...(await host.veths())].sort()).toEqual(all.map(({ pod }) => pod.hostIfname).sort());
    const { endpoints, used } = await remainsOf(host);
    expect(endpoints).toEqual([bridge, ...all.map(({ address }) => address)].sort());
    expect(used).toBe(1 + all.length);
  }

  it("case 120: two of three are listed: the third's address, rules and link are gone", async () => {
    const capabilities = { portMappings: true, bandwidth: true };
    const bandwidth = { ingressRate: 8e6, ingressBurst: 8e6, egressRate: 8e6, egressBurst: 8e6 };
    let hostPort = 8080;
    for (const label of ["one", "two", "three"]) {
      const portMappings = [{ hostPort: hostPort++, containerPort: 80, protocol: "tcp" }];
      living.push(
        await rig.attached(network({ capabilities }), { capabilityArgs: { portMappings, bandwidth } }, label),
      );
    }
    const [one, two, third] = living;
    if (one === undefined || two === undefined || third === undefined)
      throw new Error("three were asked for");
    const full = await remainsOf(host);
    for (const port of ["8080", "8081", "8082"]) expect(full.firewall).toContain(port);
    await collector.gc(network(), [one.attachment, two.attachment]);
    expect(collector.runs.map(({ command }) => command)).toEqual(["GC"]);
    await expectAlive(one, two);
    await expectEmpty(third.pod);
    const left = await remainsOf(host);
    expect(left.firewall).toContain("8081");
    expect(left.firewall).not.toContain("8082");
    expect(left.links).toHaveLength(full.links.length - 2);
  });

  it.each([
    ["the older name alone", ["cni.dev/attachments"]],
    ["the newer name alone", ["cni.dev/valid-attachments"]],
    ["both names", ["cni.dev/attachments", "cni.dev/valid-attachments"]],
  ])("case 121: the list under %s", async (_, keys) => {
    const [one, two] = await three();
    const answer = await gc(Object.fromEntries(keys.map((key) => [key, listed([one, two])])));
    expect(answer, answer.stdout).toMatchObject({ exit: 0, stdout: "" });
    await expectAlive(one, two);
  });

  it.each([[[]], [null]])("case 122: the list %j: all of this network", async (list) => {
    await three();
    expect(await gc({ "cni.dev/valid-attachments": list })).toMatchObject({ exit: 0, stdout: "" });
    await expectAlive();
  });

  it("case 123: no list at all: nothing that lives", async () => {
    const all = await three();
    expect(await gc({})).toMatchObject({ exit: 0, stdout: "" });
    await expectAlive(...all);
  });

  it("case 124: attachments of another network", async () => {
    const all = await three();
    expect(await gc({ name: "other", "cni.dev/valid-attachments": [] })).toMatchObject({ exit: 0 });
    await expectAlive(...all);
  });

  it("case 125: another interface of a listed container", async () => {
    const attached = await rig.attached(network({ ipam: { routes: [] } }));
    living = [attached];
    const second = attachmentOf(attached.pod, "eth1");
    await rig.cni.add(attached.network, second);
    await collector.gc(network(), [attached.attachment]);
    await expectAlive(attached);
    expect(await attached.pod.namespace.succeeds("ip link show eth1")).toBe(false);
    rig.cni.cache.remove("weave", second);
  });

  it("case 126: one resource cannot be deleted: the rest is, and the error is told", async () => {
    const [one] = await three();
    const failure = JSON.stringify({ cniVersion: "1.1.0", code: 7, msg: "my store is read-only" });
    const script = `#!/bin/sh\n[ "$CNI_COMMAND" = GC ] && { echo '${failure}'; exit 1; }\nexit 0\n`;
    writeFileSync(join(host.cniBinDir, "stuck-ipam"), script, { mode: 0o755 });
    const keys = { "cni.dev/valid-attachments": listed([one]) };
    expectError(await gc(keys, { ipam: { type: "stuck-ipam" } }), [7, 104], "my store is read-only");
    await expectAlive(one);
  });

  it("case 127: at 1.0.0, code 1", async () => {
    const all = await three();
    expectError(await gc({ cniVersion: "1.0.0", "cni.dev/valid-attachments": [] }), 1, "1.0.0");
    await expectAlive(...all);
  });

  it("case 128: twice", async () => {
    const [one] = await three();
    for (let turn = 0; turn < 2; turn++) await collector.gc(network(), [one.attachment]);
    await expectAlive(one);
  });

  it("case 129: the daemon is down: code 11, nothing is destroyed", async () => {
    const all = await three();
    await host.stop();
    expectError(await gc({ "cni.dev/valid-attachments": [] }), 11, "weave launch");
    expect(await host.veths()).toHaveLength(3);
    for (const { pod } of all) expect(await pod.pings(all[0].address)).toBe(true);
    await host.launch();
    await host.untilOk();
    await expectAlive(...all);
  });

  it("is preceded by DEL for what the runtime remembers and does not list", async () => {
    const [one] = await three();
    await rig.cni.gc(network(), [one.attachment]);
    expect(rig.cni.runs.slice(-3).map(({ command }) => command)).toEqual(["DEL", "DEL", "GC"]);
    await expectAlive(one);
  });

  it("a list that is none is refused, and nothing is destroyed", async () => {
    const all = await three();
    for (const list of ["all", {}, [{ containerID: 7 }], [[]]]) {
      expectError(await gc({ "cni.dev/valid-attachments": list }), 7);
    }
    await expectAlive(...all);
  });
});
