// Two small non-cryptographic hashes: FNV-1a for names, and 48-bit fingerprints for comparing states over gossip.

const FNV_OFFSET = 0xcbf29ce484222325n;
const FNV_PRIME = 0x100000001b3n;

/** FNV-1a, 64 bit, over the UTF-8 bytes (draft-eastlake-fnv). */
export function fnv1a64(text: string): bigint {
  let hash = FNV_OFFSET;
  for (const byte of new TextEncoder().encode(text)) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * FNV_PRIME);
  }
  return hash;
}

/**
 * A fingerprint of a set of items: XOR of their hashes, so that adding and removing an item are the same operation and
 * order does not matter. Two 24-bit halves from differently seeded 32-bit hashes; a false match (2^-48) costs a repair
 * that comes one change later, nothing else.
 */
export type Fingerprint = number;

export const EMPTY_FINGERPRINT: Fingerprint = 0;

/** Hash of one item. */
export function fingerprint(text: string): Fingerprint {
  let a = 0x811c9dc5;
  let b = 0x9747b28c;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    a = Math.imul(a ^ c, 0x01000193);
    b = Math.imul(b ^ c, 0x5bd1e995);
    b ^= b >>> 15;
  }
  return join(mix(a) & 0xffffff, mix(b) & 0xffffff);
}

/** Combine fingerprints: commutative, its own inverse. */
export function xor(a: Fingerprint, b: Fingerprint): Fingerprint {
  return join(high(a) ^ high(b), low(a) ^ low(b));
}

const join = (highHalf: number, lowHalf: number): Fingerprint =>
  (highHalf >>> 0) * 0x1000000 + (lowHalf >>> 0);
const high = (value: Fingerprint): number => Math.floor(value / 0x1000000);
const low = (value: Fingerprint): number => value % 0x1000000;

/** The finalizer of MurmurHash3: spreads every input bit over the word. */
function mix(value: number): number {
  let h = value;
  h ^= h >>> 16;
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
