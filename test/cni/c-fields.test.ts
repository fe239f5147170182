// Fields of the configuration that say how a container is connected (section 4 of the contract), where the cases of
// ADD do not: bridge, ipMasq, isGateway, isDefaultGateway, ipam.type, dns and what runtimes put beside.
import { beforeAll, describe, expect, it } from "vitest";
import type { JsonObject, TestNamespace } from "../kernel/support/namespaces.ts";
import type { Host } from "../support/host.ts";
import { capitalised } from "../support/libcni/libcni.ts";
import { expectError, failureOf } from "./errors.ts";
import { remainsOf } from "./remains.ts";
import { listOf } from "./results.ts";
import { type Attached, useRig } from "./rig.ts";

describe("fields of the configuration", () => {
  const rig = useRig();
  let host: Host;
  let outside: { readonly namespace: TestNamespace; readonly address: string };

  beforeAll(async () => {
    host = rig.host;
    outside = await rig.lab.addOutsider();
  });

  const said = (): string => rig.cni.runs.at(-1)?.stderr ?? "";
  const attach = (config: JsonObject): Promise<Attached> => rig.attached(rig.network(config));
  const destinations = async ({ pod }: Attached): Promise<unknown[]> =>
    (await pod.namespace.json("ip -j route show")).map(({ dst }) => dst);

  it("bridge: containers join the overlay's, a warning tells of another name, none is made", async () => {
    const quiet = await attach({ bridge: "weave" });
    expect(said()).toBe("");
    const attached = await attach({ bridge: "cni0" });
    expect(said()).toMatch(/^[^\n]*"cni0"[^\n]*weave[^\n]*\n$/);
    expect(listOf(attached.result, "interfaces")[0]).toMatchObject({ name: "weave" });
    expect(await attached.pod.pings(quiet.address)).toBe(true);
    expect(await host.namespace.succeeds("ip link show cni0")).toBe(false);
    for (const one of [attached, quiet]) await rig.detach(one);
  });

  it("ipMasq: absent, the bridge's subnet is masqueraded; false exempts its own while the container lives", async () => {
    const subnet = { ipam: { subnet: "10.44.0.0/24" } };
    const first = await attach(subnet); // exposes the bridge there
    const usual = await remainsOf(host);
    expect(await first.pod.pings(outside.address)).toBe(true);
    const exempt = await attach({ ...subnet, ipMasq: false });
    // The outsider has no route to the overlay: without masquerade nothing comes back.
    expect(await exempt.pod.pings(outside.address)).toBe(false);
    await rig.detach(exempt);
    expect((await remainsOf(host)).firewall).toBe(usual.firewall.replaceAll(exempt.address, ""));
    expect(await first.pod.pings(outside.address)).toBe(true);
    await rig.detach(first);
  });

  it("isGateway: the bridge has an address though no route needs one", async () => {
    const ipam = { subnet: "10.44.1.0/24", routes: [] };
    const attached = await attach({ ipam, isGateway: true });
    const gateway = String(listOf(attached.result, "ips")[0]?.["gateway"]);
    expect(gateway).toMatch(/^10\.44\.1\./);
    expect(await attached.pod.pings(gateway)).toBe(true);
    expect(await destinations(attached)).toEqual(["10.44.1.0/24"]);
    await rig.detach(attached);
  });

  it("isDefaultGateway: a default route beside those that are listed", async () => {
    const ipam = { routes: [{ dst: "192.0.2.0/24" }] };
    const attached = await attach({ ipam, isDefaultGateway: true });
    expect(await destinations(attached)).toEqual(["default", "10.32.0.0/12", "192.0.2.0/24"]);
    await rig.detach(attached);
    const listed = await attach({ ipam });
    expect(await destinations(listed)).toEqual(["10.32.0.0/12", "192.0.2.0/24"]);
    await rig.detach(listed);
  });

  it.each([undefined, "", "weave-ipam"])("ipam.type %j is our own", async (type) => {
    const attached = await attach({ ipam: { type } });
    expect(attached.address).toMatch(/^10\.(3[2-9]|4[0-7])\./);
    await rig.detach(attached);
  });

  it("ipam.subnet: the address is inside it, and outside the range it is refused", async () => {
    const attached = await attach({ ipam: { subnet: "10.44.2.0/28", routes: [] } });
    expect(listOf(attached.result, "ips")[0]).toMatchObject({
      address: expect.stringMatching(/^10\.44\.2\.\d+\/28$/),
    });
    await rig.detach(attached);
    expect((await failureOf(attach({ ipam: { subnet: "192.0.2.0/24" } }))).code).toBe(7);
    expect((await failureOf(attach({ ipam: { subnet: "10.32.0.0/8" } }))).code).toBe(7);
  });

  it.each([
    ["mtu", 1400],
    ["advmss", 1200],
    ["priority", 7],
    ["table", 100],
    ["scope", 253],
  ])("ipam.routes with %s: code 2 with key and value", async (key, value) => {
    const ipam = { routes: [{ dst: "192.0.2.0/24", [key]: value }] };
    expectError((await failureOf(attach({ ipam }))).run, 2, key, String(value));
  });

  it.each([
    ["as kubelet sends it", (one: JsonObject) => one],
    ["as containerd sends it", (one: JsonObject) => capitalised(one)],
  ])("dns of the runtime, %s, comes before that of the configuration", async (_, mangled) => {
    const network = rig.network({
      capabilities: { dns: true },
      dns: { nameservers: ["192.0.2.1"], domain: "d" },
    });
    const dns = { servers: ["192.0.2.53"], searches: ["a.example"], options: ["ndots:5"] };
    const attached = await rig.attached(network, { capabilityArgs: mangled({ dns }) });
    expect(attached.result["dns"]).toEqual({
      domain: "d",
      nameservers: ["192.0.2.53"],
      search: ["a.example"],
      options: ["ndots:5"],
    });
    await rig.detach(attached);
  });

  it("capabilities nobody knows, or of other plugins, are passed over", async () => {
    const capabilities = {
      aliases: true,
      ipRanges: true,
      cgroupPath: true,
      "io.kubernetes.cri.pod-annotations": true,
    };
    const capabilityArgs = {
      aliases: { weave: ["alias", "0123456789ab"] },
      ipRanges: [[{ subnet: "10.44.0.0/24" }]],
      cgroupPath: "/kubepods/x",
      "io.kubernetes.cri.pod-annotations": { a: "b" },
    };
    const attached = await rig.attached(rig.network({ capabilities }), { capabilityArgs });
    expect(said()).toBe("");
    await rig.detach(attached);
  });
});
