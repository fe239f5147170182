// The messages of a ballot, as the core handles them: gossip/frames.ts has them as JSON, and adds the cluster.
import type { Configuration } from "./configuration.ts";

/**
 * A try of a proposer: its number, then the proposer's incarnation. No two tries are alike, because a proposer writes the
 * number down first; the name would not do, it may come back with an empty disk.
 */
export type Round = readonly [number, string];

/** Whether `a` comes before `b`. */
export const precedes = (a: Round, b: Round): boolean => (a[0] !== b[0] ? a[0] < b[0] : a[1] < b[1]);
/** Whether they are one and the same try. */
export const sameRound = (a: Round, b: Round): boolean => a[0] === b[0] && a[1] === b[1];

/** What a voter accepted, and in which round. */
export interface Accepted {
  readonly round: Round;
  readonly value: Configuration;
}

/** What all messages of a ballot bear. */
export interface BallotHead {
  /** The epoch to be decided. */
  readonly epoch: number;
  readonly round: Round;
  /** Of the sender. */
  readonly incarnation: string;
}
/** "Promise me to listen to nobody before this round." */
export interface PrepareBody extends BallotHead {
  readonly k: "prepare";
  /** How many stand for election, at a founding: the greatest number counts. */
  readonly expected?: number;
}
/** The answer. */
export interface PromiseBody extends BallotHead {
  readonly k: "promise";
  readonly expected?: number;
  /** What the sender accepted last: whoever goes on must propose this. */
  readonly accepted?: Accepted;
  /** Refused: a greater round of this number was promised. */
  readonly higher?: number;
}
/** "Accept this value." */
export interface AcceptBody extends BallotHead {
  readonly k: "accept";
  readonly value: Configuration;
}
/** The answer. */
export interface AcceptedBody extends BallotHead {
  readonly k: "accepted";
  /** Refused: a greater round of this number was promised. */
  readonly higher?: number;
}
/** Any message of a ballot. */
export type BallotBody = PrepareBody | PromiseBody | AcceptBody | AcceptedBody;
