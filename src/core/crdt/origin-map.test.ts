import { describe, expect, it } from "vitest";
import { MAX_VALUE_CHARS, OriginMap } from "./origin-map.ts";

describe("OriginMap", () => {
  it("gives an own key a version above all own versions, and none for an unchanged value", () => {
    const map = new OriginMap("alice");
    expect(map.put("a", 1)?.version).toBe(1);
    expect(map.put("b", 1)?.version).toBe(2);
    expect(map.put("a", 1)).toBeUndefined();
    expect(map.remove("a")).toEqual({ origin: "alice", key: "a", version: 3, value: null });
    expect(map.remove("a")).toBeUndefined();
    expect(map.get("alice", "a")).toBeUndefined();
  });

  it("after a lost disk speaks above what others still hold of it", () => {
    const map = new OriginMap("alice");
    map.put("a", "new");
    const { fresh } = map.merge([
      { origin: "alice", key: "a", version: 9, value: "old" },
      { origin: "alice", key: "b", version: 7, value: "forgotten" },
    ]);
    expect(fresh).toEqual([
      { origin: "alice", key: "a", version: 10, value: "new" },
      { origin: "alice", key: "b", version: 11, value: null },
    ]);
  });

  it("refuses what is out of bounds and takes the rest", () => {
    const map = new OriginMap("alice");
    const { fresh, refused } = map.merge([
      { origin: "", key: "a", version: 1, value: 1 },
      { origin: "bob", key: "a", version: 0.5, value: 1 },
      { origin: "bob", key: "a", version: 1, value: "x".repeat(MAX_VALUE_CHARS) },
      { origin: "bob", key: "k".repeat(65), version: 1, value: 1 },
      { origin: "bob", key: "good", version: 1, value: 1 },
    ]);
    expect(refused).toBe(4);
    expect(fresh.map((e) => e.key)).toEqual(["good"]);
  });

  it("forgets an origin as if it had never been heard", () => {
    const map = new OriginMap("alice");
    map.merge([{ origin: "carol", key: "a", version: 1, value: 1 }]);
    const before = { sum: map.fingerprint(), buckets: [...map.bucketSums()] };
    map.merge([{ origin: "bob", key: "a", version: 1, value: 1 }]);
    expect(map.forget("bob")).toEqual(["a"]);
    expect({ sum: map.fingerprint(), buckets: [...map.bucketSums()] }).toEqual(before);
  });
});
