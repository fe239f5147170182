// Connections to other peers that carry text frames in order. Implemented by src/adapters/transport-ws and transport-memory.
import type { CloseReason, ConnId, DialId, TransportEvent } from "../core/connection.ts";

export type { CloseReason, ConnId, DialId, TransportEvent };

/** Nothing here throws or waits; what happens is told by events, never from within the call that caused it. */
export interface Transport {
  /** The one listener; set before anything else is called. */
  onEvent(listener: (event: TransportEvent) => void): void;
  /** `target` is "host" or "host:port" (IPv6 in brackets when it has a port). */
  dial(dial: DialId, target: string): void;
  send(conn: ConnId, text: string, options: { readonly ack: boolean }): void;
  close(conn: ConnId, reason: CloseReason): void;
  shutdown(): Promise<void>;
}
