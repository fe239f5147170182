// The network configuration under a containerd that runs: installed, changed, exchanged for a list, and left by stop.
// The tests that are the same for each version.
import { copyFileSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { eventually } from "../kernel/support/namespaces.ts";
import type { Containerd } from "../support/containerd/containerd.ts";
import { expectNothingLeft, leftoversOf } from "../support/containerd/leftovers.ts";
import type { Nodes } from "../support/containerd/nodes.ts";
import { Pod } from "../support/containerd/pod.ts";
import { sourceSeen } from "../support/containerd/source-seen.ts";
import { serve } from "../support/images.ts";
import { shapersOf } from "../support/pod-effects.ts";

/** Registers them. */
export function configurationTests({ node }: Nodes): void {
  describe("the configuration", () => {
    // As setup writes it by default.
    afterEach(async () => {
      const { machine, cri } = node(1);
      for (const name of readdirSync(machine.cniConfDir)) rmSync(join(machine.cniConfDir, name));
      await machine.setup();
      await cri.untilNetwork(true);
    });

    it("is picked up when setup writes it", async () => {
      const { machine, cri } = node(1);
      rmSync(join(machine.cniConfDir, "10-weave.conf"));
      await cri.untilNetwork(false);
      await expect(Pod.run(node(1))).rejects.toThrow("cni plugin not initialized");
      await machine.setup();
      await cri.untilNetwork(true);
      await (await Pod.run(node(1))).end();
    });

    it("is followed when a user changes it; pods of before keep what they have and can be ended", async () => {
      const { machine } = node(1);
      const before = await leftoversOf(machine);
      const old = await Pod.runWithContainer(node(1));
      const file = join(machine.cniConfDir, "10-weave.conf");
      const config: unknown = JSON.parse(readFileSync(file, "utf8"));
      writeFileSync(file, JSON.stringify({ ...Object(config), mtu: 1300 }));
      await untilLoaded(node(1), /1300/);
      const young = await Pod.runWithContainer(node(1));
      expect((await young.exec("cat /sys/class/net/eth0/mtu")).stdout).toBe("1300\n");
      expect((await old.exec("cat /sys/class/net/eth0/mtu")).stdout).not.toBe("1300\n");
      expect(await young.pings(old.address)).toBe(true);
      await old.end();
      await young.end();
      await expectNothingLeft(machine, before);
    });

    it("may become a list under running pods, with the same features", async () => {
      const { machine, cri } = node(1);
      const before = await leftoversOf(machine);
      const old = await Pod.run(node(1));
      await machine.setup("--format", "conflist");
      expect(readdirSync(machine.cniConfDir)).toEqual(["10-weave.conflist"]);
      await untilLoaded(node(1), /"cniVersions?":|"CNIVersion":"1\./);
      await cri.untilNetwork(true);

      const wishes = {
        ports: [{ container_port: 80, host_port: 8081 }],
        annotations: { "kubernetes.io/ingress-bandwidth": "2M" },
      };
      const pod = await Pod.runWithContainer(node(1), wishes, serve(80));
      expect(await pod.addressesInside()).toEqual([`${pod.address}/12`]);
      const far = node(2).machine.namespace;
      await eventually("its hostPort answers", () =>
        sourceSeen(far, machine.address, 8081).catch(() => undefined),
      );
      expect((await shapersOf(machine.namespace)).get(pod.hostIfname)).toBe(2_000_000);
      expect(await pod.pings(old.address)).toBe(true);
      await old.end();
      await pod.end();
      await expectNothingLeft(machine, before);
    });

    it("may be a user's own chain with the standard plugins", async () => {
      const { machine } = node(1);
      const before = await leftoversOf(machine);
      for (const type of ["portmap", "bandwidth"]) {
        copyFileSync(join("/usr/lib/cni", type), join(machine.cniBinDir, type));
      }
      const plugins = [
        { type: "weave-net" },
        { type: "portmap", capabilities: { portMappings: true } },
        { type: "bandwidth", capabilities: { bandwidth: true } },
      ];
      const chain = { cniVersion: "1.0.0", name: "weave", plugins };
      writeFileSync(join(machine.cniConfDir, "05-own.conflist"), JSON.stringify(chain));
      await untilLoaded(node(1), /portmap/);
      const wishes = {
        ports: [{ container_port: 80, host_port: 8083 }],
        annotations: { "kubernetes.io/ingress-bandwidth": "2M", "kubernetes.io/egress-bandwidth": "3M" },
      };
      const pod = await Pod.runWithContainer(node(1), wishes, serve(80));
      const far = node(2).machine.namespace;
      await eventually("its hostPort answers", () =>
        sourceSeen(far, machine.address, 8083).catch(() => undefined),
      );
      expect(new Set((await shapersOf(machine.namespace)).values())).toEqual(new Set([2_000_000, 3_000_000]));
      await pod.end();
      await expectNothingLeft(machine, before);
    });

    it("is left by `weave stop`, so that pods can be stopped", async () => {
      const { machine, cri } = node(1);
      const pod = await Pod.run(node(1));
      await machine.weaveOk("stop");
      expect(existsSync(join(machine.cniConfDir, "10-weave.conf"))).toBe(true);
      // What the runtime knows at 0.4.0: that there is a network.
      expect(await cri.network()).toMatchObject({ status: true });
      await pod.end();
    });
  });
}

/** Until the runtime has loaded a configuration like this. */
async function untilLoaded({ cri }: Containerd, like: RegExp): Promise<void> {
  await eventually(`the runtime has loaded ${like}`, async () => like.test(await cri.loadedNetwork()));
}
