// Three hosts, the third knowing only the first and never connected to the second: gossip goes through the first,
// containers' packets go straight.
import { beforeAll, describe, expect, it } from "vitest";
import type { Status } from "../../src/api/status.ts";
import type { Container } from "../support/container.ts";
import { useLab } from "../support/lab.ts";
import { transfer } from "../support/traffic.ts";

describe("a third host that joins through one of two", () => {
  const lab = useLab(3);
  let containers: Container[] = [];

  beforeAll(async () => {
    await lab.host(3).blockControl(lab.host(2));
    await lab.host(1).launch();
    await lab.host(2).launch(lab.host(1).address);
    await lab.host(3).launch(lab.host(1).address);
    await lab.untilAllOk();
    containers = await Promise.all(lab.hosts.map((host) => lab.attached(host)));
  });

  it("shows all three on each of them, and no connection between the second and the third", async () => {
    for (const host of lab.hosts) {
      const { peers, connections } = await host.status();
      expect(peers.map((peer) => peer.nickname).sort()).toEqual(["h1", "h2", "h3"]);
      expect(peers.every((peer) => peer.reachable)).toBe(true);
      const met = connections
        .filter((c) => c.state === "established")
        .map((c) => c.nickname)
        .sort();
      expect(met).toEqual(host === lab.host(1) ? ["h2", "h3"] : ["h1"]);
      const text = await host.weaveOk("status", "peers");
      for (const { nickname, underlay } of peers) {
        expect(text).toContain(nickname);
        expect(text).toContain(underlay);
      }
    }
  });

  it("gives every container another address out of one range", () => {
    expect(new Set(containers.map((container) => container.address)).size).toBe(3);
    for (const { address } of containers) expect(address).toMatch(/^10\.(3[2-9]|4[0-7])\./);
  });

  it("lets every container reach every other", async () => {
    for (const from of containers) {
      for (const to of containers) if (from !== to) await from.reaches(to.address);
    }
    const [, second, third] = containers;
    if (second === undefined || third === undefined) throw new Error("three containers were made");
    expect(await transfer(third.namespace, second.namespace, second.address)).toBe(4 << 20);
  });

  it("tells the third host of a container that starts on, and goes from, the second", async () => {
    const late = await lab.attached(lab.host(2), "late");
    const { address } = late;
    const knows = ({ endpoints }: Status): boolean =>
      endpoints.some((endpoint) => endpoint.address === address && endpoint.nickname === "h2");
    await lab.host(3).until("the container on h2 is known", knows);
    await containers[2]?.reaches(address);
    await late.del();
    await lab.host(3).until("the container on h2 is gone", (status) => !knows(status));
  });
});
