// Cases 87 and 88 of the contract, and beyond: DEL while the daemon is down, and what its journal may undo later.
import { rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { beforeAll, describe, expect, it } from "vitest";
import { eventually } from "../kernel/support/namespaces.ts";
import type { Host } from "../support/host.ts";
import { PluginFailure } from "../support/libcni/libcni.ts";
import { journalOf } from "../support/traces.ts";
import { expectEmpty, type Remains, remainsOf, untilAsBefore } from "./remains.ts";
import { type Attached, attachmentOf, useRig } from "./rig.ts";

describe("F. DEL without the daemon", () => {
  const rig = useRig();
  let host: Host;
  let before: Remains;

  beforeAll(async () => {
    host = rig.host;
    before = await remainsOf(host);
  });

  const wishing = (address: string) => ({ args: [["IP", address]] as const });
  const full = {
    capabilityArgs: {
      portMappings: [{ hostPort: 8080, containerPort: 80, protocol: "tcp" }],
      bandwidth: { ingressRate: 8e6, ingressBurst: 8e6, egressRate: 8e6, egressBurst: 8e6 },
    },
  };
  const declaring = rig.network({ capabilities: { portMappings: true, bandwidth: true } });

  it("case 87: succeeds, takes the links away at once, and the rest when the daemon is back", async () => {
    const attached = await rig.attached(declaring, full);
    await host.stop();
    await rig.detach(attached);
    expect(rig.cni.runs.at(-1)).toMatchObject({ command: "DEL", stdout: "" });
    await expectEmpty(attached.pod);
    const links = await host.namespace.json("ip -j link show");
    expect(links.map(({ ifname }) => ifname).sort()).toEqual(before.links);
    expect(journalOf(host)).toHaveLength(1);
    await rig.detach(attached);
    await host.launch();
    await untilAsBefore(host, before, "all is freed");
  });

  it("case 87: an ADD before the replay gets no address twice", async () => {
    const attached = await rig.attached();
    await host.stop();
    await rig.detach(attached);
    await host.launch();
    // The daemon reads its journal before it opens its socket: whoever comes first comes after it.
    const [same, other] = await Promise.all([
      rig.attached(undefined, wishing(attached.address)),
      rig.attached(),
    ]);
    expect(same.address).toBe(attached.address);
    expect(other.address).not.toBe(attached.address);
    for (const one of [same, other]) await rig.detach(one);
    expect(await remainsOf(host)).toEqual(before);
  });

  it("a journalled DEL does not touch the container that has the id since", async () => {
    const attached = await rig.attached();
    const { pod, attachment, network } = attached;
    // The forwarder that cannot reach the daemon journals, whatever the daemon does meanwhile.
    const away = rig.libraryOf(host, { env: { WEAVE_SOCKET: join(host.runDir, "nobody.sock") } });
    process.kill(host.pid(), "SIGSTOP");
    try {
      await away.del(network, attachment);
      expect(journalOf(host)).toHaveLength(1);
    } finally {
      process.kill(host.pid(), "SIGCONT");
    }
    await eventually("it was replayed", () => journalOf(host).length === 0);
    expect(await remainsOf(host)).toEqual(before);

    const again = await rig.attach(pod, network);
    await host.stop();
    await rig.detach(again);
    expect(journalOf(host)).toHaveLength(1);
    await host.launch();
    const third: Attached = await rig.attach(pod, network);
    await host.stop();
    await host.launch();
    expect((await remainsOf(host)).endpoints).toContain(third.address);
    expect(await pod.pings(before.endpoints[0] ?? "")).toBe(true);
    await rig.detach(third);
    expect(await remainsOf(host)).toEqual(before);
  });

  it("an ADD that waits while the DEL before it is journalled is served, and stays", async () => {
    const attached = await rig.attached();
    const { pod, network } = attached;
    process.kill(host.pid(), "SIGSTOP");
    let again: Promise<Attached>;
    try {
      await rig.detach(attached); // gives up on the daemon, and journals
      expect(journalOf(host)).toHaveLength(1);
      again = rig.attach(pod, network);
      await delay(200); // for it to reach the socket; sooner or later makes no difference to what is asked
    } finally {
      process.kill(host.pid(), "SIGCONT");
    }
    const second = await again;
    await eventually("the journal is empty", () => journalOf(host).length === 0);
    expect((await remainsOf(host)).endpoints).toContain(second.address);
    expect(await pod.pings(before.endpoints[0] ?? "")).toBe(true);
    await rig.detach(second);
    expect(await remainsOf(host)).toEqual(before);
  });

  it("a storm over restarts and deaths of the daemon: every DEL succeeds, nothing is left", async () => {
    let over = false;
    const outcomes = { served: 0, refused: 0 };
    const lane = async (number: number): Promise<void> => {
      for (let turn = 0; !over; turn++) {
        const pod = rig.pod(`l${number}t${turn}`);
        const attachment = attachmentOf(pod);
        await rig.cni.add(rig.network(), attachment).then(
          () => outcomes.served++,
          (error: unknown) => {
            if (!(error instanceof PluginFailure) || error.code !== 11) throw error;
            outcomes.refused++;
          },
        );
        await rig.cni.del(rig.network(), attachment);
        await expectEmpty(pod);
        pod.namespace.remove();
      }
    };
    const lanes = Promise.all([0, 1, 2, 3].map(lane));
    // Whatever it throws is met below; meanwhile it is nobody's.
    lanes.catch(() => undefined);
    for (const end of [() => host.stop(), () => host.kill(), () => host.kill()]) {
      const served = outcomes.served;
      await eventually("ADDs are served", () => outcomes.served > served + 3, 20_000);
      await end();
      await host.launch();
    }
    over = true;
    await lanes;
    expect(outcomes.refused).toBeGreaterThan(0);
    await untilAsBefore(host, before, "all is freed");
  });

  it("case 88: succeeds when the daemon has lost all it knew", async () => {
    const attached = await rig.attached(declaring, full);
    await host.stop();
    rmSync(host.dataDir, { recursive: true });
    await host.launch();
    await host.weaveOk("expose");
    await rig.detach(attached);
    await expectEmpty(attached.pod);
    const now = await remainsOf(host);
    expect(now).toMatchObject({ links: before.links, journal: [], used: 1 });
    expect(now.firewall).not.toContain("8080");
  });
});
