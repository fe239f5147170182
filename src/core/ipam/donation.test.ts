import { describe, expect, it } from "vitest";
import { chooseGift } from "./donation.ts";

type Span = readonly [start: number, end: number];
const ranges = (spans: readonly Span[]) => spans.map(([start, end]) => ({ start, end }));

function gift(
  owned: readonly Span[],
  free: readonly Span[],
  takers: readonly Span[] = [],
  { wanted = [0, 1024] as Span, isUrgent = false } = {},
): Span | undefined {
  const chosen = chooseGift({
    owned: ranges(owned),
    free: ranges(free),
    wanted: { start: wanted[0], end: wanted[1] },
    isUrgent,
    takersAt: (offset) =>
      takers.reduce((n, [start, end]) => (offset >= start && offset < end ? end - start : n), 0),
  });
  return chosen && [chosen.start, chosen.end];
}

describe("what is given", () => {
  it.each<[string, Span[], Span[], Span[], Span | undefined]>([
    ["the upper half of a free range", [[0, 16]], [[0, 16]], [], [8, 16]],
    ["an aligned block of what is free", [[0, 16]], [[3, 16]], [], [12, 16]],
    ["the last free offset", [[0, 16]], [[5, 6]], [], [5, 6]],
    ["nothing when nothing is free", [[0, 16]], [], [], undefined],
    ["the side where the taker's range begins", [[16, 32]], [[16, 32]], [[0, 16]], [16, 24]],
    [
      "a whole range before a part of another",
      [
        [0, 16],
        [20, 28],
      ],
      [
        [0, 16],
        [20, 28],
      ],
      [],
      [20, 28],
    ],
    [
      "no whole range that is far too small",
      [
        [0, 512],
        [600, 601],
      ],
      [
        [0, 512],
        [600, 601],
      ],
      [],
      [256, 512],
    ],
    [
      "the range that closes the taker's gap",
      [
        [0, 16],
        [20, 24],
        [30, 34],
      ],
      [
        [0, 16],
        [20, 24],
        [30, 34],
      ],
      [
        [16, 20],
        [24, 30],
      ],
      [20, 24],
    ],
    ["the end of a free run that is not aligned", [[0, 100]], [[10, 100]], [], [64, 100]],
  ])("is %s", (_, owned, free, takers, expected) => {
    expect(gift(owned, free, takers)).toEqual(expected);
  });

  it("is never more than half of what is free, and always inside a free run", () => {
    for (let n = 2; n < 200; n++) {
      const given = gift([[7, 7 + n]], [[7, 7 + n]]);
      if (given === undefined) throw new Error("nothing was given");
      expect(given[0]).toBeGreaterThanOrEqual(7);
      expect(given[1]).toBeLessThanOrEqual(7 + n);
      expect(given[1] - given[0]).toBeLessThanOrEqual(n / 2);
      expect(given[1] - given[0]).toBeGreaterThanOrEqual(n / 8);
    }
  });
});

describe("a fragment", () => {
  const owned: Span[] = [
    [0, 64],
    [100, 104],
  ];
  const wanted: Span = [100, 104];
  const takers: Span[] = [[104, 200]];

  it("is given whole to the neighbour that asks for just it", () => {
    expect(gift(owned, [[100, 104]], takers, { wanted })).toEqual([100, 104]);
  });

  it("stays whole while part of it is in use, unless the taker has nothing else", () => {
    expect(gift(owned, [[100, 102]], takers, { wanted })).toBeUndefined();
    expect(gift(owned, [[100, 102]], takers, { wanted, isUrgent: true })).toEqual([100, 101]);
  });

  it("is not the donor's largest range, and the taker's next to it is larger", () => {
    expect(gift([[100, 104]], [[100, 104]], takers, { wanted })).toEqual([102, 104]);
    expect(gift(owned, [[100, 104]], [[104, 106]], { wanted })).toEqual([102, 104]);
  });
});
