// What the installed plugin refuses: the code of each, a failing exit, and nothing left behind.
import { beforeAll, describe, expect, it } from "vitest";
import { type Container, callPlugin, type PluginCall } from "../support/container.ts";
import type { Host } from "../support/host.ts";
import { useLab } from "../support/lab.ts";
import { type Traces, tracesOf } from "../support/traces.ts";

describe("refusals", () => {
  const lab = useLab(1);
  let host: Host;
  let before: Traces;
  let container: Container;

  beforeAll(async () => {
    host = lab.host(1);
    await host.launch();
    await host.weaveOk("expose");
    container = lab.container(host);
    before = await tracesOf(host);
  });

  interface Case {
    readonly what: string;
    readonly code: number;
    readonly call: () => Partial<PluginCall>;
    readonly says?: string;
  }
  const CASES: readonly Case[] = [
    { what: "stdin that is no JSON", code: 6, call: () => ({ stdin: "{nope" }) },
    { what: "an empty stdin", code: 6, call: () => ({ stdin: "" }) },
    { what: "stdin that is a list", code: 6, call: () => ({ stdin: "[]" }) },
    { what: "an unknown version", code: 1, call: () => ({ config: { cniVersion: "9.9.9" } }), says: "9.9.9" },
    { what: "a version that is nearly one", code: 1, call: () => ({ config: { cniVersion: "1.0" } }) },
    { what: "a missing network name", code: 7, call: () => ({ config: { name: undefined } }) },
    { what: "a bad network name", code: 7, call: () => ({ config: { name: "a b" } }), says: "a b" },
    { what: "an unsupported field", code: 2, call: () => ({ config: { vlan: 100 } }), says: "vlan=100" },
    {
      what: "no container id",
      code: 4,
      call: () => ({ env: { CNI_CONTAINERID: undefined } }),
      says: "CNI_CONTAINERID",
    },
    {
      what: "no namespace variable",
      code: 4,
      call: () => ({ env: { CNI_NETNS: undefined } }),
      says: "CNI_NETNS",
    },
    {
      what: "no interface name",
      code: 4,
      call: () => ({ env: { CNI_IFNAME: undefined } }),
      says: "CNI_IFNAME",
    },
    {
      what: "an interface name of 16 bytes",
      code: 4,
      call: () => ({ env: { CNI_IFNAME: "abcdefghijklmnop" } }),
    },
    {
      what: "a container id with a slash",
      code: 4,
      call: () => ({ env: { CNI_CONTAINERID: "x/.." } }),
      says: "x/..",
    },
    {
      what: "a namespace that is missing",
      code: 101,
      call: () => ({ env: { CNI_NETNS: "/run/netns/none" } }),
    },
    { what: "a namespace that is a file", code: 8, call: () => ({ env: { CNI_NETNS: "/etc/hostname" } }) },
    { what: "the host's namespace", code: 8, call: () => ({ env: { CNI_NETNS: host.namespace.path } }) },
    {
      what: "the caller's own namespace",
      code: 8,
      call: () => ({ env: { CNI_NETNS: "/proc/self/ns/net" } }),
    },
    { what: "an address outside the range", code: 7, call: () => ({ env: { CNI_ARGS: "IP=192.0.2.1" } }) },
    {
      what: "an address that is taken",
      code: 103,
      call: () => ({ env: { CNI_ARGS: `IP=${bridgeAddress()}` } }),
    },
    {
      what: "an ipam plugin that is not there",
      code: 7,
      call: () => ({ config: { ipam: { type: "host-local" } } }),
      says: "no plugin host-local",
    },
  ];

  it.each(CASES)("ADD with $what: code $code", async ({ code, call, says }) => {
    const answer = await container.call("ADD", call());
    expect(answer.exit).toBeGreaterThan(0);
    expect(answer.exit).toBeLessThan(126);
    expect(answer.json).toMatchObject({ code, msg: expect.stringMatching(/\w/) });
    if (says !== undefined) expect(answer.stdout).toContain(says);
    await nothingIsLeft();
  });

  it("an unknown command: code 4", async () => {
    const answer = await callPlugin(host, { command: "FOO" });
    expect(answer.exit).toBeGreaterThan(0);
    expect(answer.json).toMatchObject({ code: 4, msg: expect.stringContaining("FOO") });
  });

  it("an interface of that name in the container: code 100, and it stays", async () => {
    await container.namespace.run("ip link add eth0 type veth peer name other");
    const answer = await container.call("ADD");
    expect(answer.exit).toBeGreaterThan(0);
    expect(answer.json).toMatchObject({ code: 100 });
    expect(await container.namespace.succeeds("ip link show eth0")).toBe(true);
    await container.namespace.run("ip link del eth0");
    await nothingIsLeft();
  });

  it("a second ADD: code 100, and the first goes on", async () => {
    await container.add();
    const after = await tracesOf(host);
    const again = await container.call("ADD");
    expect(again.exit).toBeGreaterThan(0);
    expect(again.json).toMatchObject({ code: 100 });
    expect(await tracesOf(host)).toEqual(after);
    expect(await container.pings(bridgeAddress())).toBe(true);
    await container.del();
    await nothingIsLeft();
  });

  it("DEL succeeds whatever is missing", async () => {
    for (const env of [{ CNI_NETNS: undefined }, { CNI_NETNS: "" }, { CNI_NETNS: "/run/netns/none" }]) {
      expect(await container.call("DEL", { env })).toMatchObject({ exit: 0, stdout: "" });
    }
    const added = await lab.attached(host, "vanishing");
    added.namespace.remove();
    expect(await added.call("DEL")).toMatchObject({ exit: 0, stdout: "" });
    await nothingIsLeft();
  });

  it("DEL spares an interface of the host that has the container's name", async () => {
    const env = { CNI_NETNS: host.namespace.path, CNI_IFNAME: "wan" };
    await container.call("DEL", { env });
    expect(await host.namespace.succeeds("ip link show wan")).toBe(true);
  });

  const bridgeAddress = (): string => before.endpoints?.[0] ?? "";

  async function nothingIsLeft(): Promise<void> {
    expect(await tracesOf(host)).toEqual(before);
    const links = await container.namespace.json("ip -j link show");
    expect(links.map((link) => link["ifname"])).toEqual(["lo"]);
  }
});

describe("a range that is exhausted", () => {
  const lab = useLab(1);

  it("answers 102, and serves again after a DEL", async () => {
    const host = lab.host(1);
    await host.launch("--ipalloc-range", "10.99.0.0/29");
    const containers: Container[] = [];
    // 8 addresses without network, broadcast and bridge.
    for (let number = 1; number <= 5; number++) containers.push(await lab.attached(host, `c${number}`));
    const before = await tracesOf(host);
    const refused = lab.container(host, "refused");
    const answer = await refused.call("ADD");
    expect(answer.exit).toBeGreaterThan(0);
    expect(answer.json).toMatchObject({ code: 102, msg: expect.stringContaining("10.99.0.0/29") });
    expect(await tracesOf(host)).toEqual(before);
    const status = await host.weave("status");
    expect(status).toMatchObject({ exit: 1, stdout: expect.stringMatching(/^PROBLEM: range-exhausted/) });

    await containers.pop()?.del();
    await refused.add();
    expect(await refused.pings(containers[0]?.address ?? "")).toBe(true);
    for (const container of [...containers, refused]) await container.del();
    await host.untilOk();
  });
});
