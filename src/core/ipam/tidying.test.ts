import { describe, expect, it } from "vitest";
import { chooseFragment, FEW_RANGES, runsOf } from "./tidying.ts";

/** "a10 b2 a10": owners and sizes, from offset 0 on. */
function runs(text: string) {
  let end = 0;
  return text.split(" ").map((word) => {
    const start = end;
    end += Number(word.slice(1));
    return { owner: word.slice(0, 1), start, end };
  });
}

const chosen = (text: string, self: string, mayAsk: (owner: string) => boolean = () => true) => {
  const run = chooseFragment(runs(text), self, ({ owner }) => mayAsk(owner));
  return run && `${run.owner}@${run.start}`;
};

describe("the fragment asked for", () => {
  it("lies between two ranges of ours rather than beside one", () => {
    expect(chosen("b9 a5 b1 c9 b1 a5 b2 a9 b2 c9 b2", "a")).toBe("b@30");
  });

  it("is the smallest of equal gain", () => {
    expect(chosen("a5 b2 a5 b1 a5 b9 c9 b3 c9 b3", "a")).toBe("b@12");
  });

  it("is smaller than our range beside it, and not the largest of its owner", () => {
    expect(chosen("a3 b3 c9 b3 c9 b3 c9 b3 c9 b9", "a")).toBeUndefined();
    expect(chosen("a9 b5 c9 b1 c9 b1 c9 b1 c9 b1", "a")).toBeUndefined();
  });

  it("belongs to an owner of many, or parts ours where we have many", () => {
    expect(FEW_RANGES).toBe(4);
    expect(chosen("a9 b1 c9 b2 c9 b2 c9 b9", "a")).toBeUndefined();
    expect(chosen("a9 b1 c9 b2 c9 b2 c9 b2 c9 b9", "a")).toBe("b@9");
    expect(chosen("a9 b1 a9 b9 a3 c9 a3 c8 a3", "a")).toBe("b@9");
  });

  it("is one that can be asked for", () => {
    expect(chosen("a9 b1 a9 b9 a3 c9 a3 c8 a3", "a", (owner) => owner !== "b")).toBeUndefined();
  });
});

it("takes touching entries of one owner for one", () => {
  expect(runsOf(runs("a1 a2 b3 a4"))).toEqual(runs("a3 b3 a4"));
});
