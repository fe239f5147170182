import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Entry, OriginMap } from "./origin-map.ts";

const entry: fc.Arbitrary<Entry> = fc.record({
  origin: fc.constantFrom("alice", "bob", "carol"),
  key: fc.constantFrom("0", "1", "2"),
  version: fc.integer({ min: 1, max: 6 }),
  value: fc.constantFrom(null, "x", "y", { a: 1 }),
});
const entries = fc.array(entry, { maxLength: 12 });

const contentOf = (map: OriginMap): string =>
  JSON.stringify(
    map
      .origins()
      .flatMap((origin) => map.entriesSince(origin, 0).map((e) => JSON.stringify(e)))
      .sort(),
  );

function observerOf(...batches: Entry[][]): OriginMap {
  const map = new OriginMap("dave");
  for (const batch of batches) map.merge(batch);
  return map;
}

describe("the laws of the single-writer map", () => {
  it("merging commutes", () => {
    fc.assert(
      fc.property(entries, entries, (a, b) => {
        expect(contentOf(observerOf(a, b))).toBe(contentOf(observerOf(b, a)));
      }),
    );
  });

  it("merging is idempotent: what was heard before brings nothing new", () => {
    fc.assert(
      fc.property(entries, (a) => {
        const map = observerOf(a);
        const before = contentOf(map);
        expect(map.merge(a).fresh).toEqual([]);
        expect(contentOf(map)).toBe(before);
      }),
    );
  });

  it("merging associates: deltas may be merged on the way", () => {
    fc.assert(
      fc.property(entries, entries, entries, (a, b, c) => {
        const relay = observerOf(b, c);
        const relayed = relay.origins().flatMap((origin) => relay.entriesSince(origin, 0));
        expect(contentOf(observerOf(a, [...relayed]))).toBe(contentOf(observerOf(a, b, c)));
      }),
    );
  });

  it("equal content has equal fingerprints, and passing on only what was fresh reaches the same content", () => {
    fc.assert(
      fc.property(entries, entries, (a, b) => {
        const first = observerOf(a, b);
        const second = observerOf(b, a);
        expect(first.fingerprint()).toBe(second.fingerprint());
        const teller = new OriginMap("dave");
        const listener = new OriginMap("erin");
        for (const batch of [a, b]) listener.merge([...teller.merge(batch).fresh]);
        expect(contentOf(listener)).toBe(contentOf(teller));
      }),
    );
  });

  it("nobody but the origin changes its word, however new the claim", () => {
    fc.assert(
      fc.property(entries, (claims) => {
        const alice = new OriginMap("alice");
        alice.put("0", "mine");
        const spread = observerOf(claims);
        for (const round of [1, 2]) {
          const fresh = alice.merge(spread.entriesSince("alice", 0)).fresh;
          spread.merge([...alice.entriesSince("alice", 0), ...fresh]);
          if (round === 2) expect(fresh).toEqual([]);
        }
        expect(spread.get("alice", "0")).toBe("mine");
        expect(spread.get("alice", "1")).toBeUndefined();
      }),
    );
  });
});
