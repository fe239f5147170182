import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type Cidr,
  cidrSize,
  contains,
  type Family,
  formatAddress,
  formatCidr,
  isShared,
  networkOf,
  overlaps,
  parseAddress,
  parseCidr,
} from "./cidr.ts";

const cidr = (text: string): Cidr => {
  const parsed = parseCidr(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
};

describe("parseCidr", () => {
  it.each([
    ["10.32.0.5/12", { family: 4, value: 0x0a200005n, prefix: 12 }],
    ["10.32.0.5", { family: 4, value: 0x0a200005n, prefix: 32 }],
    ["0.0.0.0/0", { family: 4, value: 0n, prefix: 0 }],
    ["255.255.255.255", { family: 4, value: 0xffffffffn, prefix: 32 }],
    ["fd00::1/64", { family: 6, value: (0xfd00n << 112n) + 1n, prefix: 64 }],
    ["::", { family: 6, value: 0n, prefix: 128 }],
    ["FD00:0:0:0:0:0:0:1", { family: 6, value: (0xfd00n << 112n) + 1n, prefix: 128 }],
  ])("reads %s", (text, expected) => {
    expect(parseCidr(text)).toEqual(expected);
  });

  it.each([
    "",
    "10.32.0",
    "10.32.0.256",
    "10.32.0.5/33",
    "10.32.0.5/",
    "10.32.0.5/-1",
    "10.32.0.5/1e1",
    "10.32.0.5/12/12",
    "010.32.0.5",
    " 10.32.0.5",
    "host",
    "fd00::1/129",
    "fd00:::1",
    "fe80::1%eth0",
    "[fd00::1]",
    `${"0".repeat(60)}.0.0.1`,
  ])("refuses %j", (text) => {
    expect(parseCidr(text)).toBeUndefined();
  });

  it("an address is one without a prefix", () => {
    expect(parseAddress("10.32.0.5")).toEqual(cidr("10.32.0.5"));
    expect(parseAddress("10.32.0.5/32")).toBeUndefined();
  });
});

describe("canonical text", () => {
  it.each([
    ["fd00:0:0:0:0:0:0:1/64", "fd00::1/64"],
    ["FD00::0A/128", "fd00::a/128"],
    ["::/0", "::/0"],
    ["10.32.0.5/12", "10.32.0.5/12"],
    ["10.32.0.5", "10.32.0.5/32"],
  ])("%s is %s", (text, canonical) => {
    expect(formatCidr(cidr(text))).toBe(canonical);
  });

  it("is read back as the same address, v4 and v6", () => {
    const family = fc.constantFrom<Family>(4, 6);
    fc.assert(
      fc.property(family, fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }), (f, bits) => {
        const value = f === 4 ? bits & 0xffff_ffffn : bits;
        expect(parseAddress(formatAddress(f, value))).toEqual({
          family: f,
          value,
          prefix: f === 4 ? 32 : 128,
        });
      }),
    );
  });
});

describe("what a CIDR covers", () => {
  it.each([
    ["10.32.0.5/12", "10.32.0.0/12", 1n << 20n],
    ["10.47.255.255/12", "10.32.0.0/12", 1n << 20n],
    ["10.32.0.5/32", "10.32.0.5/32", 1n],
    ["1.2.3.4/0", "0.0.0.0/0", 1n << 32n],
    ["fd00::5/64", "fd00::/64", 1n << 64n],
  ])("%s lies in %s", (text, network, size) => {
    expect(formatCidr(networkOf(cidr(text)))).toBe(network);
    expect(cidrSize(cidr(text))).toBe(size);
  });

  it.each([
    ["10.32.0.0/12", "10.47.255.255/32", true, true],
    ["10.32.0.0/12", "10.48.0.0/32", false, false],
    ["10.32.0.0/12", "10.31.255.255/32", false, false],
    ["10.32.0.0/12", "10.0.0.0/8", true, false],
    ["10.32.0.5/12", "10.33.0.0/16", true, true],
    ["10.32.0.0/12", "10.32.0.0/12", true, true],
    ["0.0.0.0/0", "::/0", false, false],
    ["fd00::/64", "fd00:0:0:1::/128", false, false],
    ["fd00::/64", "fd00::1/128", true, true],
  ])("%s and %s: overlap %s, contained %s", (outer, inner, shared, inside) => {
    expect(overlaps(cidr(outer), cidr(inner))).toBe(shared);
    expect(overlaps(cidr(inner), cidr(outer))).toBe(shared);
    expect(contains(cidr(outer), cidr(inner))).toBe(inside);
  });
});

it.each<[boolean, string]>([
  [true, "10.32.0.1"],
  [true, "9.0.1.2"],
  [true, "fd00::1"],
  [false, "127.0.0.1"],
  [false, "169.254.169.254"],
  [false, "::1"],
  [false, "fe80::1"],
  [false, "224.0.0.1"],
  [false, "10.32.0.1/12"],
])("shared: %s, %s", (expected, text) => {
  expect(isShared(text)).toBe(expected);
});
