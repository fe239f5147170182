import { describe, expect, it } from "vitest";
import type { AllocationRecord } from "../records.ts";
import type { PublishedPort } from "./attachment.ts";
import {
  changesHost,
  collide,
  holderOfPort,
  masqueradeOf,
  portMapsOf,
  portsOf,
  portText,
} from "./publish.ts";

const record = (containerId: string, rest: Partial<AllocationRecord> = {}): AllocationRecord => ({
  network: "weave",
  containerId,
  ifname: "eth0",
  addresses: ["10.32.0.5/12"],
  slot: "0",
  moment: { bootId: "b", bootMs: 1 },
  committed: true,
  ...rest,
});
const port = (hostPort: number, rest: Partial<PublishedPort> = {}): PublishedPort => ({
  protocol: "tcp",
  hostPort,
  containerPort: 80,
  ...rest,
});

describe("port maps", () => {
  it("lead to the first address of each family, where the host address is of that family", () => {
    const addresses = ["10.32.0.5/12", "10.32.0.6/12", "fd00::5/64"];
    const ports = [
      port(8080),
      port(8081, { hostAddress: "192.0.2.1" }),
      port(8082, { hostAddress: "0.0.0.0" }),
      port(8083, { hostAddress: "::", protocol: "udp" }),
    ];
    expect(portMapsOf([record("c1", { addresses, ports })])).toEqual([
      { protocol: "tcp", hostPort: 8080, address: "10.32.0.5", port: 80 },
      { protocol: "tcp", hostPort: 8080, address: "fd00::5", port: 80 },
      { protocol: "tcp", hostAddress: "192.0.2.1", hostPort: 8081, address: "10.32.0.5", port: 80 },
      { protocol: "tcp", hostPort: 8082, address: "10.32.0.5", port: 80 },
      { protocol: "udp", hostPort: 8083, address: "fd00::5", port: 80 },
    ]);
  });

  it("of an ADD under way lead nowhere yet, but are taken", () => {
    const records = [record("c1", { ports: [port(8080)], committed: false })];
    expect(portMapsOf(records)).toEqual([]);
    expect(holderOfPort(records, [port(8080)])?.record.containerId).toBe("c1");
  });
});

describe("ports of the bridge", () => {
  const link = (number: number) => ({ hostIfname: `vw${number}`, mac: `02:00:00:00:00:0${number}` });

  it("bear their MAC and the addresses of all their container's interfaces, of no other container's", () => {
    const records = [
      record("c1", { ...link(1), addresses: ["10.32.0.5/12", "fd00::5/64"], netns: "n1" }),
      record("c1", { ...link(2), ifname: "eth1", addresses: ["10.33.0.6/12"], netns: "n1", hairpin: false }),
      record("c2", { ...link(3), addresses: ["10.32.0.7/12"] }),
      record("c3", { addresses: ["10.32.0.8/12"] }),
    ];
    const addresses = ["10.32.0.5", "fd00::5", "10.33.0.6"];
    expect(portsOf(records)).toEqual([
      { name: "vw1", hairpin: true, mac: "02:00:00:00:00:01", addresses },
      { name: "vw2", hairpin: false, mac: "02:00:00:00:00:02", addresses },
      { name: "vw3", hairpin: true, mac: "02:00:00:00:00:03", addresses: ["10.32.0.7"] },
    ]);
  });
});

describe("two ports collide", () => {
  it.each<[boolean, Partial<PublishedPort>, Partial<PublishedPort>]>([
    [true, {}, {}],
    [true, {}, { hostAddress: "192.0.2.1" }],
    [true, { hostAddress: "0.0.0.0" }, { hostAddress: "192.0.2.1" }],
    [true, {}, { hostAddress: "::" }],
    [false, { hostAddress: "0.0.0.0" }, { hostAddress: "::" }],
    [false, { hostAddress: "192.0.2.1" }, { hostAddress: "192.0.2.2" }],
    [false, {}, { protocol: "udp" }],
    [false, {}, { hostPort: 8081 }],
  ])("%s: %j and %j", (expected, a, b) => {
    expect(collide(port(8080, a), port(8080, b))).toBe(expected);
    expect(collide(port(8080, b), port(8080, a))).toBe(expected);
  });
});

describe("masquerade", () => {
  it("by the word of each configuration, for the subnets of its addresses, once", () => {
    const records = [
      record("c1", { masquerade: false, addresses: ["10.32.4.5/24"] }),
      record("c2", { masquerade: false, addresses: ["10.32.4.6/24"] }),
      record("c3", { masquerade: true, addresses: ["172.20.0.2/16", "fd00::2/64"] }),
      record("c4"),
      record("c5", { masquerade: true, addresses: ["172.30.0.2/16"], committed: false }),
    ];
    expect(masqueradeOf(records)).toEqual({
      masquerade: ["172.20.0.0/16", "fd00::/64"],
      exempt: ["10.32.4.0/24"],
    });
  });
});

describe("bridge and firewall change", () => {
  const other = record("c2", { masquerade: false, addresses: ["10.32.0.9/12"] });

  it.each<[boolean, string, Partial<AllocationRecord>, AllocationRecord[]]>([
    [false, "with an address among others", {}, [other]],
    [true, "with ports", { ports: [port(80)] }, [other]],
    [true, "with a gateway", { gateways: ["10.32.0.1/12"] }, [other]],
    [true, "with the first word on masquerade", { masquerade: false }, []],
    [false, "not with the second", { masquerade: false }, [other]],
    [true, "with another word", { masquerade: true }, [other]],
    [true, "with a word on another subnet", { masquerade: false, addresses: ["10.33.0.5/16"] }, [other]],
    [true, "with a word nobody kept yet", { masquerade: false }, [{ ...other, committed: false }]],
  ])("%s: %s", (expected, _, rest, others) => {
    const one = record("c1", rest);
    expect(changesHost(one, [one, ...others])).toBe(expected);
  });
});

it("names a port for people", () => {
  expect(
    [port(53), port(53, { hostAddress: "192.0.2.1" }), port(53, { hostAddress: "fd00::1" })].map(portText),
  ).toEqual(["tcp 53", "tcp 192.0.2.1:53", "tcp [fd00::1]:53"]);
});
