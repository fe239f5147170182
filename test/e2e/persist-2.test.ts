// What a host knows of addresses over the absence of its daemon and over a reboot: Weave Net's test 370, and that nothing
// leaks and nothing that lives is freed.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Container } from "../support/container.ts";
import { useLab } from "../support/lab.ts";
import { sharesOf } from "../support/shares.ts";
import { tracesOf } from "../support/traces.ts";

describe("a daemon that was away", () => {
  const lab = useLab(2);
  let alive: Container;
  let dead: Container;
  let deadAddress: string;

  beforeAll(async () => {
    await lab.launchAll();
    for (const host of lab.hosts) await host.weaveOk("expose");
    alive = await lab.attached(lab.host(1), "alive");
    dead = await lab.attached(lab.host(1), "dead");
    deadAddress = dead.address;
    await lab.untilKnown([alive, dead]);
    await lab.untilVotersSettled();
  });

  it.each([
    ["kill -9", () => lab.host(1).kill()],
    ["weave stop", () => lab.host(1).stop()],
  ])(
    "after %s: the same ranges, bridge address and living containers; what died meanwhile is free",
    async (_, end) => {
      const host = lab.host(1);
      const before = await host.status();
      await end();
      dead.namespace.remove(); // the second time it is gone already
      await host.launch();
      await lab.untilAllOk();
      const after = await host.until("the dead container's address is free", ({ endpoints }) =>
        endpoints.every(({ address }) => address !== deadAddress),
      );
      expect(sharesOf(after)).toEqual(sharesOf(before));
      expect(after.exposed).toEqual(before.exposed);
      expect(after.endpoints.filter((e) => e.local).map((e) => e.address)).toContain(alive.address);
      expect((await tracesOf(host)).veths).toEqual([alive.hostIfname]);
      const fresh = await lab.attached(host, "fresh");
      expect(fresh.address).not.toBe(alive.address);
      await fresh.reaches(alive.address);
      await fresh.del();
    },
  );
});

describe("a host that was rebooted", () => {
  const lab = useLab(2);
  const dir = mkdtempSync(join(tmpdir(), "weave-boot-"));
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  it("frees the addresses of the former boot, and keeps ranges, bridge address and peers", async () => {
    await lab.launchAll();
    const host = lab.host(1);
    await host.weaveOk("expose");
    const [first, second] = [await lab.attached(host, "first"), await lab.attached(host, "second")];
    await lab.untilKnown([first, second]);
    await lab.untilVotersSettled();
    const before = await host.status();
    await host.kill();
    // The kernel forgets everything; the namespaces of containers and their interfaces went with it.
    for (const container of [first, second]) container.namespace.remove();
    for (const link of ["vxlan-6784", "weave"]) await host.namespace.run(`ip link del ${link}`);
    await host.namespace.run("nft delete table inet weave");
    rmSync(host.runDir, { recursive: true });
    const bootId = join(dir, "boot_id");
    writeFileSync(bootId, "0badf00d-0000-4000-8000-000000000000\n");
    await host.launchUnder(bootId);
    await lab.untilAllOk();
    const status = await host.until("no container of before is left", ({ endpoints }) =>
      endpoints.every(({ local, label }) => !local || label === "expose"),
    );
    expect(status.exposed).toEqual(before.exposed);
    expect(sharesOf(status)).toEqual(sharesOf(before));
    expect(status.name).toBe(before.name);
    expect(status.ipam.map(({ used }) => used)).toEqual([1]);
    await lab
      .host(2)
      .until("it heard of that", ({ endpoints }) => endpoints.every(({ label }) => label === "expose"));
  });
});
