// Rings as records and frames carry them, read for the witness and written for people.
import type { OwnedRange } from "../../src/core/ipam/ring.ts";
import type { Piece, RingTuple } from "./piece.ts";

/** Each tuple is read once: rings are written again and again, mostly the same. */
const known = new WeakMap<object, Piece>();

/** The ring of a record or frame; undefined when it is none. */
export function piecesOf(value: unknown): { readonly pieces: readonly Piece[] } | undefined {
  if (typeof value !== "object" || value === null || !("ranges" in value)) return undefined;
  return Array.isArray(value.ranges) ? { pieces: value.ranges.map(pieceOf) } : undefined;
}

function pieceOf(tuple: RingTuple): Piece {
  const before = known.get(tuple);
  if (before !== undefined) return before;
  const [start, end, version, owner, made = 1] = tuple;
  const piece = { start, end, made, version, owner };
  known.set(tuple, piece);
  return piece;
}

/** "0-128:alice@2 ...", for messages. */
export const ringText = (ranges: readonly OwnedRange[] | undefined): string =>
  ranges?.map((r) => `${r.start}-${r.end}:${r.owner}@${r.version}`).join(" ") ?? "none";
