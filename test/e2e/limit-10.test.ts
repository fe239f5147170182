// Ten hosts that may have three connections each, launched one after the other, each told of the one before: Weave Net's test
// 120 with real daemons, in which the network outlives the hosts that hold it together.
import { beforeAll, describe, expect, it } from "vitest";
import type { Status } from "../../src/api/status.ts";
import type { Container } from "../support/container.ts";
import type { Host } from "../support/host.ts";
import { useLab } from "../support/lab.ts";

const COUNT = 10;
const LIMIT = 3;
/** How soon a container of one end is known at the other: a few hops of milliseconds each, and a machine that is busy. */
const GOSSIP_MS = 3_000;

const links = ({ connections }: Status): number =>
  connections.filter(({ state }) => state === "established").length;

describe("ten hosts of three connections each", () => {
  const lab = useLab(COUNT);

  beforeAll(async () => {
    let before: Host | undefined;
    for (const host of lab.hosts) {
      await host.launch("--conn-limit", `${LIMIT}`, ...(before === undefined ? [] : [before.address]));
      before = host;
    }
  }, 120_000);

  /** All of these see each other, within the limit, and nothing is wrong. */
  const untilWell = (hosts: readonly Host[], peers: number): Promise<unknown> =>
    Promise.all(
      hosts.map((host) =>
        host.until(
          `${peers} peers over at most ${LIMIT} connections`,
          (status) =>
            status.peers.filter(({ reachable }) => reachable).length === peers && links(status) <= LIMIT,
          30_000,
        ),
      ),
    );
  const untilKnownTo = (hosts: readonly Host[], { address }: Container, withinMs: number): Promise<unknown> =>
    Promise.all(
      hosts.map((host) =>
        host.until(
          `knows ${address}`,
          ({ endpoints }) => endpoints.some((endpoint) => endpoint.address === address),
          withinMs,
        ),
      ),
    );

  it("are one network, in which what one end says is heard at the other", async () => {
    await untilWell(lab.hosts, COUNT);
    await lab.untilAllOk();
    const [one, ten] = [await lab.attached(lab.host(1)), await lab.attached(lab.host(10))];
    await untilKnownTo(lab.hosts, one, GOSSIP_MS);
    await untilKnownTo(lab.hosts, ten, GOSSIP_MS);
    await one.reaches(ten.address);
    for (const host of lab.hosts) {
      const status = await host.status();
      // A target there is no room for is no problem, and no connection that is waited for.
      for (const target of [...status.targets, ...status.connections])
        if (target.state === "retrying")
          expect(Date.parse(target.nextTry ?? "")).toBeGreaterThan(Date.now() - 5_000);
      expect(await host.weaveOk("status")).toMatch(/^OK\n/);
    }
  });

  it("go on as one when those in the middle are killed, and take them back", async () => {
    const gone = [lab.host(4), lab.host(7)];
    const rest = lab.hosts.filter((host) => !gone.includes(host));
    await Promise.all(gone.map((host) => host.kill()));
    await untilWell(rest, COUNT - gone.length);
    const late = await lab.attached(lab.host(10), "late");
    await untilKnownTo(rest, late, GOSSIP_MS);
    await Promise.all(gone.map((host) => host.launch("--conn-limit", `${LIMIT}`)));
    await untilWell(lab.hosts, COUNT);
    await lab.untilAllOk();
    await untilKnownTo(gone, late, GOSSIP_MS);
  });
});
