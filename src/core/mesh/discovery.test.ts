import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { dispensable, sought } from "./discovery.ts";
import type { PeerRecord } from "./peer-record.ts";
import { reachableFrom } from "./topology.ts";

const record = (links: readonly string[], rest: Partial<PeerRecord> = {}): PeerRecord => ({
  nickname: "",
  uid: "",
  software: "",
  incarnation: "disk",
  underlay: "192.0.2.1",
  port: 6783,
  mtu: 1450,
  links: [...links],
  ...rest,
});

/** What a host "m" seeks among these. */
function sees(
  records: Readonly<Record<string, PeerRecord>>,
  rest: {
    linked?: readonly string[];
    limit?: number;
    gone?: readonly string[];
    apart?: readonly string[];
  } = {},
) {
  const { linked = [], limit = 32, gone = [], apart = [] } = rest;
  return sought({
    self: "m",
    port: 6783,
    records: new Map([["m", record([])], ...Object.entries(records)]),
    reachable: new Set(Object.keys(records).filter((name) => !apart.includes(name))),
    linked,
    limit,
    isMember: (name) => !gone.includes(name),
  });
}
const names = (found: readonly { readonly name: string }[]): string[] => found.map(({ name }) => name).sort();

describe("sought", () => {
  it("are all that are not connected, by address and port as a target is written", () => {
    const found = sees(
      {
        a: record([]),
        b: record([], { underlay: "192.0.2.2" }),
        c: record([], { underlay: "192.0.2.3", port: 7000 }),
        d: record([], { underlay: "2001:db8::4" }),
        e: record([], { underlay: "2001:db8::5", port: 7000 }),
      },
      { linked: ["a"] },
    );
    expect(found.map(({ address }) => address)).toEqual([
      "192.0.2.2",
      "192.0.2.3:7000",
      "2001:db8::4",
      "[2001:db8::5]:7000",
    ]);
  });

  it("is nobody who was removed, with a path or without", () => {
    expect(sees({ a: record([]), b: record([]) }, { gone: ["a", "b"], apart: ["b"] })).toEqual([]);
  });

  it("leave room at the limit, and leave alone who is full", () => {
    const many = Object.fromEntries(
      Array.from({ length: 20 }, (_, i) => [`p${i}`, record([], { underlay: `192.0.2.${i}` })]),
    );
    expect(sees(many, { limit: 8 })).toHaveLength(6);
    expect(sees(many, { limit: 8, linked: ["p1", "p2", "p3", "p4"] })).toHaveLength(2);
    expect(sees(many, { limit: 20 })).toHaveLength(20);
    const full = Object.fromEntries(
      Object.entries(many).map(([name, r]) => [name, { ...r, links: ["x", "y"], limit: 2 }]),
    );
    expect(sees(full)).toEqual([]);
  });

  it("are all without a path, whatever the limit", () => {
    const records = { a: record(["x", "y"], { limit: 2 }), b: record([]), c: record([]) };
    const found = sees(records, { limit: 1, linked: ["c"], apart: ["a", "b"] });
    expect(names(found)).toEqual(["a", "b"]);
    expect(found.every(({ urgent }) => urgent)).toBe(true);
  });

  it("are others for everybody, and the same again for one", () => {
    const many = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`p${i}`, record([])]));
    const choice = (self: string): string =>
      names(
        sought({
          self,
          port: 1,
          records: new Map(Object.entries(many)),
          reachable: new Set(Object.keys(many)),
          linked: [],
          limit: 8,
          isMember: () => true,
        }),
      ).join();
    expect(choice("x")).toBe(choice("x"));
    expect(new Set(["u", "v", "w", "x", "y"].map(choice)).size).toBe(5);
  });
});

describe("dispensable", () => {
  const of = (links: Readonly<Record<string, readonly string[]>>) =>
    new Map(Object.entries(links).map(([name, of]) => [name, record(of)]));

  it("is who can be reached without us", () => {
    const records = of({ a: ["m", "b"], b: ["m", "a"], c: ["m"] });
    const linked = ["a", "b", "c"];
    expect(dispensable({ self: "m", records, linked, limit: 2 }, ["c", "a", "b"])).toEqual(["a"]);
    expect(dispensable({ self: "m", records, linked, limit: 1 }, ["c", "a", "b"])).toEqual(["a"]);
    expect(dispensable({ self: "m", records, linked, limit: 3 }, ["c", "a", "b"])).toEqual([]);
  });

  it("never takes a path from anybody", () => {
    const names = ["a", "b", "c", "d", "e", "f"];
    const graphs = fc.array(fc.tuple(fc.constantFrom("m", ...names), fc.constantFrom(...names)), {
      maxLength: 20,
    });
    fc.assert(
      fc.property(graphs, fc.integer({ min: 1, max: 4 }), (edges, limit) => {
        const links = (name: string): string[] => [
          ...new Set(edges.flatMap(([x, y]) => (x === name ? [y] : y === name ? [x] : []))),
        ];
        const records = of(Object.fromEntries(["m", ...names].map((name) => [name, links(name)])));
        const linked = links("m");
        const spared = new Set(dispensable({ self: "m", records, linked, limit }, linked));
        const kept = linked.filter((name) => !spared.has(name));
        expect(reachableFrom("m", kept, records)).toEqual(reachableFrom("m", linked, records));
        expect(kept.length).toBeGreaterThanOrEqual(Math.min(limit, linked.length));
      }),
    );
  });
});
