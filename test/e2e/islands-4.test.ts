// Two networks that were founded apart and used, until they meet: one command moves one of them over, and its containers
// go on, those with an address of their own as if nothing had been.
import { existsSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import type { Status } from "../../src/api/status.ts";
import type { Container } from "../support/container.ts";
import type { Host, Outcome } from "../support/host.ts";
import { useLab } from "../support/lab.ts";
import { startPinging } from "../support/traffic.ts";

const words = ({ stdout, stderr }: Outcome): string => `${stdout} ${stderr}`.replace(/\s+/g, " ");

describe("two islands of two hosts", () => {
  const lab = useLab(4);
  let big: readonly Host[];
  let small: readonly Host[];
  /** On the island that gives way: one with an address that the other has given out too, two with one that is free there. */
  let twin: Container;
  let free: [Container, Container];
  let clusters: (string | undefined)[];

  beforeAll(async () => {
    big = [lab.host(1), lab.host(2)];
    small = [lab.host(3), lab.host(4)];
    await lab.host(1).launch();
    await lab.host(2).launch(lab.host(1).address);
    await lab.host(3).launch();
    await lab.host(4).launch(lab.host(3).address);
    const together = ({ ok, peers, configuration }: Status): boolean =>
      ok && peers.length === 2 && configuration?.voters.length === 2;
    for (const host of lab.hosts) await host.until("two hosts are one network", together);
    await lab.attached(lab.host(1));
    twin = await lab.attached(lab.host(3));
    free = [await lab.attached(lab.host(3), "free"), await lab.attached(lab.host(4), "free")];
    clusters = (await Promise.all(lab.hosts.map((host) => host.status()))).map(({ cluster }) => cluster);
    await lab.host(4).weaveOk("connect", lab.host(1).address);
  });

  it("are told of each other on both sides, with the command that ends it, and keep running", async () => {
    for (const [host, other] of [
      [lab.host(1), clusters[3]],
      [lab.host(4), clusters[0]],
    ] as const) {
      await host.until("a foreign cluster is told", ({ problems }) =>
        problems.some(
          ({ code, command }) => code === "foreign-cluster" && command.includes(`--join ${other}`),
        ),
      );
    }
    for (const host of lab.hosts) {
      const container = await lab.attached(host, "still");
      await container.del();
    }
  });

  it("are not joined by a word about a cluster nobody knows", async () => {
    const outcome = await lab.host(4).weave("reset", "--join", "0123456789abcdef");
    expect(outcome.exit).toBe(1);
    expect(words(outcome)).toContain("0123456789abcdef");
    expect((await lab.host(4).status()).cluster).toBe(clusters[3]);
  });

  it("are one network after one command, and no packet between containers of the moved island is lost", async () => {
    const pinging = await startPinging(free[0].namespace, free[1].address);
    const outcome = await lab.host(4).weave("reset", "--join", clusters[0] ?? "");
    expect(outcome.exit, words(outcome)).toBe(0);
    expect(words(outcome)).toContain(`give up ${clusters[3]} for ${clusters[0]}`);
    for (const host of lab.hosts) {
      await host.until(
        "all four are one network",
        ({ cluster, peers }) =>
          cluster === clusters[0] && peers.filter((peer) => peer.reachable).length === 4,
        60_000,
      );
    }
    for (const host of small) {
      const { setAside } = await host.status();
      expect(setAside?.reason).toBe("joins");
      expect(existsSync(setAside?.file ?? "")).toBe(true);
    }
    for (const { address, host } of free) {
      for (const each of lab.hosts) {
        await each.until(`${address} is known to be on ${host.nickname}`, ({ endpoints }) =>
          endpoints.some((e) => e.address === address && e.nickname === host.nickname),
        );
      }
    }
    const { sent, lost } = await pinging.stop();
    expect(sent).toBeGreaterThan(20);
    expect(lost).toEqual([]);
  });

  it("name the container whose address another has, on both sides", async () => {
    const { address } = twin;
    const here = await lab
      .host(3)
      .until("the loss is told", ({ problems }) =>
        problems.some(({ code, object }) => code === "address-lost" && object === address),
      );
    expect(here.lost).toContainEqual(
      expect.objectContaining({ address, holder: expect.stringContaining(twin.id) }),
    );
    await lab
      .host(1)
      .until("and there", ({ problems }) =>
        problems.some(({ code, object }) => code === "address-conflict" && object === address),
      );
    expect(words(await lab.host(3).weave("status", "ipam"))).toContain(address);
    await twin.del();
    await lab.untilAllOk(40_000);
  });

  it("go on as one", async () => {
    const fresh = await Promise.all(lab.hosts.map((host) => lab.attached(host, "fresh")));
    const [first] = fresh;
    for (const container of fresh) if (container !== first) await first?.reaches(container.address);
    expect(new Set([...fresh, ...free].map(({ address }) => address)).size).toBe(6);
    expect(big.length).toBe(2);
  });
});
