// What the daemon counts while it works, for whoever scrapes it. What can be read from its state at any time is not counted.
// Implemented by src/adapters/metrics.

/** Every call is cheap and never throws. */
export interface Meter {
  /** A connection to a peer ended. */
  connectionEnded(): void;
  /** Frames handed to the transport, or heard from it. */
  gossip(direction: "sent" | "received", bytes: number): void;
  /** An allocation begins; the answer is to be called with how it ended. */
  allocating(): (outcome: "ok" | "refused") => void;
  /** A CNI call begins; the answer is to be called with its exit code. */
  cni(verb: "ADD" | "DEL" | "CHECK" | "GC" | "STATUS" | "other"): (exit: number) => void;
}
