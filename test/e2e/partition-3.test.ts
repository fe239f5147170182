// A partition, {h1, h2} from {h3}, in which both sides go on working, and its healing.
import { beforeAll, describe, expect, it } from "vitest";
import type { Status } from "../../src/api/status.ts";
import type { Container } from "../support/container.ts";
import { useLab } from "../support/lab.ts";
import { type Pinging, startPinging } from "../support/traffic.ts";

describe("a partition that heals", () => {
  const lab = useLab(3);
  /** One per host, there before the partition. */
  let old: [Container, Container, Container];
  let gone: Container[];
  let goneAddresses: string[];
  let fresh: Container[];
  /** Between containers that the partition does not part: from h1 to h2, and inside h3. */
  let untouched: Pinging[];

  beforeAll(async () => {
    await lab.launchAll();
    const [h1, h2, h3] = [lab.host(1), lab.host(2), lab.host(3)];
    old = [await lab.attached(h1), await lab.attached(h2), await lab.attached(h3)];
    gone = [await lab.attached(h2, "gone"), await lab.attached(h3, "gone")];
    const neighbour = await lab.attached(h3, "neighbour");
    for (const from of old)
      for (const to of [...old, ...gone]) if (from !== to) await from.reaches(to.address);
    untouched = [
      await startPinging(old[0].namespace, old[1].address),
      await startPinging(neighbour.namespace, old[2].address),
    ];
    await lab.underlay.cut(h3.namespace);
  });

  it("serves ADD and DEL on both sides, before and after the partition is noticed", async () => {
    fresh = await Promise.all(lab.hosts.map((host) => lab.attached(host, "early")));
    goneAddresses = gone.map((container) => container.address);
    for (const container of gone) await container.del();
    const away =
      (...nicknames: string[]) =>
      ({ problems }: Status): boolean =>
        nicknames.every((name) => problems.some((p) => p.code === "peer-unreachable" && p.object === name));
    await Promise.all([
      lab.host(1).until("h3 is unreachable", away("h3"), 30_000),
      lab.host(2).until("h3 is unreachable", away("h3"), 30_000),
      lab.host(3).until("h1 and h2 are unreachable", away("h1", "h2"), 30_000),
    ]);
    fresh.push(...(await Promise.all(lab.hosts.map((host) => lab.attached(host, "late")))));
    expect(await lab.host(1).weave("status")).toMatchObject({
      exit: 1,
      stdout: expect.stringMatching(/^PROBLEM: peer-unreachable h3 since .*; run weave /),
    });
    expect(await old[0].pings(old[2].address)).toBe(false);
  });

  it("gives no address twice, each out of a range its host owns", async () => {
    const all = [...old, ...fresh].map((container) => container.address);
    expect(new Set(all).size).toBe(all.length);
    for (const container of fresh) {
      const { ipam } = await container.host.status();
      const ranges = ipam.flatMap(({ owners }) => owners.filter((o) => o.self).flatMap((o) => o.ranges));
      const inside = ranges.some((range) => {
        const [first = "", last = ""] = range.split("-");
        return number(first) <= number(container.address) && number(container.address) <= number(last);
      });
      expect(inside, `${container.address} in ${ranges.join()}`).toBe(true);
    }
  });

  it("comes to one view after healing, in which everything reaches everything", async () => {
    await lab.underlay.heal(lab.host(3).namespace);
    await lab.untilAllOk(45_000);
    const expected = [...old, ...fresh].map((container) => container.address);
    const views = await Promise.all(
      lab.hosts.map(async (host) => {
        const status = await host.until("all containers and no others are known", ({ endpoints }) => {
          const known = new Set(endpoints.map((endpoint) => endpoint.address));
          return expected.every((a) => known.has(a)) && goneAddresses.every((a) => !known.has(a));
        });
        const endpoints = status.endpoints.map(({ address, mac, peer }) => ({ address, mac, peer }));
        const ring = status.ipam.map(({ owners }) =>
          owners.map(({ name, ranges }) => ({ name, ranges })).sort((a, b) => a.name.localeCompare(b.name)),
        );
        return { endpoints, ring, cluster: status.cluster };
      }),
    );
    expect(views[1]).toEqual(views[0]);
    expect(views[2]).toEqual(views[0]);
    for (const from of old)
      for (const to of [...old, ...fresh]) if (from !== to) await from.reaches(to.address);
  });

  it("never disturbed the traffic of the pairs it did not part", async () => {
    for (const pinging of untouched) {
      const { sent, lost } = await pinging.stop();
      expect(sent).toBeGreaterThan(500);
      expect(lost).toEqual([]);
    }
  });
});

const number = (address: string): number =>
  address.split(".").reduce((value, byte) => value * 256 + Number(byte), 0);
