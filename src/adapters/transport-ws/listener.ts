// The listening side of the WebSocket transport: vets what came in by the front door, and upgrades it.
// What happens on a connection afterwards is not known here.
import { createServer, type IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";
import { type ServerOptions, type WebSocket, WebSocketServer } from "ws";
import { type FrontDoorOptions, openFrontDoor } from "./front-door.ts";
import { NEEDS_PASSWORD, PASSWORD_MISSING_THERE } from "./password-refusal.ts";
import { MESH_PATH, plainAddress } from "./target.ts";

export interface ListenerOptions extends Omit<FrontDoorOptions, "onSocket"> {
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
  const { key, onRefused } = options;
  // It never listens itself: the front door hands it connections, and keeps their deadline.
  const server = createServer();
  const wss = new WebSocketServer({
    ...options.websocket,
    noServer: true,
    path: MESH_PATH,
    clientTracking: false,
  });
  const door = await openFrontDoor({ ...options, onSocket: (socket) => server.emit("connection", socket) });

  server.on("request", (_, response) => {
    response.writeHead(426, { connection: "close", upgrade: "websocket" }).end();
  });
  server.on("upgrade", (request: IncomingMessage, stream: Duplex, head: Buffer) => {
    // An HTTP server hands out the socket it was given; the types say Duplex for all there may be.
    const socket = request.socket;
    // Peers send no Origin; browsers always do, and a web page must not speak to the mesh through its reader.
    if (request.headers.origin !== undefined) return refuse(stream, "403 Forbidden");
    if (key !== undefined && !(socket instanceof TLSSocket)) {
      onRefused(plainAddress(socket.remoteAddress ?? ""), PASSWORD_MISSING_THERE);
      return refuse(stream, NEEDS_PASSWORD.lines);
    }
    if (!options.ready()) return refuse(stream, "503 Service Unavailable");
    wss.handleUpgrade(request, stream, head, (ws) => {
      door.admit(socket);
      options.onConnection(ws, socket);
    });
  });
  return door;
}

function refuse(stream: Duplex, status: string): void {
  stream.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () => stream.destroy());
}
