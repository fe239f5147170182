import { describe, expect, it } from "vitest";
import { accessOf } from "./access.ts";

const LO = [{ address: "127.0.0.1", cidr: "127.0.0.1/8", internal: true }];
const at = (...cidrs: string[]) =>
  cidrs.map((cidr) => ({ address: cidr.replace(/\/.*/, ""), cidr, internal: false }));
const of = (host: string, interfaces: Record<string, ReturnType<typeof at>>) =>
  accessOf({ host, password: false }, { lo: LO, ...interfaces }, ["weave"]);

describe("who may come in", () => {
  it.each([
    ["only loopback", "*", {}, "host", []],
    ["a loopback address", "127.0.0.1", { eth0: at("192.0.2.1/24") }, "host", []],
    ["a private network", "*", { eth0: at("10.1.2.3/16") }, "networks", ["10.1.2.3/16"]],
    ["the last of a private network", "*", { eth0: at("172.31.0.1/16") }, "networks", ["172.31.0.1/16"]],
    ["the first that is none", "*", { eth0: at("172.32.0.1/16") }, "everywhere", ["172.32.0.1/16"]],
    ["shared address space", "*", { eth0: at("100.127.0.1/16") }, "networks", ["100.127.0.1/16"]],
    ["a unique local address", "*", { eth0: at("fd00::1/64") }, "networks", ["fd00::1/64"]],
    ["a global IPv6 address", "*", { eth0: at("2001:db8::1/64") }, "everywhere", ["2001:db8::1/64"]],
    [
      "one of each",
      "*",
      { a: at("10.0.0.1/8"), b: at("192.0.2.1/24") },
      "everywhere",
      ["10.0.0.1/8", "192.0.2.1/24"],
    ],
    [
      "the private one alone",
      "10.0.0.1",
      { a: at("10.0.0.1/8", "192.0.2.1/24") },
      "networks",
      ["10.0.0.1/8"],
    ],
    ["link scope besides another", "*", { a: at("fe80::1/64", "10.0.0.1/8") }, "networks", ["10.0.0.1/8"]],
    ["link scope alone", "*", { a: at("fe80::1/64") }, "networks", ["fe80::1/64"]],
    ["the overlay", "*", { weave: at("192.0.2.1/24") }, "host", []],
  ])("%s", (_, host, interfaces, reach, addresses) => {
    expect(of(host, interfaces)).toEqual({ password: false, reach, addresses });
  });
});
