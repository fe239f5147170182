import { describe, expect, it } from "vitest";
import { explore } from "./topology.ts";

describe("explore", () => {
  it("routes through peers in between, and only over links both ends vouch for", () => {
    const topology = explore(
      "alice",
      ["bob"],
      new Map([
        ["bob", ["alice", "carol", "erin"]],
        ["carol", ["bob", "dave"]],
        ["dave", ["carol"]],
        ["erin", []], // does not vouch for its link to bob: it is gone
      ]),
    );
    expect([...topology.reachable].sort()).toEqual(["bob", "carol", "dave"]);
    expect(topology.nextHop.get("dave")).toBe("bob");
  });

  it("believes our own links before the neighbour's record has arrived", () => {
    expect([...explore("alice", ["bob"], new Map()).reachable]).toEqual(["bob"]);
  });
});
