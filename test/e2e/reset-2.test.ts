// Hosts that leave in good order: Weave Net's test 330, a reset cut short at each step, and one whose peers are away.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { beforeAll, describe, expect, it } from "vitest";
import type { Host, Outcome } from "../support/host.ts";
import { useLab } from "../support/lab.ts";
import { isOwnedBy } from "../support/shares.ts";

const words = ({ stdout, stderr }: Outcome): string => `${stdout} ${stderr}`.replace(/\s+/g, " ");

/** Nothing of weave is left but the plugin. */
async function isClean(host: Host): Promise<boolean> {
  const links = await host.namespace.run("ip -o link show");
  return (
    !/ (weave|vxlan-6784|v[wi][0-9a-f]{12})[@:]/.test(links) &&
    !(await host.namespace.run("nft list tables")).includes("weave") &&
    !["db", "peer", "leaving"].some((name) => existsSync(join(host.dataDir, name)))
  );
}

describe("hosts reset and launched again, one after the other", () => {
  const lab = useLab(2);

  it("hand over all they have each time, and every address can be given out in the end", async () => {
    await lab.host(1).launch("--ipalloc-range", "10.32.0.0/28");
    await lab.host(2).launch("--ipalloc-range", "10.32.0.0/28", lab.host(1).address);
    await lab.untilAllOk();
    for (const [leaving, staying] of [
      [lab.host(1), lab.host(2)],
      [lab.host(2), lab.host(1)],
    ] as const) {
      await lab.untilVotersSettled();
      // Both have used some of it.
      for (const host of lab.hosts) {
        const container = await lab.attached(host, "brief");
        await container.del();
      }
      const { nickname } = staying;
      const outcome = await leaving.weave("reset");
      expect(outcome.exit, words(outcome)).toBe(0);
      expect(words(outcome)).toMatch(/\d+ addresses of [0-9.]+\/\d+ handed over to /);
      expect(await isClean(leaving)).toBe(true);
      const left = await staying.until("it owns all", (now) => now.ok && isOwnedBy(now, nickname));
      expect(left.peers.map((peer) => peer.nickname)).toEqual([nickname]);
      expect(left.configuration?.voters.map((voter) => voter.nickname)).toEqual([nickname]);
      await leaving.launch("--ipalloc-range", "10.32.0.0/28", staying.address);
      await lab.untilAllOk();
    }
    // 14 usable addresses, of which each bridge has one; those freed a moment ago rest, and are given out last.
    const containers = [];
    for (let i = 0; i < 12; i++) containers.push(await lab.attached(lab.host(1 + (i % 2)), `c${i}`));
    expect(new Set(containers.map(({ address }) => address)).size).toBe(12);
  });

  it("refuse while containers are attached, and cut them off with --force", async () => {
    const host = lab.host(2);
    const refused = await host.weave("reset");
    expect(refused.exit).toBe(1);
    expect(words(refused)).toContain("6 containers of this host are attached");
    await host.until("it still counts", (now) => now.ok && now.configuration?.voters.length === 2);

    expect((await host.weave("reset", "--force")).exit).toBe(0);
    expect(await isClean(host)).toBe(true);
    await lab.host(1).until("it owns all", (now) => now.ok && isOwnedBy(now, "h1"));
  });
});

describe("a reset that is cut short by kill -9", () => {
  const lab = useLab(2);

  beforeAll(async () => {
    await lab.launchAll();
  });

  it.each([0, 4, 16, 40, 80, 160])("after %i ms loses nothing, and is finished by another", async (ms) => {
    const [stays, goes] = [lab.host(1), lab.host(2)];
    await lab.untilVotersSettled();
    const resetting = goes.weave("reset");
    await goes.client.status().catch(() => undefined);
    await delay(100 + ms); // the command takes about as long to start
    await goes.kill().catch(() => undefined);
    await resetting;
    // Whatever had been done: launched again it finishes, or is the peer it was; then it is reset.
    await goes.launch(stays.address);
    await lab.untilAllOk(40_000);
    await stays.until("all has an owner", (now) => isOwnedBy(now, "h1", "h2"));
    await lab.untilVotersSettled();
    const outcome = await goes.weave("reset");
    expect(outcome.exit, words(outcome)).toBe(0);
    expect(await isClean(goes)).toBe(true);
    await stays.until("it owns all", (now) => now.ok && isOwnedBy(now, "h1"));
    await goes.launch(stays.address);
    await lab.untilAllOk(40_000);
  });
});

describe("a host whose peers are away", () => {
  const lab = useLab(2);

  it("is not reset, and told whom it cannot reach; --force goes all the same, and says what is due", async () => {
    await lab.launchAll();
    await lab.untilVotersSettled();
    const [gone, host] = [lab.host(1), lab.host(2)];
    await gone.stop();
    await host.until("h1 is away", ({ peers }) => peers.some((peer) => !peer.reachable));
    const { name } = await host.status();
    const refused = await host.weave("reset");
    expect(refused.exit).toBe(1);
    expect(words(refused)).toContain("h1");
    expect(words(refused)).toContain("--force");
    expect((await host.status()).name).toBe(name);

    const forced = await host.weave("reset", "--force");
    expect(forced.exit, words(forced)).toBe(0);
    expect(words(forced)).toContain(`weave rmpeer ${name}`);
    expect(await isClean(host)).toBe(true);
  });
});
