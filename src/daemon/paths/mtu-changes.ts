// Remembers the last time the MTU of the network changed under the running daemon, because a host joined, left or has
// another underlay: containers' interfaces changed with it, and status says why.
import type { Instant } from "../../core/effects.ts";

/** The last change. */
export interface MtuChange {
  readonly from: number;
  readonly to: number;
  readonly at: Instant;
}

/** Fed with the MTU of now. */
export class MtuChanges {
  #mtu: number | undefined;
  #last: MtuChange | undefined;

  get last(): MtuChange | undefined {
    return this.#last;
  }

  /** The change, when it is one. */
  note(mtu: number, now: Instant): MtuChange | undefined {
    const from = this.#mtu;
    this.#mtu = mtu;
    if (from === undefined || from === mtu) return undefined;
    this.#last = { from, to: mtu, at: now };
    return this.#last;
  }
}
