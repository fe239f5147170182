// Netlink attributes (struct nlattr, linux/netlink.h) to bytes and back, and the scalar encodings they carry.
// Owns no meaning: which attribute number means what stands in the file of the object that uses it.
import { endianness } from "node:os";

/** NLA_HDRLEN. */
const HEADER = 4;
/** NLA_TYPE_MASK: the two upper bits are NLA_F_NESTED and NLA_F_NET_BYTEORDER. */
const TYPE_MASK = 0x3fff;
const LITTLE = endianness() === "LE";

/** Netlink scalars are in host byte order. */
export function readU16(bytes: Buffer, offset = 0): number {
  return LITTLE ? bytes.readUInt16LE(offset) : bytes.readUInt16BE(offset);
}

export function readU32(bytes: Buffer, offset = 0): number {
  return LITTLE ? bytes.readUInt32LE(offset) : bytes.readUInt32BE(offset);
}

export function readS32(bytes: Buffer, offset = 0): number {
  return LITTLE ? bytes.readInt32LE(offset) : bytes.readInt32BE(offset);
}

export function writeU16(bytes: Buffer, value: number, offset: number): void {
  if (LITTLE) bytes.writeUInt16LE(value, offset);
  else bytes.writeUInt16BE(value, offset);
}

export function writeU32(bytes: Buffer, value: number, offset: number): void {
  if (LITTLE) bytes.writeUInt32LE(value, offset);
  else bytes.writeUInt32BE(value, offset);
}

export function u8(value: number): Buffer {
  return Buffer.of(value);
}

export function u16be(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value, 0);
  return bytes;
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  writeU32(bytes, value, 0);
  return bytes;
}

export function u32be(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value, 0);
  return bytes;
}

/** A NUL-terminated string, as interface names and kinds are sent. */
export function text(value: string): Buffer {
  return Buffer.from(`${value}\0`, "utf8");
}

/** NUL-terminated text up to its terminator; the kernel is not consistent about sending one. */
export function readText(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString("utf8", 0, end < 0 ? bytes.length : end);
}

/** One attribute, padded to NLA_ALIGNTO (4) so that attributes may simply be concatenated. */
export function attribute(type: number, value: Uint8Array): Buffer {
  const length = HEADER + value.length;
  if (length > 0xffff) throw new RangeError(`netlink attribute ${type} of ${value.length} bytes`);
  const bytes = Buffer.alloc((length + 3) & ~3);
  writeU16(bytes, length, 0);
  writeU16(bytes, type, 2);
  bytes.set(value, HEADER);
  return bytes;
}

/** An attribute that holds attributes. NLA_F_NESTED is left out: rtnetlink and nf_tables accept both, old kernels only this. */
export function nest(type: number, ...children: readonly Uint8Array[]): Buffer {
  return attribute(type, Buffer.concat(children));
}

/** Attributes by type. Of a type given twice the last counts; a length that cannot be ends the walk (as nla_for_each_attr does). */
export function parseAttributes(bytes: Buffer): Map<number, Buffer> {
  const found = new Map<number, Buffer>();
  for (const [type, value] of walkAttributes(bytes)) found.set(type, value);
  return found;
}

/** All attributes in order, for lists in which a type repeats. */
export function* walkAttributes(bytes: Buffer): Generator<[number, Buffer]> {
  let offset = 0;
  while (offset + HEADER <= bytes.length) {
    const length = readU16(bytes, offset);
    if (length < HEADER || offset + length > bytes.length) return;
    yield [readU16(bytes, offset + 2) & TYPE_MASK, bytes.subarray(offset + HEADER, offset + length)];
    offset += (length + 3) & ~3;
  }
}
