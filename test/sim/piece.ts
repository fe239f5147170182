// Parts of rings as the checks read them, away from the core's own types.

/** start, end, version, owner, and the epoch it was made in, where that is said. */
export type RingTuple = readonly [number, number, number, string, number?];

/** Offsets [start, end) as a ring says it. The greatest (made, version) counts. */
export interface Piece {
  readonly start: number;
  readonly end: number;
  /** Epoch it was made in; 1 where a ring does not say. */
  readonly made: number;
  readonly version: number;
  readonly owner: string;
}
