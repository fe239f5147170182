// Announcement frames, byte by byte.
import { expect, test } from "vitest";
import { announcement } from "./packet.ts";

const MAC = "02:a0:0a:20:00:05";
const hex = (text: string): string => text.replaceAll(" ", "");

test("gratuitous ARP", () => {
  expect(announcement("10.32.0.5", MAC, "02:b0:00:00:00:01").toString("hex")).toBe(
    hex(
      "ffffffffffff 02b000000001 0806" + // the frame's own sender may be another
        "0001 0800 06 04 0001" + // Ethernet, IPv4, request
        "02a00a200005 0a200005 000000000000 0a200005",
    ),
  );
});

test("unsolicited neighbour advertisement", () => {
  const frame = announcement("fd32::5", MAC);
  expect(frame.toString("hex")).toBe(
    hex(
      "333300000001 02a00a200005 86dd" +
        "60000000 0020 3a ff" + // 32 bytes of ICMPv6, hop limit 255
        "fd320000000000000000000000000005 ff020000000000000000000000000001" +
        `88 00 ${frame.toString("hex", 56, 58)} 20000000` + // override, not solicited
        "fd320000000000000000000000000005" +
        "0201 02a00a200005", // target link-layer address
    ),
  );
  expect(sum(frame)).toBe(0xffff);
});

test("what is no address is refused", () => {
  expect(() => announcement("10.32.0", MAC)).toThrow("not an IP address");
  expect(() => announcement("10.32.0.5", "02:a0")).toThrow("not a MAC address");
});

/** Ones' complement sum over pseudo header and message, checksum included: all ones when it is right (RFC 1071). */
function sum(frame: Buffer): number {
  const pseudo = Buffer.concat([
    frame.subarray(22, 54),
    Buffer.from([0, 0, 0, 32, 0, 0, 0, 58]),
    frame.subarray(54),
  ]);
  let total = 0;
  for (let i = 0; i < pseudo.length; i += 2) total += pseudo.readUInt16BE(i);
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return total;
}
