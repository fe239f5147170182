// What every Kernel makes of a desired datapath: links, entries, routes, firewall; what it tells of it, and puts back.
import { expect, test } from "vitest";
import { LINKS, M1, M2, REMOTE, SETS, type Subject, sets, stateWith } from "./kernel-subject.ts";

/** Inside a describe of kernelConformance. */
export function datapathConformance({ harness, apply, attach }: Subject): void {
  test("a host that never applied anything holds nothing", async () => {
    expect(await harness().render()).toBe("");
  });

  test("the first apply makes everything, the second and a restart nothing", async () => {
    expect((await apply()).length).toBeGreaterThan(0);
    expect(await harness().render()).toBe(LINKS + REMOTE + SETS);
    expect(await apply()).toEqual([]);
    await harness().restart();
    expect(await apply()).toEqual(["nft load table inet weave"]);
    expect(await harness().render()).toBe(LINKS + REMOTE + SETS);
  });

  test("entries are added, moved and deleted, and each is told", async () => {
    await apply();
    expect(
      await apply({
        flood: ["10.99.0.2", "10.99.0.3"],
        forwarding: [{ mac: M1, vtep: "10.99.0.3" }],
        neighbours: [{ address: "10.32.0.5", mac: M2 }],
      }),
    ).toEqual([
      "flood add 10.99.0.3",
      `fdb set ${M1} dst 10.99.0.3`,
      `neighbour set 10.32.0.5 ${M2}`,
      `announce 10.32.0.5 ${M2}`,
      "neighbour del fd32::5",
    ]);
    expect(await harness().render()).toBe(
      `${LINKS}flood dev vxlan-6784 dst 10.99.0.2
flood dev vxlan-6784 dst 10.99.0.3
fdb ${M1} dev vxlan-6784 dst 10.99.0.3 self
fdb ${M1} dev vxlan-6784 master weave static sticky
neigh 10.32.0.5 dev weave lladdr ${M2} permanent
${sets({ peers4: "10.99.0.2, 10.99.0.3" })}`,
    );
    expect(await apply({ flood: [], forwarding: [], neighbours: [] })).toEqual([
      "neighbour del 10.32.0.5",
      `fdb del ${M1}`,
      "flood del 10.99.0.2",
      "flood del 10.99.0.3",
    ]);
    expect(await harness().render()).toBe(LINKS + sets({ peers4: "" }));
  });

  test("without prune a new process deletes only what it wanted itself, and local MACs' entries", async () => {
    await apply();
    await harness().restart();
    expect(await apply({ prune: false, flood: [], forwarding: [], neighbours: [] })).toEqual([
      "nft load table inet weave",
    ]);
    expect(await harness().render()).toBe(LINKS + REMOTE + SETS);
    await apply({ prune: false, flood: ["10.99.0.9"] });
    expect(await apply({ prune: false })).toEqual(["flood del 10.99.0.9"]);
    await harness().restart();
    // M1 has an address and no VTEP: it lives here now.
    expect(await apply({ prune: false, forwarding: [] })).toEqual([
      "nft load table inet weave",
      `fdb del ${M1}`,
    ]);
  });

  test("routes lead what comes from the bridge to single addresses, and go again", async () => {
    const lines = async (): Promise<string[]> =>
      (await harness().render()).split("\n").filter((line) => line.startsWith("route "));
    await apply();
    expect(await apply({ routes: ["9.0.2.2", "fd09::2"] })).toEqual([
      "route add 9.0.2.2",
      "route add fd09::2",
    ]);
    const both = ["route 9.0.2.2 dev weave iif weave", "route fd09::2 dev weave iif weave"];
    expect(await lines()).toEqual(both);
    await harness().kernel.observe();
    expect(await apply({ routes: ["9.0.2.2", "fd09::2"] })).toEqual([]);
    await harness().restart();
    expect(await apply({ routes: ["fd09::2"], prune: false })).toEqual(["nft load table inet weave"]);
    expect(await lines()).toEqual(both);
    expect(await apply({ routes: ["fd09::2"] })).toEqual(["route del 9.0.2.2"]);
    expect(await lines()).toEqual(["route fd09::2 dev weave iif weave"]);
  });

  test("expose adds address, forwarding and masquerade without loading the table again, and can be undone", async () => {
    await apply();
    const bridge = { ...stateWith().bridge, addresses: ["10.32.0.1/12", "fd32::1/96"] };
    const firewall = { ...stateWith().firewall, masquerade: ["10.32.0.0/12", "10.40.0.0/16", "fd32::/96"] };
    expect(await apply({ bridge, firewall })).toEqual([
      "address add 10.32.0.1/12",
      "address add fd32::1/96",
      "nft masquerade add 10.32.0.0/12",
      "nft masquerade add fd32::/96",
      "sysctl net.ipv4.ip_forward 1",
      "sysctl net.ipv6.conf.all.forwarding 1",
    ]);
    expect(await harness().render()).toBe(
      `${LINKS}address 10.32.0.1/12 dev weave
address fd32::1/96 dev weave
${REMOTE}forwarding ipv4
forwarding ipv6
${sets({ masquerade4: "10.32.0.0/12", masquerade6: "fd32::/96", exposed: "ipv4, ipv6" })}`,
    );
    expect(await apply({ bridge, firewall })).toEqual([]);
    const narrower = { ...firewall, masquerade: ["10.32.0.0/16"] };
    expect(await apply({ bridge, firewall: narrower })).toEqual([
      "nft masquerade del 10.32.0.0/12",
      "nft masquerade add 10.32.0.0/16",
      "nft masquerade del fd32::/96",
    ]);
    // A new process finds elements nobody wants any more.
    await apply({ bridge, firewall });
    await harness().restart();
    expect(await apply({ bridge })).toEqual(["nft load table inet weave"]);
    expect(await harness().render()).toContain("nft set masquerade4 {  }\nnft set masquerade6 {  }\n");
    const undone = await apply();
    expect(undone).toContain("address del 10.32.0.1/12");
    // Not even the kernel's habit of dropping neighbours with the last address shows afterwards.
    expect(await harness().render()).toBe(`${LINKS + REMOTE}forwarding ipv4\nforwarding ipv6\n${SETS}`);
    expect(await apply()).toEqual([]);
  });

  test("blocks that touch come and go one by one", async () => {
    const [one, two, three] = ["10.32.0.0/16", "10.33.0.0/16", "10.34.0.0/16"];
    const masquerading = (...masquerade: string[]) =>
      apply({ firewall: { ...stateWith().firewall, masquerade } });
    await masquerading(one, two);
    expect(await masquerading(one, two, three)).toEqual([`nft masquerade add ${three}`]);
    expect(await masquerading(two, three)).toEqual([`nft masquerade del ${one}`]);
    expect(await masquerading(two)).toEqual([`nft masquerade del ${three}`]);
    expect(await masquerading(one, two)).toEqual([`nft masquerade add ${one}`]);
    expect(await harness().render()).toContain(`nft set masquerade4 { ${one}, ${two} }`);
    expect(await masquerading()).toHaveLength(2);
    expect(await harness().render()).toBe(LINKS + REMOTE + SETS);
  });

  test("ports are published and withdrawn, and subnets exempted, without loading the table again", async () => {
    await apply();
    const tcp = { protocol: "tcp", hostPort: 8080, address: "10.32.0.6", port: 80 } as const;
    const udp = { protocol: "udp", hostPort: 53, address: "FD32::0:6", port: 5353 } as const;
    const sctp = { ...tcp, protocol: "sctp", hostAddress: "10.99.0.1" } as const;
    const firewall = {
      ...stateWith().firewall,
      exempt: ["10.40.1.0/24", "fd40::/64"],
      portMaps: [tcp, udp, sctp],
    };
    expect(await apply({ firewall })).toEqual([
      "nft exempt add 10.40.1.0/24",
      "nft port add tcp . 8080 : 10.32.0.6 . 80",
      "nft port add 10.99.0.1 . sctp . 8080 : 10.32.0.6 . 80",
      "nft exempt add fd40::/64",
      "nft port add udp . 53 : fd32::6 . 5353",
      "sysctl net.ipv4.conf.weave.route_localnet 1",
    ]);
    const published = {
      exempt4: "10.40.1.0/24",
      exempt6: "fd40::/64",
      ports4: "tcp . 8080 : 10.32.0.6 . 80",
      ports6: "udp . 53 : fd32::6 . 5353",
      hostports4: "10.99.0.1 . sctp . 8080 : 10.32.0.6 . 80",
      published4: "10.32.0.6 . sctp . 80, 10.32.0.6 . tcp . 80",
      published6: "fd32::6 . udp . 5353",
      hairpin4: "10.32.0.6 . 10.32.0.6",
      hairpin6: "fd32::6 . fd32::6",
    };
    expect(await harness().render()).toBe(`${LINKS}${REMOTE}route_localnet weave\n${sets(published)}`);
    await harness().restart();
    expect(await apply({ firewall })).toEqual(["nft load table inet weave"]);
    expect(await harness().render()).toBe(`${LINKS}${REMOTE}route_localnet weave\n${sets(published)}`);
    // One port to another container, in one step.
    const moved = { ...firewall, portMaps: [{ ...tcp, address: "10.32.0.7" }, udp, sctp] };
    expect(await apply({ firewall: moved })).toEqual([
      "nft port del tcp . 8080 : 10.32.0.6 . 80",
      "nft port add tcp . 8080 : 10.32.0.7 . 80",
    ]);
    expect(await apply()).toEqual([
      "sysctl net.ipv4.conf.weave.route_localnet 0",
      "nft exempt del 10.40.1.0/24",
      "nft port del tcp . 8080 : 10.32.0.7 . 80",
      "nft port del 10.99.0.1 . sctp . 8080 : 10.32.0.6 . 80",
      "nft exempt del fd40::/64",
      "nft port del udp . 53 : fd32::6 . 5353",
    ]);
    expect(await harness().render()).toBe(LINKS + REMOTE + SETS);
    // A new process finds ports nobody wants any more.
    await apply({ firewall });
    await harness().restart();
    await apply();
    expect(await harness().render()).toBe(LINKS + REMOTE + SETS);
  });

  test("what others took from the host is told object by object, and comes back with a new look", async () => {
    expect(await harness().kernel.faults()).toEqual([]);
    const bridge = { ...stateWith().bridge, addresses: ["10.32.0.1/12", "10.40.0.1/16", "fd32::1/96"] };
    const portMaps = [{ protocol: "tcp", hostPort: 8080, address: "10.32.0.6", port: 80 }] as const;
    const state = { bridge, routes: ["9.0.2.2"], firewall: { ...stateWith().firewall, portMaps } };
    await apply(state);
    expect(await harness().kernel.faults()).toEqual([]);
    const whole = await harness().render();
    const damages: (readonly [string, string])[] = [
      ["address 10.40.0.1/16", "bridge weave lacks its address 10.40.0.1/16"],
      ["flood 10.99.0.2", "VXLAN device vxlan-6784 does not flood to 10.99.0.2"],
      [`fdb ${M1}`, `FDB entry of ${M1} to 10.99.0.2 is missing`],
      ["neigh 10.32.0.5", `neighbour entry of 10.32.0.5 at ${M1} is missing`],
      ["route 9.0.2.2", "route to 9.0.2.2 over the bridge weave is missing"],
      ["nft", "firewall table inet weave is missing"],
      ["forwarding ipv4", "sysctl net.ipv4.ip_forward is 0, not 1"],
      ["forwarding ipv6", "sysctl net.ipv6.conf.all.forwarding is 0, not 1"],
      ["route_localnet weave", "sysctl net.ipv4.conf.weave.route_localnet is 0, not 1"],
    ];
    for (const [fact, words] of damages) {
      await harness().damage(fact);
      expect(await harness().kernel.faults(), fact).toEqual([words]);
      expect(await harness().kernel.faults(), fact).toEqual([words]);
      await harness().kernel.observe();
      expect((await apply(state)).length, fact).toBeGreaterThan(0);
      expect(await harness().kernel.faults(), fact).toEqual([]);
      expect(await harness().render()).toBe(whole);
    }
    await harness().damage("flood 10.99.0.2");
    await harness().damage("nft");
    expect(await harness().kernel.faults()).toHaveLength(2);
    // A new process has nothing it could compare with.
    await harness().restart();
    expect(await harness().kernel.faults()).toEqual([]);
    await apply(state);
    expect(await harness().render()).toBe(whole);
  });

  test("another VNI or local address replaces or changes the VXLAN device", async () => {
    await apply();
    const vxlan = { ...stateWith().vxlan, local: "10.99.0.4" };
    expect(await apply({ vxlan })).toEqual(["link set vxlan-6784 type vxlan local 10.99.0.4 nolearning"]);
    const other = await apply({ vxlan: { ...vxlan, vni: 7 } });
    expect(other).toContain("link del vxlan-6784");
    expect(other).toContain("flood add 10.99.0.2");
    const expected = LINKS.replace("id 6784", "id 7").replace("local 10.99.0.1", "local 10.99.0.4");
    expect(await harness().render()).toBe(expected + REMOTE + SETS);
  });

  test("clear takes away all that was made, for containers, too, and may be called again", async () => {
    const routes = ["172.20.0.9"];
    await harness().kernel.apply(stateWith({ routes }));
    const path = harness().addNetns();
    await attach(path, { bandwidth: { egress: { rate: 1e6, burst: 1e6 } } });
    const devices = { bridge: "weave", vxlan: "vxlan-6784" };
    const removed = await harness().kernel.clear(devices);
    expect(removed).toEqual(expect.arrayContaining(["link del vxlan-6784", "link del weave"]));
    expect(removed).toContain("nft delete table inet weave");
    expect(await harness().render()).toBe("");
    expect(await harness().renderNetns(path)).toBe("");
    expect(await harness().kernel.clear(devices)).toEqual([]);
    // Also by a process that made nothing of it, and what was cleared can be made again.
    await harness().kernel.apply(stateWith());
    expect(await harness().render()).toBe(LINKS + REMOTE + SETS);
    await harness().restart();
    expect(await harness().kernel.clear(devices)).not.toEqual([]);
    expect(await harness().render()).toBe("");
  });
}
