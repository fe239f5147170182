// Many calls at once, as when a node starts all its pods.
import { describe, expect, it } from "vitest";
import { useLab } from "../support/lab.ts";
import { tracesOf } from "../support/traces.ts";

describe("many calls at once", () => {
  const lab = useLab(2);

  it("gives 20 addresses to 20 ADDs, and leaves nothing after 20 DELs", async () => {
    await lab.launchAll();
    for (const host of lab.hosts) await host.weaveOk("expose");
    const host = lab.host(1);
    const before = await tracesOf(host);
    const remote = await lab.attached(lab.host(2), "remote");
    const containers = Array.from({ length: 20 }, (_, number) => lab.container(host, `c${number}`));

    await Promise.all(containers.map((container) => container.add()));
    const addresses = containers.map((container) => container.address);
    expect(new Set(addresses).size).toBe(20);
    await lab.untilKnown(containers);
    const [first] = containers;
    for (const container of containers) {
      await container.reaches(remote.address);
      await remote.reaches(container.address);
      if (container !== first) expect(await first?.pings(container.address)).toBe(true);
    }

    await Promise.all(containers.map((container) => container.del()));
    expect(await tracesOf(host)).toEqual(before);
    await lab
      .host(2)
      .until("their endpoints are gone", ({ endpoints }) =>
        endpoints.every((endpoint) => !addresses.includes(endpoint.address)),
      );
  });
});
