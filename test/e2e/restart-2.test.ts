// The daemon killed, or stopped, and launched again while containers talk: they notice nothing, and it comes back as
// the peer it was.
import { beforeAll, describe, expect, it } from "vitest";
import type { Status } from "../../src/api/status.ts";
import { eventually } from "../kernel/support/namespaces.ts";
import type { Container } from "../support/container.ts";
import { useLab } from "../support/lab.ts";
import { type Pinging, type Streaming, startPinging, startStreaming } from "../support/traffic.ts";

/** Of a TCP line every 10 ms. One lost segment costs a retransmission timeout, 200 ms at least. */
const NO_LOSS_MS = 190;

describe("a daemon that ends and is launched again", () => {
  const lab = useLab(2);
  let far: Container;
  let near: Container;
  let neighbour: Container;

  beforeAll(async () => {
    await lab.launchAll();
    for (const host of lab.hosts) await host.weaveOk("expose");
    far = await lab.attached(lab.host(1));
    near = await lab.attached(lab.host(2));
    neighbour = await lab.attached(lab.host(2), "neighbour");
    for (const from of [near, far, neighbour]) {
      for (const to of [near, far, neighbour]) if (from !== to) await from.reaches(to.address);
    }
    await lab.untilKnown([far, near, neighbour]);
    await lab.untilAllOk();
    await lab.untilVotersSettled();
  });

  it.each([
    ["kill -9", () => lab.host(2).kill()],
    ["weave stop", () => lab.host(2).stop()],
  ])("after %s: nothing lost meanwhile, and the same peer afterwards", async (_, end) => {
    const host = lab.host(2);
    const before = identity(await host.status());
    const traffic = await startTraffic();

    await end();
    await expect(host.status()).rejects.toMatchObject({ code: "not-running" });
    expect((await host.weave("status")).exit).toBe(1);
    // The other host must have noticed before anything that it might do about it counts as survived.
    await lab
      .host(1)
      .until("h2 is gone", ({ peers }) => peers.some((p) => p.nickname === "h2" && !p.reachable));
    for (const address of [far.address, neighbour.address]) expect(await near.pings(address)).toBe(true);
    await host.launch();
    await lab.untilAllOk();

    const { pings, stream } = await traffic.stop();
    for (const { sent, lost } of pings) {
      expect(lost).toEqual([]);
      expect(sent).toBeGreaterThan(20);
    }
    expect(stream.count).toBeGreaterThan(20);
    expect(stream.longestMs).toBeLessThan(NO_LOSS_MS);
    expect(identity(await host.status())).toEqual(before);
    expect((await host.weaveOk("status")).split("\n")[0]).toMatch(/^OK/);
  });

  it("allocates no address again that a container from before the kill holds", async () => {
    await lab.host(2).kill();
    await lab.host(2).launch();
    const held = [near, neighbour].map((container) => container.address);
    const { exposed } = await lab.host(2).status();
    const fresh = await Promise.all([1, 2, 3].map((n) => lab.attached(lab.host(2), `fresh${n}`)));
    const addresses = [...held, ...exposed.map((e) => e.cidr.split("/")[0]), ...fresh.map((c) => c.address)];
    expect(new Set(addresses).size).toBe(addresses.length);
    for (const container of fresh) {
      await far.reaches(container.address);
      await container.del();
    }
  });

  it("keeps what the kernel holds until a peer has told everything, then removes what is gone", async () => {
    const host = lab.host(2);
    const doomed = await lab.attached(lab.host(1), "doomed");
    const mac = await doomed.mac();
    await near.reaches(doomed.address);
    await host.kill();
    await doomed.del();
    // What no disk knows: a peer's container that the daemon had just heard of when it was killed.
    const unheard = "02:00:0a:2f:00:01";
    await host.namespace.run(
      `bridge fdb add ${unheard} dev vxlan-6784 self permanent dst ${lab.host(1).address}`,
    );
    await host.namespace.run(`ip neigh add 10.47.0.1 lladdr ${unheard} dev weave nud permanent`);

    await host.blockControl(lab.host(1));
    try {
      await host.launch();
      await host.until("its datapath is settled", ({ datapath }) => datapath.settled);
      expect(await fdb()).toContain(unheard);
      expect(await fdb()).toContain(mac);
      expect(await host.namespace.run("ip neigh show dev weave")).toContain(unheard);
    } finally {
      await host.allowControl();
    }
    await lab.untilAllOk(40_000);
    await eventually("entries of what is gone are removed", async () => {
      const entries = (await fdb()) + (await host.namespace.run("ip neigh show dev weave"));
      return !entries.includes(unheard) && !entries.includes(mac);
    });
    await near.reaches(far.address);

    function fdb(): Promise<string> {
      return host.namespace.run("bridge fdb show dev vxlan-6784");
    }
  });

  it("takes peers given at launch instead of the stored ones", async () => {
    const host = lab.host(2);
    await host.stop();
    await host.launch("198.51.100.250");
    const { connections } = await host.status();
    expect(connections.map((connection) => connection.address)).toEqual(["198.51.100.250"]);
    expect(await host.weaveOk("connect", "--replace", lab.host(1).address)).toBe(`${lab.host(1).address}\n`);
    await lab.untilAllOk();
  });

  async function startTraffic() {
    const pings: Pinging[] = [
      await startPinging(near.namespace, far.address),
      await startPinging(far.namespace, near.address),
      await startPinging(near.namespace, neighbour.address),
    ];
    const stream: Streaming = await startStreaming(near.namespace, far.namespace, far.address);
    return {
      async stop() {
        return { pings: await Promise.all(pings.map((p) => p.stop())), stream: await stream.stop() };
      },
    };
  }
});

/** What must be the same after a restart. */
function identity(status: Status) {
  return {
    name: status.name,
    nickname: status.nickname,
    cluster: status.cluster,
    configuration: status.configuration,
    ring: status.ipam.map(({ range, owners, used }) => ({
      range,
      used,
      owners: owners.map((o) => [o.name, o.ranges]),
    })),
    endpoints: status.endpoints,
    exposed: status.exposed,
    targets: status.connections.filter((c) => c.direction === "out").map((c) => c.address),
    datapath: status.datapath,
  };
}
