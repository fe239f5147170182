// Who founds the cluster, who joins it, who is turned away, and what is said about it.
import { describe, expect, it } from "vitest";
import type { Host } from "../support/host.ts";
import { useLab } from "../support/lab.ts";
import { tracesOf } from "../support/traces.ts";

describe("three hosts all launched with peers", () => {
  const lab = useLab(3);
  const names = ["alice", "bob", "carol"];

  it("are not founded by one of them: ADD answers 11, status says who is missing", async () => {
    await launch(0);
    const host = lab.host(1);
    await host.until("it waits", ({ problems }) =>
      problems.some((problem) => problem.code === "waiting-for-peers"),
    );
    const before = await tracesOf(host);
    const container = lab.container(host);
    const answer = await container.call("ADD");
    expect(answer.exit).toBeGreaterThan(0);
    expect(answer.json).toMatchObject({
      code: 11,
      msg: expect.stringMatching(/founding: 1 of 3 hosts answer, 2 needed; not connected: .*seed=/),
    });
    expect(await tracesOf(host)).toEqual(before);

    const status = await host.weave("status");
    expect(status.exit).toBe(1);
    expect(status.stdout).toMatch(/^PROBLEM: waiting-for-peers .*; run weave status connections/);
    const ready = await container.call("STATUS", { config: { cniVersion: "1.1.0" } });
    expect(ready.json).toMatchObject({ code: 50 });
    const expose = await host.weave("expose");
    expect(expose.exit).toBe(1);
    expect(expose.stderr).toContain("founding: 1 of 3");
  });

  it("forget an ADD whose caller was killed while it waited", async () => {
    const host = lab.host(1);
    const container = lab.container(host, "impatient");
    const adding = container.start("ADD");
    await host.status();
    adding.kill();
    await adding.answer;
    await container.del();
    expect(await tracesOf(host)).toMatchObject({ veths: [], journal: [], endpoints: [] });
  });

  it("are one cluster as soon as two of them answer, and the third joins", async () => {
    await launch(1);
    await lab.host(2).until("it has a cluster", ({ cluster }) => cluster !== undefined);
    await launch(2);
    await lab.untilAllOk();
    await expectOneCluster();
  });

  it("are one cluster when --ipalloc-init seed= names the founders", async () => {
    await Promise.all(lab.hosts.map((host) => host.weaveOk("reset", "--force")));
    await Promise.all(names.map((_, i) => launch(i, "--ipalloc-init", `seed=${names.join(",")}`)));
    await lab.untilAllOk();
    await expectOneCluster();
  });

  async function expectOneCluster(): Promise<void> {
    const statuses = await Promise.all(lab.hosts.map((host) => host.status()));
    expect(new Set(statuses.map((status) => status.cluster)).size).toBe(1);
    const containers = await Promise.all(lab.hosts.map((host) => lab.attached(host)));
    for (const from of containers)
      for (const to of containers) if (from !== to) await from.reaches(to.address);
  }

  async function launch(index: number, ...options: string[]): Promise<void> {
    const addresses = lab.hosts.map((host) => host.address); // its own among them
    await lab.hosts[index]?.launch("--name", names[index] ?? "", ...options, ...addresses);
  }
});

