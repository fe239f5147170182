// Virtual time for the memory transport under test: runs what is due, in order, as fast as it can.
import type { Scheduler } from "../../src/adapters/transport-memory.ts";

export interface VirtualTime extends Scheduler {
  /** Runs the next function; false when there is none. */
  step(): boolean;
}

export function createVirtualTime(): VirtualTime {
  const due: { readonly time: number; readonly run: () => void }[] = [];
  let now = 0;
  return {
    now: () => now,
    at(time, run) {
      const entry = { time: Math.max(time, now), run };
      // After all that are due no later: first scheduled, first run.
      const later = due.findIndex((other) => other.time > entry.time);
      due.splice(later < 0 ? due.length : later, 0, entry);
    },
    step() {
      const next = due.shift();
      if (next === undefined) return false;
      now = next.time;
      next.run();
      return true;
    },
  };
}
