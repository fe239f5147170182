// Hosts that change and processes that stop: another underlay address is followed within seconds, and daemons that were
// stopped all at once take nobody's silence for death when they wake.
import { beforeAll, describe, expect, it } from "vitest";
import type { Status } from "../../src/api/status.ts";
import { eventually } from "../kernel/support/namespaces.ts";
import type { Container } from "../support/container.ts";
import { useLab } from "../support/lab.ts";

const MOVED = "198.51.100.77";
/** From the change to packets that arrive again. */
const WITHIN_MS = 8_000;
/** More than the silence after which a link counts as dead. */
const STOPPED_MS = 20_000;

describe("three hosts", () => {
  const lab = useLab(3);
  let one: Container;
  let other: Container;

  beforeAll(async () => {
    await lab.launchAll();
    one = await lab.attached(lab.host(1));
    other = await lab.attached(lab.host(2));
    await lab.untilKnown([one, other]);
    await one.reaches(other.address);
  });

  it("follow one whose address changes under its daemon", async () => {
    const { namespace, address, nickname } = lab.host(2);
    await namespace.run(`ip address del ${address}/24 dev wan`);
    await namespace.run(`ip address add ${MOVED}/24 dev wan`);
    await namespace.run("ip route replace default via 198.51.100.1");
    const follows = ({ peers }: Status): boolean =>
      peers.some((peer) => peer.nickname === nickname && peer.reachable && peer.underlay === MOVED);
    for (const host of lab.hosts) await host.until(`${nickname} is at ${MOVED}`, follows, WITHIN_MS);
    await eventually(
      "packets go to the new address",
      async () => {
        const entries = await lab.host(1).namespace.run("bridge fdb show dev vxlan-6784");
        return entries.includes(`dst ${MOVED}`) && !entries.includes(`dst ${address} `);
      },
      WITHIN_MS,
    );
    await one.reaches(other.address);
    await other.reaches(one.address);
    await lab.untilAllOk();
  });

  it("keep their connections when all their daemons were stopped for a while", async () => {
    const since = async (): Promise<string[]> =>
      (await Promise.all(lab.hosts.map((host) => host.status()))).flatMap(({ connections }) =>
        connections.map(({ peer, since: at }) => `${peer} ${at}`).sort(),
      );
    for (const host of lab.hosts)
      await host.until(
        "connected to both others",
        ({ connections }) => connections.filter(({ state }) => state === "established").length === 2,
      );
    const before = await since();
    expect(before).toHaveLength(6);
    const pids = lab.hosts.map((host) => host.pid());
    try {
      for (const pid of pids) process.kill(pid, "SIGSTOP");
      const until = performance.now() + STOPPED_MS;
      await eventually("it is over", () => performance.now() > until, STOPPED_MS + 5_000);
    } finally {
      for (const pid of pids) process.kill(pid, "SIGCONT");
    }
    // As long as a link that counts as dead would be noticed in.
    const woken = performance.now() + 7_000;
    await eventually("they had time to err", () => performance.now() > woken, 10_000);
    expect(await since()).toEqual(before);
  });
});
