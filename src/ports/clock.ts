// Time as the daemon sees it: milliseconds since the epoch that never run backwards within one process.

export interface Clock {
  now(): number;
  /** Calls back once at or after `at`; replaces the alarm set before. */
  setAlarm(at: number | undefined, ring: () => void): void;
}
