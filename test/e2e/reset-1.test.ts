// What `weave reset` removes from a host where nobody can take its ranges, and what it leaves.
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Host } from "../support/host.ts";
import { useLab } from "../support/lab.ts";

/** All of weave that a host can have, in one text each. */
async function remains(host: Host): Promise<Record<string, unknown>> {
  const links = await host.namespace.json("ip -j link show");
  const ours = /^(weave|vxlan-6784|v[wi][0-9a-f]{12})$/;
  return {
    links: links.map((link) => String(link["ifname"])).filter((name) => ours.test(name)),
    tables: (await host.namespace.run("nft list tables")).trim(),
    rules: /lookup 6784/.test(await host.namespace.run("ip rule show")),
    state: ["db", "peer", "leaving"].filter((name) => existsSync(join(host.dataDir, name))),
    journal: existsSync(join(host.runDir, "journal")),
  };
}

const NOTHING = { links: [], tables: "", rules: false, state: [], journal: false };

describe("a host whose daemon does not run", () => {
  const lab = useLab(1);

  it("is not reset without --force, because its ranges would stay with the dead name", async () => {
    const host = lab.host(1);
    await host.launch();
    const container = await lab.attached(host);
    const { name } = await host.status();
    await host.stop();
    const before = await remains(host);

    const { exit, stdout, stderr } = await host.weave("reset");
    expect({ exit, stdout }).toEqual({ exit: 1, stdout: "" });
    expect(stderr.replace(/\s+/g, " ")).toContain(`hand over the ranges of peer ${name}`);
    expect(stderr.replace(/\s+/g, " ")).toContain(`on another host weave rmpeer ${name}`);
    expect(await remains(host)).toEqual(before);
    expect(await container.mac()).toBeTruthy();
  });

  it("--force removes everything but what setup brought, and tells what is due elsewhere", async () => {
    const host = lab.host(1);
    const { exit, stdout } = await host.weave("reset", "--force");
    expect(exit).toBe(0);
    for (const what of ["link del weave", "link del vxlan-6784", "nft delete table inet weave"])
      expect(stdout).toContain(what);
    expect(stdout).toMatch(/weave rmpeer [0-9a-f:]{17}/);
    expect(await remains(host)).toEqual(NOTHING);
    expect(readdirSync(host.cniBinDir)).toContain("weave-net");

    const again = await host.weave("reset");
    expect(again).toMatchObject({ exit: 0, stdout: "nothing of weave was left on this host\n" });
  });

  it("that was killed in the middle of a reset is finished by the next one", async () => {
    const host = lab.host(1);
    await host.launch();
    await host.kill();
    writeFileSync(join(host.dataDir, "leaving"), "");
    expect((await host.weave("reset")).exit).toBe(0);
    expect(await remains(host)).toEqual(NOTHING);
  });

  it("or by the next launch, as another peer", async () => {
    const host = lab.host(1);
    await host.launch();
    const { name } = await host.status();
    await host.kill();
    writeFileSync(join(host.dataDir, "leaving"), "");
    const { exit, stderr } = await host.weave("launch");
    expect(exit).toBe(0);
    expect(stderr.replace(/\s+/g, " ")).toContain("a reset that was cut short was finished first");
    expect((await host.untilOk()).name).not.toBe(name);
    expect(existsSync(join(host.dataDir, "leaving"))).toBe(false);
  });
});

describe("a host launched with another range", () => {
  const lab = useLab(1);

  it("sets aside what it knew of the former one, says where, and goes on", async () => {
    const host = lab.host(1);
    await host.launch("--name", "alice");
    await host.weaveOk("expose");
    await host.stop();
    const { exit, stderr } = await host.weave("launch", "--ipalloc-range", "10.96.0.0/16");
    expect(exit).toBe(0);
    expect(stderr.replace(/\s+/g, " ")).toMatch(
      /held the ring of 10\.32\.0\.0\/12; .* in \S+aside-\S+-range\.json/,
    );
    const status = await host.untilOk();
    expect(status.name).toBe("alice");
    expect(status.ipam.map(({ range, state }) => [range, state])).toEqual([["10.96.0.0/16", "ready"]]);
    expect(existsSync(status.setAside?.file ?? "")).toBe(true);
    await lab.attached(host);
    await host.stop();
    await host.launch();
    expect((await host.untilOk()).ipam[0]?.range).toBe("10.96.0.0/16");
    expect(await host.weaveOk("status")).toContain("set aside    at ");
  });
});
