// A netlink socket without an event loop: the kernel has answered when send() returns, so the answer is read at once.
// For short exchanges in which the turns of the loop would cost more than the kernel does (an attach has nine).
//
// Synchronous inside, in the promises of NetlinkPort outside: whoever awaits them goes on before any other event.
import { close, errno, recv, send, sendLater, socket } from "../libc.ts";
import { readS32, readU16, readU32, writeU16, writeU32 } from "./attributes.ts";
import { errnoName, kernelError, type Subject } from "./errors.ts";
import {
  type NetlinkPort,
  type NetlinkReply,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
  NLMSG_HEADER,
} from "./socket.ts";

const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC = 3 | 0x80000;
/** Never wait: what is not there when send() has returned does not come. */
const MSG_DONTWAIT = 0x40;
/** Tell the true length of a datagram that did not fit. */
const MSG_TRUNC = 0x20;
/** The kernel sends no larger part of a dump (netlink_dump). */
const BUFFER_SIZE = 32_768;
const DUMP_ATTEMPTS = 8;

interface Part extends NetlinkReply {
  readonly flags: number;
}

const buffer = Buffer.allocUnsafeSlow(BUFFER_SIZE);

export class DirectSocket implements NetlinkPort {
  readonly #fd: number;
  #seq = 0;
  #closed = false;

  /** Opens in the network namespace the calling thread is in at this moment. */
  constructor(protocol: number) {
    this.#fd = socket(AF_NETLINK, SOCK_RAW_CLOEXEC, protocol);
    if (this.#fd < 0) {
      throw kernelError({ operation: "socket", object: `netlink ${protocol}` }, errnoName(errno()));
    }
  }

  async request(
    subject: Subject,
    type: number,
    payload: Uint8Array,
    flags = 0,
  ): Promise<readonly NetlinkReply[]> {
    return this.#exchange(subject, type, payload, flags | NLM_F_ACK);
  }

  /**
   * A request in which the kernel holds its caller for many milliseconds: sent on a pool thread. Until it is done the socket
   * must be used for nothing else.
   */
  async requestLater(
    subject: Subject,
    type: number,
    payload: Uint8Array,
    flags = 0,
  ): Promise<readonly NetlinkReply[]> {
    const message = this.#encode(subject, type, payload, flags | NLM_F_ACK);
    if ((await sendLater(this.#fd, message)) < 0) throw kernelError(subject, "EIO");
    return this.#answer(subject);
  }

  async dump(subject: Subject, type: number, payload: Uint8Array): Promise<readonly NetlinkReply[]> {
    for (let attempt = 1; ; attempt++) {
      const parts = this.#exchange(subject, type, payload, NLM_F_DUMP);
      if (attempt >= DUMP_ATTEMPTS || !parts.some((part) => (part.flags & NLM_F_DUMP_INTR) !== 0))
        return parts;
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    close(this.#fd);
  }

  /** All messages up to the acknowledgement, or the end of the dump. */
  #exchange(subject: Subject, type: number, payload: Uint8Array, flags: number): readonly Part[] {
    const message = this.#encode(subject, type, payload, flags);
    if (send(this.#fd, message, message.length, 0) < 0) throw kernelError(subject, errnoName(errno()));
    return this.#answer(subject);
  }

  #encode(subject: Subject, type: number, payload: Uint8Array, flags: number): Buffer {
    if (this.#closed) throw kernelError(subject, "EBADF");
    const message = Buffer.alloc(NLMSG_HEADER + payload.length);
    writeU32(message, message.length, 0);
    writeU16(message, type, 4);
    writeU16(message, flags | NLM_F_REQUEST, 6);
    writeU32(message, ++this.#seq, 8);
    message.set(payload, NLMSG_HEADER);
    return message;
  }

  /** To the message sent last. */
  #answer(subject: Subject): readonly Part[] {
    const parts: Part[] = [];
    for (;;) {
      for (const part of this.#receive(subject, this.#seq)) {
        if (part.type !== NLMSG_DONE && part.type !== NLMSG_ERROR) {
          parts.push(part);
          continue;
        }
        // Both begin with an errno, negated; 0 is success.
        const code = part.data.length < 4 ? 0 : -readS32(part.data);
        if (code > 0) throw kernelError(subject, errnoName(code));
        return parts;
      }
    }
  }

  /** One datagram; messages of an exchange that broke off are left out. */
  #receive(subject: Subject, seq: number): readonly Part[] {
    const length = recv(this.#fd, buffer, buffer.length, MSG_DONTWAIT | MSG_TRUNC);
    if (length < 0) throw kernelError(subject, errnoName(errno()));
    if (length > buffer.length) throw kernelError(subject, "EMSGSIZE");
    const parts: Part[] = [];
    for (let offset = 0; offset + NLMSG_HEADER <= length; ) {
      const size = readU32(buffer, offset);
      if (size < NLMSG_HEADER || offset + size > length) throw kernelError(subject, "EPROTO");
      if (readU32(buffer, offset + 8) === seq) {
        parts.push({
          type: readU16(buffer, offset + 4),
          flags: readU16(buffer, offset + 6),
          data: Buffer.from(buffer.subarray(offset + NLMSG_HEADER, offset + size)),
        });
      }
      offset += (size + 3) & ~3;
    }
    return parts;
  }
}
