// The golden results: one per version of the specification. A change here is a change of what every runtime
// reads.
import { expect, test } from "vitest";
import { type AddResult, renderResult } from "./render.ts";

const result: AddResult = {
  interfaces: [
    { name: "weave", mac: "02:b0:00:00:00:01" },
    { name: "vw60a05be8208b", mac: "02:00:00:00:00:01" },
    { name: "eth0", mac: "02:a0:0a:20:00:05", sandbox: "/var/run/netns/c 1", mtu: 1450 },
  ],
  ips: [
    { address: "10.32.0.5/12", gateway: "10.32.0.1", interface: 2 },
    { address: "10.40.0.5/16", interface: 2 },
    { address: "fd00::5/64", gateway: "fd00::1", interface: 2 },
  ],
  routes: [
    { dst: "0.0.0.0/0", gw: "10.32.0.1" },
    { dst: "::/0", gw: "fd00::1" },
  ],
  dns: { nameservers: ["10.32.0.1"] },
};

const families =
  '"ip4":{"ip":"10.32.0.5/12","gateway":"10.32.0.1","routes":[{"dst":"0.0.0.0/0","gw":"10.32.0.1"}]},' +
  '"ip6":{"ip":"fd00::5/64","gateway":"fd00::1","routes":[{"dst":"::/0","gw":"fd00::1"}]},"dns":{"nameservers":["10.32.0.1"]}}\n';
const interfaces = (mtu: string): string =>
  '"interfaces":[{"name":"weave","mac":"02:b0:00:00:00:01"},{"name":"vw60a05be8208b","mac":"02:00:00:00:00:01"},' +
  `{"name":"eth0","mac":"02:a0:0a:20:00:05","sandbox":"/var/run/netns/c 1"${mtu}}],`;
const tail =
  '"routes":[{"dst":"0.0.0.0/0","gw":"10.32.0.1"},{"dst":"::/0","gw":"fd00::1"}],"dns":{"nameservers":["10.32.0.1"]}}\n';
const versioned =
  '"ips":[{"version":"4","address":"10.32.0.5/12","gateway":"10.32.0.1","interface":2},' +
  '{"version":"4","address":"10.40.0.5/16","interface":2},{"version":"6","address":"fd00::5/64","gateway":"fd00::1","interface":2}],';
const unversioned = versioned.replaceAll(/"version":"[46]",/g, "");

test.each([
  ["0.1.0", families],
  ["0.2.0", families],
  ["0.3.0", interfaces("") + versioned + tail],
  ["0.3.1", interfaces("") + versioned + tail],
  ["0.4.0", interfaces("") + versioned + tail],
  ["1.0.0", interfaces("") + unversioned + tail],
  ["1.1.0", interfaces(',"mtu":1450') + unversioned + tail],
] as const)("version %s", (version, golden) => {
  expect(renderResult(result, version)).toBe(`{"cniVersion":"${version}",${golden}`);
});

test("without addresses of a family 0.2.0 has no member for it", () => {
  const v4 = { ...result, ips: result.ips.slice(0, 1), routes: [] };
  expect(JSON.parse(renderResult(v4, "0.2.0"))).toEqual({
    cniVersion: "0.2.0",
    ip4: { ip: "10.32.0.5/12", gateway: "10.32.0.1" },
    dns: { nameservers: ["10.32.0.1"] },
  });
});

test("address management alone has no interfaces", () => {
  const text = renderResult({ interfaces: [], ips: [{ address: "10.32.0.5/12" }], routes: [] }, "1.0.0");
  expect(text).toBe('{"cniVersion":"1.0.0","ips":[{"address":"10.32.0.5/12"}],"routes":[],"dns":{}}\n');
});

test("earlier plugins' results come first, keep what we do not know, and shift our indexes", () => {
  const { dns: _, ...ours } = result;
  const prevResult = {
    interfaces: [{ name: "lo", sandbox: "/var/run/netns/c 1", custom: true }],
    ips: [{ address: "127.0.0.1/8", interface: 0, version: "4" }],
    routes: [{ dst: "127.0.0.0/8" }],
    rest: { cniVersion: "0.4.0", dns: { domain: "prev" }, vendor: { x: 1 } },
  };
  expect(JSON.parse(renderResult({ ...ours, prevResult }, "0.4.0"))).toEqual({
    cniVersion: "0.4.0",
    vendor: { x: 1 },
    dns: { domain: "prev" },
    interfaces: [prevResult.interfaces[0], ...JSON.parse(renderResult(ours, "0.4.0")).interfaces],
    ips: [
      prevResult.ips[0],
      { version: "4", address: "10.32.0.5/12", gateway: "10.32.0.1", interface: 3 },
      { version: "4", address: "10.40.0.5/16", interface: 3 },
      { version: "6", address: "fd00::5/64", gateway: "fd00::1", interface: 3 },
    ],
    routes: [{ dst: "127.0.0.0/8" }, ...result.routes],
  });
  expect(JSON.parse(renderResult({ ...result, prevResult }, "0.4.0")).dns).toEqual(result.dns);
});
