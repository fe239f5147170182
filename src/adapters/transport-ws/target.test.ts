import { describe, expect, it } from "vitest";
import { plainAddress, targetUrl } from "./target.ts";

describe("targetUrl", () => {
  it.each([
    ["bob", "ws://bob:6783/weave"],
    ["bob.example.org:7000", "ws://bob.example.org:7000/weave"],
    ["10.0.0.2", "ws://10.0.0.2:6783/weave"],
    ["10.0.0.2:1", "ws://10.0.0.2:1/weave"],
    ["fd00::2", "ws://[fd00::2]:6783/weave"],
    ["[fd00::2]", "ws://[fd00::2]:6783/weave"],
    ["[fd00::2]:65535", "ws://[fd00::2]:65535/weave"],
  ])("%s is dialled as %s", (target, url) => {
    expect(targetUrl(target, 6783)).toBe(url);
    expect(new URL(url).pathname).toBe("/weave");
  });

  it.each([
    "",
    ":6783",
    "bob:",
    "bob:0",
    "bob:65536",
    "bob:1:2",
    "bob/../x",
    "user@bob",
    "bob?x",
    "bo b",
    "-bob",
    "[bob]:1",
    "[fd00::2",
    "fe80::1%eth0",
    "10.0.0",
    "0x7f.1",
    "010.0.0.1",
    "1.2.3.4.5",
    "xn--a",
    "a".repeat(254),
  ])("%j is no target", (target) => {
    expect(targetUrl(target, 6783)).toBeUndefined();
  });
});

describe("plainAddress", () => {
  it.each([
    ["::ffff:10.0.0.2", "10.0.0.2"],
    ["::FFFF:10.0.0.2", "10.0.0.2"],
    ["10.0.0.2", "10.0.0.2"],
    ["fd00::2", "fd00::2"],
    ["::ffff:0:1", "::ffff:0:1"],
  ])("%s is %s", (address, plain) => {
    expect(plainAddress(address)).toBe(plain);
  });
});
