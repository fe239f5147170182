// One process's end of the in-memory network: its dials and its sides of connections.
// Times, partitions and who lives where are the network's, told here as the Wire.
import { MAX_FRAME_CHARS } from "../../core/connection.ts";
import type { CloseReason, ConnId, DialId, Transport, TransportEvent } from "../../ports/transport.ts";
import type { Pipe, Scheduler } from "./pipe.ts";

// The timeouts and limits of the WebSocket transport, so that what is simulated is what runs.
const DIAL_TIMEOUT_MS = 5000;
const CLOSE_TIMEOUT_MS = 2000;
const MAX_BUFFERED_CHARS = 16 << 20;
/** The port every endpoint listens on. */
const MEMORY_PORT = 6783;
/** Where Linux begins to choose local ports (net.ipv4.ip_local_port_range). */
const FIRST_EPHEMERAL_PORT = 32768;

const LOST: CloseReason = { code: "connection-lost", message: "the other side went away without a word" };

/** What crosses a connection. `closed` answers `close`; `lost` is the end of the stream without one. */
export type Item =
  | { readonly type: "accepted" }
  | { readonly type: "frame"; readonly text: string }
  | { readonly type: "close"; readonly reason: CloseReason }
  | { readonly type: "closed" }
  | { readonly type: "lost" };

/** What an endpoint needs of its network. */
export interface Wire {
  readonly scheduler: Scheduler;
  find(address: string): Endpoint | undefined;
  leave(endpoint: Endpoint): void;
  /** Runs `run` at the other end after a latency, and not before a partition in between has healed. */
  travel(from: string, to: string, run: () => void): void;
  /** Chance decides whether what is sent now breaks its connection. */
  lost(from: string, to: string): boolean;
  pipe(from: string, to: string, deliver: (item: Item) => void): Pipe<Item>;
  drop(pipe: Pipe<Item>): void;
}

/**
 * One side of a connection:
 *
 *     opening ──accepted──> open ──own close──> ending ──answer, or 2 s──> gone
 *        │                    └──close or loss from the other side──────────^
 *        └──dial given up───────────────────────────────────────────────────^
 */
interface Side {
  state: "opening" | "open" | "ending" | "gone";
  /** 0 while opening. */
  conn: ConnId;
  ending?: CloseReason;
  readonly dial?: DialId;
  readonly localPort: number;
  readonly remotePort: number;
  readonly remoteAddress: string;
  readonly out: Pipe<Item>;
  readonly in: Pipe<Item>;
}

export class Endpoint implements Transport {
  readonly address: string;
  readonly #wire: Wire;
  readonly #sides = new Map<ConnId, Side>();
  /** Dials under way, each with what gives it up. */
  readonly #dials = new Map<DialId, (message: string) => void>();
  #emit: ((event: TransportEvent) => void) | undefined;
  #state: "up" | "stopping" | "crashed" = "up";
  #lastConn: ConnId = 0;
  #nextPort = FIRST_EPHEMERAL_PORT;
  #stopped: Promise<void> | undefined;
  #onIdle: () => void = () => {};

  constructor(wire: Wire, address: string) {
    this.#wire = wire;
    this.address = address;
  }

  onEvent(listener: (event: TransportEvent) => void): void {
    this.#emit = listener;
  }

  dial(dial: DialId, target: string): void {
    const { scheduler } = this.#wire;
    const to = addressOf(target);
    let side: Side | undefined;
    const fail = (message: string) => {
      if (this.#dials.get(dial) !== fail) return;
      this.#dials.delete(dial);
      if (side) this.#abandon(side);
      this.#later({ type: "dial-failed", dial, message });
    };
    if (this.#state !== "up") {
      this.#later({ type: "dial-failed", dial, message: "the transport is shut down" });
      return;
    }
    this.#dials.set(dial, fail);
    scheduler.at(scheduler.now() + DIAL_TIMEOUT_MS, () =>
      fail(`no answer within ${DIAL_TIMEOUT_MS / 1000} s`),
    );
    this.#wire.travel(this.address, to, () => {
      if (this.#dials.get(dial) !== fail || this.#wire.lost(this.address, to)) return;
      const listener = this.#wire.find(to);
      if (listener?.accepting) side = this.#connect(listener, dial, fail);
      else this.#wire.travel(to, this.address, () => fail(`connection refused by ${target}`));
    });
  }

  send(conn: ConnId, text: string, options: { readonly ack: boolean }): void {
    const side = this.#sides.get(conn);
    if (side?.state !== "open") return;
    if (text.length > MAX_FRAME_CHARS) {
      const message = `frame of ${text.length} characters, at most ${MAX_FRAME_CHARS} are taken`;
      this.close(conn, { code: "frame-too-large", message });
      return;
    }
    const onLeft = (): void => {
      if (side.state === "open") this.#tell({ type: "conn-sent", conn });
    };
    const breaks = this.#wire.lost(this.address, side.remoteAddress);
    side.out.push(
      breaks ? { type: "lost" } : { type: "frame", text },
      text.length,
      options.ack ? onLeft : undefined,
    );
    if (breaks) side.in.push({ type: "lost" });
    if (side.out.buffered > MAX_BUFFERED_CHARS) {
      this.close(conn, {
        code: "too-slow",
        message: `the other side left ${side.out.buffered >> 20} MiB unread`,
      });
    }
  }

