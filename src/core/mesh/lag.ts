// How late this process is: what a host under load takes for the silence of others is often its own.
import type { Instant } from "../effects.ts";
import { LAG_AWAY_MS, LAG_FREE_MS, LAG_HALF_LIFE_MS, LAG_SLACK } from "./constants.ts";

/** The lateness of deadlines: follows a rise at once, and falls by half each LAG_HALF_LIFE_MS. */
export class Lag {
  #ms = 0;
  #at: Instant = 0;

  /** A deadline was met so late. A process that was away altogether is excused for that time, and is not slow since. */
  note(lateMs: number, now: Instant): void {
    if (lateMs > LAG_AWAY_MS) return;
    this.#ms = Math.max(lateMs, this.smoothed(now));
    this.#at = now;
  }

  /** In milliseconds. */
  smoothed(now: Instant): number {
    return this.#ms * 0.5 ** (Math.max(0, now - this.#at) / LAG_HALF_LIFE_MS);
  }

  /** So much longer the others may be silent, as of the last deadline. */
  get grace(): number {
    return this.#ms < LAG_FREE_MS ? 0 : LAG_SLACK * this.#ms;
  }
}
