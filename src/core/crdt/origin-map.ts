// The single-writer map: each origin (a peer) alone writes its own keyed, versioned entries; everybody keeps and relays
// all of them. Carries peers, endpoints and any channel a newer version may bring. Knows nothing of what values mean.
import { EMPTY_FINGERPRINT, type Fingerprint, fingerprint, xor } from "../hash.ts";

/** What a value may be: it is relayed by peers that do not understand it. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** One entry. `value` null is a tombstone: the origin removed the key. Versions grow over all keys of one origin. */
export interface Entry {
  readonly origin: string;
  readonly key: string;
  readonly version: number;
  readonly value: Json;
}

/** What two maps compare before they exchange entries of one origin. */
export interface OriginDigest {
  readonly origin: string;
  /** Highest version held. */
  readonly version: number;
  readonly fingerprint: Fingerprint;
}

/** Bounds on what a peer may send; a peer that exceeds them is refused entry by entry. */
export const MAX_NAME_CHARS = 64;
/** Peer names: what a command line, a log and a record key can carry as they are. MAC notation (Weave Net) is one. */
export const NAME_PATTERN = /^[A-Za-z0-9][A-Za-z0-9:._-]{0,63}$/;
/** As JSON text; an entry beyond it is refused. */
export const MAX_VALUE_CHARS = 16_384;
const MAX_ORIGINS = 8_192;
const MAX_KEYS_PER_ORIGIN = 262_144;

/** Origins are compared in so many groups, by a hash of their names: two maps that differ in one origin find it by one group. */
export const BUCKETS = 64;

const bucketOf = (origin: string): number => fingerprint(origin) % BUCKETS;

interface Held {
  readonly entry: Entry;
  readonly mark: Fingerprint;
  /** Length of the value's text. */
  readonly chars: number;
}

/** Worked out once for an entry, though it is looked at before it is taken in. */
const heldBefore = new WeakMap<Entry, Held>();

function heldOf(entry: Entry): Held {
  let held = heldBefore.get(entry);
  if (held === undefined) {
    const text = textOf(entry.value);
    const mark = fingerprint(`${entry.origin}\0${entry.key}\0${entry.version}\0${text}`);
    held = { entry, mark, chars: text.length };
    heldBefore.set(entry, held);
  }
  return held;
}

interface OriginState {
  readonly bucket: number;
  readonly entries: Map<string, Held>;
  version: number;
  fingerprint: Fingerprint;
}

/**
 * Invariants:
 * 1. Merging is commutative, associative and idempotent; the greater (version, value text) of two entries of one
 *    origin and key wins.
 * 2. Nobody but `self` changes what `self` says: a foreign claim to a newer own entry (our disk was lost, or a stale
 *    copy of us spoke) is answered by re-issuing our own word above it.
 * 3. `fingerprint()` is a function of the content alone.
 */
export class OriginMap {
  readonly #self: string;
  readonly #origins = new Map<string, OriginState>();
  #fingerprint: Fingerprint = EMPTY_FINGERPRINT;
  readonly #buckets: Fingerprint[] = new Array<Fingerprint>(BUCKETS).fill(EMPTY_FINGERPRINT);

  constructor(self: string) {
    this.#self = self;
  }

  /** Set an own key. Returns the new entry to spread, or undefined when the value is what it was. */
  put(key: string, value: Exclude<Json, null>): Entry | undefined {
    return this.#write(key, value);
  }

  /** Remove an own key. Returns the tombstone to spread, or undefined when there was none to remove. */
  remove(key: string): Entry | undefined {
    const held = this.#origins.get(this.#self)?.entries.get(key);
    return held === undefined || held.entry.value === null ? undefined : this.#write(key, null);
  }

