import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isUnicastMac, macForAddress, macForName } from "./mac.ts";

describe("derived MACs", () => {
  // Hosts of different versions must agree on these.
  it.each([
    [macForAddress("10.32.0.5"), "02:a0:0a:20:00:05"],
    [macForAddress("0.0.0.1"), "02:a0:00:00:00:01"],
    [macForAddress("fd00::5"), macForAddress("FD00:0:0:0:0:0:0:5")],
  ])("%s is %s", (mac, expected) => {
    expect(mac).toBe(expected);
  });

  it("are unicast, locally administered, and of three kinds that never meet", () => {
    fc.assert(
      fc.property(fc.ipV4(), fc.ipV6(), fc.string(), (v4, v6, name) => {
        const macs = [macForAddress(v4), macForAddress(v6), macForName(name)];
        expect(macs.map((mac) => mac.slice(0, 5))).toEqual(["02:a0", "02:a1", "02:b0"]);
        for (const mac of macs) expect(isUnicastMac(mac)).toBe(true);
      }),
    );
  });

  it("of names differ, and stay what they were", () => {
    expect(macForName("alice")).toBe(macForName("alice"));
    expect(new Set(["alice", "bob", "carol", ""].map(macForName)).size).toBe(4);
  });

  it("of what is no address is a bug", () => {
    expect(() => macForAddress("text")).toThrow(/not an address: text/);
  });
});

describe("isUnicastMac", () => {
  it.each([
    ["02:a0:0a:20:00:05", true],
    ["00:00:00:00:00:01", true],
    ["fe:ff:ff:ff:ff:ff", true],
    ["00:00:00:00:00:00", false],
    ["ff:ff:ff:ff:ff:ff", false],
    ["01:00:5e:00:00:01", false],
    ["02:A0:0a:20:00:05", false],
    ["02-a0-0a-20-00-05", false],
    ["02:a0:0a:20:00", false],
    ["02:a0:0a:20:00:05:06", false],
    ["02:a0:0a:20:00:5", false],
    ["", false],
  ])("%s: %s", (text, unicast) => {
    expect(isUnicastMac(text)).toBe(unicast);
  });
});
