// Times of the mesh. Weave Net's own (weave-net.md 9.3) where named; ours otherwise, with the reason.

/** First retry after a failed dial, and growth per failure (Weave Net). */
export const DIAL_BACKOFF_MS = 2_000;
export const DIAL_BACKOFF_GROWTH = 1.5;
/** Longest pause. Weave Net's 6 min leaves an operator waiting after a repair; one dial per half minute costs nothing. */
export const DIAL_BACKOFF_MAX_MS = 30_000;
/**
 * After a dial that failed for the password, with the same jitter: only a launch mends that, and it dials by itself. Less than
 * REFUSAL_SHOWN_MS even with the jitter, so that the other side shows it all the time.
 */
export const PASSWORD_PAUSE_MS = 120_000;
/** A connection that lived this long clears the failures before it (Weave Net). */
export const DIAL_STABLE_MS = 60_000;
/** The other side must introduce itself within this (Weave Net's header timeout). */
export const HELLO_TIMEOUT_MS = 10_000;
/** Ping on every link, so that each side sees three before it gives up. */
export const PING_INTERVAL_MS = 5_000;
/** Nothing heard for this long: the link is dead. TCP alone would take minutes to notice a partition. */
export const SILENT_MS = 15_000;
/** Heard from this recently (a ping is due every 5 s): certainly alive. */
export const ALIVE_MS = 7_000;
/** Inbound connections beyond this many are closed: strangers must not exhaust the process. */
export const MAX_LINKS = 2_048;
/** A refusal of a stranger stays in `status` for this long after it was last seen. */
export const REFUSAL_SHOWN_MS = 300_000;
/** Oldest refusals are forgotten beyond this many. */
export const MAX_REFUSALS = 32;
