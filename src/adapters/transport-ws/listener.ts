// The listening side of the WebSocket transport: binds the port, limits and vets what comes in, upgrades it.
// What happens on a connection afterwards is not known here.
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { type ServerOptions, type WebSocket, WebSocketServer } from "ws";
import { WeaveError } from "../../core/errors.ts";
import type { Logger } from "../../ports/logger.ts";
import { createAcceptBucket } from "./accept-bucket.ts";
import { MESH_PATH } from "./target.ts";

// A caller that has sent no complete request by then is dropped; as long as a dialling peer would wait for us.
const REQUEST_TIMEOUT_MS = 5000;

export interface ListenerOptions {
  /** Address to bind; absent: every address of both families. */
  readonly host?: string | undefined;
  readonly port: number;
  readonly log: Logger;
  readonly websocket: ServerOptions;
  /** False while nobody is there to take connections; they are answered 503 then. */
  readonly ready: () => boolean;
  readonly onConnection: (ws: WebSocket, socket: Socket) => void;
}

export interface Listener {
  readonly address: { readonly host: string; readonly port: number };
  /** Resolves when the port is free, for which every upgraded connection must have ended too. */
  close(): Promise<void>;
}

/** Fails with port-in-use, bad-address or bad-request when the port cannot be bound. */
export async function openListener(options: ListenerOptions): Promise<Listener> {
  const { log } = options;
  const take = createAcceptBucket();
  const server = createServer({
    headersTimeout: REQUEST_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionsCheckingInterval: 1000,
  });
  const wss = new WebSocketServer({
    ...options.websocket,
    noServer: true,
    path: MESH_PATH,
    clientTracking: false,
  });

  server.on("connection", (socket: Socket) => {
    if (take(performance.now())) return;
    log.debug("inbound connection refused: too many at once", { remote: socket.remoteAddress });
    socket.destroy();
  });
  server.on("request", (_, response) => {
    response.writeHead(426, { connection: "close", upgrade: "websocket" }).end();
  });
  server.on("upgrade", (request: IncomingMessage, stream: Duplex, head: Buffer) => {
    // An HTTP server without TLS hands out the net.Socket itself; the types say Duplex for both.
    const socket = request.socket;
    // Before ws listens, an error of this socket would be uncaught and end the process.
    socket.on("error", (error) => log.debug("inbound connection failed", { message: error.message }));
    // Peers send no Origin; browsers always do, and a web page must not speak to the mesh through its reader.
    if (request.headers.origin !== undefined) return refuse(stream, "403 Forbidden");
    if (!options.ready()) return refuse(stream, "503 Service Unavailable");
    wss.handleUpgrade(request, stream, head, (ws) => options.onConnection(ws, socket));
  });

  await bind(server, options);
  // accept() itself can fail later, when descriptors run out; the listener lives on.
  server.on("error", (error) => log.warn("listener failed to accept", { message: error.message }));

  const bound = server.address();
  if (bound === null || typeof bound === "string") throw new Error("a TCP server has an address object");
  return {
    address: { host: bound.address, port: bound.port },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        // Those still in their HTTP request; upgraded ones are no longer counted among them.
        server.closeAllConnections();
      }),
  };
}

function refuse(stream: Duplex, status: string): void {
  stream.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () => stream.destroy());
}

async function bind(server: Server, options: ListenerOptions): Promise<void> {
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
          hint: "stop the process that holds it (ss -ltnp), or choose another port with --port on every host",
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
