// A range of each family, on hosts that know IPv4 underneath; and IPv6 alone, above and below.
import { beforeAll, describe, expect, it } from "vitest";
import { isObject } from "../kernel/support/namespaces.ts";
import type { Container } from "../support/container.ts";
import { useLab } from "../support/lab.ts";
import { transfer } from "../support/traffic.ts";

const RANGES = "10.32.0.0/12,fd00:77::/80";

/** The container's addresses as the kernel has them, without prefix. */
async function addressesOf(container: Container): Promise<string[]> {
  const [link] = await container.namespace.json("ip -j address show eth0 scope global");
  const infos = Array.isArray(link?.["addr_info"]) ? link["addr_info"].filter(isObject) : [];
  // `ip` leaves an empty object in the place of each address it was not asked for.
  return infos.flatMap(({ local }) => (typeof local === "string" ? [local] : []));
}

describe("two ranges", () => {
  const lab = useLab(2);
  const addresses = new Map<Container, string[]>();
  let one: Container;
  let other: Container;

  beforeAll(async () => {
    const [first, second] = [lab.host(1), lab.host(2)];
    await first.launch("--ipalloc-range", RANGES);
    // The order of the families does not matter.
    await second.launch("--ipalloc-range", RANGES.split(",").reverse().join(), first.address);
    await lab.untilAllOk();
    one = await lab.attached(first);
    other = await lab.attached(second);
    for (const container of [one, other]) addresses.set(container, await addressesOf(container));
    await one.reaches(other.address);
  });

  it("give a container an address and a default route of each family, and the result says so", async () => {
    const answer = await lab.container(lab.host(1), "told").add();
    expect(answer.json).toMatchObject({
      ips: [
        { version: "4", address: expect.stringMatching(/^10\..*\/12$/), interface: 2 },
        { version: "6", address: expect.stringMatching(/^fd00:77:.*\/80$/), interface: 2 },
      ],
      routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0" }],
    });
    expect(addresses.get(one)).toHaveLength(2);
  });

  it("carry data between hosts in both, at the full MTU", async () => {
    const { datapath } = await lab.host(1).status();
    for (const address of addresses.get(other) ?? []) {
      const payload = datapath.mtu - (address.includes(":") ? 48 : 28);
      expect(await one.namespace.succeeds(`ping -n -c 1 -W 2 -M do -s ${payload} ${address}`), address).toBe(
        true,
      );
      expect(await transfer(one.namespace, other.namespace, address, 1 << 20)).toBe(1 << 20);
    }
  });

  it("expose one address of each, always the same ones, and masquerade both", async () => {
    const host = lab.host(1);
    const printed = await host.weaveOk("expose");
    const lines = printed.trim().split("\n");
    expect(lines).toEqual([expect.stringMatching(/^10\./), expect.stringMatching(/^fd00:77:/)]);
    expect(await host.weaveOk("expose")).toBe(printed);
    for (const address of addresses.get(other) ?? [])
      expect(await host.namespace.succeeds(`ping -n -c 1 -W 2 ${address}`)).toBe(true);
    const table = await host.namespace.run("nft list table inet weave");
    expect(table).toMatch(/set masquerade6 \{[^}]*fd00:77::\/80/s);
  });

  it("survive a restart, and are both free after DEL", async () => {
    const host = lab.host(2);
    await host.stop();
    await host.launch();
    await host.untilOk();
    expect((await host.status()).ipam.map(({ range }) => range)).toEqual(RANGES.split(","));
    for (const address of addresses.get(other) ?? []) await one.reaches(address);
    await other.del();
    const left = (await host.status()).endpoints.map(({ address }) => address);
    for (const address of addresses.get(other) ?? []) expect(left).not.toContain(address);
  });

  it("a host with one of them is told that all must have the same", async () => {
    const stranger = await lab.addHost();
    await stranger.launch("--ipalloc-range", "10.32.0.0/12", lab.host(1).address);
    await stranger.until("refused", ({ connections }) =>
      connections.some(({ failure = "" }) => failure.includes(RANGES)),
    );
  });
});

describe("IPv6 alone", () => {
  const lab = useLab(2);

  it("carries containers over an IPv6 underlay", async () => {
    for (const [i, host] of lab.hosts.entries()) {
      await host.namespace.run(`ip address add fd51::${i + 1}/64 dev wan nodad`);
      await host.namespace.run("ip -4 address flush dev wan");
    }
    await lab.host(1).launch("--ipalloc-range", "fd00:77::/80", "--host", "fd51::1");
    await lab.host(2).launch("--ipalloc-range", "fd00:77::/80", "--host", "fd51::2", "[fd51::1]:6783");
    await lab.untilAllOk();
    const [one, other] = [await lab.attached(lab.host(1)), await lab.attached(lab.host(2))];
    expect(await addressesOf(one)).toEqual([one.address]);
    await one.reaches(other.address);
    const { datapath } = await lab.host(1).status();
    expect(datapath.mtu).toBe(1430); // 1500 less 70
    expect(await one.namespace.succeeds(`ping -n -c 1 -W 2 -M do -s ${1430 - 48} ${other.address}`)).toBe(
      true,
    );
    expect(await transfer(one.namespace, other.namespace, other.address, 1 << 20)).toBe(1 << 20);
  });
});
