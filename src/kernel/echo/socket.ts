// A raw ICMP socket as the echoes need it. Two there are: npm raw-socket's, where it could be compiled, and one of libc
// calls, which needs no compiler; docs/decisions/0016 says why.
import type { Family } from "./packet.ts";

/** What happens on a socket. */
export interface PacketListener {
  /** A packet arrived; not to be kept. */
  packet(bytes: Buffer): void;
}

/** An open socket. */
export interface IcmpSocket {
  /** `sending` is called right before the kernel gets it, `refused` when the kernel does not take it. */
  send(message: Buffer, address: string, sending: () => void, refused: (why: string) => void): void;
  close(): Promise<void>;
}

/** Opens in the namespace of the process. Throws when there can be none. */
export type OpenSocket = (family: Family, listener: PacketListener) => Promise<IcmpSocket>;
