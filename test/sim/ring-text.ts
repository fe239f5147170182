// Rings as records and frames carry them, read for the witness and written for people.
import type { OwnedRange } from "../../src/core/ipam/ring.ts";
import type { Piece } from "./witness.ts";

/** start, end, version, owner, and the epoch it was made in, where that is said. */
export type RingTuple = readonly [number, number, number, string, number?];

/** Each tuple is read once: rings are written again and again, mostly the same. */
const known = new WeakMap<object, Piece>();

/** The ring of a record or frame, and its cluster where that is said; undefined when it is none. */
export function piecesOf(
  value: unknown,
): { readonly cluster: string | undefined; readonly pieces: readonly Piece[] } | undefined {
  if (typeof value !== "object" || value === null || !("ranges" in value)) return undefined;
  if (!Array.isArray(value.ranges)) return undefined;
  const founding = "founding" in value ? value.founding : undefined;
  const cluster =
    typeof founding === "object" && founding !== null && "cluster" in founding
      ? String(founding.cluster)
      : undefined;
  return { cluster, pieces: value.ranges.map(pieceOf) };
}

function pieceOf(tuple: RingTuple): Piece {
  const before = known.get(tuple);
  if (before !== undefined) return before;
  const [start, end, version, owner, made = 1] = tuple;
  const piece = { start, end, made, version, owner };
  known.set(tuple, piece);
  return piece;
}

export const ringText = (ranges: readonly OwnedRange[] | undefined): string =>
  ranges?.map((r) => `${r.start}-${r.end}:${r.owner}@${r.version}`).join(" ") ?? "none";
