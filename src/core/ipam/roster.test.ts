import { describe, expect, it } from "vitest";
import type { PeerRecord } from "../mesh/peer-record.ts";
import type { Configuration } from "./configuration.ts";
import { Roster } from "./roster.ts";

const record = (nickname: string): PeerRecord => ({
  nickname,
  uid: "",
  incarnation: `disk of ${nickname}`,
  joined: 1,
  software: "",
  underlay: "192.0.2.1",
  port: 6783,
  mtu: 1450,
  links: [],
});

const c: Configuration = {
  cluster: "c",
  epoch: 2,
  voters: ["a", "b", "d"].map((name) => ({ name, incarnation: "x" })),
};

/** This host is "a"; names are letters, nicknames hosts. */
function roster(reachable: readonly string[], records = { a: "h1", b: "h2", d: "h2", e: "h5" }): Roster {
  return new Roster(
    {
      self: { name: "a", incarnation: "x" },
      records: () => new Map(Object.entries(records).map(([name, nickname]) => [name, record(nickname)])),
      reachable: () => new Set(reachable),
      unreachable: () => new Map([["b", 1_000]]),
      owners: () => [],
      label: (peer) => peer,
    },
    () => c,
  );
}

describe("whom an operator means", () => {
  it.each([
    ["a name", ["e"], { names: ["e"] }],
    ["a nickname", ["h5"], { names: ["e"] }],
    ["several", ["b", "h5"], { names: ["b", "e"] }],
  ])("%s", (_, texts, expected) => {
    expect(roster([]).resolve(texts)).toEqual(expected);
  });

  it.each([
    ["a nickname two have", "h2", "ambiguous-peer"],
    ["nobody", "h9", "unknown-peer"],
    ["nothing", "", "unknown-peer"],
    ["this host", "h1", "bad-request"],
  ])("%s is refused", (_, text, code) => {
    expect(roster([]).resolve([text])).toMatchObject({ ok: false, code });
  });

  it("one that answers is removed by its name alone, which the refusal tells", () => {
    const refused = roster(["e"]).resolve(["h5"]);
    expect(refused).toMatchObject({ code: "bad-request", hint: expect.stringContaining("weave rmpeer e") });
    expect(roster(["e"]).resolve(["e"])).toEqual({ names: ["e"] });
  });

  it("one that was removed is found until its nickname is another's", () => {
    const known = roster([]);
    known.noteGone("z", "h9");
    known.noteGone("y", "h5");
    expect([known.resolve(["z"]), known.resolve(["h9"])]).toEqual([{ names: ["z"] }, { names: ["z"] }]);
    expect(known.resolve(["h5"])).toEqual({ names: ["e"] });
  });
});

it("a decision that lacks voters says how many, whom, and for how long", () => {
  expect(roster(["d"]).hasQuorum()).toBe(true);
  expect(roster([]).hasQuorum()).toBe(false);
  expect(roster([]).lack(31_000)).toBe("2 of the 3 voters must agree; not reachable: b (for 30 s), d");
  expect(roster([]).lack(1_000 + 3 * 3_600_000)).toContain("b (for 3 h)");
});
