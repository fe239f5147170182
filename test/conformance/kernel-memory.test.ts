// The memory kernel against the suite the real one passes.
import { createMemoryKernel } from "../../src/kernel/memory/memory-kernel.ts";
import { kernelConformance } from "./kernel.ts";

kernelConformance("in memory", async () => {
  const kernel = createMemoryKernel();
  const paths = { missing: "/run/netns/none", file: "/run/netns/file", host: "/run/netns/host" };
  kernel.addNetns(paths.file, "file");
  kernel.addNetns(paths.host, "host");
  let serial = 0;
  return {
    kernel,
    paths,
    addNetns() {
      const path = `/run/netns/c${++serial}`;
      kernel.addNetns(path);
      return path;
    },
    removeNetns: (path) => kernel.removeNetns(path),
    setMac: async (path, ifname, mac) => kernel.setMac(path, ifname, mac),
    damage: async (fact) => kernel.damage(fact),
    restart: () => kernel.close(),
    render: async () => kernel.render(),
    renderNetns: async (path) => kernel.renderNetns(path),
    async close() {
      if (kernel.openCount !== 0) throw new Error(`${kernel.openCount} namespaces left open`);
    },
  };
});
