import { describe, expect, it } from "vitest";
import { type Connections, nextHops, reachableFrom } from "./topology.ts";

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
