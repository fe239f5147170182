// Cases 30-34, 37-44, 55 and 56 of the contract: what a successful ADD makes and tells, on one host.
import { beforeAll, describe, expect, it } from "vitest";
import { isObject, type JsonObject, TestNamespace } from "../kernel/support/namespaces.ts";
import type { Container } from "../support/container.ts";
import type { Host } from "../support/host.ts";
import { failureOf } from "./errors.ts";
import { remainsOf } from "./remains.ts";
import { addressOf, listOf } from "./results.ts";
import { attachmentOf, useRig } from "./rig.ts";

describe("C. what ADD makes", () => {
  const rig = useRig();
  let host: Host;
  /** Of the bridge, without prefix. */
  let gateway: string;

  beforeAll(async () => {
    host = rig.host;
    gateway = (await host.status()).exposed[0]?.cidr.split("/")[0] ?? "";
  });

  async function link(pod: Container, ifname = "eth0"): Promise<JsonObject> {
    const [found] = await pod.namespace.json(`ip -d -j address show ${ifname}`);
    return found ?? {};
  }

  const routes = (pod: Container): Promise<JsonObject[]> => pod.namespace.json("ip -j route show");

  /** The port of the bridge that is the host end of a pod's interface. */
  async function port(pod: Container): Promise<{ link: JsonObject; port: JsonObject }> {
    const [found] = await host.namespace.json(`ip -d -j link show ${pod.hostIfname}`);
    const info = isObject(found?.["linkinfo"]) ? found["linkinfo"] : {};
    return { link: found ?? {}, port: isObject(info["info_slave_data"]) ? info["info_slave_data"] : {} };
  }

  it("case 30: the interface, its address, its routes, and lo as it was", async () => {
    const pod = rig.pod();
    const lo = await pod.namespace.run("ip address show lo");
    const attached = await rig.attach(pod);
    const eth0 = await link(pod);
    expect(eth0).toMatchObject({
      operstate: "UP",
      flags: expect.arrayContaining(["UP", "LOWER_UP"]),
      linkinfo: { info_kind: "veth" },
      addr_info: expect.arrayContaining([
        expect.objectContaining({ local: attached.address, prefixlen: 12, scope: "global" }),
      ]),
    });
    expect(await routes(pod)).toEqual([
      expect.objectContaining({ dst: "default", gateway, dev: "eth0" }),
      expect.objectContaining({ dst: "10.32.0.0/12", dev: "eth0", prefsrc: attached.address, scope: "link" }),
    ]);
    expect(await pod.namespace.run("ip address show lo")).toBe(lo);
    expect(await pod.pings(gateway)).toBe(true);
    await rig.detach(attached);
  });

  it("case 31: the host end is a forwarding port of the bridge before ADD returns, hairpin on", async () => {
    for (const hairpinMode of [undefined, true, false]) {
      const attached = await rig.attached(rig.network({ hairpinMode }));
      const end = await port(attached.pod);
      expect(end.link).toMatchObject({ operstate: "UP", master: "weave" });
      expect(end.port).toMatchObject({ state: "forwarding", hairpin: hairpinMode ?? true });
      await rig.detach(attached);
    }
  });

  it("case 32: interfaces are bridge, host end and container end, as the kernel has them", async () => {
    const pod = rig.pod();
    // The same namespace by its other name: the result has what the caller said, byte for byte.
    const attachment = { ...attachmentOf(pod), netns: `/var${pod.namespace.path}` };
    const network = rig.network();
    const result = await rig.cni.add(network, attachment);
    const [bridge] = await host.namespace.json("ip -j link show weave");
    expect(result["interfaces"]).toEqual([
      { name: "weave", mac: bridge?.["address"] },
      { name: pod.hostIfname, mac: (await port(pod)).link["address"] },
      { name: "eth0", mac: (await link(pod))["address"], sandbox: attachment.netns },
    ]);
    expect(listOf(result, "ips").map((ip) => ip["interface"])).toEqual([2]);
    await rig.cni.del(network, attachment);
  });

  it("case 33: the default route is told", async () => {
    const attached = await rig.attached();
    expect(attached.result["routes"]).toEqual([{ dst: "0.0.0.0/0", gw: gateway }]);
    await rig.detach(attached);
  });

  describe("case 34: mtu", () => {
    async function mtuWith(mtu: number | undefined): Promise<{ both: unknown[]; said: string }> {
      const attached = await rig.attached(rig.network({ cniVersion: "1.1.0", mtu }));
      const both = [(await link(attached.pod))["mtu"], (await port(attached.pod)).link["mtu"]];
      expect(listOf(attached.result, "interfaces")[2]).toMatchObject({ mtu: both[0] });
      const said = rig.cni.runs.at(-1)?.stderr ?? "";
      await rig.detach(attached);
      return { both, said };
    }

    it("is the overlay's, or a smaller one of the configuration", async () => {
      const { mtu } = (await host.status()).datapath;
      expect(await mtuWith(undefined)).toEqual({ both: [mtu, mtu], said: "" });
      expect(await mtuWith(0)).toMatchObject({ both: [mtu, mtu] });
      expect(await mtuWith(1300)).toEqual({ both: [1300, 1300], said: "" });
      expect(await mtuWith(mtu)).toEqual({ both: [mtu, mtu], said: "" });
    });

    // Declined: the contract has code 7 here.
    it("above the overlay's is lowered, with a warning on stderr", async () => {
      const { mtu } = (await host.status()).datapath;
      const { both, said } = await mtuWith(9000);
      expect(both).toEqual([mtu, mtu]);
      expect(said).toMatch(/^[^\n]*9000[^\n]*\n$/);
      expect(said).toContain(String(mtu));
    });

    it("below what IPv4 needs is refused", async () => {
      const failure = await failureOf(rig.attached(rig.network({ mtu: 67 })));
      expect(failure).toMatchObject({ code: 7, msg: expect.stringContaining("67") });
    });
  });

  describe("case 37: ipam.routes", () => {
    it("empty: no default route, in the container or in the result", async () => {
      const attached = await rig.attached(rig.network({ ipam: { routes: [] } }));
      expect((await routes(attached.pod)).map((route) => route["dst"])).toEqual(["10.32.0.0/12"]);
      expect(attached.result["routes"] ?? []).toEqual([]);
      await rig.detach(attached);
    });

    it("with and without gateway", async () => {
      const neighbour = await rig.attached();
      const ipam = {
        routes: [{ dst: "192.0.2.0/24" }, { dst: "203.0.113.7/24", gw: neighbour.address }],
      };
      const attached = await rig.attached(rig.network({ ipam }));
      expect(await routes(attached.pod)).toEqual([
        expect.objectContaining({ dst: "10.32.0.0/12" }),
        expect.objectContaining({ dst: "192.0.2.0/24", gateway }),
        expect.objectContaining({ dst: "203.0.113.0/24", gateway: neighbour.address }),
      ]);
      expect(attached.result["routes"]).toEqual([
        { dst: "192.0.2.0/24", gw: gateway },
        { dst: "203.0.113.0/24", gw: neighbour.address },
      ]);
      await rig.detach(attached);
      await rig.detach(neighbour);
    });

    it("with a gateway outside the subnet: reached over a route of its own", async () => {
      const outside = "192.0.2.9";
      await host.namespace.run(`ip address add ${outside}/32 dev weave`);
      const ipam = { routes: [{ dst: "203.0.113.0/24", gw: outside }] };
      const attached = await rig.attached(rig.network({ ipam }));
      expect(await routes(attached.pod)).toContainEqual(
        expect.objectContaining({ dst: outside, dev: "eth0" }),
      );
      expect(await attached.pod.pings(outside)).toBe(true);
      expect(listOf(attached.result, "routes").map((route) => route["dst"])).toContain("203.0.113.0/24");
      await rig.detach(attached);
      await host.namespace.run(`ip address del ${outside}/32 dev weave`);
    });
  });

  it("case 38: a configured gateway is honoured and told", async () => {
    const attached = await rig.attached(rig.network({ ipam: { gateway: "10.33.1.1" } }));
    expect(listOf(attached.result, "ips")).toEqual([expect.objectContaining({ gateway: "10.33.1.1" })]);
    expect(attached.result["routes"]).toEqual([{ dst: "0.0.0.0/0", gw: "10.33.1.1" }]);
    expect(await routes(attached.pod)).toContainEqual(
      expect.objectContaining({ dst: "default", gateway: "10.33.1.1" }),
    );
    await rig.detach(attached);
  });

  it("case 39: dns of the configuration comes back; none is an empty object", async () => {
    const dns = { nameservers: ["192.0.2.53"], domain: "d", search: ["a", "b"], options: ["ndots:5"] };
    const attached = await rig.attached(rig.network({ dns }));
    expect(attached.result["dns"]).toEqual(dns);
    await rig.detach(attached);
    const plain = await rig.attached();
    expect(plain.result["dns"] ?? {}).toEqual({});
    await rig.detach(plain);
  });

  it("case 40: an interface of that name: refused, left alone, nothing reserved", async () => {
    const before = await remainsOf(host);
    const pod = rig.pod();
    await pod.namespace.run("ip link add eth0 type veth peer name other");
    const placed = await link(pod);
    expect((await failureOf(rig.attach(pod))).code).toBe(100);
    expect(await link(pod)).toEqual(placed);
    expect(await remainsOf(host)).toEqual(before);
  });

  it("case 41: ADD twice: the second is refused and the first goes on", async () => {
    const attached = await rig.attached();
    const before = await remainsOf(host);
    const placed = await link(attached.pod);
    expect((await failureOf(rig.attach(attached.pod))).code).toBe(100);
    expect(await remainsOf(host)).toEqual(before);
    expect(await link(attached.pod)).toEqual(placed);
    expect(await attached.pod.pings(gateway)).toBe(true);
    await rig.detach(attached);
  });

  it("case 42: a second interface gets an address and a host end of its own", async () => {
    const before = await remainsOf(host);
    const attached = await rig.attached();
    // Without a second default route, which would be the same as the first.
    const network = rig.network({ ipam: { routes: [] } });
    const second = attachmentOf(attached.pod, "eth1");
    const result = await rig.cni.add(network, second);
    expect(addressOf(result)).not.toBe(attached.address);
    expect(await host.veths()).toHaveLength(2);
    expect(await link(attached.pod, "eth1")).toMatchObject({ operstate: "UP" });
    await rig.cni.del(network, second);
    await rig.detach(attached);
    expect(await remainsOf(host)).toEqual(before);
  });

  it("case 42: a second interface with the default configuration", async () => {
    const attached = await rig.attached();
    const second = attachmentOf(attached.pod, "eth1");
    const result = await rig.cni.add(attached.network, second);
    expect(addressOf(result)).not.toBe(attached.address);
    expect(await attached.pod.pings(gateway)).toBe(true);
    await rig.cni.del(attached.network, second);
    expect(await attached.pod.pings(gateway)).toBe(true);
    await rig.detach(attached);
  });

  it("case 43: ids that begin with the same twelve characters", async () => {
    const [first, second] = [rig.pod("first"), rig.pod("second")];
    const named = (pod: Container, end: string) => ({
      ...attachmentOf(pod),
      containerId: `0123456789ab${end}`,
    });
    const network = rig.network();
    const one = await rig.cni.add(network, named(first, "x"));
    const other = await rig.cni.add(network, named(second, "y"));
    expect(await host.veths()).toHaveLength(2);
    expect(await first.pings(addressOf(other))).toBe(true);
    await rig.cni.del(network, named(first, "x"));
    expect(await second.pings(gateway)).toBe(true);
    expect(await second.pings(addressOf(one))).toBe(false);
    await rig.cni.del(network, named(second, "y"));
  });

  it("case 44: another id with the same namespace and interface name is refused as case 40", async () => {
    const attached = await rig.attached();
    const before = await remainsOf(host);
    const stranger = { ...attached.attachment, containerId: "stranger" };
    expect((await failureOf(rig.cni.add(attached.network, stranger))).code).toBe(100);
    await rig.cni.del(attached.network, stranger);
    expect(await remainsOf(host)).toEqual(before);
    expect(await attached.pod.pings(gateway)).toBe(true);
    await rig.detach(attached);
  });

  it("case 55: a namespace with IPv6 switched off", async () => {
    const pod = rig.pod();
    for (const scope of ["all", "default"])
      await pod.namespace.run(`sysctl -qw net.ipv6.conf.${scope}.disable_ipv6=1`);
    const attached = await rig.attach(pod);
    expect(await pod.pings(gateway)).toBe(true);
    expect(await pod.namespace.run("sysctl -n net.ipv6.conf.eth0.disable_ipv6")).toBe("1\n");
    await rig.detach(attached);
  });
});

describe("C. what the first ADD of a host changes", () => {
  const rig = useRig({ expose: false });

  it("case 38: without a configured gateway the bridge gets an address and is the gateway", async () => {
    const { host } = rig;
    expect((await host.status()).exposed).toEqual([]);
    const attached = await rig.attached();
    const [exposed] = (await host.status()).exposed;
    const bridge = exposed?.cidr.split("/")[0] ?? "";
    expect(listOf(attached.result, "ips")).toEqual([expect.objectContaining({ gateway: bridge })]);
    expect(await attached.pod.pings(bridge)).toBe(true);
    await rig.detach(attached);
  });

  it("case 56: the kernel forwards for containers", async () => {
    const fresh = new TestNamespace("fresh");
    const untouched = await fresh.run("sysctl -n net.bridge.bridge-nf-call-iptables").catch(() => undefined);
    expect(await rig.host.namespace.run("sysctl -n net.ipv4.ip_forward")).toBe("1\n");
    // docs/sysctls.md: left as the administrator has it.
    if (untouched !== undefined) {
      expect(await rig.host.namespace.run("sysctl -n net.bridge.bridge-nf-call-iptables")).toBe(untouched);
    }
    fresh.remove();
  });
});
