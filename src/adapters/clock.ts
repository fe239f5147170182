// The Clock port on Node's clocks: the time of day when the process began, moved on by the monotonic clock.
// A step of the host's clock is not followed, so no deadline of the core fires early or stands still.
import type { Clock } from "../ports/clock.ts";

/** setTimeout takes a signed 32-bit delay; a longer one would fire at once. */
const MAX_DELAY_MS = 2 ** 31 - 1;

export function createClock(): Clock {
  const startedAt = Date.now() - performance.now();
  // Whole milliseconds; flooring keeps the order.
  const now = (): number => Math.floor(startedAt + performance.now());
  let timer: NodeJS.Timeout | undefined;

  const arm = (at: number, ring: () => void): void => {
    const delay = Math.min(Math.max(0, at - now()), MAX_DELAY_MS);
    timer = setTimeout(() => {
      // Node may fire a fraction early, and a clamped delay is not the end of the wait.
      if (now() < at) return arm(at, ring);
      timer = undefined;
      ring();
    }, delay);
  };

  return {
    now,
    setAlarm(at, ring) {
      clearTimeout(timer);
      timer = undefined;
      if (at !== undefined) arm(at, ring);
    },
  };
}
