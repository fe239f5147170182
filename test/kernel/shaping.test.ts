// Bandwidth limits for real: rates that hold, frames that pass, and devices that go with their containers.
import { spawn } from "node:child_process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Bandwidth } from "../../src/ports/kernel.ts";
import { eventually, isObject, whyNot } from "./support/namespaces.ts";
import { hostEndName, type TestContainer, type TestHost, World } from "./support/world.ts";

const MEGABIT = 1_000_000;

describe.skipIf(whyNot("iperf3", "tc") !== undefined)("shaping", () => {
  let world: World;
  let alice: TestHost;
  let free: TestContainer;

  beforeAll(async () => {
    world = new World();
    alice = world.host("alice");
    await world.applyAll();
    free = await world.container(alice);
  });
  afterAll(async () => {
    await world?.close();
  });

  const shaped = (bandwidth: Bandwidth) => world.container(alice, { bandwidth });

  /** Mbit/s that arrive at a server in `to` from `from`, over a good second. */
  const measure = async (from: TestContainer, to: TestContainer): Promise<number> => {
    const server = spawn("nsenter", [`--net=${to.netns.path}`, "iperf3", "-s", "-1"], { stdio: "ignore" });
    try {
      await eventually("iperf3 listens", async () => (await to.netns.run("ss -ltn")).includes(":5201"));
      const [address] = to.addresses;
      const answer: unknown = JSON.parse(await from.netns.run(`iperf3 -J -t 2 -O 1 -c ${address}`, 20_000));
      const end = isObject(answer) ? answer["end"] : undefined;
      const received = isObject(end) ? end["sum_received"] : undefined;
      return isObject(received) ? Number(received["bits_per_second"]) / MEGABIT : Number.NaN;
    } finally {
      server.kill();
    }
  };

  const ifbs = async (): Promise<string[]> =>
    (await alice.netns.json("ip -j link show type ifb")).map((link) => String(link["ifname"]));

  test("each direction has its own limit, and only that", async () => {
    const both = await shaped({
      ingress: { rate: 40 * MEGABIT, burst: MEGABIT },
      egress: { rate: 10 * MEGABIT, burst: MEGABIT },
    });
    const received = await measure(free, both);
    expect(received).toBeGreaterThan(25);
    expect(received).toBeLessThan(60);
    const sent = await measure(both, free);
    expect(sent).toBeGreaterThan(6);
    expect(sent).toBeLessThan(15);
    const onlyReceives = await shaped({ ingress: { rate: 10 * MEGABIT, burst: MEGABIT } });
    expect(await measure(onlyReceives, free)).toBeGreaterThan(200);
  });

  test("with a burst below one frame full frames pass all the same", async () => {
    const tiny = { rate: 10 * MEGABIT, burst: 8 };
    const container = await shaped({ ingress: tiny, egress: tiny });
    const [address] = free.addresses;
    expect(await container.netns.run(`ping -c 2 -i 0.2 -W 2 -M do -s 1422 ${address}`)).toContain(
      " 0% packet loss",
    );
  });

  test("rates beyond 32 bits of bytes, and the largest burst, are taken as they are", async () => {
    const limit = { rate: 80_000 * MEGABIT, burst: 2 ** 32 - 1 };
    const { hostIfname } = await shaped({ ingress: limit });
    const [qdisc] = await alice.netns.json(`tc -j qdisc show dev ${hostIfname} root`);
    expect(qdisc?.["options"]).toMatchObject({ rate: 10_000 * MEGABIT });
  });

  test("fifty at once come and go, and leave nothing", async () => {
    const before = await ifbs();
    const limit = { rate: 10 * MEGABIT, burst: MEGABIT };
    const fifty = await Promise.all(
      Array.from({ length: 50 }, () => shaped({ ingress: limit, egress: limit })),
    );
    expect((await ifbs()).length).toBe(before.length + 50);
    const gone = await Promise.all(fifty.map(({ hostIfname }) => alice.kernel.detach(hostIfname)));
    expect(gone).toEqual(fifty.map(() => true));
    expect(await ifbs()).toEqual(before);
    expect(await alice.kernel.detach(fifty[0]?.hostIfname ?? "")).toBe(false);
  });

  test("a failed attach leaves no device", async () => {
    const before = await ifbs();
    const limit = { rate: 10 * MEGABIT, burst: MEGABIT };
    const netns = world.namespace("refused");
    const open = await alice.kernel.openNetns({ path: netns.path });
    const attached = alice.kernel.attach({
      netns: open,
      ifname: "eth0",
      hostIfname: hostEndName(0xfff),
      bridge: "weave",
      mac: "02:a0:0a:20:03:01",
      mtu: 1450,
      addresses: ["10.32.3.1/12"],
      routes: [{ dst: "10.0.0.0/8", gw: "224.0.0.1" }],
      hairpin: true,
      bandwidth: { ingress: limit, egress: limit },
    });
    await expect(attached).rejects.toMatchObject({ code: "kernel" });
    await alice.kernel.closeNetns(open);
    expect(await ifbs()).toEqual(before);
    expect(await alice.netns.run("ip -br link show")).not.toContain(hostEndName(0xfff));
  });

  test("what a namespace that went leaves is deleted: by detach, by the next of its name, by an apply", async () => {
    const limit = { egress: { rate: 10 * MEGABIT, burst: MEGABIT } };
    const orphan = async (): Promise<TestContainer> => {
      const container = await shaped(limit);
      container.netns.remove();
      await eventually(
        "the pair is gone",
        async () => !(await alice.kernel.hostEnds()).has(container.hostIfname),
      );
      return container;
    };
    const before = await ifbs();
    expect(await alice.kernel.detach((await orphan()).hostIfname)).toBe(true);
    expect(await ifbs()).toEqual(before);

    const { hostIfname } = await orphan();
    await world.container(alice, { bandwidth: limit, hostIfname });
    expect(await alice.kernel.detach(hostIfname)).toBe(true);
    expect(await ifbs()).toEqual(before);

    await orphan();
    await alice.kernel.observe();
    const { changes, failures } = await alice.kernel.apply(world.state(alice));
    expect(failures).toEqual([]);
    expect(changes).toContainEqual(expect.stringMatching(/^link del vi[0-9a-f]{12}$/));
    expect(await ifbs()).toEqual(before);
  });
});
