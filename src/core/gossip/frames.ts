// Every frame peers exchange, as schemas: parsed once on arrival, bounded, unknown fields let through. docs/wire.md
// describes them for people; frames.golden.json keeps one of each for ever.
import { z } from "zod";
import { BUCKETS, type Entry, type Json, MAX_NAME_CHARS, NAME_PATTERN } from "../crdt/origin-map.ts";
import { configurationSchema } from "../ipam/configuration-wire.ts";
import type { OwnedRange } from "../ipam/ring.ts";

/** Protocol versions this build speaks. A peer must share one. 1 knew no epochs: it would not notice that it was removed. */
export const PROTOCOL = { min: 2, max: 2 } as const;

/** Items in one frame; a sender splits what is more. With MAX_VALUE_CHARS a frame could still exceed MAX_FRAME_CHARS, so senders also watch the size. */
export const MAX_ITEMS_PER_FRAME = 8192;

/** Levels of a frame's JSON. Reading and writing it recurse: a megabyte of brackets would overflow the stack. */
const MAX_NESTING = 64;

/** Names of channels; they are keys on disk. */
export const CHANNEL_PATTERN = /^[a-z][a-z0-9-]{0,31}$/;

/** Tries for one decision; a greater number would leave none above it. */
const MAX_ROUND = 2 ** 40;

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
/** [start, end, version, owner, made] */
const ownedRange = z.tuple([count, count, z.int().min(1), name, z.int().min(1)]);
const universe = z.int().min(0).max(7);
/** Mostly there is one: absent, it is the first. */
const firstUniverse = universe.optional();
const epoch = z.int().min(1);
const incarnation = z.string().min(1).max(64);

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
  /** Of the configuration it has; and the one it came in with. */
  epoch: epoch.optional(),
  joined: epoch.optional(),
  /** Random per data directory: tells a peer from one of the same name whose disk was lost. */
  incarnation,
  universes: z.array(z.string().max(64)).min(1).max(8),
  vni: count,
  vxlanPort: z.int().min(1).max(65535),
  capabilities: z.array(z.string().max(64)).max(64),
  /** Connections it has: who has none is let in beyond any limit. */
  links: count.optional(),
  /** How often its address changed: a connection from before is dead, whatever the other side believes. */
  moves: count.optional(),
});

