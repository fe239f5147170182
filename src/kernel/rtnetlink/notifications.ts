// A netlink socket that only listens: what the kernel tells of changes, whoever made them (linux/rtnetlink.h,
// linux/netfilter/nfnetlink.h). Read when the owner likes, not when messages come: however many there are, they cost one
// reading now and then, and what does not fit the buffer meanwhile is one fact, "lost".
import { bind, close, errno, recv, setsockopt, socket } from "../libc.ts";
import { readU16, readU32, writeU16, writeU32 } from "./attributes.ts";
import { errnoName, kernelError } from "./errors.ts";
import { NLMSG_HEADER } from "./socket.ts";

/** RTNLGRP_*: links, neighbours and FDB, addresses, routes and rules of both families. */
export const ROUTE_GROUPS = [1, 3, 5, 7, 8, 9, 11, 19] as const;
/** NFNLGRP_NFTABLES. */
export const NFTABLES_GROUPS = [7] as const;

/** RTM_*: what the kernel sends to ROUTE_GROUPS. */
export const NOTICE = {
  newLink: 16,
  delLink: 17,
  newAddress: 20,
  delAddress: 21,
  newRoute: 24,
  delRoute: 25,
  newNeighbour: 28,
  delNeighbour: 29,
  newRule: 32,
  delRule: 33,
} as const;

const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC = 3 | 0x80000;
const SOL_SOCKET = 1;
const SO_RCVBUFFORCE = 33;
const MSG_DONTWAIT = 0x40;
const MSG_TRUNC = 0x20;
/** A thousand links made at once between two readings; the kernel takes the memory only while they wait. */
const RECEIVE_BYTES = 4 << 20;
/** No notification of the kernel is larger: a netlink message is built in a page, or NLMSG_GOODSIZE of 8 kB. */
const DATAGRAM_BYTES = 32_768;
/** The rest waits for the next reading, so that one is over in some milliseconds. */
const MAX_DATAGRAMS = 4_000;

const buffer = Buffer.allocUnsafeSlow(DATAGRAM_BYTES);

/** `port` names the socket whose request caused it, 0 when the kernel does not tell. `data` is good during the call only. */
type Visit = (type: number, data: Buffer, port: number) => void;

export class NotificationSocket {
  readonly #fd: number;

  /** Opens in the network namespace the calling thread is in at this moment, and listens from now on. */
  constructor(protocol: number, groups: readonly number[]) {
    const subject = { operation: "listen", object: `netlink ${protocol}` };
    this.#fd = socket(AF_NETLINK, SOCK_RAW_CLOEXEC, protocol);
    if (this.#fd < 0) throw kernelError(subject, errnoName(errno()));
    const size = Buffer.alloc(4);
    writeU32(size, RECEIVE_BYTES, 0);
    // Without the right to do so the default stays, and more is lost.
    setsockopt(this.#fd, SOL_SOCKET, SO_RCVBUFFORCE, size, size.length);
    // struct sockaddr_nl: family, padding, port id (0: one of its own), groups as bits.
    const address = Buffer.alloc(12);
    writeU16(address, AF_NETLINK, 0);
    writeU32(address, groups.reduce((bits, group) => bits | (1 << (group - 1)), 0) >>> 0, 8);
    if (bind(this.#fd, address, address.length) < 0) {
      const refusal = kernelError(subject, errnoName(errno()));
      close(this.#fd);
      throw refusal;
    }
  }

  /** Hand everything that came to `visit`, in order. True when messages were lost before or in between. */
  drain(visit: Visit): boolean {
    let lost = false;
    for (let count = 0; count < MAX_DATAGRAMS; count++) {
      const length = recv(this.#fd, buffer, buffer.length, MSG_DONTWAIT | MSG_TRUNC);
      if (length < 0) {
        const why = errnoName(errno());
        if (why === "EAGAIN") return lost;
        if (why !== "EINTR") lost = true;
        if (why !== "ENOBUFS" && why !== "EINTR") return lost;
        continue;
      }
      if (length > buffer.length) lost = true;
      for (let offset = 0; offset + NLMSG_HEADER <= Math.min(length, buffer.length); ) {
        const size = readU32(buffer, offset);
        if (size < NLMSG_HEADER || offset + size > length) break;
        const data = buffer.subarray(offset + NLMSG_HEADER, offset + size);
        visit(readU16(buffer, offset + 4), data, readU32(buffer, offset + 12));
        offset += (size + 3) & ~3;
      }
    }
    return lost;
  }

  close(): void {
    close(this.#fd);
  }
}
