// An address that another container has now: Weave Net's test 300. Whoever talked to the former one has its MAC in his cache,
// and must find the new one without waiting for that cache.
import { beforeAll, describe, expect, it } from "vitest";
import { eventually, type TestNamespace } from "../kernel/support/namespaces.ts";
import type { Container } from "../support/container.ts";
import type { Host } from "../support/host.ts";
import { useLab } from "../support/lab.ts";

/** From the answer of ADD to the first ping that is answered; the kernel alone would take up to a minute. */
const WITHIN_MS = 2_000;

describe("an address that moves to another container", () => {
  const lab = useLab(2);
  const address = "10.32.0.77";
  let watchers: readonly TestNamespace[];

  beforeAll(async () => {
    await lab.launchAll();
    for (const host of lab.hosts) await host.weaveOk("expose");
    const containers = [await lab.attached(lab.host(1)), await lab.attached(lab.host(2))];
    await lab.untilKnown(containers);
    watchers = [...containers, ...lab.hosts].map(({ namespace }) => namespace);
  });

  /** A container with the address and a MAC of its own. */
  async function holder(host: Host, number: number): Promise<Container> {
    const container = lab.container(host, `holder${number}`);
    const mac = `02:11:22:33:44:0${number}`;
    await container.add({ env: { CNI_ARGS: `IgnoreUnknown=1;IP=${address};MAC=${mac}` } });
    expect([container.address, await container.mac()]).toEqual([address, mac]);
    return container;
  }
  /**
   * All hosts' kernels have the entry. Whoever is reached before that was found by ARP that went everywhere, and a host that
   * never had the former entry does not know that there is something to announce when the next one comes.
   */
  const allHold = (number: number): Promise<unknown> =>
    Promise.all(
      lab.hosts.map(({ namespace }) =>
        eventually(`${namespace.name} holds the entry of holder ${number}`, async () =>
          (await namespace.run(`ip neigh show ${address} dev weave`)).includes(
            `02:11:22:33:44:0${number} PERMANENT`,
          ),
        ),
      ),
    );
  const allReach = (withinMs: number): Promise<unknown> =>
    Promise.all(
      watchers.map((from) =>
        eventually(
          `${from.name} pings ${address}`,
          () => from.succeeds(`ping -n -c 1 -W 0.2 ${address}`),
          withinMs,
        ),
      ),
    );

  it("on the same host, to another one, and back", async () => {
    const [h1, h2] = [lab.host(1), lab.host(2)];
    let current = await holder(h1, 1);
    await Promise.all([allReach(10_000), allHold(1)]);
    for (const [number, host] of [
      [2, h1],
      [3, h2],
      [4, h1],
    ] as const) {
      await current.del();
      current = await holder(host, number);
      await Promise.all([allReach(WITHIN_MS), allHold(number)]);
    }
  });

  it("by hand, without that the former container ends", async () => {
    const [one, other] = [lab.container(lab.host(1), "one"), lab.container(lab.host(1), "other")];
    const from = lab.container(lab.host(2), "from");
    await lab.host(2).weaveOk("attach", "10.2.1.9/24", from.namespace.path);
    for (const { namespace } of [one, other, one]) {
      await lab.host(1).weaveOk("attach", "10.2.1.1/24", namespace.path);
      await eventually("a ping", () => from.pings("10.2.1.1"), WITHIN_MS);
      await lab.host(1).weaveOk("detach", "10.2.1.1/24", namespace.path);
      expect(await from.pings("10.2.1.1")).toBe(false);
    }
  });
});
