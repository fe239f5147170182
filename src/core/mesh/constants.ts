// Times and limits of the mesh. Weave Net's own (weave-net.md 9.3) where named; ours otherwise, with the reason.

/** First retry after a failed dial, and growth per failure (Weave Net). */
export const DIAL_BACKOFF_MS = 2_000;
export const DIAL_BACKOFF_GROWTH = 1.5;
/** Longest pause (Weave Net): news of the peer, or of another network, ends it earlier. */
export const DIAL_BACKOFF_MAX_MS = 360_000;
/** Longest pause without discovery: no other host looks for this one, and one dial per half minute costs nothing. */
export const DIAL_BACKOFF_LONE_MS = 30_000;
/** Of two hosts that hear of each other one dials at once, the other one after this. */
export const DIAL_TURN_MS = 2_000;
/** Found peers dialled at once: many that are down must not fill the process with attempts of 5 s each. */
export const MAX_FOUND_DIALS = 16;
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
/** `--conn-limit`. Measured in docs/decisions/0010: a change costs each connection a frame, whoever needs it. */
export const DEFAULT_CONN_LIMIT = 32;
/** A peer record lists no more; whoever comes then is turned away, needed or not. */
export const MAX_ESTABLISHED = 256;
/** Inbound connections beyond this many are closed: strangers must not exhaust the process. */
export const MAX_LINKS = 2_048;
/** A deadline met so late says nothing: timers are that inexact. */
export const LAG_FREE_MS = 200;
/** A host that is late once is late again soon. */
export const LAG_HALF_LIFE_MS = 10_000;
/** A ping, its answer and the look at it may all be as late as that. */
export const LAG_SLACK = 3;
/** Later than this the process was stopped, not slow. A dead link is noticed within SILENT_MS and three times this. */
export const LAG_AWAY_MS = 5_000;
/** A refusal of a stranger stays in `status` for this long after it was last seen. */
export const REFUSAL_SHOWN_MS = 300_000;
/** Oldest refusals are forgotten beyond this many. */
export const MAX_REFUSALS = 32;
