// A universe is the CIDR one ring divides among the peers. Ring and allocator see only integer offsets inside it, so
// that one code serves IPv4 and IPv6.
import { type Cidr, cidrSize, contains, formatAddress, formatCidr, networkOf, parseCidr } from "./cidr.ts";

/** Universes reach at most 2^48 addresses: offsets stay exact integers in a JavaScript number (below 2^53). */
export const MAX_UNIVERSE_BITS = 48;
/** Weave Net's minimum: network, broadcast and two hosts. */
const MIN_UNIVERSE_SIZE = 4;

/** Offsets `start` (included) to `end` (excluded) inside a universe. */
export interface OffsetRange {
  readonly start: number;
  readonly end: number;
}

/** Why a range given by an operator cannot be a universe. */
export type UniverseFault = "not-a-cidr" | "host-bits" | "too-small" | "too-large";

export class Universe {
  readonly network: Cidr;
  /** Canonical CIDR text. */
  readonly text: string;
  /** Number of addresses. */
  readonly size: number;

  private constructor(network: Cidr) {
    this.network = network;
    this.text = formatCidr(network);
    this.size = Number(cidrSize(network));
  }

  /** Parse an operator's range. Host bits must be zero (a typo there would silently mean another range). */
  static parse(text: string): Universe | UniverseFault {
    const cidr = parseCidr(text);
    if (cidr === undefined || !text.includes("/")) return "not-a-cidr";
    if (networkOf(cidr).value !== cidr.value) return "host-bits";
    if (cidrSize(cidr) < BigInt(MIN_UNIVERSE_SIZE)) return "too-small";
    if (cidrSize(cidr) > 1n << BigInt(MAX_UNIVERSE_BITS)) return "too-large";
    return new Universe(cidr);
  }

  /** Offset of an address, or undefined outside. */
  offsetOf(address: string): number | undefined {
    const cidr = parseCidr(address);
    if (cidr === undefined || !contains(this.network, { ...cidr, prefix: cidr.family === 4 ? 32 : 128 })) {
      return undefined;
    }
    return Number(cidr.value - this.network.value);
  }

  /** Canonical text of the address at `offset`. */
  addressAt(offset: number): string {
    return formatAddress(this.network.family, this.network.value + BigInt(offset));
  }

  /** The part of the universe inside `subnet`, and which of it hosts may use; undefined when they do not overlap. */
  subnet(text: string): Subnet | undefined {
    const cidr = parseCidr(text);
    if (cidr === undefined) return undefined;
    const network = networkOf(cidr);
    const first = network.value - this.network.value;
    const end = first + cidrSize(network);
    // A default subnet may be larger than the universe (Weave Net: the rest is for manual addresses).
    if (network.family !== this.network.family || end <= 0n || first >= BigInt(this.size)) return undefined;
    const usable = hostRange(network, first, end);
    return {
      cidr: network,
      prefix: network.prefix,
      range: { start: clamp(first, this.size), end: clamp(end, this.size) },
      usable: { start: clamp(usable.first, this.size), end: clamp(usable.end, this.size) },
    };
  }
}

export interface Subnet {
  readonly cidr: Cidr;
  readonly prefix: number;
  readonly range: OffsetRange;
  /** Without the addresses no host may have. */
  readonly usable: OffsetRange;
}

/** IPv4: without network and broadcast (a /31 and /32 have neither, RFC 3021). IPv6: without the subnet-router anycast address (RFC 4291, 2.6.1). */
function hostRange(network: Cidr, first: bigint, end: bigint): { first: bigint; end: bigint } {
  if (network.family === 6) return { first: network.prefix >= 127 ? first : first + 1n, end };
  return network.prefix >= 31 ? { first, end } : { first: first + 1n, end: end - 1n };
}

function clamp(value: bigint, size: number): number {
  if (value < 0n) return 0;
  return value > BigInt(size) ? size : Number(value);
}
