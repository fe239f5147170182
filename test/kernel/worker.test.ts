// The kernel thread as it is built: same port, same errors, and the main thread stays free.

import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createWorkerKernel } from "../../src/kernel/remote.ts";
import type { Kernel } from "../../src/ports/kernel.ts";
import { whyNot } from "./support/namespaces.ts";
import { type TestHost, World } from "./support/world.ts";

const WORKER = new URL("../../dist/lib/kernel-worker.js", import.meta.url);

describe.skipIf(whyNot() !== undefined)("kernel thread", () => {
  let world: World;
  let alice: TestHost;
  let kernel: Kernel;

  beforeAll(async () => {
    expect(existsSync(fileURLToPath(WORKER)), "npm run build was run").toBe(true);
    world = new World();
    alice = world.host("alice");
    await alice.kernel.close();
    kernel = createWorkerKernel(WORKER, { netns: alice.netns.path });
    alice.kernel = kernel;
  });

  afterAll(async () => {
    await world?.close();
  });

  test("applies, attaches, lists and detaches", async () => {
    expect((await kernel.apply(world.state(alice))).failures).toEqual([]);
    const containers = await Promise.all(Array.from({ length: 5 }, () => world.container(alice)));
    await kernel.apply(world.state(alice));
    const [one, two] = containers;
    expect(await one?.netns.run(`ping -c 1 -W 2 ${two?.addresses[0]}`)).toContain(" 0% packet loss");
    expect((await kernel.hostEnds()).size).toBe(5);
    const gone = await Promise.all(containers.map((container) => kernel.detach(container.hostIfname)));
    expect(gone).toEqual([true, true, true, true, true]);
    alice.containers.length = 0;
  });

  test("errors keep code, hint and fields", async () => {
    await expect(kernel.openNetns({ path: "/nowhere" })).rejects.toMatchObject({
      name: "WeaveError",
      code: "netns-missing",
    });
    await expect(kernel.openNetns({ path: alice.netns.path })).rejects.toMatchObject({
      code: "netns-host",
      hint: expect.stringContaining("host network"),
    });
    await expect(kernel.look({ fd: 0, id: "" }, "eth0")).rejects.toMatchObject({ code: "netns-invalid" });
  });

  test("inspect tells routes, addresses and the default source of the host", async () => {
    await alice.netns.run("ip route add default via 10.99.0.254");
    await alice.netns.run("ip route add 172.30.0.0/16 dev eth0");
    const facts = await kernel.inspect();
    expect(facts.missing).toEqual([]);
    expect(facts.addresses).toEqual([
      { dev: "eth0", address: alice.address, mtu: 1500 },
      { dev: "eth0", address: "fd99::1", mtu: 1500 },
    ]);
    expect(facts.defaultSource).toEqual({ address: alice.address, mtu: 1500 });
    expect(facts.routes).toContainEqual({ dst: "172.30.0.0/16", dev: "eth0" });
    expect(facts.routes.some((route) => route.dst === "0.0.0.0/0")).toBe(false);
    expect((await alice.netns.json("ip -j link show")).map((link) => link["ifname"])).toEqual(
      expect.not.arrayContaining([expect.stringContaining("probe")]),
    );
  });

  test("the main thread is not held up by deletions", async () => {
    const state = world.state(alice);
    const many = Array.from({ length: 2000 }, (_, i) => ({
      mac: `02:a0:0a:21:${(i >> 8).toString(16).padStart(2, "0")}:${(i & 255).toString(16).padStart(2, "0")}`,
      vtep: "10.99.0.9",
    }));
    let worst = 0;
    let last = performance.now();
    const timer = setInterval(() => {
      worst = Math.max(worst, performance.now() - last);
      last = performance.now();
    }, 1);
    const started = performance.now();
    await kernel.apply({ ...state, forwarding: many });
    const took = performance.now() - started;
    clearInterval(timer);
    // The whole apply is one long stretch of kernel calls; the timer must have run all through it.
    expect(worst).toBeLessThan(Math.max(took / 2, 60));
    expect((await kernel.apply(state)).changes.length).toBe(2000);
  });

  test("a thread that dies refuses what waits and what comes, and says so once", async () => {
    const deaths: Error[] = [];
    const doomed = createWorkerKernel(new URL("data:text/javascript,setTimeout(()=>process.exit(3),50)"), {
      onDeath: (error) => deaths.push(error),
    });
    await expect(doomed.inspect()).rejects.toThrow("the kernel thread ended with 3");
    await expect(doomed.hostEnds()).rejects.toThrow("the kernel thread ended with 3");
    expect(deaths.length).toBe(1);
    await doomed.close();
  });

  test("close ends the thread and calls nobody", async () => {
    const deaths: Error[] = [];
    const brief = createWorkerKernel(WORKER, {
      netns: alice.netns.path,
      onDeath: (error) => deaths.push(error),
    });
    await brief.inspect();
    await brief.close();
    await brief.close();
    await expect(brief.inspect()).rejects.toThrow("the kernel thread ended");
    expect(deaths).toEqual([]);
  });
});
