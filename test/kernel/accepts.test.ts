// Where the firewall of somebody else drops what is forwarded, traffic of the bridge is accepted by that firewall's own
// tool, and again after its reload:
//
//     container ── weave ── alice (FORWARD policy DROP) ── underlay ── outside
//
// firewalld itself is not here: a program in its place writes what it would.
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { DatapathState } from "../../src/core/datapath/state.ts";
import { DatapathFollower } from "../../src/daemon/follower.ts";
import { eventually, type TestNamespace, whyNot } from "./support/namespaces.ts";
import { type TestContainer, type TestHost, World } from "./support/world.ts";

const OUTSIDE = "10.99.0.200";
const DEADLINE_MS = 1_000;
const IN = "-i weave -j ACCEPT";
const OUT = "-o weave -m conntrack --ctstate RELATED,ESTABLISHED,DNAT -j ACCEPT";
const silent = { debug() {}, info() {}, warn() {}, error() {} };

describe.skipIf(whyNot("iptables-nft", "iptables-legacy") !== undefined)("another firewall", () => {
  let world: World;
  let alice: TestHost;
  let container: TestContainer;
  let follower: DatapathFollower;
  let state: DatapathState;

  beforeAll(async () => {
    world = new World();
    alice = world.host("alice");
    world.outside();
    const plain = world.state(alice);
    await alice.kernel.apply(plain);
    container = await world.container(alice, { routes: [{ dst: "0.0.0.0/0", gw: "10.32.0.1" }] });
  });
  afterAll(async () => {
    await world?.close();
  });

  beforeEach(async () => {
    await alice.restart();
    const plain = world.state(alice);
    state = {
      ...plain,
      bridge: { ...plain.bridge, addresses: ["10.32.0.1/12"] },
      firewall: { ...plain.firewall, masquerade: ["10.32.0.0/12"] },
    };
    follower = new DatapathFollower(alice.kernel, () => state, silent);
    follower.changed();
    await follower.settled();
    expect(await reaches()).toBe(true);
  });
  afterEach(async () => {
    await follower.stop();
    for (const tool of ["iptables-nft", "iptables-legacy", "ip6tables-nft", "ip6tables-legacy"]) {
      for (const words of ["-P FORWARD ACCEPT", "-F", "-X"]) await alice.netns.run(`${tool} ${words}`);
    }
    await alice.netns.succeeds("nft delete table inet firewalld");
  });

  const reaches = (): Promise<boolean> => container.netns.succeeds(`ping -c 1 -W 0.2 ${OUTSIDE}`);
  const rules = async (netns: TestNamespace, tool: string, chain: string): Promise<string[]> =>
    (await netns.run(`${tool} -S ${chain}`)).split("\n").filter((line) => line.includes("weave"));

  const count = (object: string): number =>
    follower.repairs().find((repair) => repair.object === object)?.count ?? 0;

  const accepted = (tool: string, chain: string): Promise<unknown> =>
    eventually(
      `${chain} of ${tool} accepts`,
      async () =>
        (await rules(alice.netns, tool, chain)).join() === [IN, OUT].map((r) => `-A ${chain} ${r}`).join(),
      DEADLINE_MS,
    );

  test.each([
    ["iptables-nft", "iptables (nf_tables)"],
    ["iptables-legacy", "iptables-legacy"],
    ["ip6tables-nft", "ip6tables (nf_tables)"],
    ["ip6tables-legacy", "ip6tables-legacy"],
  ])("%s with policy DROP", async (tool, where) => {
    await alice.netns.run(`${tool} -P FORWARD DROP`);
    await accepted(tool, "FORWARD");
    expect(await reaches()).toBe(true);
    expect(count(`accept in ${where}`)).toBe(0); // it was never there before
    await alice.netns.run(`${tool} -F FORWARD`);
    await accepted(tool, "FORWARD");
    await eventually("a repair is told", () => count(`accept in ${where}`) === 1, DEADLINE_MS);
  });

  test.each(
    ["iptables-nft", "iptables-legacy", "ip6tables-nft", "ip6tables-legacy"].flatMap((tool) =>
      ["-j REJECT", "-j DROP", "-m comment --comment rest -j DROP"].map((rule) => [tool, rule] as const),
    ),
  )("%s with %s at the end of its rules", async (tool, rule) => {
    await alice.netns.run(
      `${tool} -A FORWARD -s 192.0.2.9/32 -j DROP`.replace(
        /192\S+/,
        tool.startsWith("ip6") ? "2001:db8::9" : "$&",
      ),
    );
    await alice.netns.run(`${tool} -A FORWARD ${rule}`);
    await accepted(tool, "FORWARD");
    await eventually("containers reach the outside", reaches, DEADLINE_MS);
  });

  test.each(["iptables-nft", "iptables-legacy"])("%s that drops some is left alone", async (tool) => {
    await alice.netns.run(`${tool} -A FORWARD -s 192.0.2.9/32 -j DROP`);
    await alice.netns.run(`${tool} -A FORWARD -i eth9 -j REJECT`);
    await alice.netns.run(`${tool} -A FORWARD -p tcp --dport 25 -j REJECT`);
    follower.changed();
    await alice.kernel.observe();
    await follower.settled();
    expect(await rules(alice.netns, tool, "FORWARD")).toEqual([]);
  });

  test.each([
    ["iptables-nft", "iptables (nf_tables)"],
    ["iptables-legacy", "iptables-legacy"],
  ])("Docker's chain for rules of others, %s", async (tool, where) => {
    for (const words of [
      "-N DOCKER-USER",
      "-A DOCKER-USER -j RETURN",
      "-I FORWARD -j DOCKER-USER",
      "-P FORWARD DROP",
    ])
      await alice.netns.run(`${tool} ${words}`);
    await accepted(tool, "DOCKER-USER");
    await eventually("containers reach the outside", reaches, DEADLINE_MS);
    await alice.netns.run(`${tool} -F DOCKER-USER`);
    await accepted(tool, "DOCKER-USER");
    await eventually("a repair is told", () => count(`accept in ${where}`) === 1, DEADLINE_MS);
  });

  test("what drops before our start is found by it, and nothing is put in where nothing drops", async () => {
    expect(await rules(alice.netns, "iptables-nft", "FORWARD")).toEqual([]);
    await follower.stop();
    await alice.netns.run("iptables-nft -P FORWARD DROP");
    expect(await reaches()).toBe(false);
    await alice.restart();
    await alice.kernel.apply(state);
    expect(await reaches()).toBe(true);
  });

  test("clear takes it out again", async () => {
    await alice.netns.run("iptables-nft -P FORWARD DROP");
    await alice.netns.run("iptables-legacy -P FORWARD DROP");
    await accepted("iptables-nft", "FORWARD");
    await accepted("iptables-legacy", "FORWARD");
    await follower.stop();
    const removed = await alice.kernel.clear({ bridge: "no-such", vxlan: "no-such" });
    expect(removed.filter((line) => line.includes("FORWARD"))).toEqual([]);
    const { name } = state.bridge;
    await alice.kernel.clear({ bridge: name, vxlan: state.vxlan.name });
    expect(await rules(alice.netns, "iptables-nft", "FORWARD")).toEqual([]);
    expect(await rules(alice.netns, "iptables-legacy", "FORWARD")).toEqual([]);
    world.hosts[0]?.containers.splice(0);
    await alice.kernel.apply(world.state(alice));
    container = await world.container(alice, { routes: [{ dst: "0.0.0.0/0", gw: "10.32.0.1" }] });
  });

  test("firewalld, by zone, and after a reload", async () => {
    const directory = mkdtempSync(join(tmpdir(), "weave-firewalld-"));
    const program = join(directory, "firewall-cmd");
    const calls = join(directory, "calls");
    writeFileSync(
      program,
      `#!/bin/sh
echo "$*" >> ${calls}
case "$*" in
  *change-interface=weave) nft insert rule inet firewalld filter_FORWARD iifname weave accept && nft insert rule inet firewalld filter_FORWARD oifname weave accept ;;
  *) exit 2 ;;
esac
`,
    );
    chmodSync(program, 0o755);
    const path = process.env["PATH"];
    process.env["PATH"] = `${directory}:${path}`;
    const reload = async (): Promise<void> => {
      await alice.netns.succeeds("nft delete table inet firewalld");
      await alice.netns.exec([
        "nft",
        "table inet firewalld { chain filter_FORWARD { type filter hook forward priority 10; policy drop; } ; }",
      ]);
    };
    try {
      await reload();
      await eventually("containers reach the outside", reaches, DEADLINE_MS);
      await reload();
      await eventually("a repair is told", () => count("accept in firewalld") === 1, DEADLINE_MS);
      expect(await reaches()).toBe(true);
    } finally {
      process.env["PATH"] = path;
      rmSync(directory, { recursive: true });
    }
  });

  test("a tool that is missing is a failure that says so, and the rest goes on", async () => {
    const path = process.env["PATH"];
    await follower.stop();
    await alice.restart();
    await alice.netns.run("iptables-nft -P FORWARD DROP");
    try {
      process.env["PATH"] = "/nonexistent";
      const { failures } = await alice.kernel.apply({ ...state, firewall: { ...state.firewall } });
      expect(failures.map(({ object }) => object)).toContain("accept in iptables (nf_tables)");
      expect(failures.map(({ message }) => message).join()).toMatch(
        /iptables-nft, iptables: command not found/,
      );
    } finally {
      process.env["PATH"] = path;
    }
  });
});
