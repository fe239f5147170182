import { describe, expect, it } from "vitest";
import { encodeRequest, idOfReply, MIN_ECHO_BYTES } from "./packet.ts";

const mark = { secret: Buffer.from("0123456789abcdef", "hex"), identifier: 0xbeef };

/** What the other host makes of a request: ICMP takes the type of the reply, and IPv4 comes with its header. */
function replyTo(request: Buffer, family: 4 | 6): Buffer {
  const reply = Buffer.from(request);
  reply.writeUInt8(family === 4 ? 0 : 129, 0);
  return family === 6 ? reply : Buffer.concat([Buffer.from([0x45, ...Array<number>(19).fill(0)]), reply]);
}

describe.each([4, 6] as const)("echo of IPv%i", (family) => {
  it("fills a packet of the size asked for, and its reply tells which it was", () => {
    const request = encodeRequest(family, mark, 0x01020304, 1450);
    expect(request).toHaveLength(1450 - (family === 4 ? 20 : 40));
    expect(idOfReply(family, mark, replyTo(request, family))).toBe(0x01020304);
    expect(idOfReply(family, mark, replyTo(encodeRequest(family, mark, 7, MIN_ECHO_BYTES), family))).toBe(7);
  });

  it("is not taken for a reply itself, nor with another's mark, nor cut short", () => {
    const request = encodeRequest(family, mark, 1, 100);
    const reply = replyTo(request, family);
    expect(idOfReply(family, mark, request)).toBeUndefined();
    expect(idOfReply(family, { ...mark, secret: Buffer.alloc(8) }, reply)).toBeUndefined();
    expect(idOfReply(family, { ...mark, identifier: 1 }, reply)).toBeUndefined();
    for (let length = 0; length < (family === 4 ? 40 : 20); length++)
      expect(idOfReply(family, mark, reply.subarray(0, length))).toBeUndefined();
  });
});

it("IPv4 messages have the checksum of RFC 1071", () => {
  const request = encodeRequest(4, mark, 7, 101);
  let sum = 0;
  for (let i = 0; i < request.length; i++) sum += (request[i] ?? 0) << (i % 2 === 0 ? 8 : 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  expect(sum).toBe(0xffff);
});
