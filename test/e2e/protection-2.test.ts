// What containers and strangers cannot do to hosts that run real daemons. That each of these attacks works without the
// rules is shown in test/kernel/protection.test.ts.
import { beforeAll, describe, expect, it } from "vitest";
import { claim, sendRaw } from "../kernel/support/forge.ts";
import { capture, eventually, type TestNamespace } from "../kernel/support/namespaces.ts";
import type { Container } from "../support/container.ts";
import type { Host } from "../support/host.ts";
import { useLab } from "../support/lab.ts";

/** Whether somebody answers at a TCP port. */
const answers = (from: TestNamespace, address: string, port: number): Promise<boolean> =>
  from.exec(["timeout", "2", "bash", "-c", `: < /dev/tcp/${address}/${port}`]).then(
    () => true,
    () => false,
  );
const peersOf = (host: Host): Promise<string> => host.namespace.run("nft list set inet weave peers4");

describe("hosts and containers", () => {
  const lab = useLab(2);
  let outsider: { readonly namespace: TestNamespace; readonly address: string };
  let one: Container;
  let villain: Container;
  let far: Container;

  beforeAll(async () => {
    await lab.launchAll();
    outsider = await lab.addOutsider();
    one = await lab.attached(lab.host(1));
    villain = await lab.attached(lab.host(1), "villain");
    far = await lab.attached(lab.host(2));
    await lab.untilKnown([one, villain, far]);
  });

  it("no container reaches a daemon, at whatever address of whatever host", async () => {
    for (const host of lab.hosts) {
      const { exposed } = await host.status();
      const addresses = [host.address, ...exposed.map(({ cidr }) => cidr.split("/")[0] ?? "")];
      expect(addresses.length).toBeGreaterThan(1);
      for (const address of addresses) {
        expect(await villain.pings(address)).toBe(true);
        expect([address, await answers(villain.namespace, address, 6783)]).toEqual([address, false]);
      }
      expect(await answers(outsider.namespace, host.address, 6783)).toBe(true);
    }
  });

  it("VXLAN is taken from peers and nobody else", async () => {
    const [first, second] = [lab.host(1), lab.host(2)];
    expect(await peersOf(first)).toContain(`{ ${second.address} }`);
    const { namespace, address } = outsider;
    await namespace.run(
      `ip link add vx0 type vxlan id 7829110 dstport 6784 local ${address} remote ${first.address} nolearning`,
    );
    await namespace.run("ip addr add 10.47.0.66/12 dev vx0");
    await namespace.run("ip link set vx0 up");
    await namespace.run(`ip neigh add ${one.address} lladdr ${await one.mac()} dev vx0`);
    const arrives = async (): Promise<boolean> => {
      const seen = await capture(one.namespace, "eth0", "icmp and src 10.47.0.66");
      await namespace.succeeds(`ping -c 2 -i 0.1 -W 1 ${one.address}`);
      return (await seen.stop()).length > 0;
    };
    expect(await arrives()).toBe(false);
    await first.namespace.run(`nft add element inet weave peers4 { ${address} }`);
    expect(await arrives()).toBe(true);
    await first.namespace.run(`nft delete element inet weave peers4 { ${address} }`).catch(() => {});
    await namespace.run("ip link del vx0");
  });

  it("a container that says it has another's address is not believed", async () => {
    await one.reaches(far.address);
    const [mac, villainMac] = [await one.mac(), await villain.mac()];
    sendRaw(villain.namespace, [claim(far.address, villainMac, mac), claim(far.address, villainMac)]);
    expect(await one.pings(far.address)).toBe(true);
    const [entry] = await one.namespace.json(`ip -j neigh show ${far.address} dev eth0`);
    expect(entry?.["lladdr"]).toBe(await far.mac());
  });

  it("a host that joins is let in before its first container asks; one that is removed is shut out", async () => {
    const third = await lab.addHost();
    await third.launch(lab.host(1).address);
    await lab.untilAllOk();
    expect(await peersOf(lab.host(2))).toContain(third.address);
    const late = await lab.attached(third);
    await lab.untilKnown([late]);
    expect(await late.pings(far.address)).toBe(true);
    await lab.untilVotersSettled();
    await third.kill();
    expect(await late.pings(far.address)).toBe(true);
    await lab
      .host(1)
      .until("it is away", ({ peers }) =>
        peers.some(({ nickname, reachable }) => nickname === third.nickname && !reachable),
      );
    await lab.host(1).weaveOk("rmpeer", third.nickname);
    await eventually("the removed one is no peer", async () =>
      (await Promise.all([lab.host(1), lab.host(2)].map(peersOf))).every(
        (set) => !set.includes(third.address),
      ),
    );
    expect(await late.pings(far.address)).toBe(false);
  });
});
