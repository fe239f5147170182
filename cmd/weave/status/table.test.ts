// How tables are fitted into 100 columns.
import { describe, expect, it } from "vitest";
import { MAX_COLUMNS } from "../context.ts";
import { peerLabel, shortPeerLabel } from "./names.ts";
import { table } from "./table.ts";

const NAME = "32:1f:d9:cd:3f:6d";

describe("a column that is cut", () => {
  const peers = [
    { name: NAME, nickname: "h1" },
    { name: NAME, nickname: "a-host-of-the-north.example.org" },
  ];
  const shown = (rest: number): string[] =>
    table(
      [
        { title: "PEER", cell: peerLabel, least: 16, cut: shortPeerLabel },
        { title: "X", cell: () => "x".repeat(rest) },
      ],
      peers,
    )
      .split("\n")
      .slice(1)
      .map((line) => line.replace(/ +x+$/, ""));

  it("keeps the nickname, and what there is room for of the name", () => {
    expect(shown(10)).toEqual(peers.map(peerLabel));
    expect(shown(MAX_COLUMNS - 2 - 40)).toEqual([`${NAME}(h1)`, "32:1f:…(a-host-of-the-north.example.org)"]);
    expect(shown(MAX_COLUMNS - 2 - 20)).toEqual(["32:1f:d9:cd:3f:…(h1)", "a-host-of-the-north…"]);
    expect(shortPeerLabel({ name: NAME, nickname: "" }, 8)).toBe("32:1f:d…");
    expect(shortPeerLabel({ name: "h1", nickname: "h1" }, 8)).toBe("h1");
  });
});
