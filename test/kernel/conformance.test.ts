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
      async damage(fact) {
        await host.netns.run(damageCommand(fact));
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

/** What somebody else may type. */
function damageCommand(fact: string): string {
  const [kind = "", object = "", direction] = fact.split(" ");
  const commands: Readonly<Record<string, string>> = {
    address: `ip addr del ${object} dev weave`,
    flood: `bridge fdb del 00:00:00:00:00:00 dev vxlan-6784 dst ${object} self`,
    fdb: `bridge fdb del ${object} dev vxlan-6784 self`,
    neigh: `ip neigh del ${object} dev weave`,
    route: `ip route del ${object} table 6784`,
    forwarding: `sysctl -qw net.${object === "ipv4" ? "ipv4.ip_forward" : "ipv6.conf.all.forwarding"}=0`,
    route_localnet: "sysctl -qw net.ipv4.conf.weave.route_localnet=0",
    nft: "nft delete table inet weave",
    shape:
      direction === "ingress"
        ? `tc qdisc del dev ${object} root`
        : `ip link del ${object.replace("vw", "vi")}`,
    hairpin: `bridge link set dev ${object} hairpin off`,
  };
  const command = commands[kind];
  if (command === undefined) throw new Error(`no such damage: ${fact}`);
  return command;
}
