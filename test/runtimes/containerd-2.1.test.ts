// containerd 2 attaches pods through the installed plugin, and asks it for its STATUS where the configuration offers
// version 1.1.0 of the specification. Debian's archive has it; how it comes here: newer-release.ts.
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { newerRelease } from "../support/containerd/newer-release.ts";
import { type Nodes, useNodes } from "../support/containerd/nodes.ts";
import { Pod } from "../support/containerd/pod.ts";
import { configurationTests } from "./configuration.ts";
import { podTests } from "./pods.ts";

const release = await newerRelease();

if ("why" in release) {
  it("containerd 2 attaches pods", (context) => context.skip(release.why));
} else {
  const nodes = useNodes(release);
  it("is what runs", async () => {
    const { runtime_version } = await nodes.node(1).cri.call("Version");
    expect(Number.parseInt(runtime_version, 10)).toBeGreaterThanOrEqual(2);
  });
  podTests(nodes);
  configurationTests(nodes);
  statusTests(nodes);
}

function statusTests({ node }: Nodes): void {
  describe("STATUS", () => {
    beforeAll(async () => {
      await node(1).machine.setup("--format", "conflist");
    });
    afterAll(async () => {
      const { machine } = node(1);
      for (const name of readdirSync(machine.cniConfDir)) rmSync(join(machine.cniConfDir, name));
      await machine.setup();
    });

    it("makes the node's network ready or not, in our words", async () => {
      const { machine, cri } = node(1);
      await cri.untilNetwork(true);
      await machine.weaveOk("stop");
      const down = await cri.untilNetwork(false);
      expect(down).toMatchObject({
        reason: "NetworkPluginNotReady",
        message: expect.stringContaining("weave launch"),
      });
      await machine.launch();
      await cri.untilNetwork(true);
      await (await Pod.run(node(1))).end();
    });
  });
}
