// Connections between peers over WebSocket (npm `ws`): the Transport port with real sockets.
// Owns sockets, their limits and their timeouts. When to dial again, heartbeats and what frames mean belong to the core.
import type { Socket } from "node:net";
import { WebSocket } from "ws";
import { MAX_FRAME_CHARS } from "../core/connection.ts";
import type { Logger } from "../ports/logger.ts";
import type { CloseReason, ConnId, DialId, Transport, TransportEvent } from "../ports/transport.ts";
import { CLOSE_CODE, decodeCloseReason, encodeCloseReason } from "./transport-ws/close-reason.ts";
import { type Listener, openListener } from "./transport-ws/listener.ts";
import { NEEDS_PASSWORD, PASSWORD_MISSING_HERE, refusedByAlert } from "./transport-ws/password-refusal.ts";
import { dialOptions } from "./transport-ws/psk.ts";
import { plainAddress, targetUrl } from "./transport-ws/target.ts";

/** From the call of `dial` to the open connection: name lookup, TCP and WebSocket handshake together. */
const DIAL_TIMEOUT_MS = 5000;
/** How long a closing handshake may take before the socket is destroyed. */
const CLOSE_TIMEOUT_MS = 2000;
/** Unsent bytes at which a connection is given up: a peer that reads nothing must not fill our memory. */
const MAX_BUFFERED_BYTES = 16 << 20;

const WEBSOCKET_OPTIONS = {
  // A UTF-16 code unit takes at most 3 bytes of UTF-8, so a larger payload is too long for certain.
  maxPayload: 3 * MAX_FRAME_CHARS,
  // Off: frames are mostly small deltas, and zlib would cost each connection some 300 KiB and give a hostile peer
  // a bomb to send. ws sets TCP_NODELAY by itself.
  perMessageDeflate: false,
  // Not yet in @types/ws 8.18; in ws since 8.19.
  closeTimeout: CLOSE_TIMEOUT_MS,
};

/**
 * The mask of 0, with which neither end touches a payload. Masks keep scripts in a browser from sending bytes of their choice
 * past a proxy that takes them for HTTP (RFC 6455 section 10.3); a daemon runs nobody's scripts. Byte by byte, in JavaScript,
 * masks are what an idle mesh works most at, and alone have V8's optimizing compiler loaded: 3.5 MB.
 */
function noMask(mask: Buffer): void {
  mask.fill(0);
}

export interface WsTransportOptions {
  /** Address to listen on; absent: all addresses, IPv4 and IPv6. */
  readonly host?: string;
  /** TCP port to listen on, and to dial where a target names none. 0 takes a free one. */
  readonly port: number;
  /**
   * What all peers derive from their password (mesh-key.ts). With it every connection is TLS and both ends have proved to
   * hold it; absent: connections are plain. Ends of which one has a key, or another one, refuse each other.
   */
  readonly key?: Uint8Array | undefined;
  readonly log: Logger;
}

export interface WsTransport extends Transport {
  /** What is listened on. */
  readonly address: { readonly host: string; readonly port: number };
}

/**
 * Listens and is ready to dial. Fails with port-in-use, bad-address or bad-request.
 * Inbound connections are answered 503 until `onEvent` was called.
 */
export async function createWsTransport(options: WsTransportOptions): Promise<WsTransport> {
  const transport = new WebSocketTransport();
  await transport.listen(options);
  return transport;
}

interface Connection {
  readonly ws: WebSocket;
  readonly closed: Promise<void>;
  /** Why this side ends it. Once set nothing but conn-down is told. */
  ending?: CloseReason;
  /** What broke here, for a conn-down without words from the other side. */
  failure?: CloseReason;
}

/** What is told of a dial that came to nothing. */
type DialFailure = Pick<Extract<TransportEvent, { type: "dial-failed" }>, "message" | "code">;

