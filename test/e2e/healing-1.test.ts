// What others do to a running host comes back by itself and is told by `weave status`: the whole way through the daemon
// and its kernel thread. Each object on its own is in test/kernel/healing.test.ts.
import { describe, expect, it } from "vitest";
import { eventually } from "../kernel/support/namespaces.ts";
import { useLab } from "../support/lab.ts";

const DEADLINE_MS = 1_000;

describe("a host on which others delete things", () => {
  const lab = useLab(2);

  it("has them back within a second, loses nothing else, and tells of it", async () => {
    await lab.launchAll();
    const [alice, bob] = [lab.host(1), lab.host(2)];
    const [here, there] = [await lab.attached(alice, "c1"), await lab.attached(bob, "c2")];
    await lab.untilKnown([here, there]);
    await alice.until("the kernel holds what is known", ({ datapath }) => datapath.settled);
    const before = await rendered();
    expect((await alice.status()).repairs).toEqual([]);

    for (const [line, object] of [
      ["ip link del weave", "bridge weave"],
      ["ip link del vxlan-6784", "VXLAN device vxlan-6784"],
      ["nft flush ruleset", "nftables table weave"],
      ["sysctl -w net.ipv4.ip_forward=0", "sysctl net.ipv4.ip_forward"],
      ["ip neigh flush dev weave nud permanent", "neighbour "],
    ] as const) {
      const from = Date.now();
      await alice.namespace.run(line);
      await eventually(
        `${line}: all is back and told`,
        async () => {
          const repair = (await alice.status()).repairs?.find((one) => one.object.startsWith(object));
          return repair !== undefined && Date.parse(repair.time) >= from && (await rendered()) === before;
        },
        DEADLINE_MS,
      );
      expect(await here.namespace.run(`ping -c 1 -W 1 ${there.address}`)).toContain(" 0% packet loss");
    }
    const status = await alice.status();
    expect([status.ok, status.problems]).toEqual([true, []]);
    const text = await alice.weaveOk("status");
    expect(text).toMatch(/^OK\n/);
    expect(text).toMatch(/^repaired +(nftables table|neighbour|sysctl) .*(once|times, last) at 20/m);

    /** The host as the tools of others see it, without what changes by itself. */
    async function rendered(): Promise<string> {
      const parts = await Promise.all(
        [
          "bridge -d link show",
          "bridge fdb show dev vxlan-6784",
          "ip -br addr show dev weave",
          "ip neigh show dev weave nud permanent",
          "ip route show dev weave",
          "nft list table inet weave",
          "sysctl net.ipv4.ip_forward",
        ].map((line) => alice.namespace.run(line).catch(String)),
      );
      return parts
        .join("\n")
        .replace(/^\d+: /gm, "")
        .split("\n")
        .sort()
        .join("\n");
    }
  });
});
