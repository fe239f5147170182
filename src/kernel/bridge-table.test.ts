// Who may announce what, as sets, and how the sets follow it.
import { expect, test } from "vitest";
import type { DatapathState } from "../core/datapath/state.ts";
import {
  BRIDGE_RULES,
  claimChanges,
  claimElement,
  claimsOf,
  noClaims,
  renderBridgeTable,
} from "./bridge-table.ts";

const state = (overrides: Partial<DatapathState>): DatapathState => ({
  bridge: { name: "weave", mac: "02:b0:00:00:00:01", mtu: 1450, addresses: [] },
  vxlan: { name: "vxlan-6784", vni: 1, port: 6784, local: "192.0.2.1" },
  ports: [],
  flood: [],
  forwarding: [],
  neighbours: [],
  routes: [],
  firewall: { overlay: [], masquerade: [], exempt: [], portMaps: [], controlPort: 6783, controls: [] },
  prune: true,
  ...overrides,
});

test("known is what has an endpoint or is the bridge's, home is what lives at a port here, link-local with it", () => {
  const claims = claimsOf(
    state({
      bridge: { name: "weave", mac: "02:b0:00:00:00:01", mtu: 1450, addresses: ["10.32.0.1/12"] },
      neighbours: [
        { address: "10.32.0.5", mac: "02:a0:0a:20:00:05" },
        { address: "FD32:0::5", mac: "02:a0:0a:20:00:05" },
        { address: "10.32.0.9", mac: "02:a0:0a:20:00:09" },
        { address: "nonsense", mac: "nonsense" },
      ],
      ports: [
        {
          name: "vw000000000001",
          hairpin: true,
          mac: "02:a0:0a:20:00:05",
          addresses: ["10.32.0.5", "FD32:0::5"],
        },
        { name: "vw000000000002", hairpin: true, addresses: ["10.32.0.7", "nonsense"] },
      ],
    }),
  );
  const listed = Object.entries(claims).map(([set, texts]) => [set, [...texts].sort()]);
  expect(Object.fromEntries(listed)).toEqual({
    known4: ["10.32.0.1", "10.32.0.5", "10.32.0.9"],
    homes4: ["vw000000000001 10.32.0.5", "vw000000000002 10.32.0.7"],
    known6: ["fd32::5", "fe80::a0:aff:fe20:5", "fe80::a0:aff:fe20:9", "fe80::b0:ff:fe00:1"],
    homes6: ["vw000000000001 fd32::5", "vw000000000001 fe80::a0:aff:fe20:5"],
  });
});

test("an element is the port's name, padded, and the address", () => {
  expect(claimElement("10.32.0.5").key.toString("hex")).toBe("0a200005");
  expect(claimElement("vw000000000001 10.32.0.5").key.toString("hex")).toBe(
    `${Buffer.from("vw000000000001").toString("hex")}00000a200005`,
  );
  expect(claimElement("vw000000000001 fd32::5").key.length).toBe(32);
});

test("what is few changes in one transaction, homes first and last", () => {
  const one = { ...noClaims(), known4: new Set(["10.32.0.5"]), homes4: new Set(["vw1 10.32.0.5"]) };
  const other = { ...noClaims(), known4: new Set(["10.32.0.6"]), homes4: new Set(["vw1 10.32.0.6"]) };
  expect(claimChanges(one, one)).toEqual([]);
  const [changes, ...more] = claimChanges(one, other);
  expect(more).toEqual([]);
  expect(changes?.map(({ set, add, remove }) => [set, add.length, remove.length])).toEqual([
    ["homes4", 1, 0],
    ["known4", 1, 0],
    ["known4", 0, 1],
    ["homes4", 0, 1],
  ]);
  expect(changes?.every(({ family }) => family === "bridge")).toBe(true);
});

test("what is much goes in several, none of which is too large for a message", () => {
  const addresses = Array.from({ length: 1200 }, (_, i) => `10.32.${i >> 8}.${i & 255}`);
  const many = {
    ...noClaims(),
    known4: new Set(addresses),
    homes4: new Set(addresses.map((address) => `vw000000000001 ${address}`)),
  };
  const transactions = claimChanges(noClaims(), many);
  expect(transactions.map((changes) => changes.map(({ set, add }) => [set, add.length]))).toEqual([
    [["homes4", 500]],
    [["homes4", 500]],
    [["homes4", 200]],
    [["known4", 500]],
    [["known4", 500]],
    [["known4", 200]],
  ]);
});

test("the table has as many rules as are counted", () => {
  const lines = renderBridgeTable("weave").split("\n");
  const rules = lines.filter((line) => /^\t\t(?!type )/.test(line));
  expect(rules).toHaveLength(BRIDGE_RULES);
});