const frame = z.discriminatedUnion("t", [
  hello,
  /** `rtt`: milliseconds, as the sender measured last. */
  z.looseObject({ t: z.literal("ping"), n: count, rtt: count.exactOptional() }),
  z.looseObject({ t: z.literal("pong"), n: count }),
  /** Fingerprint of each channel. Says "I have this": the other side asks when it differs for long. */
  z.looseObject({
    t: z.literal("sums"),
    cluster: name.optional(),
    epoch: epoch.optional(),
    /** Fingerprint of the configuration. */
    decision: count.optional(),
    sums: z.record(z.string().max(64), count),
    /** "If yours differ, send them." */
    ask: z.boolean().optional(),
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
  /**
   * Ranges of one universe's ring. They count between peers of one epoch only. `repair`: all of it, or all of some parts,
   * because fingerprints differ.
   */
  z.looseObject({
    t: z.literal("ring"),
    universe: firstUniverse,
    cluster: name,
    epoch,
    ranges: z.array(ownedRange).max(MAX_ITEMS_PER_FRAME),
    repair: z.boolean().optional(),
    /** These parts of the ring differed (none named: somewhere): send what you have of them. */
    parts: z.array(bucket).max(BUCKETS).optional(),
  }),
  /**
   * What was decided last: on adoption to every neighbour, and the answer to whoever is behind or of another cluster.
   * `yields`: the sender's cluster was never used, or it is alone in it without containers, and would give it up.
   */
  z.looseObject({
    t: z.literal("config"),
    configuration: configurationSchema,
    yields: z.boolean().optional(),
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

/** A message of one link, as JSON. */
export type Frame = z.infer<typeof frame>;
/** What each side says of itself first. */
export type Hello = z.infer<typeof hello>;
/** The frame of one kind. */
export type FrameOf<T extends Frame["t"]> = Extract<Frame, { t: T }>;

/** A ballot's round: a number, and the incarnation that makes it unique. */
const round = z.tuple([count.max(MAX_ROUND), incarnation]);
/** What every message of a ballot bears. No cluster: a founding. The epoch is the one to be decided. */
const ballot = { cluster: name.optional(), epoch, round, incarnation };
/** What every other message about ranges bears: it counts between peers of one epoch only. */
const era = { cluster: name, epoch };
/** [universe, start, end, version, owner, made] */
const rangeOf = z.tuple([universe, count, count, count, z.string().max(64), count]);
const ranges = z.array(rangeOf).max(MAX_ITEMS_PER_FRAME);

const unicastBody = z.discriminatedUnion("k", [
  /** Please give me space inside these offsets. */
  z.looseObject({
    k: z.literal("ask"),
    ...era,
    universe: firstUniverse,
    start: count,
    end: count,
    id: count,
    /** Resting addresses, too: nobody had others. */
    young: z.boolean().optional(),
    /** A container of mine has exactly this one since before I was removed. */
    held: z.boolean().optional(),
  }),
  /** The answer. The gift itself also spreads as a ring frame; no gift means none to spare. */
  z.looseObject({
    k: z.literal("answer"),
    ...era,
    universe: firstUniverse,
    id: count,
    /** [start, end, version, made]; its owner is the addressee. */
    gift: z.tuple([count, count, z.int().min(1), z.int().min(1)]).optional(),
  }),
  /** Paxos (ballot.ts). `expected`: how many hosts the sender expects at the founding. */
  z.looseObject({ k: z.literal("prepare"), ...ballot, expected: count.optional() }),
  z.looseObject({
    k: z.literal("promise"),
    ...ballot,
    expected: count.optional(),
    accepted: z.object({ round, value: configurationSchema }).optional(),
    /** Refused: a round of this number was promised already. */
    higher: count.optional(),
  }),
  z.looseObject({ k: z.literal("accept"), ...ballot, value: configurationSchema }),
  z.looseObject({ k: z.literal("accepted"), ...ballot, higher: count.optional() }),
  /** The answer to a message of an epoch that is over. */
  z.looseObject({ k: z.literal("config"), configuration: configurationSchema }),
  /** From the heir to all who stay: what do you know of these? (takeover.ts) */
  z.looseObject({ k: z.literal("fence"), ...era, id: count, ranges }),
  z.looseObject({ k: z.literal("fenced"), ...era, id: count, ranges }),
  /** A host that leaves: ask me for all I have; here it is; it is on my disk (departure.ts). */
  z.looseObject({ k: z.literal("offer"), ...era, id: count }),
  z.looseObject({ k: z.literal("want"), ...era, id: count }),
  z.looseObject({ k: z.literal("handover"), ...era, id: count, ranges }),
  z.looseObject({ k: z.literal("took"), ...era, id: count }),
]);

/** What a `to` frame carries for its addressee. */
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

/** A frame as text. Bounds are the sender's to keep. */
export function encodeFrame(value: Frame): string {
  return JSON.stringify(value);
}

/** Frames to text and back. Another one is for a simulated world, where one text reaches very many nodes. */
export interface Codec {
  readonly encode: typeof encodeFrame;
  readonly decode: typeof decodeFrame;
}
/** The codec of the product. */
export const JSON_CODEC: Codec = { encode: encodeFrame, decode: decodeFrame };

type WireEntry = z.infer<typeof entry>;

/** The wire form of each entry: it goes out as it came, over every link. */
const wireEntries = new WeakMap<Entry, WireEntry>();
const entriesOnWire = new WeakMap<object, Entry>();

/** The same array for the same entry. */
export function entryToWire(e: Entry): WireEntry {
  let wire = wireEntries.get(e);
  if (wire === undefined) {
    wire = [e.origin, e.key, e.version, e.value];
    wireEntries.set(e, wire);
  }
  return wire;
}

/** The same entry for the same array. */
export function entryFromWire(wire: WireEntry): Entry {
  let held = entriesOnWire.get(wire);
  if (held === undefined) {
    const [origin, key, version, value] = wire;
    held = { origin, key, version, value };
    entriesOnWire.set(wire, held);
    wireEntries.set(held, wire);
  }
  return held;
}

/** Absent for the first, as in most frames there are. */
export const universeToWire = (index: number): { readonly universe?: number } =>
  index === 0 ? {} : { universe: index };

/** The wire form of each range: a ring is written whole again and again, and is mostly as before. */
const wireRanges = new WeakMap<OwnedRange, z.infer<typeof ownedRange>>();

/** The same array for the same range. */
export function rangeToWire(r: OwnedRange): z.infer<typeof ownedRange> {
  let wire = wireRanges.get(r);
  if (wire === undefined) {
    wire = [r.start, r.end, r.version, r.owner, r.made];
    wireRanges.set(r, wire);
  }
  return wire;
}

/** One range for one text of it, however often that comes. */
const rangesOnWire = new WeakMap<object, OwnedRange>();

/** The same range for the same array. */
export function rangeFromWire(wire: z.infer<typeof ownedRange>): OwnedRange {
  let range = rangesOnWire.get(wire);
  if (range === undefined) {
    const [start, end, version, owner, made] = wire;
    range = { start, end, version, owner, made };
    rangesOnWire.set(wire, range);
    wireRanges.set(range, wire);
  }
  return range;
}

/** Ranges of several universes in one message. */
export interface RangeOf extends OwnedRange {
  readonly universe: number;
}
/** Ranges of several universes, as in `fence` and `handover`. */
export const rangesToWire = (all: readonly RangeOf[]): z.infer<typeof ranges> =>
  all.map((r) => [r.universe, r.start, r.end, r.version, r.owner, r.made]);
/** The way back. */
export const rangesFromWire = (all: z.infer<typeof ranges>): readonly RangeOf[] =>
  all.map(([of, start, end, version, owner, made]) => ({ universe: of, start, end, version, owner, made }));

const KNOWN: ReadonlySet<string> = new Set(frame.options.map((option) => option.shape.t.value));
