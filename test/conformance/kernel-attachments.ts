// What every Kernel does for containers: namespaces, interfaces in them and their host ends, limits.
import { expect, test } from "vitest";
import type { RouteSpec } from "../../src/ports/kernel.ts";
import { ALICE, LINKS, M1, M2, REMOTE, SETS, type Subject, stateWith } from "./kernel-subject.ts";

/** Inside a describe of kernelConformance. */
export function attachmentsConformance({ harness, apply, attach, ports }: Subject): void {
  test("a port goes back on the bridge with its own hairpin setting", async () => {
    await apply();
    const [path, other] = [harness().addNetns(), harness().addNetns()];
    await attach(path, { hairpin: false });
    await attach(other, { hostIfname: "vw000000000002", mac: M1, addresses: ["10.32.0.7/12"] });
    const list = [
      { name: "vw000000000001", hairpin: true, addresses: [] },
      { name: "vw000000000002", hairpin: false, addresses: [] },
    ];
    await harness().kernel.observe();
    expect(await apply({ ports: list })).toEqual([
      "link set vw000000000001 type bridge_slave hairpin on",
      "link set vw000000000002 type bridge_slave hairpin off",
    ]);
    expect(await harness().render()).toMatch(
      /vw000000000001 .* hairpin on up\n.*vw000000000002 .* hairpin off up\n/,
    );
  });

  test("attach makes a configured interface; detach takes it away, once", async () => {
    await apply();
    const path = harness().addNetns();
    expect(await attach(path)).toEqual({
      hostMac: "02:d0:64:24:46:84",
      bridgeMac: ALICE,
      routes: [{ dst: "0.0.0.0/0", gw: "10.32.0.1" }],
    });
    expect(await harness().renderNetns(path)).toBe(
      `link eth0 address ${M2} mtu 1450 up
address 10.32.0.6/12 dev eth0
route 0.0.0.0/0 via 10.32.0.1 dev eth0
`,
    );
    expect(await ports()).toEqual(["vw000000000001"]);
    expect(await harness().render()).toContain(
      "link vw000000000001 veth mtu 1450 master weave learning on hairpin on up\n",
    );
    expect(await harness().kernel.detach("vw000000000001")).toBe(true);
    expect(await harness().kernel.detach("vw000000000001")).toBe(false);
    expect(await ports()).toEqual([]);
    expect(await harness().renderNetns(path)).toBe("");
  });

  test("bandwidth limits what a container receives and sends, and goes with it", async () => {
    await apply();
    const [both, one, none] = [harness().addNetns(), harness().addNetns(), harness().addNetns()];
    const limit = { rate: 8_000_000, burst: 400_000 };
    await attach(both, { bandwidth: { ingress: limit, egress: { rate: 1_000_000, burst: 8 } } });
    const second = { hostIfname: "vw000000000002", mac: M1, addresses: ["10.32.0.7/12"] };
    await attach(one, { ...second, bandwidth: { egress: limit } });
    const third = { hostIfname: "vw000000000003", mac: "02:a0:0a:20:00:08", addresses: ["10.32.0.8/12"] };
    await attach(none, { ...third, bandwidth: { ingress: { rate: 0, burst: 0 } } });
    const shapes = async () =>
      (await harness().render()).split("\n").filter((line) => line.startsWith("shape"));
    // A bucket smaller than a frame would let none through.
    expect(await shapes()).toEqual([
      "shape vw000000000001 egress rate 125000 burst 1468",
      "shape vw000000000001 ingress rate 1000000 burst 50000",
      "shape vw000000000002 egress rate 1000000 burst 50000",
    ]);
    const names = ["vw000000000001", "vw000000000002", "vw000000000003"];
    expect(await Promise.all(names.map((name) => harness().kernel.detach(name)))).toEqual([true, true, true]);
    expect(await shapes()).toEqual([]);
    expect(await harness().render()).toBe(LINKS + REMOTE + SETS);
  });

  test("limits somebody took away are told and put back, each direction alone; hairpin mode is told", async () => {
    await apply();
    const name = "vw000000000001";
    const bandwidth = {
      ingress: { rate: 8_000_000, burst: 400_000 },
      egress: { rate: 1_000_000, burst: 8 },
    };
    await attach(harness().addNetns(), { hostIfname: name, bandwidth });
    const shapes = async () =>
      (await harness().render()).split("\n").filter((line) => line.startsWith("shape"));
    const whole = await shapes();
    expect(await harness().kernel.shapingFaults(name, bandwidth)).toEqual([]);
    expect(await harness().kernel.shape(name, bandwidth)).toBe(false);
    const damages: (readonly [string, string])[] = [
      ["ingress", `${name} has no limit (tbf) for what the container receives, 8000000 bit/s`],
      ["egress", `vi000000000001, which limits what the container behind ${name} sends, is missing`],
    ];
    for (const [direction, words] of damages) {
      await harness().damage(`shape ${name} ${direction}`);
      expect(await harness().kernel.shapingFaults(name, bandwidth)).toEqual([words]);
      expect(await shapes()).toHaveLength(1);
      expect(await harness().kernel.shape(name, bandwidth)).toBe(true);
      expect(await harness().kernel.shape(name, bandwidth)).toBe(false);
      expect(await shapes()).toEqual(whole);
    }
    // Other limits than those that stand; none are wanted; nothing is there.
    const faster = { ingress: { rate: 16_000_000, burst: 400_000 } };
    expect(await harness().kernel.shapingFaults(name, faster)).toEqual([
      `${name} has another limit (tbf) for what the container receives, 16000000 bit/s`,
    ]);
    expect(await harness().kernel.shapingFaults(name, {})).toEqual([]);
    expect(await harness().kernel.shapingFaults("vw00000000000f", bandwidth)).toEqual([]);
    expect(await harness().kernel.shape("vw00000000000f", bandwidth)).toBe(false);
    await harness().damage(`hairpin ${name}`);
    expect((await harness().kernel.hostEnds()).get(name)).toMatchObject({ bridge: "weave", hairpin: false });
  });

  test("an interface is looked at as it is, its host end with the MAC the other end has now", async () => {
    await apply();
    const path = harness().addNetns();
    const addresses = ["10.32.0.6/12", "fd32::6/96"];
    const routes = [
      { dst: "0.0.0.0/0", gw: "10.32.0.1" },
      { dst: "::/0", gw: "fd32::1" },
    ];
    await attach(path, { addresses, routes });
    // Nothing of a second interface is told of the first.
    const second = { hostIfname: "vw000000000002", ifname: "eth1", mac: "02:a0:0a:20:00:09" };
    await attach(path, { ...second, addresses: ["192.0.2.9/24", "fd99::9/64"], routes: [] });
    const end = { bridge: "weave", up: true, hairpin: true, containerMac: M2 };
    const [name, other] = ["vw000000000001", "vw000000000002"];
    const otherEnd = { ...end, containerMac: second.mac };
    expect(await harness().kernel.hostEnds()).toEqual(
      new Map([
        [name, end],
        [other, otherEnd],
      ]),
    );
    const netns = await harness().kernel.openNetns({ path });
    const link = await harness().kernel.look(netns, "eth0");
    const sorted = (list: readonly RouteSpec[] = []) =>
      list.map((route) => `${route.dst} ${route.gw}`).sort();
    expect({ ...link, routes: sorted(link?.routes) }).toEqual({
      up: true,
      mac: M2,
      mtu: 1450,
      addresses,
      routes: sorted([...routes, { dst: "10.32.0.0/12" }, { dst: "fd32::/96" }]),
      hostIfname: "vw000000000001",
    });
    expect(await harness().kernel.look(netns, "eth2")).toBeUndefined();
    await harness().setMac(path, "eth0", M1);
    expect((await harness().kernel.hostEnds()).get(name)).toEqual({ ...end, containerMac: M1 });
    expect((await harness().kernel.look(netns, "eth0"))?.mac).toBe(M1);
    await harness().kernel.closeNetns(netns);
  });

  test("only a namespace that is gone is dead", async () => {
    const [kept, removed] = [harness().addNetns(), harness().addNetns()];
    const ids: string[] = [];
    for (const path of [kept, removed]) {
      const netns = await harness().kernel.openNetns({ path });
      ids.push(netns.id);
      await harness().kernel.closeNetns(netns);
    }
    expect(await harness().kernel.deadNetns(ids)).toEqual(new Set());
    harness().removeNetns(removed);
    await expect.poll(() => harness().kernel.deadNetns(ids), { timeout: 10_000 }).toEqual(new Set([ids[1]]));
  });

  test("a second interface of the same name is refused and changes nothing", async () => {
    await apply();
    const path = harness().addNetns();
    await attach(path);
    const before = [await harness().render(), await harness().renderNetns(path)];
    await expect(attach(path, { hostIfname: "vw000000000002" })).rejects.toMatchObject({
      code: "ifname-exists",
    });
    expect([await harness().render(), await harness().renderNetns(path)]).toEqual(before);
    await attach(path, {
      hostIfname: "vw000000000002",
      ifname: "eth1",
      addresses: ["10.32.0.7/12"],
      routes: [],
    });
    expect(await ports()).toEqual(["vw000000000001", "vw000000000002"]);
  });

  test("attach without a bridge, or with a host name in use, is refused and leaves nothing", async () => {
    const path = harness().addNetns();
    await expect(attach(path)).rejects.toMatchObject({ code: "kernel", fields: { errno: "ENODEV" } });
    await apply();
    const other = harness().addNetns();
    await attach(other);
    await expect(attach(path)).rejects.toMatchObject({ code: "kernel", fields: { errno: "EEXIST" } });
    expect(await harness().renderNetns(path)).toBe("");
    expect(await ports()).toEqual(["vw000000000001"]);
  });

  test("a namespace that goes takes its interfaces with it", async () => {
    await apply();
    const path = harness().addNetns();
    await attach(path);
    harness().removeNetns(path);
    await expect.poll(() => ports(), { timeout: 10_000 }).toEqual([]);
  });

  test("the MTU falls for every container, and rises for those that had the former one", async () => {
    await apply();
    const [one, two] = [harness().addNetns(), harness().addNetns()];
    await attach(one);
    await attach(two, {
      hostIfname: "vw000000000002",
      mac: "02:a0:0a:20:00:07",
      addresses: ["10.32.0.7/12"],
      mtu: 1300,
    });
    const bridge = { ...stateWith().bridge, mtu: 1350 };
    expect(await apply({ bridge })).toContain("link set vw000000000001 mtu 1350");
    expect(await harness().renderNetns(one)).toContain("mtu 1350");
    expect(await harness().renderNetns(two)).toContain("mtu 1300");
    await apply();
    expect(await harness().renderNetns(one)).toContain("mtu 1450");
    expect(await harness().renderNetns(two)).toContain("mtu 1300");
  });

  test("paths that are no container's namespace are told apart; ids are stable and distinct", async () => {
    const { paths, kernel } = harness();
    await expect(kernel.openNetns({ path: paths.missing })).rejects.toMatchObject({
      code: "netns-missing",
    });
    await expect(kernel.openNetns({ path: paths.file })).rejects.toMatchObject({ code: "netns-invalid" });
    await expect(kernel.openNetns({ path: paths.host })).rejects.toMatchObject({ code: "netns-host" });
    const [one, two] = [harness().addNetns(), harness().addNetns()];
    const opened = await Promise.all([one, one, two].map((path) => kernel.openNetns({ path })));
    const [a, again, b] = opened.map((netns) => netns.id);
    expect(again).toBe(a);
    expect(b).not.toBe(a);
    for (const netns of opened) await kernel.closeNetns(netns);
  });

  test("many attaches and detaches at once are each right", async () => {
    await apply();
    const numbers = Array.from({ length: 20 }, (_, i) => i + 10);
    const paths = numbers.map(() => harness().addNetns());
    await Promise.all(
      numbers.map((number, i) =>
        attach(paths[i] ?? "", {
          hostIfname: `vw0000000000${number}`,
          mac: `02:a0:0a:20:01:${number}`,
          addresses: [`10.32.1.${number}/12`],
        }),
      ),
    );
    for (const [i, number] of numbers.entries()) {
      expect(await harness().renderNetns(paths[i] ?? "")).toContain(
        `address 10.32.1.${number}/12 dev eth0\n`,
      );
    }
    expect((await ports()).length).toBe(20);
    const gone = await Promise.all(
      [...numbers, 99].map((number) => harness().kernel.detach(`vw0000000000${number}`)),
    );
    expect(gone).toEqual([...numbers.map(() => true), false]);
    expect(await ports()).toEqual([]);
  });
}