class WebSocketTransport implements WsTransport {
  readonly #connections = new Map<ConnId, Connection>();
  /** Dials under way, each with what gives it up. */
  readonly #dials = new Map<DialId, (why: DialFailure) => void>();
  #lastConn: ConnId = 0;
  #listener: Listener | undefined;
  #key: Uint8Array | undefined;
  #emit: ((event: TransportEvent) => void) | undefined;
  #stopped: Promise<void> | undefined;

  get address(): { readonly host: string; readonly port: number } {
    if (this.#listener === undefined) throw new Error("not listening yet");
    return this.#listener.address;
  }

  async listen(options: WsTransportOptions): Promise<void> {
    this.#key = options.key;
    this.#listener = await openListener({
      host: options.host,
      port: options.port,
      key: options.key,
      log: options.log,
      websocket: WEBSOCKET_OPTIONS,
      ready: () => this.#emit !== undefined && this.#stopped === undefined,
      onConnection: (ws, socket) => this.#open(ws, socket, undefined),
      onRefused: (remoteAddress, reason) => this.#tell({ type: "conn-refused", remoteAddress, reason }),
    });
  }

  onEvent(listener: (event: TransportEvent) => void): void {
    this.#emit = listener;
  }

  dial(dial: DialId, target: string): void {
    const key = this.#key;
    const plain = targetUrl(target, this.address.port);
    const url = key === undefined ? plain : plain?.replace(/^ws:/, "wss:");
    if (this.#stopped || url === undefined) {
      const message = this.#stopped
        ? "the transport is shut down"
        : `"${target}" is not a host name or address with an optional port`;
      this.#later({ type: "dial-failed", dial, message });
      return;
    }

    const tls = key === undefined ? {} : dialOptions(key);
    const ws = new WebSocket(url, { ...WEBSOCKET_OPTIONS, ...tls, generateMask: noMask });
    let socket: Socket | undefined;
    // One deadline over everything: the handshakeTimeout of ws is one of silence, and starts after the name lookup.
    const late = { message: `no answer within ${DIAL_TIMEOUT_MS / 1000} s` };
    const deadline = setTimeout(() => fail(late), DIAL_TIMEOUT_MS);
    const settle = (): boolean => {
      clearTimeout(deadline);
      // Not merely whether the number is there: the core may have used it again.
      return this.#dials.get(dial) === fail && this.#dials.delete(dial);
    };
    const fail = (why: DialFailure) => {
      if (!settle()) return;
      this.#later({ type: "dial-failed", dial, ...why });
      ws.terminate();
    };
    this.#dials.set(dial, fail);
    // This listener stays for the life of the socket: ws reports a handshake that was given up as an error too.
    ws.on("error", (error) => fail(refusedByAlert(error) ?? { message: describe(error) }));
    ws.once("unexpected-response", (_, { statusCode }) => {
      const message = `it answers like no weave: HTTP ${statusCode}`;
      fail(statusCode === NEEDS_PASSWORD.status ? PASSWORD_MISSING_HERE : { message });
    });
    ws.once("upgrade", (response) => {
      socket = response.socket;
    });
    ws.once("open", () => {
      if (settle() && socket) this.#open(ws, socket, dial);
    });
  }

  send(conn: ConnId, text: string, options: { readonly ack: boolean }): void {
    const connection = this.#connections.get(conn);
    if (connection === undefined || connection.ending) return;
    if (text.length > MAX_FRAME_CHARS) {
      this.close(conn, tooLarge(text.length));
      return;
    }
    connection.ws.send(text, (error) => {
      if (options.ack && !error && !connection.ending) this.#tell({ type: "conn-sent", conn });
    });
    if (connection.ws.bufferedAmount > MAX_BUFFERED_BYTES) {
      const message = `the other side left ${connection.ws.bufferedAmount >> 20} MiB unread`;
      this.close(conn, { code: "too-slow", message });
    }
  }

  close(conn: ConnId, reason: CloseReason): void {
    const connection = this.#connections.get(conn);
    if (connection === undefined || connection.ending) return;
    connection.ending = reason;
    connection.ws.close(CLOSE_CODE, encodeCloseReason(reason));
  }

  shutdown(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    const portFree = this.#listener?.close();
    for (const giveUp of [...this.#dials.values()]) giveUp({ message: "the transport is shut down" });
    const ended = [...this.#connections].map(([conn, connection]) => {
      this.close(conn, { code: "shutting-down", message: "the peer is shutting down" });
      return connection.closed;
    });
    await Promise.all([portFree, ...ended]);
  }

  /** Takes over an open WebSocket. Called from a socket's event, so it may tell of it at once. */
  #open(ws: WebSocket, socket: Socket, dial: DialId | undefined): void {
    const conn = ++this.#lastConn;
    const closed = new Promise<void>((resolve) => ws.once("close", () => resolve()));
    const connection: Connection = { ws, closed };
    this.#connections.set(conn, connection);

    ws.on("message", (data, isBinary) => this.#receive(conn, connection, data, isBinary));
    ws.on("error", (error) => {
      connection.failure ??= protocolFailure(error);
    });
    // ws swallows the errors of its socket; they are the only words a broken connection has.
    socket.on("error", (error) => {
      connection.failure ??= { code: "connection-lost", message: describe(error) };
    });
    ws.once("close", (code, text) => {
      this.#connections.delete(conn);
      this.#tell({ type: "conn-down", conn, reason: downReason(connection, code, text.toString()) });
    });
    this.#tell({
      type: "conn-up",
      conn,
      ...(dial === undefined ? {} : { dial }),
      remoteAddress: plainAddress(socket.remoteAddress ?? ""),
      remotePort: socket.remotePort ?? 0,
      localAddress: plainAddress(socket.localAddress ?? ""),
    });
  }

  #receive(conn: ConnId, connection: Connection, data: WebSocket.RawData, isBinary: boolean): void {
    if (connection.ending) return;
    // With the binaryType ws has by default every message is one Buffer; ws has checked that text is UTF-8.
    const text = data.toString();
    if (isBinary) {
      this.close(conn, { code: "bad-frame", message: "binary frame; only text is spoken here" });
    } else if (text.length > MAX_FRAME_CHARS) {
      this.close(conn, tooLarge(text.length));
    } else {
      this.#tell({ type: "conn-frame", conn, text });
    }
  }

  #tell(event: TransportEvent): void {
    this.#emit?.(event);
  }

  /** For what is known within a call: told after it, yet before anything a socket has to tell. */
  #later(event: TransportEvent): void {
    queueMicrotask(() => this.#tell(event));
  }
}

function tooLarge(chars: number): CloseReason {
  return {
    code: "frame-too-large",
    message: `frame of ${chars} characters, at most ${MAX_FRAME_CHARS} are taken`,
  };
}

function protocolFailure(error: Error): CloseReason {
  const code = "code" in error ? error.code : undefined;
  if (code === "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH") {
    return { code: "frame-too-large", message: `frame of more than ${MAX_FRAME_CHARS} characters` };
  }
  return { code: "bad-frame", message: `the other side breaks the WebSocket protocol: ${error.message}` };
}

function downReason(connection: Connection, closeCode: number, text: string): CloseReason {
  const theirs = decodeCloseReason(closeCode, text);
  const { ending, failure } = connection;
  // The other side answers a close frame with the same one; it has a reason of its own if that differs.
  if (ending) return closeCode === CLOSE_CODE && theirs && theirs.code !== ending.code ? theirs : ending;
  return theirs ?? failure ?? { code: "connection-lost", message: "the other side went away without a word" };
}

/** An error's words; a failed dial to a name with several addresses has one error for each. */
function describe(error: Error): string {
  if (!(error instanceof AggregateError)) return error.message;
  return error.errors.map((one: unknown) => (one instanceof Error ? one.message : String(one))).join("; ");
}
