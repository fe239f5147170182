// Removing peers: one that is dead, one that is dead on several hosts at once, one that is only parted from the others,
// and one of two, where no quorum is left. Weave Net's test 335, and what it had no test for.
import { existsSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import type { Status } from "../../src/api/status.ts";
import type { Container } from "../support/container.ts";
import type { Host, Outcome } from "../support/host.ts";
import { useLab } from "../support/lab.ts";
import { isOwnedBy, sharesOf } from "../support/shares.ts";

const words = ({ stdout, stderr }: Outcome): string => `${stdout} ${stderr}`.replace(/\s+/g, " ");

describe("a host that is dead", () => {
  const lab = useLab(3);
  let used: string[];

  beforeAll(async () => {
    await lab.launchAll();
    const containers = [
      await lab.attached(lab.host(1)),
      await lab.attached(lab.host(3)),
      await lab.attached(lab.host(3), "second"),
    ];
    await lab.untilKnown(containers);
    await lab.untilVotersSettled();
    used = containers.slice(1).map(({ address }) => address);
    await lab.host(3).kill();
    const isMissed = ({ peers }: Status): boolean => peers.some(({ reachable }) => !reachable);
    for (const number of [1, 2]) await lab.host(number).until("h3 is missed", isMissed); // one that answers is not removed
  });

  it("is named when it is unknown, and not oneself", async () => {
    const host = lab.host(1);
    const unknown = await host.weave("rmpeer", "h4");
    expect(unknown.exit).toBe(1);
    expect(words(unknown)).toContain('no peer "h4"');
    const self = await host.weave("rmpeer", "h1");
    expect(self.exit).toBe(2);
    expect(words(self)).toContain("weave reset");
  });

  it("is removed on two hosts at once by one decision, and its addresses are one host's at once", async () => {
    const outcomes = await Promise.all([1, 2].map((n) => lab.host(n).weave("rmpeer", "h3", "--json")));
    expect(
      outcomes.map(({ exit }) => exit),
      outcomes.map(words).join(),
    ).toEqual([0, 0]);
    const [one, other] = outcomes.map(({ stdout }) => JSON.parse(stdout));
    expect(one.heir).toBe(other.heir);
    expect(one.epoch).toBe(other.epoch);
    const seen = await Promise.all(
      [1, 2].map((n) =>
        lab.host(n).until("h3 owns nothing", (status) => status.ok && isOwnedBy(status, "h1", "h2")),
      ),
    );
    expect(sharesOf(seen[0] as Status)).toEqual(sharesOf(seen[1] as Status));
    for (const { peers, endpoints } of seen) {
      expect(peers.map(({ nickname }) => nickname).sort()).toEqual(["h1", "h2"]);
      expect(endpoints.map(({ address }) => address)).not.toEqual(expect.arrayContaining(used));
    }
  });

  it("removed again was removed before", async () => {
    const again = await lab.host(2).weave("rmpeer", "h3");
    expect(again.exit).toBe(0);
    expect(words(again)).toMatch(/h3 .*(was|were) removed before|removed before.*h3|already/);
  });

  it("leaves addresses that are given out last of all", async () => {
    const fresh = await Promise.all([1, 2].map((n) => lab.attached(lab.host(n), "fresh")));
    for (const { address } of fresh) expect(used).not.toContain(address);
  });

  it("that was not dead learns of it, keeps its containers, and joins again", async () => {
    const host = lab.host(3);
    await host.launch(lab.host(1).address);
    await lab.untilAllOk(40_000);
    const status = await host.status();
    expect(status.setAside?.reason).toBe("removed");
    expect(existsSync(status.setAside?.file ?? "")).toBe(true);
    expect(words(await host.weave("status"))).toContain("set aside at");
    for (const each of lab.hosts)
      await each.until("its containers are known again", ({ endpoints }) =>
        used.every((address) => endpoints.some((e) => e.address === address && e.nickname === "h3")),
      );
  });
});

describe("a host that is parted from the two others", () => {
  const lab = useLab(3);
  let far: Container;
  let near: Container;

  beforeAll(async () => {
    await lab.launchAll();
    near = await lab.attached(lab.host(1));
    far = await lab.attached(lab.host(3));
    await near.reaches(far.address);
    await lab.untilVotersSettled();
    await lab.underlay.cut(lab.host(3).namespace);
    const away =
      (...gone: string[]) =>
      ({ peers }: Status): boolean =>
        gone.every((name) =>
          peers.some((peer) => peer.nickname === name && peer.unreachableSince !== undefined),
        );
    await Promise.all([
      lab.host(1).until("h3 is away", away("h3"), 60_000),
      lab.host(3).until("the others are away", away("h1", "h2"), 60_000),
    ]);
  });

  it("can remove nobody, and is told which voters are missing, since when", async () => {
    const outcome = await lab.host(3).weave("rmpeer", "h1");
    expect(outcome.exit).toBe(1);
    expect(words(outcome)).toMatch(/2 of the 3 voters must agree/);
    for (const missing of ["h1", "h2"]) expect(words(outcome)).toContain(missing);
    expect(words(outcome)).toMatch(/\(for \d+ (s|min)\)/);
    expect(isOwnedBy(await lab.host(3).status(), "h1", "h2", "h3")).toBe(true);
  });

  it("can be removed by them, and goes on until it hears of it", async () => {
    await lab.host(2).weaveOk("rmpeer", "h3");
    await lab.host(1).until("h3 owns nothing", (status) => status.ok && isOwnedBy(status, "h1", "h2"));
    const late = await lab.attached(lab.host(3), "late");
    expect(late.address).toBeTruthy();
    await late.del();
  });

  it("begins anew when it is reached again, and its container goes on with its address", async () => {
    const { address } = far;
    const { name } = await lab.host(3).status();
    await lab.underlay.heal(lab.host(3).namespace);
    await lab.host(3).until("it is another peer", (status) => status.name !== name, 60_000);
    await lab.untilAllOk(40_000);
    await near.reaches(address);
    await far.reaches(near.address);
    const fresh = await lab.attached(lab.host(3), "fresh");
    await near.reaches(fresh.address);
    await far.del();
    await lab.host(1).until("it is gone", ({ endpoints }) => endpoints.every((e) => e.address !== address));
  });
});

describe("one of two hosts that burns", () => {
  const lab = useLab(2);
  let survivor: Host;
  let before: Status;

  beforeAll(async () => {
    await lab.launchAll();
    survivor = lab.host(1);
    await lab.attached(survivor);
    await lab.untilVotersSettled();
    await lab.host(2).kill();
    before = await survivor.until("h2 is away", ({ peers }) => peers.some((peer) => !peer.reachable));
  });

  it("cannot be removed without its word", async () => {
    const outcome = await survivor.weave("rmpeer", "h2");
    expect(outcome.exit).toBe(1);
    expect(words(outcome)).toContain("2 of the 2 voters must agree");
    expect(words(outcome)).toContain("rmpeer --force");
  });

  it.each([[[]], [["--confirm", "h1"]], [["--confirm", "h2", "h3"]]])(
    "nor by force with the confirmation %j: nothing is changed",
    async (confirm) => {
      const outcome = await survivor.weave("rmpeer", "--force", "h2", ...confirm);
      expect(outcome.exit).toBe(2);
      const { configuration, cluster } = await survivor.status();
      expect({ configuration, cluster }).toEqual({
        configuration: before.configuration,
        cluster: before.cluster,
      });
    },
  );

  it("is removed by force, which every host keeps a record of", async () => {
    const outcome = await survivor.weave("rmpeer", "--force", "h2", "--confirm", "h2");
    expect(outcome.exit, words(outcome)).toBe(0);
    const status = await survivor.until("all is its own", (now) => now.ok && isOwnedBy(now, "h1"));
    expect(status.cluster).not.toBe(before.cluster);
    expect(status.configuration?.lineage).toEqual([
      expect.objectContaining({ cluster: before.cluster, by: status.name, at: expect.stringMatching(/^20/) }),
    ]);
    expect(words(await survivor.weave("status", "ipam"))).toContain(`continues ${before.cluster} from epoch`);
  });

  it("is one of the network again when it was not burnt after all", async () => {
    await lab.host(2).launch();
    await lab.untilAllOk(40_000);
    const status = await lab.host(2).status();
    expect(status.cluster).toBe((await survivor.status()).cluster);
    expect(status.setAside?.reason).toBe("removed");
  });
});
