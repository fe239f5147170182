// The TCP port of the mesh: binds it, limits what comes in, and tells by the first byte of each connection whether it is
// TLS or plain. Owns a connection until it is admitted; whether it may stay is decided by the listener behind.
import { createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, type TLSSocket } from "node:tls";
import { WeaveError } from "../../core/errors.ts";
import type { Logger } from "../../ports/logger.ts";
import type { CloseReason } from "../../ports/transport.ts";
import { createAcceptBucket } from "./accept-bucket.ts";
import {
  isPeerHello,
  isWrongKey,
  NO_PASSWORD_ALERT,
  PASSWORD_MISSING_HERE,
  PASSWORD_WRONG,
} from "./password-refusal.ts";
import { listenOptions, TLS_HANDSHAKE } from "./psk.ts";
import { plainAddress } from "./target.ts";

/** From the accepted connection to its admission; as long as a dialling peer would wait for us. */
const ADMISSION_MS = 5000;

export interface FrontDoorOptions {
  /** Address to bind; absent: every address of both families. */
  readonly host?: string | undefined;
  readonly port: number;
  /** Proves peers to each other; absent: TLS is refused. */
  readonly key?: Uint8Array | undefined;
  readonly log: Logger;
  /** A connection has shown what it is: one over TLS comes from a holder of the key. It is to be admitted, or ended. */
  readonly onSocket: (socket: Socket) => void;
  /** A peer was turned away. `remoteAddress` as the rest of weave knows addresses. */
  readonly onRefused: (remoteAddress: string, reason: CloseReason) => void;
}

export interface FrontDoor {
  readonly address: { readonly host: string; readonly port: number };
  /** From here on the connection is the caller's: no deadline, and it is not ended by `close`. */
  admit(socket: Socket): void;
  /** Ends what was not admitted. Resolves when the port is free, for which every admitted connection must have ended too. */
  close(): Promise<void>;
}

/** Fails with port-in-use, bad-address or bad-request when the port cannot be bound. */
export async function openFrontDoor(options: FrontDoorOptions): Promise<FrontDoor> {
  const { log, key, onSocket, onRefused } = options;
  const take = createAcceptBucket();
  const tls = key === undefined ? undefined : createTlsDoor(key, options);
  /** Not admitted yet, each with its deadline. */
  const waiting = new Map<string, { readonly socket: Socket; readonly deadline: NodeJS.Timeout }>();

  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", (error) => log.debug("inbound connection failed", { message: error.message }));
    if (!take(performance.now())) {
      log.debug("inbound connection refused: too many at once", { remote: socket.remoteAddress });
      socket.destroy();
      return;
    }
    const ends = endsOf(socket);
    waiting.set(ends, { socket, deadline: setTimeout(() => socket.destroy(), ADMISSION_MS) });
    socket.once("close", () => forget(ends));
    socket.once("readable", () => {
      const first: Buffer | null = socket.read();
      if (first === null) socket.destroy();
      else {
        socket.unshift(first);
        if (first[0] !== TLS_HANDSHAKE) onSocket(socket);
        else if (tls !== undefined) tls.emit("connection", socket);
        else refuseTls(socket, first);
      }
    });
  });

  const forget = (ends: string): void => {
    clearTimeout(waiting.get(ends)?.deadline);
    waiting.delete(ends);
  };
  const refuseTls = (socket: Socket, first: Buffer): void => {
    if (isPeerHello(first)) onRefused(plainAddress(socket.remoteAddress ?? ""), PASSWORD_MISSING_HERE);
    // Without reading the rest the system would send a reset, which may overtake the alert.
    socket.resume();
    socket.end(NO_PASSWORD_ALERT);
  };

  await bind(server, options);
  // accept() itself can fail later, when descriptors run out; the door stays open.
  server.on("error", (error) => log.warn("listener failed to accept", { message: error.message }));

  const bound = server.address();
  if (bound === null || typeof bound === "string") throw new Error("a TCP server has an address object");
  return {
    address: { host: bound.address, port: bound.port },
    admit: (socket) => forget(endsOf(socket)),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const { socket } of waiting.values()) socket.destroy();
      }),
  };
}

function createTlsDoor(key: Uint8Array, { log, onSocket, onRefused }: FrontDoorOptions) {
  const server = createTlsServer(listenOptions(key), (socket) => {
    socket.on("error", (error) => log.debug("inbound connection failed", { message: error.message }));
    onSocket(socket);
  });
  server.on("tlsClientError", (error, socket: TLSSocket) => {
    if (isWrongKey(error)) onRefused(plainAddress(socket.remoteAddress ?? ""), PASSWORD_WRONG);
    else log.debug("inbound TLS handshake failed", { remote: socket.remoteAddress, message: error.message });
    socket.destroy();
  });
  return server;
}

/** Both ends of a connection: the same for a TLS socket and the one below it, and for no two at a time. */
const endsOf = (socket: Socket): string =>
  `${socket.remoteAddress} ${socket.remotePort} ${socket.localAddress}`;

async function bind(server: Server, options: FrontDoorOptions): Promise<void> {
  const { host, port } = options;
  try {
    await listen(server, host ?? "::", port);
  } catch (error) {
    const code = errorCode(error);
    if (host === undefined && (code === "EAFNOSUPPORT" || code === "EADDRNOTAVAIL")) {
      // IPv6 is off on this host.
      return bind(server, { ...options, host: "0.0.0.0" });
    }
    throw bindError(code, error, host ?? "all addresses", port);
  }
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port, ipv6Only: false }, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

function bindError(code: string, cause: unknown, where: string, port: number): WeaveError {
  const fields = { host: where, port };
  switch (code) {
    case "EADDRINUSE":
      return new WeaveError(
        "port-in-use",
        `cannot listen on TCP port ${port} of ${where}: the port is in use`,
        {
          hint: "stop the process that holds it (weave doctor names it), or choose another port with --port on every host",
          cause,
          fields,
        },
      );
    case "EACCES":
      return new WeaveError("bad-request", `cannot listen on TCP port ${port} of ${where}: not permitted`, {
        hint: "run as root, or choose a port above 1023 with --port on every host",
        cause,
        fields,
      });
    default:
      return new WeaveError("bad-address", `cannot listen on TCP port ${port} of ${where}: ${code}`, {
        hint: "give an address of this host with --host, or leave the option out to listen on all",
        cause,
        fields,
      });
  }
}

function errorCode(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : String(error);
}
