import { describe, expect, test } from "vitest";
import { foreignIpam, parseIpamConfig, parseNetworkConfig } from "./config.ts";

const fault = (code: number, ...words: string[]): unknown =>
  expect.objectContaining({ code, message: expect.stringMatching(new RegExp(words.join(".*"))) });

test("an empty configuration: hairpin, the overlay's MTU, default subnet, default route", () => {
  expect(parseNetworkConfig({})).toEqual({
    isGateway: false,
    isDefaultGateway: false,
    hairpin: true,
    ipam: {},
  });
});

test("what the reference bridge plugin accepts is accepted", () => {
  const config = {
    ...{
      isGateway: true,
      isDefaultGateway: true,
      ipMasq: true,
      hairpinMode: false,
      mtu: 1400,
      promiscMode: false,
      vlan: 0,
    },
    ...{
      vlanTrunk: [],
      enabledad: true,
      capabilities: { ips: true },
      runtimeConfig: {},
      args: {},
      prevResult: {},
      somethingNew: [1],
    },
    dns: { nameservers: ["10.32.0.1"], search: null },
  };
  expect(parseNetworkConfig(config)).toMatchObject({
    ...{ isGateway: true, isDefaultGateway: true, ipMasq: true, hairpin: false, mtu: 1400 },
    dns: { nameservers: ["10.32.0.1"] },
    prevResult: { interfaces: [], ips: [], routes: [], rest: {} },
  });
});

describe("refused by key and value, code 2", () => {
  test.each([
    ["vlan", 100, "100"],
    ["vlanTrunk", [{ id: 7 }], "7"],
    ["promiscMode", true, "true"],
    ["macspoofchk", true, "true"],
    ["disableContainerInterface", true, "true"],
    ["portIsolation", true, "true"],
    ["ipam", { rangeStart: "10.32.0.9" }, "10.32.0.9"],
    ["ipam", { ranges: [[{ subnet: "10.32.0.0/24" }]] }, "10.32.0.0/24"],
    ["ipam", { routes: [{ dst: "10.0.0.0/8", mtu: 1300 }] }, "1300"],
  ])("%s %j", (key, value, shown) => {
    expect(() => parseNetworkConfig({ [key]: value })).toThrow(fault(2, key, shown) as Error);
  });
});

test("a gateway no host can have, a subnet without room, another backend: code 7", () => {
  const wrong: [Record<string, unknown>, string][] = [
    ...["0.0.0.0", "127.0.0.1", "224.0.0.1", "::1"].map((gateway): [Record<string, unknown>, string] => [
      { ipam: { gateway } },
      gateway,
    ]),
    [{ ipam: { routes: [{ dst: "10.0.0.0/8", gw: "0.0.0.0" }] } }, "gw"],
    [{ ipam: { subnet: "10.33.0.0/32" } }, "no room"],
    [{ ipam: { subnet: "fd00::/127" } }, "no room"],
    [{ ipMasqBackend: "ebtables" }, "ipMasqBackend"],
  ];
  for (const [config, words] of wrong)
    expect(() => parseNetworkConfig(config), words).toThrow(fault(7, words) as Error);
  parseNetworkConfig({ ipMasqBackend: "nftables", ipam: { subnet: "10.33.0.0/30" } });
});

describe("wrong values, code 7", () => {
  test.each([
    ["mtu", { mtu: "1400" }],
    ["mtu", { mtu: 67 }],
    ["mtu", { mtu: -1 }],
    ["hairpinMode", { hairpinMode: "yes" }],
    ["ipam", { ipam: "weave-ipam" }],
    ["ipam.subnet", { ipam: { subnet: "10.32.0.0" } }],
    ["ipam.gateway", { ipam: { gateway: "10.32.0.1/12" } }],
    ["routes\\[0\\].dst", { ipam: { routes: [{ dst: "everywhere" }] } }],
    ["routes\\[1\\]", { ipam: { routes: [{ dst: "10.0.0.0/8" }, { dst: "fd00::/8", gw: "10.32.0.1" }] } }],
    ["ipam.routes.0.dst", { ipam: { routes: [{ gw: "10.32.0.1" }] } }],
    ["dns.nameservers", { dns: { nameservers: "10.32.0.1" } }],
    ["prevResult.ips", { prevResult: { ips: 5 } }],
  ])("%s", (words, config) => {
    expect(() => parseNetworkConfig(config)).toThrow(fault(7, words) as Error);
  });
});

test("own address management: type absent, empty, null or weave-ipam", () => {
  for (const type of [undefined, "", null, "weave-ipam"])
    expect(parseNetworkConfig({ ipam: { type } }).ipam).toEqual({});
});

test("routes: absent and null mean the default route, empty means none", () => {
  expect(parseIpamConfig({ ipam: { routes: null } })).toEqual({});
  expect(parseIpamConfig({ ipam: { routes: [] } })).toEqual({ routes: [] });
  expect(
    parseIpamConfig({ ipam: { routes: [{ dst: "10.1.2.3/8" }, { dst: "0.0.0.0/0", gw: "10.32.0.9" }] } }),
  ).toEqual({
    routes: [{ dst: "10.0.0.0/8" }, { dst: "0.0.0.0/0", gw: "10.32.0.9" }],
  });
});

test("weave-ipam does not judge the fields of the plugin that called it", () => {
  expect(parseIpamConfig({ vlan: 100, ipam: { subnet: "10.40.0.7/16" } })).toEqual({
    subnet: "10.40.0.0/16",
  });
});

test("another plugin's part of the configuration is its own", () => {
  const ipam = { type: "host-local", subnet: 5, ranges: "x", rangeStart: "y", routes: "z" };
  expect(parseNetworkConfig({ ipam }).ipam).toEqual({ delegate: "host-local" });
  expect(() => parseNetworkConfig({ ipam: { type: "../x" } })).toThrow(fault(7, "ipam.type") as Error);
  expect(() => parseIpamConfig({ ipam })).toThrow(fault(2, "ipam.type", "host-local") as Error);
  expect(foreignIpam({ ipam })).toBe("host-local");
  for (const config of [{}, { ipam: "x" }, { ipam: { type: "weave-ipam" } }, { ipam: { type: "a/b" } }])
    expect(foreignIpam(config)).toBeUndefined();
});
