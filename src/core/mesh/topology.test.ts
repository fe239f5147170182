import { describe, expect, it } from "vitest";
import { seededRandom } from "../random.ts";
import { type Connections, nextHops, nextTo, reachableFrom, treeFrom } from "./topology.ts";

const said = (links: Readonly<Record<string, readonly string[]>>): Connections =>
  new Map(Object.entries(links).map(([name, of]) => [name, { links: of }]));

/** alice - bob - carol - dave; erin does not vouch for her link to bob: it is gone. */
const CHAIN = said({
  bob: ["alice", "carol", "erin"],
  carol: ["bob", "dave"],
  dave: ["carol"],
  erin: [],
});

describe("reachableFrom and nextHops", () => {
  it("lead through peers in between, and only over links both ends vouch for", () => {
    expect([...reachableFrom("alice", ["bob"], CHAIN)].sort()).toEqual(["bob", "carol", "dave"]);
    expect([...nextHops("alice", ["bob"], CHAIN)]).toEqual([
      ["bob", "bob"],
      ["carol", "bob"],
      ["dave", "bob"],
    ]);
  });

  it("take the shortest way", () => {
    const ring = said({ bob: ["alice", "carol"], carol: ["bob", "dave"], dave: ["carol", "alice"] });
    expect(nextHops("alice", ["dave", "bob"], ring).get("dave")).toBe("dave");
  });

  it("believe our own links before the neighbour's record has arrived", () => {
    expect([...reachableFrom("alice", ["bob"], new Map())]).toEqual(["bob"]);
    expect(nextHops("alice", ["bob"], new Map()).get("bob")).toBe("bob");
  });
});

describe("the tree for changes", () => {
  /** Peers with a link to each of the pairs, sorted as records are. */
  const linked = (pairs: readonly (readonly [number, number])[]): Connections => {
    const links: Record<string, string[]> = {};
    for (const [a, b] of pairs)
      for (const [from, to] of [
        [`p${a}`, `p${b}`],
        [`p${b}`, `p${a}`],
      ] as const)
        links[from] = [...new Set([...(links[from] ?? []), to])].sort();
    return said(links);
  };

  it.each([1, 2, 3])(
    "reaches everybody on one way, and who is next to whom both ends say (seed %i)",
    (seed) => {
      const random = seededRandom(seed);
      const count = 60;
      const pairs = Array.from({ length: count - 1 }, (_, i) => [i + 1, random.below(i + 1)] as const);
      const more = Array.from({ length: 40 }, () => [random.below(count), random.below(count)] as const);
      const connections = linked([...pairs, ...more.filter(([a, b]) => a !== b)]);
      const tree = treeFrom("p0", connections);
      expect(tree.size).toBe(count);
      const edges = [...tree.keys()].flatMap((name) => [...nextTo(name, tree)].map((other) => [name, other]));
      expect(edges).toHaveLength(2 * (count - 1));
      for (const [name = "", other = ""] of edges) {
        expect(nextTo(other, tree)).toContain(name);
        expect(connections.get(name)?.links).toContain(other);
      }
    },
  );

  it("gives a hub no more than eight to pass changes on to, where others can", () => {
    const spokes = Array.from({ length: 20 }, (_, i) => [0, i + 1] as const);
    const rim = Array.from({ length: 20 }, (_, i) => [i + 1, ((i + 1) % 20) + 1] as const);
    const wheel = treeFrom("p0", linked([...spokes, ...rim]));
    expect(wheel.size).toBe(21);
    expect(nextTo("p0", wheel).size).toBe(8);
    const star = treeFrom("p0", linked(spokes));
    expect(nextTo("p0", star).size).toBe(20);
  });

  it("leaves out who does not vouch for the link, and who cannot be reached", () => {
    expect([...treeFrom("bob", CHAIN).keys()].sort()).toEqual(["bob", "carol", "dave"]);
    expect([...treeFrom("zoe", CHAIN)]).toEqual([["zoe", undefined]]);
  });
});
