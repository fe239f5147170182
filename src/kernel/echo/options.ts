// Options of the sockets echoes go through, the same whoever opens them: never fragment here, whatever path MTU the kernel
// has learned, and wake up for echo replies alone.
import type { Family } from "./packet.ts";

/** As setsockopt(2) takes it. */
export interface SocketOption {
  readonly level: number;
  readonly name: number;
  readonly value: Buffer;
}

export const AF = { 4: 2, 6: 10 } as const;
export const PROTOCOL = { 4: 1, 6: 58 } as const;

const IPPROTO_IP = 0;
const IPPROTO_IPV6 = 41;
const IPPROTO_ICMPV6 = 58;
const SOL_RAW = 255;
/** linux/in.h, linux/in6.h. PMTUDISC_PROBE: set DF, and do not look at the path MTU that is known. */
const IP_MTU_DISCOVER = 10;
const IPV6_MTU_DISCOVER = 23;
const IPV6_DONTFRAG = 62;
const PMTUDISC_PROBE = 3;
/** linux/icmp.h, linux/icmpv6.h: types whose bit is set are not delivered. */
const ICMP_FILTER = 1;
const ICMPV6_FILTER = 1;
const ECHOREPLY = 0;
const ICMPV6_ECHO_REPLY = 129;

export const OPTIONS: Readonly<Record<Family, readonly SocketOption[]>> = {
  4: [
    { level: IPPROTO_IP, name: IP_MTU_DISCOVER, value: int(PMTUDISC_PROBE) },
    { level: SOL_RAW, name: ICMP_FILTER, value: int(~(1 << ECHOREPLY)) },
  ],
  6: [
    { level: IPPROTO_IPV6, name: IPV6_DONTFRAG, value: int(1) },
    { level: IPPROTO_IPV6, name: IPV6_MTU_DISCOVER, value: int(PMTUDISC_PROBE) },
    { level: IPPROTO_ICMPV6, name: ICMPV6_FILTER, value: allBut(ICMPV6_ECHO_REPLY) },
  ],
};

/** In the byte order of this machine. */
function int(value: number): Buffer {
  return Buffer.from(Int32Array.of(value).buffer);
}

/** struct icmp6_filter: 256 bits in 32-bit words. */
function allBut(type: number): Buffer {
  const words = new Uint32Array(8).fill(0xffff_ffff);
  words[type >> 5] = ~(1 << (type & 31));
  return Buffer.from(words.buffer);
}
