import { describe, expect, it } from "vitest";
import { looksLikeAddress, readWish } from "./addresses.ts";

describe("address forms", () => {
  it("are Weave Net's", () => {
    expect(readWish(["10.2.1.1/24", "ip:10.2.1.2/24", "net:10.32.4.0/24", "net:default"], true)).toEqual({
      addresses: ["10.2.1.1/24", "10.2.1.2/24"],
      subnets: ["10.32.4.0/24", "default"],
    });
    expect(readWish([], true)).toEqual({ addresses: [], subnets: ["default"] });
  });

  it.each(["10.2.1.1", "ip:x/24", "net:10.2.1.1/24", "net:", "10.2.1.0/24", "10.2.1.3/30", "10.2.1.1/31"])(
    "%s is refused",
    (form) => expect(() => readWish([form], true)).toThrow(expect.objectContaining({ code: "bad-address" })),
  );

  it("may be anything when they are only taken away", () => {
    expect(readWish(["10.2.1.0/24"], false).addresses).toEqual(["10.2.1.0/24"]);
  });

  it.each([
    ["10.2.1.1/24", true],
    ["net:default", true],
    ["fd00::1/64", true],
    ["web", false],
    ["1234", false],
    ["/run/netns/c1", false],
    ["3f2a/9", false],
  ])("%s: an address %s", (word, is) => expect(looksLikeAddress(word)).toBe(is));
});
