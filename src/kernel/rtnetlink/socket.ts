// One netlink socket with a request queue. The only file that imports npm `netlink`.
//
// The queue is needed, not nice: npm netlink 0.3 mixes up the parts when a dump and another request share a socket
// ("Multipart message not terminated properly", EBUSY). A socket talks for ever to the network namespace it was
// created in, whatever the thread does later.
import { createNetlink, type NetlinkMessage as RawMessage, type NetlinkSocket as RawSocket } from "netlink";
import { readS32, writeU16, writeU32 } from "./attributes.ts";
import { errnoName, kernelError, type Subject } from "./errors.ts";

/** NETLINK_ROUTE and NETLINK_NETFILTER (linux/netlink.h). */
export const NETLINK_ROUTE = 0;
export const NETLINK_NETFILTER = 12;

/** Header flags (linux/netlink.h): NLM_F_*. REQUEST and ACK are added by the socket. */
export const NLM_F_REQUEST = 0x1;
export const NLM_F_ACK = 0x4;
export const NLM_F_ECHO = 0x8;
export const NLM_F_REPLACE = 0x100;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;
export const NLM_F_APPEND = 0x800;
export const NLM_F_DUMP_INTR = 0x10;
export const NLM_F_DUMP = 0x300;
export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;
export const NLMSG_HEADER = 16;

/** The kernel answers inside sendmsg; waiting this long means a reply was lost, which must not hang the queue for ever. */
const REPLY_TIMEOUT_MS = 10_000;
/** Dumps that changed while they were read are read again; ours are short, so a handful is plenty. */
const DUMP_ATTEMPTS = 8;

/** A reply or one part of a dump. */
export interface NetlinkReply {
  readonly type: number;
  /** Payload after the netlink header. */
  readonly data: Buffer;
}

/** What the files of the objects (link.ts, route.ts) speak through. */
export interface NetlinkPort {
  /** One request, its acknowledgement or its single reply. Rejects with WeaveError "kernel". */
  request(
    subject: Subject,
    type: number,
    payload: Uint8Array,
    flags?: number,
  ): Promise<readonly NetlinkReply[]>;
  /** A whole table, consistent: read again when it changed under the reader. */
  dump(subject: Subject, type: number, payload: Uint8Array): Promise<readonly NetlinkReply[]>;
  close(): Promise<void>;
}

/** One message of a batch. */
export interface BatchMessage {
  readonly type: number;
  readonly flags: number;
  readonly payload: Buffer;
}

export class NetlinkSocket implements NetlinkPort {
  readonly #socket: RawSocket;
  #tail: Promise<unknown> = Promise.resolve();
  #closed = false;

  /** Opens in the network namespace the calling thread is in at this moment. */
  constructor(protocol: number) {
    this.#socket = createNetlink(protocol);
    // Without a listener an error event would end the process; the request that caused it times out or is refused.
    this.#socket.on("error", () => {});
  }

  /** The port id the kernel knows this socket by; notifications name who caused them by it. */
  get port(): number {
    return this.#socket.address().port;
  }

  request(subject: Subject, type: number, payload: Uint8Array, flags = 0): Promise<readonly NetlinkReply[]> {
    return this.#queue(subject, () => this.#exchange(subject, type, payload, flags));
  }

  dump(subject: Subject, type: number, payload: Uint8Array): Promise<readonly NetlinkReply[]> {
    return this.#queue(subject, async () => {
      for (let attempt = 1; ; attempt++) {
        const parts = await this.#exchange(subject, type, payload, NLM_F_DUMP);
        if (attempt >= DUMP_ATTEMPTS || !parts.some((part) => (part.flags & NLM_F_DUMP_INTR) !== 0))
          return parts;
      }
    });
  }

  /**
   * Several messages in one datagram, framed by `begin` and `end`: an nf_tables transaction, all or nothing.
   * Rejects with the first refusal.
   */
  batch(
    subject: Subject,
    begin: BatchMessage,
    body: readonly BatchMessage[],
    end: BatchMessage,
  ): Promise<void> {
    return this.#queue(subject, () => this.#transaction(subject, begin, body, end));
  }

  /** Waits for what was queued, then closes. Later requests are refused. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#tail;
    this.#socket.close();
  }

  #queue<T>(subject: Subject, job: () => Promise<T>): Promise<T> {
    if (this.#closed) return Promise.reject(kernelError(subject, "EBADF"));
    const done = this.#tail.then(job);
    this.#tail = done.catch(() => {});
    return done;
  }

  async #exchange(subject: Subject, type: number, payload: Uint8Array, flags: number): Promise<RawMessage[]> {
    let replies: RawMessage[];
    try {
      [replies] = await this.#socket.request(type, payload, {
        flags,
        checkError: false,
        timeout: REPLY_TIMEOUT_MS,
      });
    } catch (cause) {
      throw kernelError(subject, errnoFrom(cause), cause);
    }
    const first = replies[0];
    if (first === undefined || first.type !== NLMSG_ERROR) return replies;
    const errno = -readS32(first.data);
    if (errno !== 0) throw kernelError(subject, errnoName(errno));
    return [];
  }

  #transaction(
    subject: Subject,
    begin: BatchMessage,
    body: readonly BatchMessage[],
    end: BatchMessage,
  ): Promise<void> {
    const { port } = this.#socket.address();
    const waiting = new Set<number>();
    const frames = [begin, ...body, end].map((message, index) => {
      const seq = this.#socket.generateSeq();
      const acked = index > 0 && index <= body.length;
      if (acked) waiting.add(seq);
      return frame(message, seq, port, acked ? NLM_F_ACK : 0);
    });
    return new Promise<void>((resolve, reject) => {
      const finish = (error?: Error): void => {
        clearTimeout(timer);
        this.#socket.off("message", onMessage);
        this.#socket.unref();
        if (error === undefined) resolve();
        else reject(error);
      };
      let refusal: Error | undefined;
      const onMessage = (messages: RawMessage[]): void => {
        for (const message of messages) {
          if (message.type !== NLMSG_ERROR) continue;
          const errno = -readS32(message.data);
          if (errno !== 0) refusal ??= kernelError(subject, errnoName(errno));
          // An error under a number that is not ours is about the batch itself (its begin, or the commit).
          if (!waiting.delete(message.seq) && errno !== 0) waiting.clear();
        }
        if (waiting.size === 0) finish(refusal);
      };
      const timer = setTimeout(() => finish(refusal ?? kernelError(subject, "ETIMEDOUT")), REPLY_TIMEOUT_MS);
      this.#socket.on("message", onMessage);
      this.#socket.ref();
      this.#socket.socket.send(Buffer.concat(frames), {}, (error) => {
        if (error) finish(kernelError(subject, errnoFrom(error), error));
      });
    });
  }
}

function frame(message: BatchMessage, seq: number, port: number, flags: number): Buffer {
  const bytes = Buffer.alloc((NLMSG_HEADER + message.payload.length + 3) & ~3);
  writeU32(bytes, NLMSG_HEADER + message.payload.length, 0);
  writeU16(bytes, message.type, 4);
  writeU16(bytes, message.flags | flags | NLM_F_REQUEST, 6);
  writeU32(bytes, seq, 8);
  writeU32(bytes, port, 12);
  bytes.set(message.payload, NLMSG_HEADER);
  return bytes;
}

/** npm netlink gives send errors a `code`; its own time limit and framing errors have none. */
function errnoFrom(error: unknown): string {
  if (error instanceof Error && "code" in error && typeof error.code === "string") return error.code;
  return error instanceof Error && error.message.startsWith("Timeout") ? "ETIMEDOUT" : "EPROTO";
}
