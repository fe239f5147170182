// How many inbound connections are taken per time: a burst, then a steady trickle.
// Owns the count only; the listener destroys the sockets that get no token.

/** Weave Net's numbers: 20 at once, then one every 50 ms. */
const BURST = 20;
const MS_PER_TOKEN = 50;

/**
 * Asks for a token at time `now` in milliseconds (any clock that never runs backwards); false when there is none.
 * A refused attempt costs nothing, so a flood of them does not shut out those that come at the steady rate.
 */
export function createAcceptBucket(): (now: number) => boolean {
  // The time at which the bucket would be full again. Each token taken moves it one step on.
  let fullAt = Number.NEGATIVE_INFINITY;
  return (now) => {
    const next = Math.max(fullAt, now) + MS_PER_TOKEN;
    if (next - now > BURST * MS_PER_TOKEN) return false;
    fullAt = next;
    return true;
  };
}
