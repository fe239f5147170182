// The Linux kernel against the suite, in a namespace per test, read back with `ip`, `bridge` and `nft`.

import { describe } from "vitest";
import { type KernelHarness, kernelConformance } from "../conformance/kernel.ts";
import { whyNot } from "./support/namespaces.ts";
import { renderContainer, renderHost } from "./support/read-back.ts";
import { World } from "./support/world.ts";

describe.skipIf(whyNot() !== undefined)("linux", () => {
  kernelConformance("of Linux", async (): Promise<KernelHarness> => {
    const world = new World();
    const host = world.host("alice");
    const containers = new Map<string, ReturnType<World["namespace"]>>();
    return {
      get kernel() {
        return host.kernel;
      },
      paths: { missing: "/run/netns/wt-none", file: "/etc/hostname", host: host.netns.path },
      addNetns() {
        const netns = world.namespace("c");
        containers.set(netns.path, netns);
        return netns.path;
      },
      removeNetns: (path) => containers.get(path)?.remove(),
      async setMac(path, ifname, mac) {
        await containers.get(path)?.run(`ip link set ${ifname} address ${mac}`);
      },
      restart: () => host.restart(),
      render: () => renderHost(host.netns),
      async renderNetns(path) {
        const netns = containers.get(path);
        return netns === undefined ? "" : renderContainer(netns);
      },
      close: () => world.close(),
    };
  });
});
