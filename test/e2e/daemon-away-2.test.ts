// DEL while the daemon is away: it succeeds, the interface is gone at once, and the address as soon as the daemon is
// back. What was added again in the meantime stays.

import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { callPlugin } from "../support/container.ts";
import type { Host } from "../support/host.ts";
import { useLab } from "../support/lab.ts";
import { journalOf, tracesOf } from "../support/traces.ts";

describe("a daemon that is away", () => {
  const lab = useLab(2);
  let host: Host;

  beforeAll(async () => {
    await lab.launchAll();
    host = lab.host(1);
    for (const one of lab.hosts) await one.weaveOk("expose");
  });

  it("lets DEL succeed, and frees the address when it is back", async () => {
    const before = await tracesOf(host);
    const container = await lab.attached(host);
    const { address } = container;
    await lab.untilKnown([container]);
    await host.kill();

    await container.del();
    expect(await host.veths()).toEqual(before.veths);
    expect(await container.namespace.succeeds("ip link show eth0")).toBe(false);
    expect(journalOf(host)).toHaveLength(1);
    await container.del();

    await host.launch();
    expect(await tracesOf(host)).toEqual(before);
    await lab
      .host(2)
      .until("its endpoint is gone", ({ endpoints }) => endpoints.every((e) => e.address !== address));
    const wish = { env: { CNI_ARGS: `IP=${address}` } };
    const next = lab.container(host, "next");
    await next.add(wish);
    expect(next.address).toBe(address);
    await next.del();
  });

  it("applies a release that appears while it runs", async () => {
    const before = await tracesOf(host);
    const container = await lab.attached(host);
    const away = await container.call("DEL", { env: { WEAVE_SOCKET: join(host.runDir, "nobody.sock") } });
    expect(away).toMatchObject({ exit: 0, stdout: "" });
    await host.until("the address is free", ({ ipam }) => ipam[0]?.used === before.used);
    expect(await tracesOf(host)).toEqual(before);
  });

  it("does not free a container that was added again after the journalled DEL", async () => {
    const container = await lab.attached(host);
    await host.kill();
    await container.del();
    const [entry = ""] = journalOf(host);
    const saved = join(lab.dir, entry);
    copyFileSync(join(host.runDir, "journal", entry), saved);
    await host.launch();
    await container.add();
    // The same release once more, as after a crash between its application and its removal.
    copyFileSync(saved, join(host.runDir, "journal", entry));
    await host.until("the journal is empty", () => journalOf(host).length === 0);
    expect((await host.status()).endpoints.map((e) => e.address)).toContain(container.address);
    await (await lab.attached(lab.host(2))).reaches(container.address);

    await host.kill();
    copyFileSync(saved, join(host.runDir, "journal", entry));
    await host.launch();
    expect((await host.status()).endpoints.map((e) => e.address)).toContain(container.address);
    await container.del();
  });

  it("answers every verb by itself meanwhile", async () => {
    await host.stop();
    const before = await tracesOf(host);
    const container = lab.container(host);
    const add = await container.call("ADD");
    expect(add.exit).not.toBe(0);
    expect(add.json).toMatchObject({ code: 11, msg: expect.stringContaining("weave launch") });
    expect((await container.call("CHECK", { config: { prevResult: {} } })).json).toMatchObject({ code: 11 });
    const config = { cniVersion: "1.1.0" };
    expect((await callPlugin(host, { command: "STATUS", config })).json).toMatchObject({ code: 50 });
    expect((await callPlugin(host, { command: "GC", config })).json).toMatchObject({ code: 11 });
    expect((await callPlugin(host, { command: "VERSION" })).exit).toBe(0);
    expect(await tracesOf(host)).toEqual(before);
    expect(await container.namespace.succeeds("ip link show eth0")).toBe(false);
  });
});
