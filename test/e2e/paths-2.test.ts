// The ways of containers' packets are probed at full size: what the underlay drops without a word is told on both sides
// within seconds, with what to do next, and not any more when it is mended. And the MTU follows: a smaller host that joins
// and leaves, an underlay that changes under the running daemons.
//
//     h1 ── wan 1500 ──┐
//                   underlay (bridge; drops what a test says)       h3 ── wan 1400, joins later
//     h2 ── wan 1500 ──┘
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Status } from "../../src/api/status.ts";
import { eventually } from "../kernel/support/namespaces.ts";
import type { Container } from "../support/container.ts";
import type { Host } from "../support/host.ts";
import { useLab } from "../support/lab.ts";

/** From the fault to the word about it. */
const WITHIN_MS = 12_000;

type Path = NonNullable<Status["paths"]>[number];

const pathTo = (host: Host, { paths = [] }: Status): Path | undefined =>
  paths.find(({ nickname }) => nickname === host.nickname);

/** MTU of an interface of a container, or of a host. */
const mtuOf = async (place: Container | Host, name: string): Promise<unknown> =>
  (await place.namespace.json(`ip -j link show ${name}`))[0]?.["mtu"];

describe("two hosts", () => {
  const lab = useLab(2);
  let one: Container;
  let other: Container;

  const verified = (host: Host, to: Host): Promise<Status> =>
    host.until(`the path to ${to.nickname} is verified`, (s) => pathTo(to, s)?.verified === "yes", WITHIN_MS);
  const bothVerified = async (): Promise<void> => {
    await Promise.all([verified(lab.host(1), lab.host(2)), verified(lab.host(2), lab.host(1))]);
    await lab.untilAllOk();
  };
  /** The underlay drops what a rule says, in silence. */
  const drop = async (rule: string): Promise<void> => {
    await lab.underlay.namespace.run("nft add table bridge fault");
    await lab.underlay.namespace.run(
      "nft add chain bridge fault forward { type filter hook forward priority 0 ; }",
    );
    await lab.underlay.namespace.run(`nft add rule bridge fault forward ${rule} drop`);
  };
  const mend = (): Promise<unknown> => lab.underlay.namespace.succeeds("nft delete table bridge fault");
  afterEach(mend);

  beforeAll(async () => {
    await lab.launchAll();
    one = await lab.attached(lab.host(1));
    other = await lab.attached(lab.host(2));
    await lab.untilKnown([one, other]);
  });

  it("verify each other's path at full size, and show it with its connection", async () => {
    await bothVerified();
    const { connections, datapath } = await lab.host(1).status();
    const [connection] = connections.filter(({ state }) => state === "established");
    expect(connection).toMatchObject({ path: "vxlan", mtu: 1450, verified: "yes" });
    expect(connection?.pathRttMs).toBeGreaterThan(0);
    expect(datapath).toMatchObject({ mtu: 1450, ownMtu: 1450 });
    expect(await lab.host(1).weaveOk("status", "connections")).toMatch(/\(h2\) +vxlan +1450 +yes/);
    // What was sent for it was not flooded: the other bridge is known where it is.
    const fdb = await lab.host(1).namespace.run("bridge fdb show dev vxlan-6784");
    expect(fdb).toMatch(new RegExp(`^02:b0:\\S+ dst ${lab.host(2).address} `, "m"));
  });

  it("tell that large packets are dropped on the way, of which size, and when they pass again", async () => {
    await bothVerified();
    // What containers feel: small ones arrive, large ones do not.
    await drop("udp dport 6784 meta length > 1400");
    expect(await one.namespace.succeeds(`ping -c 1 -W 2 -s 1000 ${other.address}`)).toBe(true);
    expect(await one.namespace.succeeds(`ping -c 1 -W 2 -M do -s 1422 ${other.address}`)).toBe(false);
    for (const [host, to] of [lab.hosts, [...lab.hosts].reverse()] as [Host, Host][]) {
      const { ok, problems } = await host.until(
        "the problem path-mtu",
        (status) => status.problems.some(({ code }) => code === "path-mtu"),
        WITHIN_MS,
      );
      expect([ok, problems.map(({ code, object }) => [code, object])]).toEqual([
        false,
        [["path-mtu", to.nickname]],
      ]);
      expect(problems[0]?.message).toContain(`to ${to.nickname} packets of 1450 bytes are lost`);
      expect(problems[0]?.command).toBe(`ping -c 3 -M do -s 1472 ${to.address}`);
    }
    const told = (status: Status): number =>
      Number(/those of (\d+) arrive/.exec(pathTo(lab.host(2), status)?.reason ?? "")?.[1]);
    const passes = told(await lab.host(1).until("which size passes", (status) => told(status) > 1350 - 9));
    expect(await one.namespace.succeeds(`ping -c 1 -W 2 -M do -s ${passes - 28} ${other.address}`)).toBe(
      true,
    );
    expect(await one.namespace.succeeds(`ping -c 1 -W 2 -M do -s ${passes - 28 + 9} ${other.address}`)).toBe(
      false,
    );
    const shown = await lab.host(1).weave("status", "connections");
    expect([shown.exit, shown.stdout]).toEqual([
      1,
      expect.stringMatching(/^PROBLEM: path-mtu h2 .*run ping/),
    ]);
    await mend();
    await bothVerified();
  });

  it("tell that nothing passes, though the daemons talk", async () => {
    await bothVerified();
    await drop("udp dport 6784");
    for (const host of lab.hosts) {
      const { problems, peers } = await host.until(
        "the problem path-down",
        (status) => status.problems.some(({ code }) => code === "path-down"),
        WITHIN_MS,
      );
      expect(problems[0]?.message).toContain("UDP 6784");
      expect(peers.every(({ reachable }) => reachable)).toBe(true);
    }
    await mend();
    await bothVerified();
  });

  it("a path is good while the other daemon is stopped: its kernel answers", async () => {
    await bothVerified();
    await lab.host(2).kill();
    await lab
      .host(1)
      .until("h2 is unreachable", ({ problems }) => problems.some(({ code }) => code === "peer-unreachable"));
    expect(pathTo(lab.host(2), await verified(lab.host(1), lab.host(2)))).not.toHaveProperty("gossip");
    await lab.host(2).launch();
    await bothVerified();
  });

  it("lower the MTU of running containers when an underlay carries less, and raise it again, and say so", async () => {
    await bothVerified();
    await lab.host(2).namespace.run("ip link set wan mtu 1400");
    for (const host of lab.hosts) {
      const { datapath } = await host.until("MTU 1350", (s) => s.datapath.mtuChange?.to === 1350, WITHIN_MS);
      expect(datapath).toMatchObject({ mtu: 1350, mtuChange: { from: 1450 } });
      await eventually("the containers' interfaces follow", async () => {
        const all = [await mtuOf(one, "eth0"), await mtuOf(other, "eth0"), await mtuOf(host, "weave")];
        return all.every((mtu) => mtu === 1350);
      });
    }
    expect((await lab.host(1).status()).datapath).toMatchObject({ ownMtu: 1450, mtuOf: "h2" });
    expect(await lab.host(1).weaveOk("status")).toMatch(
      /MTU 1350 \(that of h2; this host could\s+carry 1450\)/,
    );
    await bothVerified();
    await other.reaches(one.address);
    await lab.host(2).namespace.run("ip link set wan mtu 1500");
    for (const host of lab.hosts) await host.until("MTU 1450", (s) => s.datapath.mtu === 1450, WITHIN_MS);
    await eventually("the containers' interfaces follow", async () => (await mtuOf(one, "eth0")) === 1450);
    await bothVerified();
  });

  it("follow a smaller host that joins, and forget it when it has left", async () => {
    await bothVerified();
    const third = await lab.addHost();
    await third.namespace.run("ip link set wan mtu 1400");
    await third.launch(lab.host(1).address);
    await lab.untilAllOk();
    for (const host of lab.hosts) await host.until("MTU 1350", (s) => s.datapath.mtu === 1350, WITHIN_MS);
    await eventually("the containers' interfaces follow", async () => (await mtuOf(one, "eth0")) === 1350);
    await Promise.all([verified(lab.host(1), third), verified(third, lab.host(2)), bothVerified()]);
    await third.weaveOk("reset");
    lab.hosts.pop();
    for (const host of lab.hosts) {
      const status = await host.until("MTU 1450", (s) => s.datapath.mtu === 1450, WITHIN_MS);
      expect(status.paths).toHaveLength(1);
      expect(status.datapath).not.toHaveProperty("mtuOf");
    }
    await eventually("the containers' interfaces follow", async () => (await mtuOf(one, "eth0")) === 1450);
    await bothVerified();
  });

  it("with an MTU below that of IPv6, probe exposed IPv4 addresses", async () => {
    await lab.host(2).namespace.run("ip link set wan mtu 1200");
    for (const host of lab.hosts) await host.until("MTU 1150", (s) => s.datapath.mtu === 1150, WITHIN_MS);
    for (const host of lab.hosts) await host.weaveOk("expose");
    await bothVerified();
    expect(pathTo(lab.host(2), await lab.host(1).status())).toMatchObject({ mtu: 1150, verified: "yes" });
    await lab.host(2).namespace.run("ip link set wan mtu 1500");
    for (const host of lab.hosts) await host.until("MTU 1450", (s) => s.datapath.mtu === 1450, WITHIN_MS);
    await bothVerified();
  });
});
