// ICMP and ICMPv6 echo messages (RFC 792; RFC 4443, 4), as a raw socket takes and gives them. A reply is ours when it bears
// our secret: containers can send to the bridge, too, and what they send proves nothing.
import { WeaveError } from "../../core/errors.ts";

const HEADER = 8;
const SECRET_BYTES = 8;
const ID_BYTES = 4;
/** IP header without options (RFC 791, 3.1; RFC 8200, 3). */
const IP_HEADER = { 4: 20, 6: 40 } as const;
const TYPE = { 4: { request: 8, reply: 0 }, 6: { request: 128, reply: 129 } } as const;

export type Family = 4 | 6;

/** The least `bytes` of an echo, of either family. */
export const MIN_ECHO_BYTES = IP_HEADER[6] + HEADER + SECRET_BYTES + ID_BYTES;

/** What tells our echoes from others'. */
export interface Mark {
  /** SECRET_BYTES of chance. */
  readonly secret: Buffer;
  /** The identifier in the header, 16 bits. */
  readonly identifier: number;
}

/** A request that makes an IP packet of `bytes`. */
export function encodeRequest(family: Family, mark: Mark, id: number, bytes: number): Buffer {
  if (bytes < MIN_ECHO_BYTES) throw new WeaveError("internal", `an echo of ${bytes} bytes`);
  const message = Buffer.alloc(bytes - IP_HEADER[family]);
  message.writeUInt8(TYPE[family].request, 0);
  message.writeUInt16BE(mark.identifier, 4);
  message.writeUInt16BE(id & 0xffff, 6);
  mark.secret.copy(message, HEADER);
  message.writeUInt32BE(id, HEADER + SECRET_BYTES);
  // Of ICMPv6 the kernel writes it: it alone knows the source address, which counts in.
  if (family === 4) message.writeUInt16BE(checksum(message), 2);
  return message;
}

/** The id of the request that a packet answers; undefined when it answers none of ours. IPv4 packets come with header. */
export function idOfReply(family: Family, mark: Mark, packet: Buffer): number | undefined {
  const start = family === 4 ? ((packet[0] ?? 0) & 0x0f) * 4 : 0;
  const message = packet.subarray(start);
  if (message.length < HEADER + SECRET_BYTES + ID_BYTES) return undefined;
  if (message.readUInt8(0) !== TYPE[family].reply || message.readUInt16BE(4) !== mark.identifier)
    return undefined;
  if (!message.subarray(HEADER, HEADER + SECRET_BYTES).equals(mark.secret)) return undefined;
  return message.readUInt32BE(HEADER + SECRET_BYTES);
}

/** RFC 1071. */
function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let i = 0; i + 1 < bytes.length; i += 2) sum += bytes.readUInt16BE(i);
  if (bytes.length % 2 === 1) sum += (bytes[bytes.length - 1] ?? 0) << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
