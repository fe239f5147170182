import { expect, test } from "vitest";
import { formatCidr, parseCidr } from "../../core/address/cidr.ts";
import { blockElements } from "../rtnetlink/nft-set.ts";
import { blocksOf } from "./read.ts";

test.each([
  [["10.32.0.0/12"]],
  [["10.32.0.0/12", "192.168.7.0/24"]],
  [["10.0.0.0/9", "10.128.0.0/9"]],
  [["192.0.0.0/2"]],
  [["fd32::/96", "fd33::1/128"]],
  [[]],
])("blocks %j are read back from the elements of a set, in whatever order", (texts) => {
  const elements = texts.flatMap((text) => {
    const cidr = parseCidr(text);
    return cidr === undefined ? [] : blockElements(cidr);
  });
  const family = texts[0]?.includes(":") ? 6 : 4;
  expect(blocksOf(elements.toReversed(), family).map(formatCidr)).toEqual(texts);
});

test("what is no block is left out", () => {
  const key = (text: string): Buffer => Buffer.from(text, "hex");
  expect(blocksOf([{ key: key("0a000000") }, { key: key("0a000003"), end: true }], 4)).toEqual([]);
});