  /**
   * Take entries in, from gossip or from disk. Returns those that are new here, own re-issues included; they are to be
   * persisted and passed on. Entries out of bounds are left out and counted.
   */
  merge(entries: readonly Entry[]): { readonly fresh: readonly Entry[]; readonly refused: number } {
    const fresh: Entry[] = [];
    let refused = 0;
    for (const entry of entries) {
      if (!this.#admissible(entry)) refused++;
      else if (entry.origin === this.#self) this.#heardOfSelf(entry, fresh);
      else if (this.#wins(entry)) fresh.push(this.#store(entry));
    }
    return { fresh, refused };
  }

  /** Restore own and foreign entries from disk: nothing is re-issued. */
  restore(entries: readonly Entry[]): void {
    for (const entry of entries) if (this.#admissible(entry) && this.#wins(entry)) this.#store(entry);
  }

  /** The value of a key, undefined when unknown or removed. */
  get(origin: string, key: string): Exclude<Json, null> | undefined {
    const value = this.#origins.get(origin)?.entries.get(key)?.entry.value;
    return value === null ? undefined : value;
  }

  entry(origin: string, key: string): Entry | undefined {
    return this.#origins.get(origin)?.entries.get(key)?.entry;
  }

  origins(): readonly string[] {
    return [...this.#origins.keys()];
  }

  get originCount(): number {
    return this.#origins.size;
  }

  /** Entries of one origin above a version, tombstones included, in version order. */
  entriesSince(origin: string, version: number): readonly Entry[] {
    const out: Entry[] = [];
    for (const { entry } of this.#origins.get(origin)?.entries.values() ?? [])
      if (entry.version > version) out.push(entry);
    return out.sort((a, b) => a.version - b.version);
  }

  /** All live entries, without tombstones. */
  *live(): Generator<Entry> {
    for (const state of this.#origins.values()) {
      for (const { entry } of state.entries.values()) if (entry.value !== null) yield entry;
    }
  }

  /** Own live entries. */
  ownLive(): readonly Entry[] {
    return this.entriesSince(this.#self, 0).filter((entry) => entry.value !== null);
  }

  /** Drop all an origin said, as if it had never been heard. Returns its keys. */
  forget(origin: string): readonly string[] {
    const state = this.#origins.get(origin);
    if (state === undefined) return [];
    this.#origins.delete(origin);
    this.#fingerprint = xor(this.#fingerprint, state.fingerprint);
    this.#buckets[state.bucket] = xor(this.#buckets[state.bucket] ?? EMPTY_FINGERPRINT, state.fingerprint);
    return [...state.entries.keys()];
  }

  fingerprint(): Fingerprint {
    return this.#fingerprint;
  }

  /** Fingerprint of each bucket. */
  bucketSums(): readonly Fingerprint[] {
    return this.#buckets;
  }

  /** Of every origin, or of those in some buckets. */
  digest(buckets?: ReadonlySet<number>): readonly OriginDigest[] {
    const digests: OriginDigest[] = [];
    for (const [origin, { bucket, version, fingerprint }] of this.#origins)
      if (buckets?.has(bucket) !== false) digests.push({ origin, version, fingerprint });
    return digests;
  }

  /** Highest version held of an origin; 0 without any. */
  versionOf(origin: string): number {
    return this.#origins.get(origin)?.version ?? 0;
  }

  digestOf(origin: string): OriginDigest {
    const state = this.#origins.get(origin);
    return { origin, version: state?.version ?? 0, fingerprint: state?.fingerprint ?? EMPTY_FINGERPRINT };
  }

  #write(key: string, value: Json): Entry | undefined {
    const held = this.#origins.get(this.#self)?.entries.get(key);
    if (held !== undefined && textOf(held.entry.value) === textOf(value)) return undefined;
    return this.#store({ origin: this.#self, key, version: this.#nextVersion(), value });
  }

  #nextVersion(): number {
    return (this.#origins.get(this.#self)?.version ?? 0) + 1;
  }

  #heardOfSelf(entry: Entry, fresh: Entry[]): void {
    const mine = this.entry(this.#self, entry.key);
    if (mine === undefined && entry.value === null) {
      fresh.push(this.#store(entry));
      return;
    }
    if (!this.#wins(entry)) return;
    // Re-issue above the version heard (invariant 2): our value, or its removal when we know of none.
    fresh.push(
      this.#store({
        ...entry,
        version: Math.max(entry.version + 1, this.#nextVersion()),
        value: mine?.value ?? null,
      }),
    );
  }

  #wins(entry: Entry): boolean {
    const held = this.#origins.get(entry.origin)?.entries.get(entry.key);
    if (held === undefined || entry.version !== held.entry.version)
      return held === undefined || entry.version > held.entry.version;
    return heldOf(entry) !== held && textOf(entry.value) > textOf(held.entry.value);
  }

  #store(entry: Entry): Entry {
    let state = this.#origins.get(entry.origin);
    if (state === undefined) {
      const bucket = bucketOf(entry.origin);
      state = { bucket, entries: new Map(), version: 0, fingerprint: EMPTY_FINGERPRINT };
      this.#origins.set(entry.origin, state);
    }
    const held = heldOf(entry);
    const change = xor(held.mark, state.entries.get(entry.key)?.mark ?? EMPTY_FINGERPRINT);
    state.entries.set(entry.key, held);
    state.version = Math.max(state.version, entry.version);
    state.fingerprint = xor(state.fingerprint, change);
    this.#fingerprint = xor(this.#fingerprint, change);
    this.#buckets[state.bucket] = xor(this.#buckets[state.bucket] ?? EMPTY_FINGERPRINT, change);
    return entry;
  }

  #admissible(entry: Entry): boolean {
    const state = this.#origins.get(entry.origin);
    return (
      NAME_PATTERN.test(entry.origin) &&
      entry.key.length <= MAX_NAME_CHARS &&
      Number.isSafeInteger(entry.version) &&
      entry.version > 0 &&
      entry.version < Number.MAX_SAFE_INTEGER / 2 && // room for re-issues above it
      heldOf(entry).chars <= MAX_VALUE_CHARS &&
      (state === undefined
        ? this.#origins.size < MAX_ORIGINS
        : state.entries.has(entry.key) || state.entries.size < MAX_KEYS_PER_ORIGIN)
    );
  }
}

/** Length of the text of an entry's value. */
export const charsOf = (entry: Entry): number => heldOf(entry).chars;

/** JSON.parse keeps the order of keys, so a value relayed by others has the text its origin gave it. */
const textOf = (value: Json): string => JSON.stringify(value);
