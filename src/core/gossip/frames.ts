// Every frame peers exchange, as schemas: parsed once on arrival, bounded, unknown fields let through. docs/wire.md
// describes them for people; frames.golden.json keeps one of each for ever.
import { z } from "zod";
import { BUCKETS, type Entry, type Json, MAX_NAME_CHARS, NAME_PATTERN } from "../crdt/origin-map.ts";
import type { OwnedRange } from "../ipam/ring.ts";

/** Protocol versions this build speaks. A peer must share one. */
export const PROTOCOL = { min: 1, max: 1 } as const;

/** Items in one frame; a sender splits what is more. With MAX_VALUE_CHARS a frame could still exceed MAX_FRAME_CHARS, so senders also watch the size. */
export const MAX_ITEMS_PER_FRAME = 8192;

/** Levels of a frame's JSON. Reading and writing it recurse: a megabyte of brackets would overflow the stack. */
const MAX_NESTING = 64;

export const CHANNEL_PATTERN = /^[a-z][a-z0-9-]{0,31}$/;

const name = z.string().regex(NAME_PATTERN);
const channel = z.string().regex(CHANNEL_PATTERN);
const count = z.int().min(0);
const bucket = z
  .int()
  .min(0)
  .max(BUCKETS - 1);
const json: z.ZodType<Json> = z.json();

/** [origin, key, version, value] */
const entry = z.tuple([name, z.string().max(MAX_NAME_CHARS), z.int().min(1), json]);
/** [start, end, version, owner] */
const ownedRange = z.tuple([count, count, z.int().min(1), name]);

const founding = z.object({
  cluster: name,
  epoch: z.int().min(1),
  founders: z.array(name).max(1024),
});

/** First frame on every connection, from both sides. */
const hello = z.looseObject({
  t: z.literal("hello"),
  protocol: z.object({ min: count, max: count }),
  software: z.string().max(64),
  name,
  nickname: z.string().max(255),
  /** Random per process start: tells oneself and clones apart. */
  uid: z.string().min(8).max(64),
  /** Random per connection: both sides keep the one of two duplicate connections whose nonces sort first. */
  nonce: z.string().min(8).max(64),
  cluster: name.optional(),
  universes: z.array(z.string().max(64)).min(1).max(8),
  vni: count,
  vxlanPort: z.int().min(1).max(65535),
  capabilities: z.array(z.string().max(64)).max(64),
});

const frame = z.discriminatedUnion("t", [
  hello,
  z.looseObject({ t: z.literal("ping"), n: count }),
  z.looseObject({ t: z.literal("pong"), n: count }),
  /** Fingerprint of each channel. Says "I have this": the other side asks when it differs for long. */
  z.looseObject({
    t: z.literal("sums"),
    cluster: name.optional(),
    sums: z.record(z.string().max(64), count),
  }),
  /** Per origin: [origin, highest version, fingerprint]. `answer`: it ends an exchange, do not send one back. */
  z.looseObject({
    t: z.literal("digest"),
    channel,
    origins: z.array(z.tuple([name, count, count])).max(MAX_ITEMS_PER_FRAME),
    answer: z.boolean().optional(),
    /** Only origins of these buckets are listed, and all of them: of another one in them the sender knows nothing. */
    buckets: z.array(bucket).max(BUCKETS).optional(),
  }),
  /** Fingerprint of each bucket of origins, or of each part of a ring, in order. Answered for those that differ. */
  z.looseObject({
    t: z.literal("buckets"),
    channel: z.string().max(64),
    sums: z.array(count).length(BUCKETS),
  }),
  /** "I hold these origins up to these versions", instead of the entries: [origin, highest version]. */
  z.looseObject({
    t: z.literal("have"),
    channel,
    origins: z.array(z.tuple([name, z.int().min(1)])).max(MAX_ITEMS_PER_FRAME),
  }),
  /** "Send me what you hold above these versions": [origin, version]. */
  z.looseObject({
    t: z.literal("want"),
    channel,
    origins: z.array(z.tuple([name, count])).max(MAX_ITEMS_PER_FRAME),
  }),
  /** Entries of a channel. `repair`: answer to a digest, so duplicates in it say nothing about the tree. */
  z.looseObject({
    t: z.literal("push"),
    channel,
    entries: z.array(entry).max(MAX_ITEMS_PER_FRAME),
    repair: z.boolean().optional(),
  }),
  /** Ranges of one universe's ring. `repair`: all of it, or all of some parts, because fingerprints differ. */
  z.looseObject({
    t: z.literal("ring"),
    universe: z.int().min(0).max(7),
    founding,
    ranges: z.array(ownedRange).max(MAX_ITEMS_PER_FRAME),
    repair: z.boolean().optional(),
    /** These parts of the ring differed: send what you have of them. */
    parts: z.array(bucket).max(BUCKETS).optional(),
  }),
  /** "You are not on my tree": send me fingerprints instead of changes. */
  z.looseObject({ t: z.literal("prune") }),
  /** The opposite. */
  z.looseObject({ t: z.literal("graft") }),
  /** A message for one peer, handed on towards it. */
  z.looseObject({
    t: z.literal("to"),
    from: name,
    to: name,
    hops: z.int().min(0).max(32),
    /** Read by the addressee alone (decodeBody); others hand on what they do not know. */
    body: z.looseObject({ k: z.string().max(32) }),
  }),
]);

