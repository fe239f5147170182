// What the core knows of a connection: a number, frames of text, and why it ended.

/** Number of a connection, unique within one transport's life. */
export type ConnId = number;
/** Number the core gave a dial attempt. */
export type DialId = number;

/** Why this side ends a connection: a stable code that the other side shows, and free words. */
export interface CloseReason {
  readonly code: string;
  readonly message: string;
}

/**
 * Two hosts refuse each other because of their passwords: both have one and they differ, or only the other one has, or only
 * this one. Nothing changes that but a launch of one of them.
 */
export type PasswordCode = "password-wrong" | "password-missing-here" | "password-missing-there";

export type TransportEvent =
  | {
      readonly type: "conn-up";
      readonly conn: ConnId;
      /** The dial that made it; absent on inbound connections. */
      readonly dial?: DialId;
      /** Address without port. */
      readonly remoteAddress: string;
      readonly remotePort: number;
      readonly localAddress: string;
    }
  | { readonly type: "conn-frame"; readonly conn: ConnId; readonly text: string }
  /** The frame sent with `ack: true` has left this process; at most one is outstanding per connection. */
  | { readonly type: "conn-sent"; readonly conn: ConnId }
  /** Ended by the other side, by failure or by our close. `reason` is the other side's when it gave one. */
  | { readonly type: "conn-down"; readonly conn: ConnId; readonly reason: CloseReason }
  | {
      readonly type: "dial-failed";
      readonly dial: DialId;
      /** Set where the two passwords are why. */
      readonly code?: PasswordCode;
      readonly message: string;
    }
  /** Somebody who dialled was turned away before there was a connection. */
  | { readonly type: "conn-refused"; readonly remoteAddress: string; readonly reason: CloseReason };

/** Largest frame in characters either side accepts; a larger one ends the connection with code "frame-too-large". */
export const MAX_FRAME_CHARS = 1 << 20;
