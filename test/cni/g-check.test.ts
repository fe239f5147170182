// Cases 96-111 of the contract: CHECK finds what is not as ADD left it, says what, and changes nothing.
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { eventually, TestNamespace } from "../kernel/support/namespaces.ts";
import type { Host } from "../support/host.ts";
import { expectError, failureOf } from "./errors.ts";
import { type Remains, remainsOf } from "./remains.ts";
import { listOf } from "./results.ts";
import { type Attached, useRig } from "./rig.ts";

describe("G. CHECK", () => {
  const rig = useRig();
  let host: Host;
  let before: Remains;
  let attached: Attached;

  beforeAll(async () => {
    host = rig.host;
    before = await remainsOf(host);
  });
  beforeEach(async () => {
    attached = await rig.attached(
      rig.network({ ipam: { routes: [{ dst: "0.0.0.0/0" }, { dst: "192.0.2.0/24" }] } }),
    );
  });
  afterEach(async () => {
    await rig.detach(attached);
    expect(await remainsOf(host)).toEqual(before);
  });

  const check = (): Promise<void> => rig.cni.check(attached.network, attached.attachment);
  const inside = (line: string): Promise<string> => attached.pod.namespace.run(line);

  /** What CHECK found missing on the host is put back without anybody's help. */
  async function untilMended(): Promise<void> {
    await eventually(
      "CHECK succeeds again",
      () =>
        check().then(
          () => true,
          () => undefined,
        ),
      3_000,
    );
  }

  async function finds(...says: string[]): Promise<void> {
    const { run } = await failureOf(check());
    expectError(run, 105, ...says);
  }

  it("case 96: right after ADD, silently", async () => {
    await check();
    expect(rig.cni.runs.at(-1)).toMatchObject({ command: "CHECK", stdout: "", stderr: "" });
  });

  it.each(["0.1.0", "0.2.0", "0.3.0", "0.3.1"])("case 97: at %s, code 1", async (cniVersion) => {
    const config = { cniVersion, prevResult: attached.result };
    expectError(await attached.pod.call("CHECK", { config }), 1, cniVersion);
  });

  it("case 98: without prevResult", async () => {
    for (const prevResult of [undefined, null]) {
      const config = { cniVersion: "1.0.0", prevResult };
      expectError(await attached.pod.call("CHECK", { config }), [7, 999], "prevResult");
    }
    expectError(
      await attached.pod.call("CHECK", { config: { cniVersion: "1.0.0", prevResult: {} } }),
      [7, 105],
    );
  });

  it("case 99: a route was deleted", async () => {
    await inside("ip route del 192.0.2.0/24");
    await finds("192.0.2.0/24");
    await inside("ip route del default");
    await finds("0.0.0.0/0");
  });

  it("case 100: the address was deleted", async () => {
    await inside(`ip address del ${attached.address}/12 dev eth0`);
    await finds(`${attached.address}/12`);
  });

  it("case 101: the interface is down", async () => {
    await inside("ip link set eth0 down");
    await finds("eth0", "down");
  });

  it("case 101: the interface was deleted, or another has its name", async () => {
    await inside("ip link del eth0");
    await finds("eth0");
    await inside("ip link add eth0 type veth peer name other");
    await inside("ip link set eth0 up");
    await finds("eth0");
  });

  it("case 102: the host end is no port of the bridge, or is down", async () => {
    const { hostIfname } = attached.pod;
    for (const [damage, ...says] of [
      [`ip link set ${hostIfname} nomaster`, hostIfname, "weave"],
      [`ip link set ${hostIfname} down`, "down"],
    ] as const) {
      // The daemon mends it by itself, and may have come between: then it is done again.
      const failure = await eventually("CHECK fails", async () => {
        await host.namespace.run(damage);
        return check().then(
          () => undefined,
          (error: unknown) => failureOf(Promise.reject(error)),
        );
      });
      expectError(failure.run, 105, ...says);
      await untilMended();
    }
  });

  it("case 103: the daemon has no reservation", async () => {
    // weave-ipam frees the address of the same key, and leaves the link alone.
    const config = { cniVersion: "1.0.0", type: "weave-ipam", ipam: { type: "weave-ipam" } };
    expect((await attached.pod.call("DEL", { config })).exit).toBe(0);
    await finds("reserved");
  });

  it("case 104: the daemon is away, code 11", async () => {
    await host.stop();
    expectError((await failureOf(check())).run, 11, "weave launch");
    await host.launch();
    await host.untilOk();
    await check();
  });

  it("case 105: the kernel is not as containers need it", async () => {
    // At a start, because a running daemon reads the kernel anew only twice a minute.
    await host.stop();
    await host.namespace.run("ip link del vxlan-6784");
    await host.namespace.run("ip link add vxlan-6784 type bridge");
    await host.launch();
    const failure = await eventually(
      "CHECK notices",
      () =>
        check().then(
          () => undefined,
          (error: unknown) => failureOf(Promise.reject(error)),
        ),
      20_000,
    );
    expectError(failure.run, 105, "vxlan-6784", "weave status");
    await host.namespace.run("ip link del vxlan-6784");
    await host.untilOk();
    await eventually(
      "CHECK succeeds again",
      () =>
        check().then(
          () => true,
          () => undefined,
        ),
      20_000,
    );
  });

  it("case 106: a plugin behind us changed the MAC and added a route", async () => {
    await inside("ip link set eth0 address 02:12:34:56:78:9a");
    await inside("ip route add 203.0.113.0/24 dev eth0");
    const interfaces = listOf(attached.result, "interfaces").map((link) =>
      link["name"] === "eth0" ? { ...link, mac: "02:12:34:56:78:9a" } : link,
    );
    const routes = [...listOf(attached.result, "routes"), { dst: "203.0.113.0/24" }];
    const config = { ...attached.network.plugins[0], cniVersion: "1.0.0" };
    for (const prevResult of [attached.result, { ...attached.result, interfaces, routes }]) {
      const answer = await attached.pod.call("CHECK", { config: { ...config, prevResult } });
      expect(answer, answer.stdout).toMatchObject({ exit: 0, stdout: "" });
    }
  });

  it("case 107: MACs of bridge and host end were rewritten", async () => {
    await host.namespace.run(`ip link set ${attached.pod.hostIfname} address 02:12:34:56:78:9b`);
    await check();
    const [bridge] = await host.namespace.json("ip -j link show weave");
    await host.namespace.run("ip link set weave address 02:12:34:56:78:9c");
    await check();
    // With its MAC the bridge lost its neighbours: that is told once the MAC is no other's.
    await host.namespace.run(`ip link set weave address ${String(bridge?.["address"])}`);
    await untilMended();
  });

  it("case 108: prevResult is of another namespace, or CNI_NETNS is", async () => {
    const other = new TestNamespace("other");
    await expect(
      rig.cni.check(attached.network, { ...attached.attachment, netns: other.path }),
    ).rejects.toMatchObject({ code: 105, msg: expect.stringContaining(other.path) });
    const interfaces = listOf(attached.result, "interfaces").map((link) => ({
      ...link,
      ...(link["sandbox"] === undefined ? {} : { sandbox: other.path }),
    }));
    const env = { CNI_NETNS: other.path };
    const config = { cniVersion: "1.0.0", prevResult: { ...attached.result, interfaces } };
    expectError(await attached.pod.call("CHECK", { config, env }), 105);
    other.remove();
  });

  it("case 109: a configuration without ipam", async () => {
    const plain = await rig.attached(rig.network());
    await rig.cni.check(plain.network, plain.attachment);
    await rig.detach(plain);
  });

  it("case 110: after DEL", async () => {
    const prevResult = attached.result;
    await rig.detach(attached);
    const answer = await attached.pod.call("CHECK", { config: { cniVersion: "1.0.0", prevResult } });
    expectError(answer, 105);
  });

  it("case 111: twenty at once change nothing", async () => {
    const held = await remainsOf(host);
    const links = await inside("ip address show");
    await Promise.all(Array.from({ length: 20 }, check));
    expect(await remainsOf(host)).toEqual(held);
    expect(await inside("ip address show")).toBe(links);
  });
});
