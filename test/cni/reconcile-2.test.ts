// What no DEL will ever come for: freed when its namespace is dead, and never on weaker evidence. The daemon looks at
// its start, after GC and every minute.
import { execFileSync, spawn } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import { beforeAll, describe, expect, it } from "vitest";
import { eventually } from "../kernel/support/namespaces.ts";
import { callPlugin } from "../support/container.ts";
import type { Host } from "../support/host.ts";
import { type Remains, remainsOf, untilAsBefore } from "./remains.ts";
import { type Attached, useRig } from "./rig.ts";

/** How often it looks, and what the look may take. */
const MINUTE_MS = 60_000 + 10_000;
/** After an ADD it looks twice within three seconds. */
const AFTER_ADD_MS = 4_000;

describe("reconciliation", () => {
  const rig = useRig({ hosts: 2 });
  let host: Host;
  let before: Remains;
  let farBefore: Remains;
  let dead: Attached;
  let addedAt: number;

  beforeAll(async () => {
    host = rig.host;
    before = await remainsOf(host);
    // On the second host, which is left alone until the last test.
    farBefore = await remainsOf(rig.lab.host(2));
    dead = await rig.attach(rig.lab.container(rig.lab.host(2), "dead"));
    addedAt = performance.now();
  });

  const gcWithoutList = () => callPlugin(host, { command: "GC", config: { cniVersion: "1.1.0" } });

  async function restart(): Promise<void> {
    await host.stop();
    await host.launch();
    await host.untilOk();
  }

  it("frees what belongs to a dead namespace, at the next start", async () => {
    const capabilityArgs = { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: "tcp" }] };
    const attached = await rig.attached(rig.network({ capabilities: { portMappings: true } }), {
      capabilityArgs,
    });
    attached.pod.namespace.remove();
    await restart();
    await untilAsBefore(host, before, "its address is free");
    // Its own DEL, late, is none the worse.
    await rig.detach(attached);
  });

  it("frees it after GC, too", async () => {
    const attached = await rig.attached();
    attached.pod.namespace.remove();
    await eventually("the link is gone with its namespace", async () => (await host.veths()).length === 0);
    expect(await gcWithoutList()).toMatchObject({ exit: 0, stdout: "" });
    await untilAsBefore(host, before, "its address is free");
  });

  it("keeps a namespace whose path is gone and in which a process lives", async () => {
    const attached = await rig.attached();
    const { pod } = attached;
    const inside = spawn("nsenter", [`--net=${pod.namespace.path}`, "sleep", "600"], { stdio: "ignore" });
    try {
      await eventually("it is inside", () => pidsIn(pod.namespace.name).includes(String(inside.pid)));
      pod.namespace.remove();
      await gcWithoutList();
      await restart();
      await gcWithoutList();
      expect((await remainsOf(host)).endpoints).toContain(attached.address);
      expect(await host.veths()).toEqual([pod.hostIfname]);
      const bridge = before.endpoints[0] ?? "";
      execFileSync("nsenter", ["-n", "-t", String(inside.pid), "ping", "-c", "1", "-W", "1", bridge]);
      // Even without its interface: the container may want it back.
      execFileSync("nsenter", ["-n", "-t", String(inside.pid), "ip", "link", "del", "eth0"]);
      await gcWithoutList();
      await restart();
      expect((await remainsOf(host)).endpoints).toContain(attached.address);
    } finally {
      inside.kill("SIGKILL");
    }
    await rig.detach(attached);
    expect(await remainsOf(host)).toEqual(before);
  });

  it("keeps an attachment whose interface was deleted by hand", async () => {
    const attached = await rig.attached();
    await attached.pod.namespace.run("ip link del eth0");
    await gcWithoutList();
    await restart();
    await gcWithoutList();
    expect((await remainsOf(host)).endpoints).toContain(attached.address);
    await rig.detach(attached);
    expect(await remainsOf(host)).toEqual(before);
  });

  it("keeps one whose host end was renamed or moved off the bridge", async () => {
    const attached = await rig.attached();
    const { hostIfname } = attached.pod;
    await host.namespace.run(`ip link set ${hostIfname} nomaster down`);
    await host.namespace.run(`ip link set ${hostIfname} name moved`);
    await gcWithoutList();
    await restart();
    expect((await remainsOf(host)).endpoints).toContain(attached.address);
    await host.namespace.run(`ip link set moved name ${hostIfname}`);
    await rig.detach(attached);
    expect(await remainsOf(host)).toEqual(before);
  });

  it("frees what weave-ipam gave a dead namespace, and keeps what it gave a living one", async () => {
    const network = rig.network({ type: "bridge", bridge: "br-ipam", ipam: { type: "weave-ipam" } });
    const [gone, kept] = [await rig.attached(network), await rig.attached(network)];
    gone.pod.namespace.remove();
    await restart();
    await eventually("one address is free", async () => (await remainsOf(host)).used === before.used + 1);
    await rig.detach(kept);
    expect((await remainsOf(host)).used).toBe(before.used);
  });

  it("frees a dead namespace's on its own, within a minute", async () => {
    const far = rig.lab.host(2);
    await delay(Math.max(0, AFTER_ADD_MS - (performance.now() - addedAt)));
    dead.pod.namespace.remove();
    await untilAsBefore(far, farBefore, "its address is free", MINUTE_MS);
    await host.until("the other host knows", ({ endpoints }) =>
      endpoints.every(({ address }) => address !== dead.address),
    );
  });
});

function pidsIn(name: string): string[] {
  return execFileSync("ip", ["netns", "pids", name], { encoding: "utf8" }).split("\n");
}
