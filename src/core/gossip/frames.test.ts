// The wire, held still: frames.golden.json has one frame of each kind. A build that reads or writes one of them
// differently no longer understands those that run elsewhere: add to that file, never change it.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import {
  decodeBody,
  decodeFrame,
  encodeFrame,
  entryFromWire,
  entryToWire,
  type Frame,
  MAX_ITEMS_PER_FRAME,
  rangeFromWire,
  rangeToWire,
} from "./frames.ts";

const golden = z
  .record(z.string(), z.looseObject({ t: z.string() }))
  .parse(JSON.parse(readFileSync(new URL("frames.golden.json", import.meta.url), "utf8")));

const decoded = (text: string): Frame => {
  const frame = decodeFrame(text);
  if (frame === "unknown" || "refused" in frame) throw new Error(`${text} is ${JSON.stringify(frame)}`);
  return frame;
};
const goldenFrame = (name: string): Record<string, unknown> => ({ ...golden[name] });
const refusal = (text: string): unknown => {
  const frame = decodeFrame(text);
  return frame !== "unknown" && "refused" in frame ? frame.refused : `taken: ${text.slice(0, 80)}`;
};

describe("golden frames", () => {
  it.each(Object.entries(golden))("%s is read as it is, and written back to the letter", (_, expected) => {
    const text = JSON.stringify(expected);
    const frame = decodeFrame(text);
    expect(frame).toEqual(expected);
    expect(encodeFrame(decoded(text))).toBe(text);
  });

  it("cover every kind of frame and of unicast body", () => {
    const kinds = new Set(Object.values(golden).map((frame) => frame.t));
    expect([...kinds].sort()).toEqual(
      ["buckets", "config", "digest", "graft", "have", "hello", "ping", "pong", "prune", "push"]
        .concat(["ring", "sums", "to", "want"])
        .sort(),
    );
    for (const [name, { t, body }] of Object.entries(golden)) {
      if (t === "to") expect(decodeBody(body), name).toEqual(body);
    }
  });
});

describe("what a newer version adds", () => {
  it.each(Object.entries(golden))("an unknown field of %s survives", (_, expected) => {
    const text = JSON.stringify({ ...expected, later: { a: [1] } });
    expect(JSON.parse(encodeFrame(decoded(text)))).toEqual({ ...expected, later: { a: [1] } });
  });

  it("a unicast body of an unknown kind is handed on untouched, and is nothing to its addressee", () => {
    const body = { k: "later", deep: [{ a: 1 }, null] };
    const text = JSON.stringify({ t: "to", from: "alice", to: "bob", hops: 3, body });
    expect(encodeFrame(decoded(text))).toBe(text);
    expect(decodeBody(body)).toBeUndefined();
  });

  it.each(["later", "", "HELLO"])("a frame of kind %j is skipped", (t) => {
    expect(decodeFrame(JSON.stringify({ t, anything: 1 }))).toBe("unknown");
  });

  it("long text is no reason: how long a frame may be is the transport's business", () => {
    expect(decoded(JSON.stringify({ t: "ping", n: 1, padding: "x".repeat(2 << 20) }))).toMatchObject({
      t: "ping",
    });
  });
});

