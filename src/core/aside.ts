// Beginning anew on a used disk: what becomes of the records of a host that was removed, joins another cluster, or finds
// that its range or its name is another's. Pure; who writes the old records into a file first is src/daemon/rejoin.ts.
//
// What says "I own", "I decide" and "I was told" goes: ring, configuration, vote, gossip, addresses at rest. What says
// "this runs here" stays, marked `former`: containers and the bridge go on with their addresses, which are asked of
// their owners one by one before they are announced again. Name and incarnation are new, so that nobody takes this host
// for the one that was removed.
import { z } from "zod";
import { macForName } from "./address/mac.ts";
import { MAX_NAME_CHARS } from "./crdt/origin-map.ts";
import { identityOps, movedOps } from "./records.ts";
import type { StoreOp } from "./store-op.ts";

/** Who the host is from now on. */
export interface NewIdentity {
  readonly name: string;
  readonly nickname: string;
  readonly incarnation: string;
  /** What the operator called it (`--name`); absent: its names are drawn at random. */
  readonly base?: string;
  /** It founds nothing, whatever `--ipalloc-init` says, unless it does not find `expect`: the others have a cluster. */
  readonly newcomer?: true;
  /** The ranges it had are not those it has from now on. */
  readonly otherRanges?: true;
}

/** What a host remembers of having begun anew. */
export interface Anew {
  readonly base?: string;
  readonly newcomer?: true;
  /** The cluster it is to join; for MOVE_PATIENCE_MS (ipam/founding.ts) it founds nothing and joins no other. */
  readonly expect?: string;
}

/** Records that are about the former self, by their first word. */
const FORGOTTEN: ReadonlySet<string> = new Set([
  "ring",
  "entry",
  "configuration",
  "vote",
  "freed",
  "doubtful",
  "expect",
  "newcomer",
]);

/**
 * The batch, to be written as one and synced. To carry it out twice, as after a crash in between, changes nothing but
 * the name.
 */
export function asideOps(
  records: ReadonlyMap<string, unknown>,
  { name, nickname, incarnation, base, newcomer, otherRanges }: NewIdentity,
  expect?: string,
): StoreOp[] {
  const ops: StoreOp[] = [];
  for (const [key, value] of records) {
    const [kind = ""] = key.split("/");
    if (FORGOTTEN.has(kind) || (kind === "ranges" && otherRanges === true)) ops.push({ type: "del", key });
    else if (kind === "allocation") ops.push({ type: "put", key, value: former(value) });
    else if (kind === "exposed" && Array.isArray(value))
      ops.push({ type: "put", key, value: value.map(former) });
  }
  ops.push(...movedOps(records));
  const before = identity.safeParse(records.get("identity")).data?.name;
  if (before !== undefined && !records.has("mac"))
    ops.push({ type: "put", key: "mac", value: macForName(before) });
  ops.push(...identityOps(name, nickname, incarnation));
  if (base !== undefined) ops.push({ type: "put", key: "base", value: base });
  if (newcomer !== undefined) ops.push({ type: "put", key: "newcomer", value: newcomer });
  if (expect !== undefined) ops.push({ type: "put", key: "expect", value: expect });
  return ops;
}

const identity = z.object({ name: z.string() });

/** Reads what `asideOps` left for the next starts. */
export function anewOf(records: ReadonlyMap<string, unknown>): Anew {
  const text = z.string().min(1).max(MAX_NAME_CHARS);
  const base = text.safeParse(records.get("base")).data;
  const expect = text.safeParse(records.get("expect")).data;
  return {
    ...(base === undefined ? {} : { base }),
    ...(records.get("newcomer") === true ? { newcomer: true as const } : {}),
    ...(expect === undefined ? {} : { expect }),
  };
}

/**
 * The next name of a host: what the operator called it and four digits, or `fresh`. A name drawn at random (Weave Net's
 * form, a MAC) means nothing to anybody and needs no likeness. `digits`: four, hexadecimal.
 */
export function nextName(
  name: string,
  base: string | undefined,
  draw: { readonly digits: string; readonly fresh: string },
): { readonly name: string; readonly base?: string } {
  const called = base ?? (/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(name) ? undefined : name);
  if (called === undefined) return { name: draw.fresh };
  return { name: `${called.slice(0, MAX_NAME_CHARS - draw.digits.length - 1)}-${draw.digits}`, base: called };
}

/** Records are JSON; one that is no object is damaged, and left for readState to tell. */
function former(value: unknown): unknown {
  return typeof value === "object" && value !== null ? { ...value, former: true } : value;
}
