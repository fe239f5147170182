// Laws of the planner, for any held and any desired state.
import fc from "fast-check";
import { expect, test } from "vitest";
import type { DatapathState } from "../../core/datapath/state.ts";
import { type Holding, nothingWanted, plan, record, type Wanted } from "./plan.ts";

const mac = fc.integer({ min: 0, max: 5 }).map((n) => `02:a0:00:00:00:0${n}`);
const vtep = fc.constantFrom("10.99.0.1", "10.99.0.2", "fd99::1", "FD99:0::1");
const address = fc.constantFrom("10.32.0.1", "10.32.0.2", "10.32.0.3", "fd32::1", "FD32:0::1");
const cidr = fc.constantFrom("10.32.0.1/12", "fd32::1/96", "192.0.2.1/24");

const state: fc.Arbitrary<DatapathState> = fc.record({
  bridge: fc.record({ name: fc.constant("weave"), mac, mtu: fc.constant(1450), addresses: fc.array(cidr) }),
  vxlan: fc.constant({ name: "vxlan-6784", vni: 1, port: 6784, local: "10.99.0.9" }),
  ports: fc.uniqueArray(
    fc.record({
      name: fc.constantFrom("vw1", "vw2"),
      hairpin: fc.constant(true),
      mac,
      addresses: fc.constant([]),
    }),
    { selector: ({ name }) => name },
  ),
  flood: fc.array(vtep),
  forwarding: fc.array(fc.record({ mac, vtep })),
  neighbours: fc.array(fc.record({ address, mac })),
  routes: fc.array(address),
  firewall: fc.constant({
    overlay: [],
    masquerade: [],
    exempt: [],
    portMaps: [],
    controlPort: 6783,
    controls: [],
  }),
  prune: fc.boolean(),
});

const canonicalVtep = fc.constantFrom("10.99.0.1", "10.99.0.2", "10.99.0.7", "fd99::1");
const holding: fc.Arbitrary<Holding> = fc
  .record({
    addresses: fc.array(cidr),
    flood: fc.array(canonicalVtep),
    self: fc.array(fc.tuple(mac, canonicalVtep)),
    master: fc.array(fc.tuple(mac, fc.record({ sticky: fc.boolean() }))),
    homes: fc.array(fc.tuple(mac, fc.constantFrom("vw1", "vw2", "vw3"))),
    neighbours: fc.array(fc.tuple(fc.constantFrom("10.32.0.1", "10.32.0.9", "fd32::1"), mac)),
    routes: fc.array(fc.constantFrom("10.32.0.1", "10.32.0.9", "fd32::1")),
  })
  .map((held) => ({
    addresses: new Set(held.addresses),
    flood: new Set(held.flood),
    self: new Map(held.self),
    master: new Map(held.master),
    homes: new Map(held.homes),
    neighbours: new Map(held.neighbours),
    routes: new Set(held.routes),
  }));

function carryOut(desired: DatapathState, held: Holding, wanted: Wanted): number {
  const { adds, deletes } = plan(desired, held, wanted);
  for (const step of [...adds, ...deletes]) record(step, held, wanted);
  return adds.length + deletes.length;
}

const snapshot = (held: Holding): unknown => structuredClone(held);

test("a plan carried out leaves nothing to do", () => {
  fc.assert(
    fc.property(state, holding, (desired, held) => {
      const wanted = nothingWanted();
      carryOut(desired, held, wanted);
      expect(carryOut(desired, held, wanted)).toBe(0);
    }),
  );
});

test("with prune only what is desired is left, whatever was held", () => {
  fc.assert(
    fc.property(state, holding, (desired, held) => {
      const fromNothing: Holding = {
        addresses: new Set(),
        flood: new Set(),
        self: new Map(),
        master: new Map(),
        homes: new Map(),
        neighbours: new Map(),
        routes: new Set(),
      };
      const pruning = { ...desired, prune: true };
      // Bridge addresses of other tools stay: compare without them.
      held.addresses.clear();
      carryOut(pruning, held, nothingWanted());
      carryOut(pruning, fromNothing, nothingWanted());
      for (const one of [held, fromNothing]) {
        expect(new Set(one.self.keys())).toEqual(new Set(desired.forwarding.map((entry) => entry.mac)));
      }
      const sorted = (map: ReadonlyMap<string, unknown>) => [...map].sort(([a], [b]) => (a < b ? -1 : 1));
      expect(sorted(held.self)).toEqual(sorted(fromNothing.self));
      expect(sorted(held.master)).toEqual(sorted(fromNothing.master));
      expect(sorted(held.neighbours)).toEqual(sorted(fromNothing.neighbours));
      expect([...held.flood].sort()).toEqual([...fromNothing.flood].sort());
    }),
  );
});

test("without prune a first plan deletes nothing but entries of MACs that live here", () => {
  fc.assert(
    fc.property(state, holding, (desired, held) => {
      const remote = new Set(desired.forwarding.map((entry) => entry.mac));
      for (const step of plan({ ...desired, prune: false }, held, nothingWanted()).deletes) {
        // What a port here had before its container had another MAC.
        if (step.kind === "home-del") {
          expect(desired.ports.map(({ name }) => name)).toContain(step.port);
          continue;
        }
        expect(step.kind).toBe("fdb-del");
        if (step.kind === "fdb-del") expect(remote.has(step.mac)).toBe(false);
      }
    }),
  );
});

test("what one state wanted and the next does not is deleted without prune", () => {
  fc.assert(
    fc.property(state, state, (first, second) => {
      const held: Holding = {
        addresses: new Set(),
        flood: new Set(),
        self: new Map(),
        master: new Map(),
        homes: new Map(),
        neighbours: new Map(),
        routes: new Set(),
      };
      const twin = {
        ...held,
        addresses: new Set<string>(),
        flood: new Set<string>(),
        self: new Map<string, string>(),
      };
      const other: Holding = {
        ...twin,
        master: new Map(),
        homes: new Map(),
        neighbours: new Map(),
        routes: new Set(),
      };
      const wanted = nothingWanted();
      carryOut({ ...first, prune: false }, held, wanted);
      carryOut({ ...second, prune: false }, held, wanted);
      carryOut({ ...second, prune: false }, other, nothingWanted());
      // Of a port that is not asked for any more nothing is deleted: it goes with its container.
      const asked = new Set(second.ports.map(({ name }) => name));
      for (const [mac, port] of held.homes) if (!asked.has(port)) held.homes.delete(mac);
      expect(snapshot(held)).toEqual(snapshot(other));
    }),
  );
});
