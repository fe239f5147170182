// The socket of libc calls, for hosts where npm raw-socket could not be compiled. Waits for answers on a thread of the pool,
// and only while there may be some: a descriptor knows its namespace, whichever thread waits.
import { isIPv6 } from "node:net";
import { close, errno, ifIndex, pollLater, recv, sendto, setsockopt, socket } from "../libc.ts";
import { errnoName, kernelError } from "../rtnetlink/errors.ts";
import { wireAddress } from "../rtnetlink/wire.ts";
import { AF, OPTIONS, PROTOCOL } from "./options.ts";
import type { Family } from "./packet.ts";
import type { IcmpSocket, OpenSocket, PacketListener } from "./socket.ts";

const SOCK_RAW_CLOEXEC_NONBLOCK = 3 | 0x80000 | 0x800;
const BUFFER_BYTES = 65_536;
/** After a packet was sent answers are waited for so long... */
const WAIT_MS = 1_500;
/** ...in pieces of this, so that closing takes no longer. */
const POLL_MS = 250;

export const openLibcSocket: OpenSocket = async (family, listener) => new LibcSocket(family, listener);

class LibcSocket implements IcmpSocket {
  readonly #fd: number;
  readonly #listener: PacketListener;
  readonly #buffer = Buffer.alloc(BUFFER_BYTES);
  #until = 0;
  #waiting: Promise<void> | undefined;
  #closed = false;

  constructor(family: Family, listener: PacketListener) {
    this.#listener = listener;
    this.#fd = socket(AF[family], SOCK_RAW_CLOEXEC_NONBLOCK, PROTOCOL[family]);
    if (this.#fd < 0)
      throw kernelError({ operation: "socket", object: `icmp ${family}` }, errnoName(errno()));
    for (const { level, name, value } of OPTIONS[family]) {
      if (setsockopt(this.#fd, level, name, value, value.length) === 0) continue;
      const error = kernelError({ operation: "setsockopt", object: `${level} ${name}` }, errnoName(errno()));
      close(this.#fd);
      throw error;
    }
  }

  send(message: Buffer, address: string, sending: () => void, refused: (why: string) => void): void {
    if (this.#closed) return;
    const to = socketAddress(address);
    sending();
    if (sendto(this.#fd, message, message.length, 0, to, to.length) < 0) {
      refused(errnoName(errno()));
      return;
    }
    this.#until = performance.now() + WAIT_MS;
    this.#waiting ??= this.#wait();
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#waiting;
    close(this.#fd);
  }

  async #wait(): Promise<void> {
    while (!this.#closed && performance.now() < this.#until)
      if (await pollLater(this.#fd, POLL_MS)) this.#read();
    this.#waiting = undefined;
  }

  #read(): void {
    for (;;) {
      const length = recv(this.#fd, this.#buffer, this.#buffer.length, 0);
      if (length < 0 || this.#closed) return;
      this.#listener.packet(this.#buffer.subarray(0, length));
    }
  }
}

/** struct sockaddr_in, or sockaddr_in6 with the zone of "ADDRESS%INTERFACE" (linux/in.h, linux/in6.h). */
function socketAddress(text: string): Buffer {
  const [address = "", zone] = text.split("%");
  const { bytes } = wireAddress(address);
  const family: Family = isIPv6(address) ? 6 : 4;
  const packed = Buffer.alloc(family === 4 ? 16 : 28);
  new Uint16Array(packed.buffer, packed.byteOffset, 1)[0] = AF[family];
  bytes.copy(packed, family === 4 ? 4 : 8);
  if (zone !== undefined) new Uint32Array(packed.buffer, packed.byteOffset + 24, 1)[0] = ifIndex(zone);
  return packed;
}
