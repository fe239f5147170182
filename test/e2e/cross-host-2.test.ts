// Two hosts: containers reach each other, the outside, and the hosts, in every direction that is promised.
import { beforeAll, describe, expect, it } from "vitest";
import { eventually } from "../kernel/support/namespaces.ts";
import type { Container } from "../support/container.ts";
import { useLab } from "../support/lab.ts";
import { transfer } from "../support/traffic.ts";

describe("two hosts", () => {
  const lab = useLab(2);
  let one: Container;
  let other: Container;

  beforeAll(async () => {
    await lab.launchAll();
    one = await lab.attached(lab.host(1));
    other = await lab.attached(lab.host(2));
    await one.reaches(other.address);
    await other.reaches(one.address);
  });

  it("moves data both ways between containers of different hosts", async () => {
    const bytes = 8 << 20;
    expect(await transfer(one.namespace, other.namespace, other.address, bytes)).toBe(bytes);
    expect(await transfer(other.namespace, one.namespace, one.address, bytes)).toBe(bytes);
  });

  it("connects containers of one host", async () => {
    const neighbour = await lab.attached(lab.host(1), "neighbour");
    expect(await neighbour.pings(one.address)).toBe(true);
    expect(await neighbour.pings(other.address)).toBe(true);
    await neighbour.del();
  });

  it("carries packets of the full MTU unfragmented", async () => {
    const { datapath } = await lab.host(1).status();
    const payload = datapath.mtu - 28; // IPv4 header 20, ICMP header 8
    expect(await one.namespace.succeeds(`ping -n -c 1 -W 1 -M do -s ${payload} ${other.address}`)).toBe(true);
  });

  it("lets containers reach the outside in the name of their host", async () => {
    const outside = await lab.addOutsider();
    const routes = await one.namespace.json("ip -j route show default");
    const { exposed } = await lab.host(1).status();
    expect(routes.map((route) => route["gateway"])).toEqual(exposed.map(({ cidr }) => cidr.split("/")[0]));
    expect(await one.pings(outside.address)).toBe(true);
    expect(await transfer(one.namespace, outside.namespace, outside.address, 1 << 20)).toBe(1 << 20);
    expect(await outside.namespace.succeeds("ip route get 10.32.0.1")).toBe(false);
  });

  it("exposes: prints one address, always the same, over a restart too", async () => {
    const host = lab.host(1);
    const address = (await host.weaveOk("expose")).trim();
    expect(address).toMatch(/^10\.\d+\.\d+\.\d+\/12$/);
    expect(await host.weaveOk("expose")).toBe(`${address}\n`);
    expect(await bridgeAddresses()).toEqual([address]);

    await host.stop();
    expect(await bridgeAddresses()).toEqual([address]);
    await host.launch();
    await host.untilOk();
    expect(await bridgeAddresses()).toEqual([address]);
    expect((await host.status()).exposed).toEqual([{ cidr: address, masquerade: true }]);
    expect(await host.weaveOk("expose")).toBe(`${address}\n`);

    async function bridgeAddresses(): Promise<string[]> {
      const [bridge] = await host.namespace.json("ip -j -4 address show weave");
      const infos: unknown = bridge?.["addr_info"];
      return Array.isArray(infos) ? infos.map((info) => `${info.local}/${info.prefixlen}`) : [];
    }
  });

  it("lets hosts and containers reach each other after expose", async () => {
    for (const host of lab.hosts) await host.weaveOk("expose");
    const [near] = (await lab.host(1).status()).exposed;
    const [far] = (await lab.host(2).status()).exposed;
    const [nearAddress, farAddress] = [near, far].map((exposed) => exposed?.cidr.split("/")[0] ?? "");
    await one.reaches(String(nearAddress));
    await one.reaches(String(farAddress));
    for (const container of [one, other]) {
      for (const host of lab.hosts) {
        await eventually(`${host.nickname} pings ${container.address}`, () =>
          host.namespace.succeeds(`ping -n -c 1 -W 1 ${container.address}`),
        );
      }
    }
  });

  it("leaves nothing after DEL, on either host", async () => {
    await one.del();
    await other.del();
    for (const host of lab.hosts) {
      expect(await host.veths()).toEqual([]);
      await host.until("only bridges are endpoints", ({ endpoints }) =>
        endpoints.every((e) => e.label === "expose"),
      );
    }
  });
});
