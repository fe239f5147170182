// Waiting without giving up the thread, for what is done while the process ends.

/** Polls until the fact holds or the time is over; whether it holds. */
export function untilSync(fact: () => boolean, timeoutMs = 5_000): boolean {
  const deadline = performance.now() + timeoutMs;
  const nobody = new Int32Array(new SharedArrayBuffer(4));
  while (!fact()) {
    if (performance.now() > deadline) return false;
    Atomics.wait(nobody, 0, 0, 20);
  }
  return true;
}
