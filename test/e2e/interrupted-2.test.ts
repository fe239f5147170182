// ADDs cut short at every moment, by the death of the caller or of the daemon: after the DEL that the specification
// promises nothing is left, on this host and on the other.
import { setTimeout as delay } from "node:timers/promises";
import { beforeAll, describe, expect, it } from "vitest";
import { eventually } from "../kernel/support/namespaces.ts";
import type { Host } from "../support/host.ts";
import { useLab } from "../support/lab.ts";
import { slowNamespaceWork } from "../support/strace.ts";
import { type Traces, tracesOf } from "../support/traces.ts";

/**
 * What each step into or out of a namespace takes longer when an ADD is to be caught in its middle. Steps 0 and 1
 * identify the namespace; then the address is taken; steps 2 and 3 are those of the interface.
 */
const STEP_MS = 300;

describe("an ADD cut short", () => {
  const lab = useLab(2);
  let host: Host;
  /** What a host without containers has. */
  let before: Traces;

  beforeAll(async () => {
    await lab.launchAll();
    for (const one of lab.hosts) await one.weaveOk("expose");
    host = lab.host(1);
    before = await tracesOf(host);
  });

  it("by SIGKILL of the plugin leaves nothing", async () => {
    for (const ms of [0, 1, 2, 4, 6, 9, 12, 16]) {
      const container = lab.container(host, `killed${ms}`);
      const adding = container.start("ADD");
      await delay(ms);
      adding.kill();
      await adding.answer;
      await container.del();
      expect(await tracesOf(host), `killed after ${ms} ms`).toEqual(before);
    }
    await clean(lab.host(2));
  });

  it("by SIGKILL of the plugin while the interface is made leaves nothing, also without a DEL", async () => {
    const slow = await slowNamespaceWork(host.pid(), STEP_MS);
    for (const steps of [0, 1, 2, 3]) {
      const container = lab.container(host, `slow${steps}`);
      const adding = container.start("ADD");
      await delay((steps + 0.5) * STEP_MS);
      adding.kill();
      expect((await adding.answer).stdout).toBe("");
      await eventually(`all is undone that was killed at step ${steps}`, async () => {
        const now = await tracesOf(host);
        return now.used === before.used && now.veths.length === before.veths.length;
      });
      await container.del();
      expect(await tracesOf(host)).toEqual(before);
    }
    await slow.stop();
    await clean(lab.host(2));
  });

  it.each([0, 1, 2, 3])("by kill -9 of the daemon at step %i leaves nothing", async (steps) => {
    const container = lab.container(host, `orphan${steps}`);
    const slow = await slowNamespaceWork(host.pid(), STEP_MS);
    const adding = container.start("ADD");
    await delay((steps + 0.5) * STEP_MS);
    await host.kill();
    await slow.stop();
    const answer = await adding.answer;
    if (steps < 2) expect(answer.json).toMatchObject({ code: 11 });
    await container.del();
    expect(await host.veths()).toEqual(before.veths);
    await host.launch();
    expect(await tracesOf(host)).toEqual(before);
    await clean(lab.host(2));
  });

  it.each([1, 2, 3])(
    "by kill -9 of the daemon at step %i is undone at the next launch, without a DEL",
    async (steps) => {
      const container = lab.container(host, `forgotten${steps}`);
      const slow = await slowNamespaceWork(host.pid(), STEP_MS);
      const adding = container.start("ADD");
      await delay((steps + 0.5) * STEP_MS);
      await host.kill();
      await slow.stop();
      expect((await adding.answer).json).toMatchObject({ code: 11 });
      await host.launch();
      expect(await tracesOf(host)).toEqual(before);
    },
  );

  /** The other host knows of no container here. */
  async function clean(other: Host): Promise<void> {
    await other.until("only bridges are endpoints", ({ endpoints }) =>
      endpoints.every((endpoint) => endpoint.label === "expose"),
    );
  }
});
