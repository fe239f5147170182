// Cases 52-54 of the contract, and what is beyond them: a daemon that dies, is away or is slow during ADD, a caller
// that dies, and an ADD that comes after its DEL.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { eventually } from "../kernel/support/namespaces.ts";
import { type Container, callPlugin, type PluginAnswer } from "../support/container.ts";
import type { Host } from "../support/host.ts";
import { slowNamespaceWork } from "../support/strace.ts";
import { expectError, failureOf } from "./errors.ts";
import { expectEmpty, type Remains, remainsOf, untilAsBefore } from "./remains.ts";
import { attachmentOf, useRig } from "./rig.ts";

/**
 * What each step into or out of a namespace takes longer when an ADD is to be caught in its middle. Steps 0 and 1
 * identify the namespace; then the address is taken; steps 2 and 3 are those of the interface.
 */
const STEP_MS = 200;

describe("C. a daemon in trouble", () => {
  const rig = useRig();
  let host: Host;
  let before: Remains;

  beforeAll(async () => {
    host = rig.host;
    before = await remainsOf(host);
  });

  const vethsOf = async (): Promise<number> => (await host.veths()).length;

  it.each([1, 2, 3])("case 52: the daemon dies at step %i of an ADD: DEL leaves nothing", async (step) => {
    const pod = rig.pod(`step${step}`);
    const slow = await slowNamespaceWork(host.pid(), STEP_MS);
    const adding = failureOf(rig.attach(pod));
    await delay((step + 0.5) * STEP_MS);
    await host.kill();
    await slow.stop();
    expect((await adding).code).toBe(11);
    await rig.cni.del(rig.network(), attachmentOf(pod));
    expect(await vethsOf()).toBe(0);
    await expectEmpty(pod);
    await host.launch();
    await host.untilOk();
    expect(await remainsOf(host)).toEqual(before);
  });

  it("case 53: the daemon is down: code 11 at once, nothing is left", async () => {
    await host.stop();
    const pod = rig.pod();
    const started = performance.now();
    const failure = await failureOf(rig.attach(pod));
    expect(performance.now() - started).toBeLessThan(10_000);
    expect(failure).toMatchObject({ code: 11, msg: expect.stringContaining("weave launch") });
    await expectEmpty(pod);
    expect(await vethsOf()).toBe(0);
    await host.launch();
    await host.untilOk();
    expect(await remainsOf(host)).toEqual(before);
  });

  it("case 54: a daemon that hangs for five seconds is waited for", async () => {
    const pod = rig.pod();
    process.kill(host.pid(), "SIGSTOP");
    const adding = rig.attach(pod);
    try {
      await delay(5000);
    } finally {
      process.kill(host.pid(), "SIGCONT");
    }
    await rig.detach(await adding);
    expect(await remainsOf(host)).toEqual(before);
  });

  it("case 54: the plugin is killed while it waits: DEL leaves nothing", async () => {
    const pod = rig.pod();
    const network = rig.network();
    process.kill(host.pid(), "SIGSTOP");
    try {
      await expect(rig.cni.add(network, attachmentOf(pod), AbortSignal.timeout(300))).rejects.toThrow();
    } finally {
      process.kill(host.pid(), "SIGCONT");
    }
    await rig.cni.del(network, attachmentOf(pod));
    expect(await remainsOf(host)).toEqual(before);
    await expectEmpty(pod);
  });

  it("a caller killed at any moment of ADD: DEL leaves nothing; without DEL nothing outlives the namespace", async () => {
    const seed = Number(process.env["WEAVE_SEED"] ?? Date.now() % 2 ** 31);
    console.log(`delays of the killed ADDs: seed ${seed}`);
    const delays = fc.sample(fc.tuple(fc.integer({ min: 0, max: 3000 }), fc.boolean()), {
      numRuns: 40,
      seed,
    });
    const network = rig.network({ capabilities: { portMappings: true, bandwidth: true } });
    const capabilityArgs = {
      portMappings: [{ hostPort: 8080, containerPort: 80, protocol: "tcp" }],
      bandwidth: { ingressRate: 1e6, ingressBurst: 1e6, egressRate: 1e6, egressBurst: 1e6 },
    };
    for (const [hundredths, deletes] of delays) {
      const pod = rig.pod("killed");
      const attachment = attachmentOf(pod, "eth0", { capabilityArgs });
      const killer = new AbortController();
      const adding = rig.cni.add(network, attachment, killer.signal).then(
        () => "done",
        () => "killed",
      );
      await delay(hundredths / 100);
      killer.abort();
      const outcome = `${await adding} after ${hundredths / 100} ms, ${deletes ? "" : "no "}DEL, seed ${seed}`;
      if (deletes) {
        await rig.cni.del(network, attachment);
        expect(await remainsOf(host), outcome).toEqual(before);
        await expectEmpty(pod);
        pod.namespace.remove();
        continue;
      }
      // The daemon may have finished, and cannot know that nobody read its answer. Either way the host end goes with
      // the namespace, and reconciliation frees the rest, if there is any.
      pod.namespace.remove();
      await eventually(`its link is gone: ${outcome}`, async () => (await vethsOf()) === 0);
      if (JSON.stringify(await remainsOf(host)) === JSON.stringify(before)) continue;
      // Twice, because a process of somebody else that hides its namespace for a moment makes the daemon wait.
      for (let look = 0; look < 2; look++)
        await callPlugin(host, { command: "GC", config: { cniVersion: "1.1.0" } });
      await untilAsBefore(host, before, outcome);
    }
  });

  /** A call whose program has started and has not read its configuration to the end. */
  async function held(
    pod: Container,
    command: string,
  ): Promise<{ letGo(): Promise<Pick<PluginAnswer, "exit" | "stdout">> }> {
    const config = JSON.stringify({ cniVersion: "1.0.0", name: "weave", type: "weave-net" });
    const env = { ...pod.env(), CNI_COMMAND: command, CNI_PATH: host.cniBinDir };
    const plugin = join(host.cniBinDir, "weave-net");
    const late = spawn("/usr/bin/nsenter", [`--net=${host.namespace.path}`, plugin], { cwd: "/", env });
    const out: Buffer[] = [];
    late.stdout.on("data", (chunk: Buffer) => out.push(chunk));
    const closed = new Promise<number>((resolve) => late.once("close", (code) => resolve(code ?? -1)));
    late.stdin.write(config.slice(0, -1));
    // Asleep in read(2) on the rest: number 0 on x86-64, 63 on arm64.
    await eventually(`the held ${command} reads its stdin`, () =>
      /^(0|63) 0x0 /.test(syscallOf(late.pid) ?? ""),
    );
    return {
      async letGo() {
        late.stdin.end(config.slice(-1));
        return { exit: await closed, stdout: Buffer.concat(out).toString("utf8") };
      },
    };
  }

  it("an ADD that arrives after its DEL is refused, and leaves nothing", async () => {
    const pod = rig.pod();
    const late = await held(pod, "ADD");
    await rig.cni.del(rig.network(), attachmentOf(pod));
    const answer = await late.letGo();
    expectError({ ...answer, json: JSON.parse(answer.stdout) }, 11);
    expect(await remainsOf(host)).toEqual(before);
    await expectEmpty(pod);
    // The id is not burnt: an ADD that starts now is a new one.
    await rig.detach(await rig.attach(pod));
    expect(await remainsOf(host)).toEqual(before);
  });

  it("a DEL that was held up does not touch what was added since", async () => {
    const pod = rig.pod();
    const late = await held(pod, "DEL");
    const attached = await rig.attach(pod);
    expect(await late.letGo()).toEqual({ exit: 0, stdout: "" });
    expect((await remainsOf(host)).endpoints).toContain(attached.address);
    expect(await pod.pings(before.endpoints[0] ?? "")).toBe(true);
    await rig.detach(attached);
    expect(await remainsOf(host)).toEqual(before);
  });
});

/** What a process does in the kernel, as proc(5) writes it: number and arguments. */
function syscallOf(pid: number | undefined): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/syscall`, "utf8");
  } catch {
    return undefined;
  }
}
