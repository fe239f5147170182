// Every daemon killed at the same time and launched again without arguments, as after a failed upgrade.
import { describe, expect, it } from "vitest";
import type { Status } from "../../src/api/status.ts";
import { useLab } from "../support/lab.ts";
import { startPinging } from "../support/traffic.ts";

describe("everything restarted at once", () => {
  const lab = useLab(3);

  it("comes back as it was, with nothing lost meanwhile", async () => {
    await lab.launchAll();
    const containers = await Promise.all(lab.hosts.map((host) => lab.attached(host)));
    const [first, second, third] = containers;
    if (first === undefined || second === undefined || third === undefined) throw new Error("three hosts");
    for (const from of containers)
      for (const to of containers) if (from !== to) await from.reaches(to.address);
    await lab.untilKnown(containers);
    const before = await views();
    const pings = await Promise.all([
      startPinging(first.namespace, second.address),
      startPinging(second.namespace, third.address),
      startPinging(third.namespace, first.address),
    ]);

    await Promise.all(lab.hosts.map((host) => host.kill()));
    await Promise.all(lab.hosts.map((host) => host.launch()));
    await lab.untilAllOk(45_000);

    for (const pinging of pings) {
      const { sent, lost } = await pinging.stop();
      expect(sent).toBeGreaterThan(20);
      expect(lost).toEqual([]);
    }
    expect(await views()).toEqual(before);
    const late = await lab.attached(lab.host(3), "late");
    for (const container of containers) await container.reaches(late.address);
    for (const container of containers) expect(container.address).not.toBe(late.address);
  });

  function views() {
    return Promise.all(lab.hosts.map(async (host) => view(await host.status())));
  }
});

function view({ name, cluster, ipam, endpoints, exposed, peers }: Status) {
  const rings = ipam.map(({ owners, used }) => ({ used, owners: owners.map((o) => [o.name, o.ranges]) }));
  return { name, cluster, rings, endpoints, exposed, peers: peers.map((peer) => peer.name).sort() };
}
