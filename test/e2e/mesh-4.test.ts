// Who is connected to whom: hosts find all others through the one they joined, or keep to their targets when told so;
// targets come, go and survive restarts; a limit of connections never parts anybody.
import { beforeAll, describe, expect, it } from "vitest";
import type { Status } from "../../src/api/status.ts";
import type { Host } from "../support/host.ts";
import { useLab } from "../support/lab.ts";

/** Nicknames of the hosts connected, in order. */
const linked = ({ connections }: Status): string =>
  connections
    .flatMap(({ state, nickname }) => (state === "established" ? [nickname ?? "?"] : []))
    .sort()
    .join(" ");

const targets = (status: Status): string => status.targets.map(({ address }) => address).join(" ");

describe("four hosts of which three were told only of the first", () => {
  const lab = useLab(4);

  const untilLinked = async (host: Host, wanted: string): Promise<void> => {
    await host.until(`connected to ${wanted}`, (status) => linked(status) === wanted);
  };
  const others = (host: Host): string =>
    lab.hosts
      .filter((other) => other !== host)
      .map(({ nickname }) => nickname)
      .join(" ");
  const stopAll = async (): Promise<void> => {
    for (const host of lab.hosts) await host.stop();
  };

  beforeAll(() => lab.launchAll());

  it("connects everybody with everybody", async () => {
    for (const host of lab.hosts) await untilLinked(host, others(host));
    const { address } = lab.host(1);
    expect(targets(await lab.host(3).status())).toBe(address);
    const text = await lab.host(3).weaveOk("status", "targets");
    expect(text).toMatch(
      new RegExp(`^OK\\n\\nADDRESS +STATE +PEER\\n${address} +established +\\S+\\(h1\\)\\n`),
    );
  });

  it("connects two that knew each other only through one that is gone", async () => {
    await stopAll();
    await lab.host(2).launch();
    await lab.host(3).launch();
    await untilLinked(lab.host(2), "h3");
    await untilLinked(lab.host(3), "h2");
    await lab.host(1).launch();
    await lab.host(4).launch();
    for (const host of lab.hosts) await untilLinked(host, others(host));
    await lab.untilAllOk();
  });

  it("connect, connect --replace and forget change the targets, not the connections", async () => {
    const [h1, h2, h3] = [lab.host(1).address, lab.host(2).address, lab.host(3).address];
    const host = lab.host(4);
    expect(await host.weaveOk("connect", h2, h3)).toBe(`${h1}\n${h2}\n${h3}\n`);
    expect(await host.weaveOk("forget", `${h2}:6783`)).toBe(`${h1}\n${h3}\n`);
    expect(await host.weaveOk("connect", "--replace", h2, h3)).toBe(`${h3}\n${h2}\n`);
    expect(JSON.parse(await host.weaveOk("forget", "--json", h3, "unheard.example"))).toEqual({
      forgotten: [h3],
      targets: [h2],
    });
    const stray = await host.weave("forget", "unheard.example");
    expect([stray.exit, stray.stdout]).toEqual([0, `${h2}\n`]);
    expect(stray.stderr).toContain("none of these is a target");
    const status = await host.status();
    expect([targets(status), linked(status)]).toEqual([h2, others(host)]);

    await host.kill();
    await host.launch();
    expect(targets(await host.status())).toBe(h2);
    await host.stop();
    await host.launch(h3);
    expect(targets(await host.status())).toBe(h3);
    await lab.untilAllOk();
  });

  it("without discovery connects whom it was told of; gossip and packets reach everybody", async () => {
    await stopAll();
    await lab.host(1).launch("--no-discovery");
    for (const host of lab.hosts.slice(1)) await host.launch("--no-discovery", lab.host(1).address);
    await lab.untilAllOk();
    expect(linked(await lab.host(1).status())).toBe("h2 h3 h4");
    for (const host of lab.hosts.slice(1)) expect(linked(await host.status())).toBe("h1");
    const [one, other] = [await lab.attached(lab.host(2)), await lab.attached(lab.host(3))];
    await lab.untilKnown([one, other]);
    await one.reaches(other.address);
    expect(await lab.host(2).weaveOk("status")).toContain("discovery is off");
  });

  it("with a limit of connections everybody reaches everybody all the same", async () => {
    await stopAll();
    await lab.host(1).launch("--conn-limit", "2");
    for (const host of lab.hosts.slice(1)) await host.launch("--conn-limit", "2", lab.host(1).address);
    await lab.untilAllOk();
    const late = await lab.attached(lab.host(4), "late");
    await lab.untilKnown([late]);
    for (const host of lab.hosts)
      await host.until("within its limit", (status) => linked(status).split(" ").length <= 2);
    await lab.untilAllOk();
    const refused = (
      await Promise.all(lab.hosts.map((host) => host.weaveOk("status", "connections")))
    ).join();
    expect(refused).not.toContain("PROBLEM");
  });
});
