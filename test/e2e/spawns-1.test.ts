// ADD and DEL spawn no process in the daemon, not even the first ADD, which exposes the bridge.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { useLab } from "../support/lab.ts";
import { watchSpawns } from "../support/strace.ts";

describe("processes of the daemon", () => {
  const lab = useLab(1);

  it("are none while containers come and go", async () => {
    const host = lab.host(1);
    await host.launch();
    const watch = await watchSpawns(host.pid(), join(lab.dir, "daemon.strace"));
    const containers = [];
    for (let number = 1; number <= 4; number++) containers.push(await lab.attached(host, `c${number}`));
    expect((await host.status()).exposed).toHaveLength(1);
    await Promise.all(containers.map((container) => container.del()));
    const { spawns, setns } = await watch.stop();
    expect(spawns).toEqual([]);
    expect(setns).toBeGreaterThan(3);
  });

  it("would have been seen", async () => {
    const script = `setInterval(() => {
      new (require("node:worker_threads").Worker)("", { eval: true });
      require("node:child_process").spawn("true");
    }, 50)`;
    const child = spawn(process.execPath, ["-e", script]);
    try {
      const watch = await watchSpawns(child.pid ?? -1, join(lab.dir, "child.strace"));
      await new Promise((resolve) => setTimeout(resolve, 300));
      const { spawns } = await watch.stop();
      expect(spawns.join("\n")).toMatch(/clone|fork/);
      expect(spawns.join("\n")).toMatch(/execve\(.*"true"/);
    } finally {
      child.kill("SIGKILL");
    }
  });
});
