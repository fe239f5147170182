import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { HostFacts } from "../ports/kernel.ts";
import { preferredUnderlay, watchUnderlay } from "./underlay.ts";

const facts = (addresses: readonly [dev: string, address: string][], defaultAt?: string): HostFacts => ({
  routes: [],
  addresses: addresses.map(([dev, address]) => ({ dev, address, mtu: 1500 })),
  ...(defaultAt === undefined ? {} : { defaultSource: { address: defaultAt, mtu: 1500 } }),
  missing: [],
});

it.each([
  [
    "that of the default route",
    [
      ["eth0", "192.0.2.1"],
      ["eth1", "192.0.2.2"],
    ],
    "192.0.2.2",
    "192.0.2.2",
  ],
  [
    "the first one without one",
    [
      ["eth0", "192.0.2.1"],
      ["eth1", "192.0.2.2"],
    ],
    undefined,
    "192.0.2.1",
  ],
  [
    "never that of the overlay",
    [
      ["weave", "10.32.0.1"],
      ["eth1", "192.0.2.2"],
    ],
    undefined,
    "192.0.2.2",
  ],
  ["IPv4 first", [["eth0", "192.0.2.1"]], "2001:db8::1", "192.0.2.1"],
  ["IPv6 where there is nothing else", [["eth0", "2001:db8::1"]], undefined, "2001:db8::1"],
  ["none", [], undefined, undefined],
] as const)("prefers %s", (_, addresses, defaultAt, chosen) => {
  expect(preferredUnderlay(facts(addresses as never, defaultAt), "weave")?.address).toBe(chosen);
});

const told: unknown[] = [];
let list = "eth0 192.0.2.1";
let host = facts([["eth0", "192.0.2.1"]]);
let inspections = 0;
let linkMtu: number | undefined;
let watch: { close(): void };
const warnings: string[] = [];

beforeEach(() => {
  vi.useFakeTimers();
  told.length = 0;
  warnings.length = 0;
  inspections = 0;
  linkMtu = undefined;
  list = "eth0 192.0.2.1";
  host = facts([["eth0", "192.0.2.1"]]);
  const log = { debug() {}, info() {}, error() {}, warn: (text: string) => void warnings.push(text) };
  watch = watchUnderlay(
    {
      bridge: "weave",
      inspect: async () => {
        inspections++;
        if (list === "broken") throw new Error("netlink");
        return host;
      },
      linkMtu: async () => linkMtu,
      current: () => "192.0.2.1",
      changed: (addresses, underlay, mtu) => told.push({ addresses, underlay, mtu }),
      log,
    },
    { list: () => list, interfaceAt: (address) => (address === "192.0.2.1" ? "eth0" : undefined) },
  );
});
afterEach(() => {
  watch.close();
  vi.useRealTimers();
});

it("asks the kernel only when the list is another, and tells what it is reached at", async () => {
  await vi.advanceTimersByTimeAsync(60_000);
  expect(inspections).toBe(0);
  list = "eth0 192.0.2.9";
  host = facts([["eth0", "192.0.2.9"]]);
  await vi.advanceTimersByTimeAsync(10_000);
  expect([inspections, told]).toEqual([1, [{ addresses: ["192.0.2.9"], underlay: "192.0.2.9", mtu: 1500 }]]);
});

it("keeps the address it has while the host has it, and when it has none at all", async () => {
  list = "more";
  host = facts(
    [
      ["eth0", "192.0.2.1"],
      ["eth1", "192.0.2.9"],
    ],
    "192.0.2.9",
  );
  await vi.advanceTimersByTimeAsync(2_000);
  list = "none";
  host = facts([["weave", "10.32.0.1"]]);
  await vi.advanceTimersByTimeAsync(2_000);
  expect(told).toEqual([
    { addresses: ["192.0.2.1", "192.0.2.9"], underlay: "192.0.2.1", mtu: 1500 },
    { addresses: ["10.32.0.1"], underlay: "192.0.2.1", mtu: undefined },
  ]);
});

it("asks again after a failure, and not once it is closed", async () => {
  list = "broken";
  await vi.advanceTimersByTimeAsync(6_000);
  expect([inspections, warnings.length]).toEqual([3, 3]);
  list = "eth0 192.0.2.9";
  await vi.advanceTimersByTimeAsync(2_000);
  expect(told).toHaveLength(1);
  watch.close();
  list = "eth0 192.0.2.10";
  await vi.advanceTimersByTimeAsync(10_000);
  expect(told).toHaveLength(1);
});

it("tells when the interface of that address carries more or less, and only then", async () => {
  linkMtu = 1500; // as it is at the first look: told once, the core knows it
  await vi.advanceTimersByTimeAsync(10_000);
  expect([inspections, told.length]).toEqual([1, 1]);
  linkMtu = 1400;
  host = { ...host, addresses: [{ dev: "eth0", address: "192.0.2.1", mtu: 1400 }] };
  await vi.advanceTimersByTimeAsync(10_000);
  expect(inspections).toBe(2);
  expect(told[1]).toEqual({ addresses: ["192.0.2.1"], underlay: "192.0.2.1", mtu: 1400 });
});