export type Frame = z.infer<typeof frame>;
export type Hello = z.infer<typeof hello>;
export type FrameOf<T extends Frame["t"]> = Extract<Frame, { t: T }>;

const unicastBody = z.discriminatedUnion("k", [
  /** Please give me space inside these offsets. */
  z.looseObject({
    k: z.literal("ask"),
    universe: z.int().min(0).max(7),
    start: count,
    end: count,
    id: count,
    /** Resting addresses, too: nobody had others. */
    young: z.boolean().optional(),
  }),
  /** The answer. The gift itself also spreads as a ring frame; no gift means none to spare. */
  z.looseObject({
    k: z.literal("answer"),
    universe: z.int().min(0).max(7),
    id: count,
    founding,
    gift: ownedRange.optional(),
  }),
]);

export type UnicastBody = z.infer<typeof unicastBody>;

/** A body addressed to us, or undefined when it is of a kind or shape we do not know. */
export function decodeBody(body: unknown): UnicastBody | undefined {
  return unicastBody.safeParse(body).data;
}

/** A frame, "unknown" for a kind of a newer version (skipped), or why it is refused. */
export function decodeFrame(text: string): Frame | "unknown" | { readonly refused: string } {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { refused: "not JSON" };
  }
  if (isNestedBeyond(value, MAX_NESTING)) return { refused: `nested more than ${MAX_NESTING} levels deep` };
  const parsed = frame.safeParse(value);
  if (parsed.success) return parsed.data;
  const kind = z.looseObject({ t: z.string() }).safeParse(value);
  if (kind.success && !KNOWN.has(kind.data.t)) return "unknown";
  const issue = parsed.error.issues[0];
  return { refused: `${issue?.path.join(".") ?? ""}: ${issue?.message ?? "malformed"}` };
}

/** Level by level, so that it does not recurse itself. */
function isNestedBeyond(value: unknown, limit: number): boolean {
  let level = [value].filter(isNested);
  for (let depth = 1; level.length > 0; depth++) {
    if (depth > limit) return true;
    level = level.flatMap((container) => Object.values(container).filter(isNested));
  }
  return false;
}

const isNested = (value: unknown): value is object => typeof value === "object" && value !== null;

export function encodeFrame(value: Frame): string {
  return JSON.stringify(value);
}

export const entryToWire = (e: Entry): [string, string, number, Json] => [
  e.origin,
  e.key,
  e.version,
  e.value,
];
export const entryFromWire = ([origin, key, version, value]: [string, string, number, Json]): Entry => ({
  origin,
  key,
  version,
  value,
});
export const rangeToWire = (r: OwnedRange): [number, number, number, string] => [
  r.start,
  r.end,
  r.version,
  r.owner,
];
export const rangeFromWire = ([start, end, version, owner]: [
  number,
  number,
  number,
  string,
]): OwnedRange => ({
  start,
  end,
  version,
  owner,
});

const KNOWN: ReadonlySet<string> = new Set(frame.options.map((option) => option.shape.t.value));
