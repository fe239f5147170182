import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { combine, type OwnedRange, Ring, wellFormed } from "./ring.ts";

const SIZE = 64;

/** A ring as the slow obvious thing: one (version, owner) per offset. */
type Naive = (string | undefined)[];

const ranges: fc.Arbitrary<OwnedRange[]> = fc
  .array(
    fc.record({
      start: fc.nat(SIZE - 1),
      length: fc.integer({ min: 1, max: 20 }),
      owner: fc.constantFrom("alice", "bob", "carol"),
      version: fc.integer({ min: 1, max: 5 }),
      made: fc.integer({ min: 1, max: 3 }),
    }),
    { maxLength: 8 },
  )
  .map((items) => {
    const out: OwnedRange[] = [];
    let last = 0;
    for (const { start, length, owner, version, made } of items.sort((a, b) => a.start - b.start)) {
      const from = Math.max(start, last);
      const end = Math.min(from + length, SIZE);
      if (from >= end) continue;
      out.push({ start: from, end, owner, version, made });
      last = end;
    }
    return out;
  });

const naive = (...lists: (readonly OwnedRange[])[]): Naive => {
  const best: Naive = new Array(SIZE).fill(undefined);
  for (const r of lists.flat()) {
    for (let i = r.start; i < r.end; i++) {
      const word = `${r.made}/${r.version}/${r.owner}`;
      const held = best[i];
      if (held === undefined || word > held) best[i] = word;
    }
  }
  return best;
};

const ringOf = (...lists: (readonly OwnedRange[])[]): Ring => {
  const ring = new Ring(SIZE);
  for (const list of lists) ring.merge(list);
  return ring;
};

describe("the laws of the ring", () => {
  it("agrees with the pointwise maximum, in any order, and is canonical", () => {
    fc.assert(
      fc.property(ranges, ranges, ranges, (a, b, c) => {
        const ring = ringOf(a, b, c);
        expect(naive(ring.ranges)).toEqual(naive(a, b, c));
        expect(ringOf(c, a, b).ranges).toEqual(ring.ranges);
        expect(ringOf(c, a, b).fingerprint()).toBe(ring.fingerprint());
        // Also when it comes offset by offset, from either side, and is looked at all the time.
        const followed = new Ring(SIZE);
        for (const { start, end, ...rest } of [...a, ...b.toReversed(), ...c]) {
          for (let at = end; at > start; at -= 2) followed.merge([{ start: at - 1, end: at, ...rest }]);
          followed.fingerprint();
          for (let at = end - 1; at > start; at -= 2) followed.merge([{ start: at - 1, end: at, ...rest }]);
          followed.fingerprint();
        }
        expect(followed.ranges).toEqual(ring.ranges);
        expect(followed.fingerprint()).toBe(ring.fingerprint());
        expect(wellFormed(ring.ranges, SIZE, 3)).toBe(true);
        ring.ranges.forEach((r, i) => {
          const next = ring.ranges[i + 1];
          if (next?.start === r.end)
            expect([next.owner, next.version, next.made]).not.toEqual([r.owner, r.version, r.made]);
        });
      }),
    );
  });

  it("associates: what was fresh to a relay is all another needs", () => {
    fc.assert(
      fc.property(ranges, ranges, (a, b) => {
        const { merged, fresh } = combine(a, b);
        expect(naive(a, fresh)).toEqual(naive(merged));
        expect(combine(merged, b).fresh).toEqual([]);
        expect(combine(merged, a).fresh).toEqual([]);
      }),
    );
  });
});

describe("the laws of ownership", () => {
  const step = fc.record({
    peer: fc.nat(3),
    to: fc.nat(3),
    start: fc.nat(SIZE - 1),
    length: fc.integer({ min: 1, max: 16 }),
    heard: fc.array(fc.nat(3), { maxLength: 3 }),
    action: fc.constantFrom("give", "join", "seal"),
  });

  it("every offset has exactly one owner who believes so, through any gifts and any order of gossip", () => {
    const names = ["alice", "bob", "carol", "dave"];
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const rings = names.map(() => Ring.found(SIZE, ["alice", "bob"]));
        for (const { peer, to, start, length, heard, action } of steps) {
          const ring = rings[peer] as Ring;
          const me = names[peer] as string;
          const mine = ring
            .within({ start, end: Math.min(start + length, SIZE) })
            .find((r) => r.owner === me);
          if (action === "give" && mine !== undefined) ring.give(mine, me, names[to] as string, 1);
          else if (action === "join") ring.join(me);
          else ring.seal(me);
          for (const other of heard) ring.merge((rings[other] as Ring).ranges);
          for (let offset = 0; offset < SIZE; offset++) {
            const believers = names.filter((name, i) => rings[i]?.ownerOf(offset) === name);
            expect(believers.length).toBeLessThanOrEqual(1);
          }
        }
        for (const a of rings) for (const b of rings) a.merge(b.ranges);
        for (const a of rings) for (const b of rings) a.merge(b.ranges);
        for (const ring of rings) expect(ring.ranges).toEqual(rings[0]?.ranges);
        for (let offset = 0; offset < SIZE; offset++) expect(rings[0]?.ownerOf(offset)).toBeDefined();
      }),
    );
  });

  it("joining leaves one interval per run of neighbours, and changes no owner", () => {
    fc.assert(
      fc.property(ranges, (a) => {
        const ring = ringOf(a);
        const before = Array.from({ length: SIZE }, (_, i) => ring.ownerOf(i));
        ring.join("alice");
        expect(Array.from({ length: SIZE }, (_, i) => ring.ownerOf(i))).toEqual(before);
        const mine = ring.rangesOf("alice");
        for (const [i, r] of mine.entries()) expect(mine[i + 1]?.start).not.toBe(r.end);
      }),
    );
  });
});
