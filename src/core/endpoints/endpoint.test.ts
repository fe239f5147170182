import { describe, expect, it } from "vitest";
import { type Json, OriginMap } from "../crdt/origin-map.ts";
import { parseEndpoint, viewOf } from "./endpoint.ts";

const value = (mac: string, ...addresses: string[]): Json => ({ addresses, mac, label: "c" });

/** Alice's map, with what each peer says in the given order; keys are slots. */
function map(...entries: readonly (readonly [string, Json])[]): OriginMap {
  const all = new OriginMap("alice");
  const counts = new Map<string, number>();
  all.restore(
    entries.map(([origin, said]) => {
      const slot = counts.get(origin) ?? 0;
      counts.set(origin, slot + 1);
      return { origin, key: String(slot), version: slot + 1, value: said };
    }),
  );
  return all;
}

const owners = (all: OriginMap): Record<string, string> =>
  Object.fromEntries([...viewOf(all, "alice").byAddress].map(([address, { peer }]) => [address, peer]));

describe("parseEndpoint", () => {
  it("takes several addresses, and keeps what a newer version adds", () => {
    const said = { addresses: ["10.32.0.5", "fd00::5"], mac: "02:a0:0a:20:00:05", label: "", later: 1 };
    expect(parseEndpoint(said)).toEqual(said);
  });

  it.each([
    ["no addresses", { addresses: [], mac: "02:a0:0a:20:00:05", label: "" }],
    ["17 addresses", { addresses: Array(17).fill("10.32.0.5"), mac: "02:a0:0a:20:00:05", label: "" }],
    ["an address with prefix", { addresses: ["10.32.0.5/12"], mac: "02:a0:0a:20:00:05", label: "" }],
    ["a name", { addresses: ["host"], mac: "02:a0:0a:20:00:05", label: "" }],
    ["a multicast MAC", { addresses: ["10.32.0.5"], mac: "01:00:5e:00:00:01", label: "" }],
    ["no MAC", { addresses: ["10.32.0.5"], label: "" }],
    ["a long label", { addresses: ["10.32.0.5"], mac: "02:a0:0a:20:00:05", label: "x".repeat(65) }],
    ["text", "10.32.0.5"],
    ["a tombstone", null],
  ])("refuses %s", (_, said) => {
    expect(parseEndpoint(said)).toBeUndefined();
  });
});

describe("viewOf", () => {
  it("lists every address with its peer", () => {
    const all = map(
      ["alice", value("02:a0:0a:20:00:05", "10.32.0.5", "10.32.0.6")],
      ["bob", value("02:a0:0a:28:00:01", "10.40.0.1")],
    );
    expect(owners(all)).toEqual({ "10.32.0.5": "alice", "10.32.0.6": "alice", "10.40.0.1": "bob" });
    expect(viewOf(all, "alice").conflicts).toEqual([]);
  });

  it("passes over what is gone and what does not parse", () => {
    const all = map(
      ["bob", null],
      ["bob", "later"],
      ["bob", value("01:00:5e:00:00:01", "10.40.0.2")],
      ["bob", value("02:a0:0a:28:00:03", "10.40.0.3")],
    );
    expect(owners(all)).toEqual({ "10.40.0.3": "bob" });
  });

  const bob: readonly [string, Json] = ["bob", value("02:00:00:00:00:0b", "10.32.0.5")];
  const carol: readonly [string, Json] = ["carol", value("02:00:00:00:00:0c", "10.32.0.5")];
  const own: readonly [string, Json] = ["alice", value("02:00:00:00:00:0a", "10.32.0.5")];
  const dave: readonly [string, Json] = ["dave", value("02:00:00:00:00:0d", "10.32.0.5")];
  const zoe: readonly [string, Json] = ["zoe", value("02:00:00:00:00:0e", "10.32.0.5")];

  it.each([
    ["two others: the first name", [bob, carol], "bob", ["bob", "carol"]],
    ["two others, heard the other way round", [carol, bob], "bob", ["bob", "carol"]],
    ["ours and another's: ours", [own, bob], "alice", ["alice", "bob"]],
    ["ours heard last", [bob, own], "alice", ["alice", "bob"]],
    ["all of them", [dave, carol, own, bob], "alice", ["alice", "bob", "carol", "dave"]],
    ["three others", [dave, bob, carol], "bob", ["bob", "carol", "dave"]],
  ])("one address on several peers, %s counts, and all are told", (_, entries, winner, peers) => {
    const all = map(...entries);
    expect(owners(all)).toEqual({ "10.32.0.5": winner });
    expect(viewOf(all, "alice").conflicts).toEqual([{ address: "10.32.0.5", peers }]);
  });

  it("our own counts whatever our name is", () => {
    const all = map(bob, zoe);
    expect(viewOf(all, "zoe").byAddress.get("10.32.0.5")?.peer).toBe("zoe");
    expect(viewOf(all, "carol").byAddress.get("10.32.0.5")?.peer).toBe("bob");
  });

  it("one peer that says an address twice is no conflict", () => {
    expect(viewOf(map(bob, bob), "alice").conflicts).toEqual([]);
  });
});
