// Masquerade for real: out of the overlay, into it, not inside it, and without a gap or a process where none may be.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { DatapathState } from "../../src/core/datapath/state.ts";
import { capture, type TestNamespace, whyNot } from "./support/namespaces.ts";
import { OVERLAY, OVERLAY6, type TestContainer, type TestHost, World } from "./support/world.ts";

describe.skipIf(whyNot() !== undefined)("firewall", () => {
  let world: World;
  let alice: TestHost;
  let bob: TestHost;
  let a1: TestContainer;
  let b1: TestContainer;
  /** A machine on the underlay that knows nothing of the overlay but a route into it through alice. */
  let outside: TestNamespace;

  const exposed = (host: TestHost, bridgeAddress: string): DatapathState => {
    const state = world.state(host);
    return {
      ...state,
      bridge: { ...state.bridge, addresses: [`${bridgeAddress}/12`] },
      firewall: {
        overlay: [OVERLAY, OVERLAY6],
        masquerade: [OVERLAY, OVERLAY6],
        exempt: [],
        portMaps: [],
        controlPort: 6783,
        controls: [],
      },
    };
  };

  beforeAll(async () => {
    world = new World();
    alice = world.host("alice");
    bob = world.host("bob");
    await world.applyAll();
    const routes = (gw: string) => ({ routes: [{ dst: "0.0.0.0/0", gw }] });
    a1 = await world.container(alice, routes("10.32.0.1"));
    b1 = await world.container(bob, routes("10.32.0.2"));
    await world.applyAll();
    outside = world.outside();
    await outside.run(`ip route add ${OVERLAY} via ${alice.address}`);
  });

  afterAll(async () => {
    await world?.close();
  });

  test("switching exposure on changes set elements and loads no table", async () => {
    expect((await alice.kernel.apply(exposed(alice, "10.32.0.1"))).changes).toEqual([
      "address add 10.32.0.1/12",
      "nft masquerade add 10.32.0.0/12",
      "nft masquerade add fd32::/96",
      "sysctl net.ipv4.ip_forward 1",
    ]);
    await bob.kernel.apply(exposed(bob, "10.32.0.2"));
  });

  test("a container reaches the outside with its host's address", async () => {
    const seen = await capture(outside, "eth0", "icmp");
    expect(await a1.netns.run("ping -c 2 -i 0.1 -W 2 10.99.0.200")).toContain(" 0% packet loss");
    const text = (await seen.stop()).join("\n");
    expect(text).toContain(`${alice.address} > 10.99.0.200: ICMP echo request`);
    expect(text).not.toContain(`${a1.addresses[0]} >`);
  });

  test("inside the overlay addresses stay, also between hosts", async () => {
    const seen = await capture(b1.netns, "eth0", "icmp");
    expect(await a1.netns.run(`ping -c 2 -i 0.1 -W 2 ${b1.addresses[0]}`)).toContain(" 0% packet loss");
    expect((await seen.stop()).join("\n")).toContain(
      `${a1.addresses[0]} > ${b1.addresses[0]}: ICMP echo request`,
    );
  });

  test("the outside reaches a container of another host, seen as coming from the bridge", async () => {
    const seen = await capture(b1.netns, "eth0", "icmp");
    expect(await outside.run(`ping -c 2 -i 0.1 -W 2 ${b1.addresses[0]}`)).toContain(" 0% packet loss");
    expect((await seen.stop()).join("\n")).toContain(`10.32.0.1 > ${b1.addresses[0]}: ICMP echo request`);
  });

  test("host and container reach each other", async () => {
    expect(await alice.netns.run(`ping -c 1 -W 2 ${a1.addresses[0]}`)).toContain(" 0% packet loss");
    expect(await alice.netns.run(`ping -c 1 -W 2 ${b1.addresses[0]}`)).toContain(" 0% packet loss");
    expect(await a1.netns.run("ping -c 1 -W 2 10.32.0.1")).toContain(" 0% packet loss");
  });

  test("a fresh process replaces the table without a gap", async () => {
    const ping = a1.netns.run("ping -c 60 -i 0.01 -W 2 10.99.0.200");
    for (let i = 0; i < 3; i++) {
      await alice.restart();
      const { changes, failures } = await alice.kernel.apply(exposed(alice, "10.32.0.1"));
      expect(failures).toEqual([]);
      expect(changes).toEqual(["nft load table inet weave"]);
    }
    expect(await ping).toContain(" 0% packet loss");
  });

  test("a flushed ruleset comes back, by a change or by observing", async () => {
    await alice.netns.run("nft flush ruleset");
    const state = exposed(alice, "10.32.0.1");
    const loaded = {
      changes: ["nft load table inet weave"],
      failures: [],
      repairs: [{ object: "nftables table weave", message: "nft load table inet weave" }],
    };
    const narrow = { ...state, firewall: { ...state.firewall, masquerade: ["10.32.0.0/16"] } };
    expect(await alice.kernel.apply(narrow)).toEqual(loaded);
    await alice.netns.run("nft flush set inet weave masquerade4");
    await alice.kernel.observe();
    expect(await alice.kernel.apply(narrow)).toEqual(loaded);
    await alice.kernel.apply(state);
    expect(await a1.netns.run("ping -c 1 -W 2 10.99.0.200")).toContain(" 0% packet loss");
  });

  test("without exposure nothing gets out", async () => {
    await alice.kernel.apply(world.state(alice));
    expect(await alice.netns.run("nft list table inet weave")).not.toMatch(/masquerade4 \{[^}]*elements/);
    expect(await a1.netns.succeeds("ping -c 1 -W 1 10.99.0.200")).toBe(false);
  });

  test("tables of others are left alone", async () => {
    await bob.netns.run("nft add table inet others");
    await bob.restart();
    await bob.kernel.apply(world.state(bob));
    expect(await bob.netns.run("nft list tables")).toContain("table inet others");
  });
});
