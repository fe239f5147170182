import { expect, it } from "vitest";
import { parseCidr } from "./cidr.ts";
import { whyNoHost } from "./host-address.ts";

const why = (text: string): string | undefined => {
  const cidr = parseCidr(text);
  if (cidr === undefined) throw new Error(text);
  return whyNoHost(cidr);
};

it.each(["10.2.1.1/24", "10.2.1.254/24", "10.2.1.1/30", "10.2.1.2/30", "fd00::1/64", "fd00::ffff/112"])(
  "%s can be",
  (text) => {
    expect(why(text)).toBeUndefined();
  },
);

it.each([
  ["10.2.1.0/24", "is the network address of 10.2.1.0/24"],
  ["10.2.1.255/24", "is the broadcast address of 10.2.1.0/24"],
  ["10.2.1.0/30", "is the network address of 10.2.1.0/30"],
  ["10.2.1.3/30", "is the broadcast address of 10.2.1.0/30"],
  ["10.2.1.1/31", "has a prefix longer than /30, which leaves no room for others"],
  ["10.2.1.1/32", "has a prefix longer than /30, which leaves no room for others"],
  ["fd00::/64", "is the network address of fd00::/64"],
  ["fd00::1/127", "has a prefix longer than /126, which leaves no room for others"],
])("%s %s", (text, reason) => expect(why(text)).toBe(reason));
