import { describe, expect, test } from "vitest";
import { attribute, nest, text, u32be } from "./attributes.ts";
import { nfgenmsg } from "./nfnetlink.ts";
import { decodeBaseChain, nftTableOf } from "./nft-chain.ts";

const NFTABLES = 10 << 8;
const [NEWCHAIN, DELRULE, NEWGEN] = [3, 8, 15];
const about = (table: string): Buffer =>
  Buffer.concat([nfgenmsg(2, 0), attribute(1, text(table)), attribute(2, text("FORWARD"))]);

describe("a notification of nf_tables", () => {
  test.each([NEWCHAIN, DELRULE])("%d names family and table", (message) => {
    expect(nftTableOf(NFTABLES | message, about("filter"))).toEqual({ family: 2, table: "filter" });
  });

  test.each([
    ["the end of a transaction", NFTABLES | NEWGEN, about("filter")],
    ["another subsystem", (1 << 8) | NEWCHAIN, about("filter")],
    ["a stump", NFTABLES | NEWCHAIN, about("filter").subarray(0, 10)],
    ["no name first", NFTABLES | NEWCHAIN, Buffer.concat([nfgenmsg(2, 0), attribute(2, text("FORWARD"))])],
  ])("%s names none", (_, type, data) => {
    expect(nftTableOf(type, data)).toBeUndefined();
  });
});

describe("a chain as the kernel tells it", () => {
  const named = [attribute(1, text("filter")), attribute(3, text("FORWARD"))];
  const hook = nest(4, attribute(1, u32be(2)), attribute(2, u32be(0)));

  test.each([
    [0, true],
    [1, false],
  ])("with policy %d", (policy, drops) => {
    const payload = Buffer.concat([nfgenmsg(2, 0), ...named, hook, attribute(5, u32be(policy))]);
    expect(decodeBaseChain(payload)).toEqual({
      family: 2,
      table: "filter",
      chain: "FORWARD",
      hook: 2,
      drops,
    });
  });

  test("that only others jump to is none", () => {
    expect(decodeBaseChain(Buffer.concat([nfgenmsg(2, 0), ...named]))).toBeUndefined();
  });
});