  close(conn: ConnId, reason: CloseReason): void {
    const side = this.#sides.get(conn);
    if (side?.state !== "open") return;
    side.state = "ending";
    side.ending = reason;
    side.out.push({ type: "close", reason });
    const { scheduler } = this.#wire;
    scheduler.at(scheduler.now() + CLOSE_TIMEOUT_MS, () => {
      if (side.state !== "ending") return;
      this.#abandon(side);
      this.#down(side, reason);
    });
  }

  shutdown(): Promise<void> {
    this.#stopped ??= new Promise((resolve) => {
      this.#state = "stopping";
      this.#wire.leave(this);
      for (const fail of [...this.#dials.values()]) fail("the transport is shut down");
      for (const conn of [...this.#sides.keys()]) {
        this.close(conn, { code: "shutting-down", message: "the peer is shutting down" });
      }
      this.#onIdle = resolve;
      if (this.#sides.size === 0) resolve();
    });
    return this.#stopped;
  }

  crash(): void {
    this.#state = "crashed";
    this.#wire.leave(this);
    for (const fail of [...this.#dials.values()]) fail("crashed");
    for (const side of [...this.#sides.values()]) this.#abandon(side);
    this.#sides.clear();
  }

  get accepting(): boolean {
    return this.#state === "up" && this.#emit !== undefined;
  }

  #connect(listener: Endpoint, dial: DialId, fail: (message: string) => void): Side {
    const { address } = this;
    const localPort = this.#nextPort++;
    const forth: Pipe<Item> = this.#wire.pipe(address, listener.address, (item) =>
      listener.#receive(accepted, item),
    );
    const back: Pipe<Item> = this.#wire.pipe(listener.address, address, (item) => {
      if (dialled.state === "opening" && item.type === "lost") fail("connection lost while it was set up");
      else this.#receive(dialled, item);
    });
    const common = { conn: 0, state: "opening" } as const;
    const dialled: Side = {
      ...common,
      dial,
      localPort,
      remotePort: MEMORY_PORT,
      remoteAddress: listener.address,
      out: forth,
      in: back,
    };
    const accepted: Side = {
      ...common,
      localPort: MEMORY_PORT,
      remotePort: localPort,
      remoteAddress: address,
      out: back,
      in: forth,
    };
    back.push({ type: "accepted" });
    listener.#open(accepted);
    return dialled;
  }

  #receive(side: Side, item: Item): void {
    // What was on its way to a side that has given up.
    if (side.state === "gone") return;
    switch (item.type) {
      case "accepted":
        if (side.dial !== undefined) this.#dials.delete(side.dial);
        this.#open(side);
        return;
      case "frame":
        if (side.state === "open") this.#tell({ type: "conn-frame", conn: side.conn, text: item.text });
        return;
      case "close": {
        const crossed = side.ending !== undefined && side.ending.code === item.reason.code;
        side.out.push({ type: "closed" });
        this.#down(side, crossed && side.ending ? side.ending : item.reason);
        return;
      }
      case "closed":
      case "lost":
        this.#down(side, side.ending ?? LOST);
    }
  }

  #open(side: Side): void {
    side.state = "open";
    side.conn = ++this.#lastConn;
    this.#sides.set(side.conn, side);
    this.#tell({
      type: "conn-up",
      conn: side.conn,
      ...(side.dial === undefined ? {} : { dial: side.dial }),
      remoteAddress: side.remoteAddress,
      remotePort: side.remotePort,
      localAddress: this.address,
    });
  }

  #down(side: Side, reason: CloseReason): void {
    side.state = "gone";
    this.#wire.drop(side.in);
    this.#sides.delete(side.conn);
    this.#tell({ type: "conn-down", conn: side.conn, reason });
    if (this.#sides.size === 0) this.#onIdle();
  }

  /** Ends a side from here without a handshake; the other one hears so after what had left already. */
  #abandon(side: Side): void {
    side.state = "gone";
    this.#wire.drop(side.in);
    side.out.dropUnsent();
    side.out.push({ type: "lost" });
  }

  #tell(event: TransportEvent): void {
    if (this.#state !== "crashed") this.#emit?.(event);
  }

  /** For what is known within a call. */
  #later(event: TransportEvent): void {
    this.#wire.scheduler.at(this.#wire.scheduler.now(), () => this.#tell(event));
  }
}

/** "address", "address:6783", "[address]:6783"; any other port leads nowhere. */
function addressOf(target: string): string {
  const withPort = target.endsWith(`:${MEMORY_PORT}`) ? target.slice(0, -`:${MEMORY_PORT}`.length) : target;
  const bare = /^\[(.*)\]$/.exec(withPort)?.[1];
  if (bare !== undefined) return bare;
  // A bare IPv6 address may itself end so; it has other colons before.
  return withPort.includes(":") ? target : withPort;
}
