// A daemon that stands still is missed after SILENT_MS and comes back by itself; one that is merely late, because its host is
// busy, loses nobody. Containers notice neither.
import { beforeAll, describe, expect, it } from "vitest";
import type { Status } from "../../src/api/status.ts";
import { SILENT_MS } from "../../src/core/mesh/constants.ts";
import { eventually } from "../kernel/support/namespaces.ts";
import type { Container } from "../support/container.ts";
import { useLab } from "../support/lab.ts";
import { startPinging } from "../support/traffic.ts";

/** Noticed, told and shown. */
const NOTICE_MS = SILENT_MS + 5_000;
/** From the first moment it runs again. */
const BACK_MS = 5_000;
/** Of a daemon that runs for LUCKY_MS in between, so that it is a few seconds late with everything. */
const LATE_MS = 8_000;
const LUCKY_MS = 100;
const BUSY_MS = 30_000;

const established = ({ connections }: Status): string[] =>
  connections
    .filter(({ state }) => state === "established")
    .map(({ nickname, since }) => `${nickname} since ${since}`)
    .sort();
const later = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe("three daemons", () => {
  const lab = useLab(3);
  let here: Container;
  let there: Container;

  beforeAll(async () => {
    await lab.launchAll();
    [here, there] = [await lab.attached(lab.host(1)), await lab.attached(lab.host(3))];
    await lab.untilKnown([here, there]);
    await here.reaches(there.address);
    for (const host of lab.hosts)
      await host.until("connected to both others", (status) => established(status).length === 2);
  });

  it("one of which stands still miss it, say so, and have it back", async () => {
    const pings = await startPinging(here.namespace, there.address);
    const stopped = lab.host(3);
    const pid = stopped.pid();
    process.kill(pid, "SIGSTOP");
    try {
      for (const host of [lab.host(1), lab.host(2)]) {
        await host.until(
          "h3 is missed",
          ({ problems }) => problems.some(({ code }) => code === "peer-unreachable"),
          NOTICE_MS,
        );
        expect(await host.weave("status")).toMatchObject({
          exit: 1,
          stdout: expect.stringMatching(/^PROBLEM: peer-unreachable h3 since /),
        });
      }
      expect((await here.host.status()).endpoints.map(({ address }) => address)).toContain(there.address);
    } finally {
      process.kill(pid, "SIGCONT");
    }
    for (const host of lab.hosts) await host.untilOk(BACK_MS);
    await stopped.until("connected to both", (status) => established(status).length === 2, BACK_MS);
    expect((await pings.stop()).lost).toEqual([]);
  });

  it("that are all late keep their connections", async () => {
    await Promise.all(
      lab.hosts.map((host) => host.until("two connections", (status) => established(status).length === 2)),
    );
    const seen = async (): Promise<string[][]> =>
      (await Promise.all(lab.hosts.map((host) => host.status()))).map(established);
    const before = await seen();
    let over = false;
    const busy = lab.hosts.map(async (host, number) => {
      const pid = host.pid();
      while (!over) {
        process.kill(pid, "SIGSTOP");
        await later(LATE_MS + 100 * number); // not in step
        process.kill(pid, "SIGCONT");
        await later(LUCKY_MS);
      }
    });
    const until = performance.now() + BUSY_MS;
    await eventually("it is over", () => performance.now() > until, BUSY_MS + 5_000);
    over = true;
    await Promise.all(busy);
    expect(await seen()).toEqual(before);
    await lab.untilAllOk();
  });
});