describe("refused", () => {
  const hello = goldenFrame("hello");
  const push = goldenFrame("push");
  const ring = goldenFrame("ring");
  const digest = goldenFrame("digest");
  const ask = goldenFrame("to: ask");
  const many = <T>(item: T): T[] => Array.from({ length: MAX_ITEMS_PER_FRAME + 1 }, () => item);
  const cases: readonly (readonly [string, unknown, RegExp])[] = [
    ["nothing with a kind", { n: 1 }, /^t: /],
    ["a kind that is no text", { t: 1 }, /^t: /],
    ["null", null, /expected/i],
    ["a list", [], /expected|t: /i],
    ["a ping without its number", { t: "ping" }, /^n: /],
    ["a ping with text", { t: "ping", n: "1" }, /^n: /],
    ["a negative ping", { t: "ping", n: -1 }, /^n: /],
    ["a fraction", { t: "ping", n: 0.5 }, /^n: /],
    ["hello of a bad name", { ...hello, name: "a b" }, /^name: /],
    ["hello without a name", { ...hello, name: "" }, /^name: /],
    ["hello of a name with a slash", { ...hello, name: "a/b" }, /^name: /],
    ["hello of a name too long", { ...hello, name: "a".repeat(65) }, /^name: /],
    ["hello without universes", { ...hello, universes: [] }, /^universes: /],
    ["hello with a short nonce", { ...hello, nonce: "1" }, /^nonce: /],
    ["hello with port 0", { ...hello, vxlanPort: 0 }, /^vxlanPort: /],
    ["hello with half a protocol", { ...hello, protocol: { min: 1 } }, /^protocol\.max: /],
    ["sums that are no numbers", { t: "sums", sums: { peers: "1" } }, /^sums\.peers: /],
    ["negative sums", { t: "sums", sums: { peers: -1 } }, /^sums\.peers: /],
    ["a push to a channel of a bad name", { ...push, channel: "Peers/x" }, /^channel: /],
    ["a push of version 0", { ...push, entries: [["bob", "self", 0, 1]] }, /^entries\.0\.2: /],
    ["a push of a negative version", { ...push, entries: [["bob", "self", -1, 1]] }, /^entries\.0\.2: /],
    ["a push of half an entry", { ...push, entries: [["bob", "self", 1]] }, /^entries\.0/],
    ["a push of a bad origin", { ...push, entries: [["", "self", 1, 1]] }, /^entries\.0\.0: /],
    ["a push of a long key", { ...push, entries: [["bob", "k".repeat(65), 1, 1]] }, /^entries\.0\.1: /],
    ["a push of too many", { ...push, entries: many(["bob", "self", 1, 1]) }, /^entries: /],
    ["a digest of too many", { ...digest, origins: many(["bob", 1, 1]) }, /^origins: /],
    ["a digest of a negative version", { ...digest, origins: [["bob", -1, 1]] }, /^origins\.0\.1: /],
    ["a ring of too many", { ...ring, ranges: many([0, 1, 1, "bob", 1]) }, /^ranges: /],
    ["a ring of universe 8", { ...ring, universe: 8 }, /^universe: /],
    ["a ring of a negative offset", { ...ring, ranges: [[-1, 1, 1, "bob", 1]] }, /^ranges\.0\.0: /],
    ["a ring without cluster", { ...ring, cluster: undefined }, /^cluster: /],
    ["a ring of epoch 0", { ...ring, epoch: 0 }, /^epoch: /],
    ["a range made in epoch 0", { ...ring, ranges: [[0, 1, 1, "bob", 0]] }, /^ranges\.0\.4: /],
    ["a unicast with too many hops", { ...ask, hops: 33 }, /^hops: /],
    ["a unicast to a bad name", { ...ask, to: "-" }, /^to: /],
    ["a unicast without a body", { ...ask, body: undefined }, /^body: /],
    ["a body without a kind", { ...ask, body: {} }, /^body\.k: /],
  ];

  it.each(cases)("%s", (_, value, reason) => {
    expect(refusal(JSON.stringify(value))).toMatch(reason);
  });

  it.each(["", "{", "hello", '{"t":"ping","n":1}x'])("what is not JSON: %j", (text) => {
    expect(refusal(text)).toBe("not JSON");
  });

  it.each([
    ["an entry", (deep: string) => `{"t":"push","channel":"x","entries":[["bob","k",1,${deep}]]}`],
    [
      "a body",
      (deep: string) => `{"t":"to","from":"bob","to":"carol","hops":1,"body":{"k":"x","v":${deep}}}`,
    ],
    ["an unknown field", (deep: string) => `{"t":"ping","n":1,"later":${deep}}`],
  ])("%s nested beyond what reading and writing it back can bear", (_, wrap) => {
    expect(refusal(wrap("[".repeat(100_000) + "]".repeat(100_000)))).toMatch(/nested/);
    expect(decoded(wrap("[".repeat(20) + "]".repeat(20)))).toBeDefined();
  });

  const where = { cluster: "c", epoch: 1 };
  it.each([
    ["an ask without an end", { ...where, k: "ask", universe: 0, start: 0, id: 1 }],
    ["an ask below the range", { ...where, k: "ask", universe: 0, start: -1, end: 1, id: 1 }],
    ["an answer without cluster", { k: "answer", epoch: 1, universe: 0, id: 1 }],
    ["a gift without its epoch", { ...Object(golden["to: answer with a gift"]?.["body"]), gift: [0, 1, 1] }],
    ["no object", "ask"],
  ])("a body that is %s", (_, body) => {
    expect(decodeBody(body)).toBeUndefined();
  });
});

describe("entries and ranges", () => {
  it("go to the wire and back", () => {
    const entry = { origin: "alice", key: "self", version: 3, value: { a: 1 } };
    expect(entryToWire(entry)).toEqual(["alice", "self", 3, { a: 1 }]);
    expect(entryFromWire(entryToWire(entry))).toEqual(entry);
    const range = { start: 1, end: 2, version: 3, owner: "bob", made: 4 };
    expect(rangeToWire(range)).toEqual([1, 2, 3, "bob", 4]);
    expect(rangeFromWire(rangeToWire(range))).toEqual(range);
  });
});
