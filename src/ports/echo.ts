// Echo requests to other hosts, of an exact size and never fragmented by this host. Implemented by src/kernel/echo.

/** One request. */
export interface Echo {
  /** The sender's choice, unique among those under way, below 2^32. */
  readonly id: number;
  /** Without zone; a link-local one is reached over the bridge. */
  readonly address: string;
  /** Length of the whole IP packet, from MIN_ECHO_BYTES (src/kernel/echo/packet.ts) on. */
  readonly bytes: number;
}

/** Told in the order things happen. */
export interface EchoListener {
  answered(id: number, rttMs: number): void;
  /** It was not sent, in words for people: the packet is too large for the bridge, there is no route, and the like. */
  refused(id: number, why: string): void;
}

/** Sockets in the namespace of the process. */
export interface Echoes {
  send(echo: Echo): void;
  /** Nothing is told any more; resolves when the sockets are closed. */
  close(): Promise<void>;
}

/** Nothing is opened before the first echo. */
export type OpenEchoes = (listener: EchoListener) => Echoes;
