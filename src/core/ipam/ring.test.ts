import { describe, expect, it } from "vitest";
import { Ring, wellFormed } from "./ring.ts";

const found = (size: number, ...founders: string[]): Ring => Ring.found(size, founders);
const text = (ring: Ring): string =>
  ring.ranges.map((r) => `${r.start}-${r.end}:${r.owner}@${r.version}`).join(" ");

describe("Ring", () => {
  it("is divided among its founders in aligned pieces, whatever order they are named in", () => {
    expect(text(found(16, "alice"))).toBe("0-16:alice@1");
    expect(text(found(16, "carol", "alice", "bob", "alice"))).toBe("0-4:alice@1 4-8:bob@1 8-16:carol@1");
    expect(text(found(2, "alice", "bob", "carol"))).toBe("0-1:alice@1 1-2:carol@1");
  });

  it("gives a part away at a higher version and takes it back as one range", () => {
    const ring = found(16, "alice");
    ring.give({ start: 8, end: 16 }, "alice", "bob", 1);
    expect(text(ring)).toBe("0-8:alice@1 8-16:bob@2");
    ring.give({ start: 8, end: 16 }, "bob", "alice", 1);
    expect(text(ring)).toBe("0-8:alice@1 8-16:alice@3");
    ring.join("alice");
    expect(text(ring)).toBe("0-16:alice@3");
  });

  it("refuses to give what the giver does not own", () => {
    const ring = found(16, "alice", "bob");
    expect(() => ring.give({ start: 4, end: 12 }, "alice", "carol", 1)).toThrow(/does not own/);
    expect(text(ring)).toBe("0-8:alice@1 8-16:bob@1");
  });

  it("is pristine until it is sealed or shared", () => {
    const ring = found(16, "alice");
    expect(ring.isPristine()).toBe(true);
    ring.seal("alice");
    expect(ring.isPristine()).toBe(false);
    expect(found(16, "alice", "bob").isPristine()).toBe(false);
  });

  it("tells malformed ranges from a peer", () => {
    const ok = { start: 0, end: 4, owner: "bob", version: 1, made: 2 };
    expect(wellFormed([ok], 16, 2)).toBe(true);
    for (const bad of [
      [{ ...ok, end: 17 }],
      [{ ...ok, start: 4 }],
      [{ ...ok, version: 0 }],
      [{ ...ok, made: 0 }],
      [{ ...ok, made: 3 }],
      [{ ...ok, start: 0.5 }],
      [ok, { ...ok, start: 3, end: 6 }],
      [{ ...ok, start: 8, end: 9 }, ok],
    ]) {
      expect(wellFormed(bad, 16, 2)).toBe(false);
    }
  });
});