describe("two hosts launched alone", () => {
  const lab = useLab(2);

  it("become one cluster when they are connected before use", async () => {
    for (const host of lab.hosts) await host.launch();
    const [first, second] = await Promise.all(lab.hosts.map((host) => host.status()));
    expect(first?.cluster).not.toBe(second?.cluster);
    await lab.host(2).weaveOk("connect", lab.host(1).address);
    await lab.untilAllOk();
    const after = await Promise.all(lab.hosts.map((host) => host.status()));
    expect(after[0]?.cluster).toBe(after[1]?.cluster);
    const [one, other] = await Promise.all(lab.hosts.map((host) => lab.attached(host)));
    if (one === undefined || other === undefined) throw new Error("two hosts");
    expect(one.address).not.toBe(other.address);
    await one.reaches(other.address);
  });

  it("take their own address among the peers without harm", async () => {
    const host = lab.host(1);
    await host.weaveOk("connect", host.address);
    const { ok, peers } = await host.until("it has met itself", ({ connections }) =>
      connections.some((connection) => connection.state === "self" && connection.address === host.address),
    );
    expect(ok).toBe(true);
    expect(peers).toHaveLength(2);
    await lab.untilAllOk();
  });

  it("tell a second launch that one runs already", async () => {
    const host = lab.host(1);
    const { pid } = await host.status();
    const again = await host.weave("launch");
    expect(again.exit).toBe(1);
    expect(again.stderr).toContain("already running");
    expect(again.stderr).toContain("weave connect");
    // Another run directory, the same data.
    const other = await host.weave("launch", "--run-dir", `${host.runDir}-other`);
    expect(other.exit).toBe(1);
    expect(other.stderr).toContain(host.dataDir);
    expect((await host.status()).pid).toBe(pid);
  });
});

describe("two hosts that used one range before they met", () => {
  const lab = useLab(2);

  it("are told that they are two clusters, and keep their containers", async () => {
    for (const host of lab.hosts) await host.launch();
    const containers = await Promise.all(lab.hosts.map((host) => lab.attached(host)));
    await lab.host(2).weaveOk("connect", lab.host(1).address);
    for (const host of lab.hosts) {
      await host.until("a foreign cluster is told", ({ problems }) =>
        problems.some((p) => p.code === "foreign-cluster"),
      );
      expect((await host.weave("status")).stdout).toMatch(/^PROBLEM: foreign-cluster /);
    }
    for (const container of containers) {
      const { endpoints } = await container.host.status();
      expect(endpoints.find((e) => e.address === container.address)?.local).toBe(true);
    }
  });
});

describe("a range that overlaps a route", () => {
  const lab = useLab(1);

  it("is an error by default, a warning when it was asked for", async () => {
    const host = lab.host(1);
    await host.namespace.run("ip route add 10.40.0.0/16 via 198.51.100.1");
    const refused = await host.weave("launch");
    expect(refused.exit).toBe(1);
    expect(refused.stderr).toContain("10.32.0.0/12");
    expect(refused.stderr).toContain("10.40.0.0/16");
    expect(refused.stderr).toContain("--ipalloc-range");
    await expect(host.status()).rejects.toMatchObject({ code: "not-running" });
    expect(await host.namespace.succeeds("ip link show weave")).toBe(false);

    const warned = await host.weave("launch", "--ipalloc-range", "10.32.0.0/12");
    expect(warned.exit).toBe(0);
    expect(warned.stderr).toMatch(/warning: .*10\.40\.0\.0\/16/);
    await host.untilOk();
  });
});

describe("peers that cannot join", () => {
  const lab = useLab(2);

  it("a clone is told as such on both sides", async () => {
    await lab.host(1).launch("--name", "twin");
    await lab.host(2).launch("--name", "twin", lab.host(1).address);
    await toldOn(lab.host(1), "two hosts use the peer name twin");
    await toldOn(lab.host(2), "two hosts use the peer name twin");
    await lab.host(2).stop();
  });

  it("another --ipalloc-range is told on both sides", async () => {
    const stranger = await lab.addHost();
    await stranger.launch("--ipalloc-range", "10.96.0.0/14", lab.host(1).address);
    await toldOn(lab.host(1), "10.96.0.0/14");
    await toldOn(stranger, "10.32.0.0/12");
  });

  async function toldOn(host: Host, text: string): Promise<void> {
    await host.until(`a problem tells of ${text}`, ({ problems }) =>
      problems.some(({ message }) => message.includes(text)),
    );
    const { exit, stdout } = await host.weave("status");
    expect(exit).toBe(1);
    expect(stdout).toContain(text);
  }
});
