import { describe, expect, test } from "vitest";
import { attribute, text } from "./attributes.ts";
import { nfgenmsg } from "./nfnetlink.ts";
import { nftTableOf } from "./nft-chain.ts";

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
