// The Echoes port: which socket an echo goes through, and which request an answer belongs to. When an answer is overdue is
// the asker's affair.
import { randomBytes } from "node:crypto";
import type { Echo, Echoes, EchoListener } from "../../ports/echo.ts";
import { encodeRequest, type Family, idOfReply, type Mark } from "./packet.ts";
import { openRawSocket } from "./raw-socket.ts";
import type { IcmpSocket, OpenSocket } from "./socket.ts";

/** Requests whose answers are told; the oldest are forgotten first. */
const MAX_PENDING = 4_096;

/** `bridge`: where link-local addresses are. `open`: for tests. */
export function createEchoes(bridge: string, listener: EchoListener, open: OpenSocket = openEither): Echoes {
  const mark: Mark = { secret: randomBytes(8), identifier: randomBytes(2).readUInt16BE() };
  /** id -> when it was sent. */
  const pending = new Map<number, number>();
  const sockets = new Map<Family, Promise<IcmpSocket>>();
  let closed = false;

  const socketOf = (family: Family): Promise<IcmpSocket> => {
    const known = sockets.get(family);
    if (known !== undefined) return known;
    const packet = (bytes: Buffer): void => {
      const id = idOfReply(family, mark, bytes);
      const sentAt = id === undefined ? undefined : pending.get(id);
      if (id === undefined || sentAt === undefined || closed) return;
      pending.delete(id);
      listener.answered(id, performance.now() - sentAt);
    };
    const opening = open(family, { packet });
    sockets.set(family, opening);
    // One that could not be opened is opened anew with the next echo.
    opening.catch(() => sockets.delete(family));
    return opening;
  };

  return {
    send({ id, address, bytes }: Echo) {
      if (closed) return;
      const family: Family = address.includes(":") ? 6 : 4;
      const to = address.startsWith("fe80:") ? `${address}%${bridge}` : address;
      const refused = (why: string): void => {
        pending.delete(id);
        if (!closed) listener.refused(id, why);
      };
      socketOf(family).then(
        (socket) => {
          const [oldest] = pending.keys();
          if (pending.size >= MAX_PENDING && oldest !== undefined) pending.delete(oldest);
          const sending = (): void => void pending.set(id, performance.now());
          socket.send(encodeRequest(family, mark, id, bytes), to, sending, refused);
        },
        (error: unknown) => refused(error instanceof Error ? error.message : String(error)),
      );
    },
    async close() {
      closed = true;
      for (const opening of sockets.values()) {
        const socket = await opening.catch(() => undefined);
        await socket?.close();
      }
    },
  };
}

const openEither: OpenSocket = async (family, listener) => {
  try {
    return await openRawSocket(family, listener);
  } catch {
    const { openLibcSocket } = await import("./libc-socket.ts");
    return openLibcSocket(family, listener);
  }
};
