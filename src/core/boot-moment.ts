// Moments that a record, the CNI executable and the daemon can compare.

/** When something was done, comparable within one boot: CLOCK_BOOTTIME in ms. */
export interface BootMoment {
  readonly bootId: string;
  readonly bootMs: number;
}

/** Whether `a` is known to have come before `b`; across boots nothing is known. */
export const isBefore = (a: BootMoment, b: BootMoment): boolean =>
  a.bootId === b.bootId && a.bootMs < b.bootMs;
