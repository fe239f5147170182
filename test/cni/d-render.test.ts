// Cases 59-67 of the contract: the result in the shape of each version, held against a schema of that version and
// against what the reference library makes of it.
import { beforeAll, describe, expect, it } from "vitest";
import { CNI_VERSIONS } from "../../cni-plugin/versions.ts";
import { isObject, type JsonObject } from "../kernel/support/namespaces.ts";
import type { Host } from "../support/host.ts";
import { convertResult } from "../support/libcni/convert.ts";
import { RESULT_SCHEMAS } from "../support/libcni/schema.ts";
import { remainsOf } from "./remains.ts";
import { listOf } from "./results.ts";
import { attachmentOf, useRig, type Wishes } from "./rig.ts";

const NOTHING: { readonly json: JsonObject; readonly stdout: string } = { json: {}, stdout: "" };

describe("D. the result in every version", () => {
  const rig = useRig();
  let host: Host;
  let gateway: string;

  beforeAll(async () => {
    host = rig.host;
    gateway = (await host.status()).exposed[0]?.cidr.split("/")[0] ?? "";
  });

  /** What the plugin printed, before the library read it. */
  async function printed(cniVersion: string | undefined, config: JsonObject = {}, wishes: Wishes = {}) {
    const pod = rig.pod();
    const attachment = attachmentOf(pod, "eth0", wishes);
    const network = rig.network({ cniVersion, ...config });
    const read = await rig.cni.add(network, attachment);
    const { json, stdout } = rig.cni.runs.at(-1) ?? NOTHING;
    await rig.cni.del(network, attachment);
    return { pod, json, read, stdout };
  }

  const CASES = [
    { number: 59, version: undefined, answered: "0.1.0" as const },
    ...CNI_VERSIONS.map((version, index) => ({
      number: Math.min(60 + index, 65),
      version,
      answered: version,
    })),
  ];

  it.each(CASES)("case $number: version $version", async ({ version, answered }) => {
    const before = await remainsOf(host);
    const { pod, json, read } = await printed(version);
    expect(RESULT_SCHEMAS[answered].parse(json)).toEqual(json);
    expect(json["cniVersion"]).toBe(answered);
    expect(await remainsOf(host)).toEqual(before);
    const route = { dst: "0.0.0.0/0", gw: gateway };
    if (answered < "0.3.0") {
      expect(json).toMatchObject({
        ip4: { ip: expect.stringMatching(/^10\..*\/12$/), gateway, routes: [route] },
      });
      expect(json).not.toHaveProperty("interfaces");
      expect(json).not.toHaveProperty("ips");
    } else {
      const version4 = answered < "1.0.0" ? { version: "4" } : {};
      expect(json["ips"]).toEqual([
        { ...version4, address: expect.stringMatching(/\/12$/), gateway, interface: 2 },
      ]);
      expect(listOf(json, "interfaces").map((link) => link["sandbox"])).toEqual([
        undefined,
        undefined,
        pod.namespace.path,
      ]);
      expect(json["routes"]).toEqual([route]);
    }
    if (answered === "1.1.0") expect(listOf(json, "interfaces")[2]).toHaveProperty("mtu");
    else expect(JSON.stringify(json)).not.toContain("mtu");
    // The library loses nothing of it, and to every other version and back the addresses survive.
    expect(convertResult(read, answered)).toEqual(convertResult(json, answered));
    for (const other of CNI_VERSIONS) {
      const back = convertResult(convertResult(json, other), answered);
      expect(addresses(back)).toEqual(addresses(json));
      // The library's types of 1.0.0 have the members that came with 1.1.0.
      if (other !== "1.0.0") RESULT_SCHEMAS[other].parse(convertResult(json, other));
    }
  });

  it("case 66: two IPv4 addresses: all of them in lists, only the first at 0.2.0", async () => {
    const ips = ["10.42.0.1", "10.42.0.2"];
    const capabilities = { capabilities: { ips: true } };
    const lists = await printed("1.0.0", capabilities, { capabilityArgs: { ips } });
    expect(addresses(lists.json)).toEqual(["10.42.0.1/12", "10.42.0.2/12"]);
    const families = await printed("0.2.0", capabilities, { capabilityArgs: { ips } });
    expect(families.json).toMatchObject({ ip4: { ip: "10.42.0.1/12" } });
    expect(families.stdout).not.toContain("10.42.0.2");
  });

  it("case 67: addresses keep their host bits and their prefix", async () => {
    const args: Wishes = { args: [["IP", "10.42.3.4/20"]] };
    expect(addresses((await printed("1.0.0", {}, args)).json)).toEqual(["10.42.3.4/20"]);
    expect(addresses((await printed("0.2.0", {}, args)).json)).toEqual(["10.42.3.4/20"]);
  });
});

function addresses(result: JsonObject): unknown[] {
  const families = [result["ip4"], result["ip6"]].filter(isObject).map(({ ip }) => ip);
  return [...listOf(result, "ips").map(({ address }) => address), ...families];
}
