// What the core is told and what it answers with. A shell (src/daemon/runner.ts) runs effects strictly in list order:
// an effect that depends on a persist stands after it.
import type { CloseReason, ConnId, DialId, TransportEvent } from "./connection.ts";
import type { Reply, Request } from "./requests.ts";
import type { StoreOp } from "./store-op.ts";

/** Milliseconds since the epoch, never running backwards within a process. */
export type Instant = number;

/** What a Node is told. */
export type Input =
  | TransportEvent
  | { readonly type: "request"; readonly id: number; readonly request: Request }
  /**
   * The host's addresses are others than they were, or what they carry is. `underlay`: the one it is reached at now; `mtu`:
   * what that leaves for containers, absent when it is not known.
   */
  | {
      readonly type: "addresses";
      readonly addresses: readonly string[];
      readonly underlay: string;
      readonly mtu?: number;
    }
  /** The caller of a request went away. */
  | { readonly type: "cancel"; readonly id: number }
  /** The instant of nextDeadline() was reached. `scheduled`: when it could be handed in at the earliest. */
  | { readonly type: "deadline"; readonly scheduled: Instant };

/** What a Node wants done. Order is part of it: each is finished before the next begins. */
export type Effect =
  | { readonly type: "persist"; readonly ops: readonly StoreOp[]; readonly sync: boolean }
  | { readonly type: "send"; readonly conn: ConnId; readonly text: string; readonly ack: boolean }
  | { readonly type: "dial"; readonly dial: DialId; readonly target: string }
  | { readonly type: "close"; readonly conn: ConnId; readonly reason: CloseReason }
  | { readonly type: "reply"; readonly id: number; readonly reply: Reply }
  /** Node.datapath() says something new: let the kernel follow when it is free. */
  | { readonly type: "datapath" }
  | { readonly type: "event"; readonly event: CoreEvent }
  /**
   * Set this state aside and begin anew under another name, as a newcomer (aside.ts). The last effect of its list; the
   * node takes no input after it.
   */
  | { readonly type: "rejoin"; readonly reason: RejoinReason; readonly expect?: string };

/** Why a host begins anew: it was removed, its cluster or range is another's, or its name belongs to another disk. */
export type RejoinReason = "removed" | "joins" | "foreign" | "range" | "name-taken";

/** What happened, for logs, metrics and transcripts. `kind` is constant; the rest are data. */
export interface CoreEvent {
  readonly kind:
    | "connected"
    | "disconnected"
    | "refused"
    | "dial-failed"
    | "founded"
    | "joined"
    | "yielded"
    | "gave"
    | "received"
    | "foreign-cluster"
    | "spoke-again"
    | "moved"
    | "mtu"
    | "spared"
    | "frame-refused"
    | "entries-refused"
    | "allocated"
    | "released"
    | "exposed"
    | "hidden"
    | "decided"
    | "adopted"
    | "took"
    | "lost"
    | "stranded"
    | "split";
  readonly level: "debug" | "info" | "warn";
  readonly data: Readonly<Record<string, string | number | boolean>>;
}

/** Records to be written as one batch; with `sync` they survive a power loss before anything after it happens. */
export const persist = (ops: readonly StoreOp[], sync: boolean): Effect => ({ type: "persist", ops, sync });
/** The answer to a request. Each request gets one. */
export const reply = (id: number, answer: Reply): Effect => ({ type: "reply", id, reply: answer });
/** Something for logs and transcripts. The core does nothing with it. */
export const event = (
  kind: CoreEvent["kind"],
  level: CoreEvent["level"],
  data: CoreEvent["data"],
): Effect => ({
  type: "event",
  event: { kind, level, data },
});
