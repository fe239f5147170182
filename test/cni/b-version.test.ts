// Cases 25-29 of the contract: VERSION needs nothing and touches nothing.
import { describe, expect, it } from "vitest";
import { CNI_VERSIONS } from "../../cni-plugin/versions.ts";
import type { PluginAnswer } from "../support/container.ts";
import { useLab } from "../support/lab.ts";
import { runRaw } from "./raw.ts";
import { Rig } from "./rig.ts";

/** Of the contract; docs/benchmarks.md has what it takes. */
const BUDGET_MS = 150;

describe("B. VERSION", () => {
  const lab = useLab(1);
  const rig = new Rig(lab);
  const env = { CNI_COMMAND: "VERSION" };

  function expectAll(answer: PluginAnswer): void {
    expect(answer, answer.stderr).toMatchObject({
      exit: 0,
      json: { cniVersion: "1.1.0", supportedVersions: [...CNI_VERSIONS] },
    });
  }

  it("case 25: without any other variable, stdin closed", async () => {
    expectAll(await runRaw(lab.host(1), { env, script: 'exec "$0" <&-' }));
  });

  it("case 26: with the daemon down, and with it running", async () => {
    const host = lab.host(1);
    expect(await rig.cni.versions("weave-net")).toEqual([...CNI_VERSIONS]);
    expect(await rig.cni.versions("weave-ipam")).toEqual([...CNI_VERSIONS]);
    await host.launch();
    expect(await rig.cni.versions("weave-net")).toEqual([...CNI_VERSIONS]);
    await host.stop();
  });

  it("case 27: with the dummies of libcni, and stdin that is no JSON", async () => {
    const dummies = { CNI_NETNS: "dummy", CNI_IFNAME: "dummy", CNI_PATH: "dummy", CNI_CONTAINERID: "" };
    expectAll(await runRaw(lab.host(1), { env: { ...env, ...dummies }, stdin: ["{nope"] }));
  });

  it("case 28: a stdin that never ends is not waited for", async () => {
    const started = performance.now();
    expectAll(await runRaw(lab.host(1), { env }));
    expect(performance.now() - started).toBeLessThan(1000);
  });

  it("case 29: within its budget", async () => {
    const times: number[] = [];
    for (let turn = 0; turn < 9; turn++) {
      await rig.cni.versions("weave-net");
      times.push(rig.cni.runs.at(-1)?.ms ?? Infinity);
    }
    const median = times.sort((a, b) => a - b)[4];
    expect(median).toBeLessThan(BUDGET_MS);
  });
});
