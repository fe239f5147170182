// Ten hosts launched at the same moment, each with the names of all: one network, which is parted in two, used on both
// sides, and healed.
import { beforeAll, describe, expect, it } from "vitest";
import type { Status } from "../../src/api/status.ts";
import type { Container } from "../support/container.ts";
import type { Outcome } from "../support/host.ts";
import { useLab } from "../support/lab.ts";
import { sharesOf } from "../support/shares.ts";

const COUNT = 10;
const words = ({ stdout, stderr }: Outcome): string => `${stdout} ${stderr}`.replace(/\s+/g, " ");

describe("ten hosts at once", () => {
  const lab = useLab(COUNT);
  const containers: Container[] = [];

  beforeAll(async () => {
    const all = lab.hosts.map(({ address }) => address);
    await Promise.all(lab.hosts.map((host) => host.launch(...all)));
  }, 120_000);

  it("are one network with one founding, and each serves its first container", async () => {
    await lab.untilAllOk(60_000);
    const statuses = await Promise.all(lab.hosts.map((host) => host.status()));
    expect(new Set(statuses.map(({ cluster }) => cluster)).size).toBe(1);
    containers.push(...(await Promise.all(lab.hosts.map((host) => lab.attached(host)))));
    expect(new Set(containers.map(({ address }) => address)).size).toBe(COUNT);
    await lab.untilKnown(containers, 30_000);
    await lab.untilVotersSettled();
  });

  it("parted in four and six, allocate on both sides, and only the six can decide", async () => {
    const [few, many] = [lab.hosts.slice(0, 4), lab.hosts.slice(4)];
    await lab.underlay.part(few.map(({ namespace }) => namespace));
    const sees =
      (count: number) =>
      ({ peers }: Status): boolean =>
        peers.filter(({ reachable }) => reachable).length === count;
    await Promise.all([
      ...few.map((host) => host.until("four are left", sees(4), 60_000)),
      ...many.map((host) => host.until("six are left", sees(6), 60_000)),
    ]);
    const fresh = await Promise.all(lab.hosts.map((host) => lab.attached(host, "parted")));
    containers.push(...fresh);
    expect(new Set(containers.map(({ address }) => address)).size).toBe(2 * COUNT);

    const [one] = few;
    const [other] = many;
    const quorums = await Promise.all(
      [one, other].map(async (host) => {
        const { configuration } = (await host?.status()) ?? {};
        const answering = configuration?.voters.filter(({ reachable }) => reachable).length ?? 0;
        return answering >= (configuration?.quorum ?? 0);
      }),
    );
    expect(quorums.filter(Boolean)).toHaveLength(1);
    const lacking = quorums[0] === true ? other : one;
    const refused = await lacking?.weave("rmpeer", quorums[0] === true ? "h1" : "h10");
    expect(refused?.exit).toBe(1);
    expect(words(refused as Outcome)).toContain("voters must agree");
  });

  it("healed, are one network again: equal rings, every container known, no address twice", async () => {
    await lab.underlay.unite();
    await lab.untilAllOk(90_000);
    await lab.untilKnown(containers, 60_000);
    const statuses = await Promise.all(lab.hosts.map((host) => host.status()));
    const [first] = statuses;
    for (const status of statuses) {
      expect(status.cluster).toBe(first?.cluster);
      expect(sharesOf(status)).toEqual(sharesOf(first as Status));
      expect(status.endpoints.map(({ address }) => address)).toEqual(
        first?.endpoints.map(({ address }) => address),
      );
    }
    const held = (first as Status).endpoints.map(({ address }) => address);
    expect(new Set(held).size).toBe(held.length);
    const [one, , , , , , , , , ten] = containers;
    await one?.reaches(ten?.address ?? "");
  });
});
