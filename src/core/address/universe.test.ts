import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Universe } from "./universe.ts";

const universe = (text: string): Universe => {
  const parsed = Universe.parse(text);
  if (typeof parsed === "string") throw new Error(`${text}: ${parsed}`);
  return parsed;
};

describe("Universe.parse", () => {
  it.each([
    ["10.32.0.0/12", "10.32.0.0/12", 1 << 20],
    ["10.32.0.0/30", "10.32.0.0/30", 4],
    ["0.0.0.0/0", "0.0.0.0/0", 2 ** 32],
    ["FD00:0::/80", "fd00::/80", 2 ** 48],
    ["fd00::/126", "fd00::/126", 4],
  ])("takes %s", (text, canonical, size) => {
    expect(universe(text)).toMatchObject({ text: canonical, size });
  });

  it.each([
    ["", "not-a-cidr"],
    ["10.32.0.0", "not-a-cidr"],
    ["10.32.0.0/33", "not-a-cidr"],
    ["10.32.0.1/12", "host-bits"],
    ["fd00::1/64", "host-bits"],
    ["10.32.0.0/31", "too-small"],
    ["10.32.0.0/32", "too-small"],
    ["fd00::/127", "too-small"],
    ["fd00::/79", "too-large"],
  ])("refuses %j: %s", (text, fault) => {
    expect(Universe.parse(text)).toBe(fault);
  });
});

describe("offsets", () => {
  it.each(["10.32.0.0/12", "10.32.0.0/30", "fd00:1:2::/80"])("of %s and addresses are one to one", (text) => {
    const u = universe(text);
    fc.assert(
      fc.property(fc.maxSafeInteger(), (n) => {
        const offset = Math.abs(n) % u.size;
        expect(u.offsetOf(u.addressAt(offset))).toBe(offset);
      }),
    );
    for (const edge of [0, u.size - 1]) expect(u.offsetOf(u.addressAt(edge))).toBe(edge);
  });

  it("are taken from any spelling of an address, and prefixes do not matter", () => {
    expect(universe("10.32.0.0/12").offsetOf("10.32.1.2/24")).toBe(258);
    expect(universe("fd00::/80").offsetOf("FD00:0:0:0:0:0:0:A")).toBe(10);
  });

  it.each(["10.31.255.255", "10.48.0.0", "fd00::1", "text", ""])("%j has none in 10.32.0.0/12", (text) => {
    expect(universe("10.32.0.0/12").offsetOf(text)).toBeUndefined();
  });
});

describe("subnets", () => {
  it.each([
    ["the universe itself", "10.32.0.0/24", [0, 256], [1, 255]],
    ["a part", "10.32.0.64/26", [64, 128], [65, 127]],
    ["with host bits", "10.32.0.70/26", [64, 128], [65, 127]],
    ["a /30", "10.32.0.4/30", [4, 8], [5, 7]],
    ["a /31, which has no network address", "10.32.0.4/31", [4, 6], [4, 6]],
    ["one address", "10.32.0.4/32", [4, 5], [4, 5]],
    ["one address without prefix", "10.32.0.4", [4, 5], [4, 5]],
    ["one larger than the universe, whose ends lie outside", "10.32.0.0/16", [0, 256], [1, 256]],
    ["one that begins before and ends after the universe", "10.0.0.0/8", [0, 256], [0, 256]],
  ])("%s", (_, text, [start, end], [first, last]) => {
    expect(universe("10.32.0.0/24").subnet(text)).toMatchObject({
      range: { start, end },
      usable: { start: first, end: last },
    });
  });

  it.each([
    ["fd00::/112", [0, 65536], [1, 65536]],
    ["fd00::10/127", [16, 18], [16, 18]],
    ["fd00::10/128", [16, 17], [16, 17]],
    ["fd00::/64", [0, 65536], [1, 65536]],
  ])("IPv6 keeps only the anycast address back: %s", (text, [start, end], [first, last]) => {
    expect(universe("fd00::/112").subnet(text)).toMatchObject({
      range: { start, end },
      usable: { start: first, end: last },
    });
  });

  it("keeps the subnet's own prefix, for the container's address", () => {
    expect(universe("10.32.0.0/24").subnet("10.32.0.0/16")?.prefix).toBe(16);
  });

  it.each(["10.32.1.0/24", "10.31.255.0/24", "fd00::/64", "text"])("%s is none of 10.32.0.0/24", (text) => {
    expect(universe("10.32.0.0/24").subnet(text)).toBeUndefined();
  });
});
