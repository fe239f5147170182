// Frames as the simulator reads them: each text is parsed once, however many hosts it reaches, and all of them share
// what it says. Otherwise a thousand copies of a thousand records would not fit into memory.
import {
  type Codec,
  decodeFrame,
  encodeFrame,
  type Frame,
  type FrameOf,
} from "../../src/core/gossip/frames.ts";

type Decoded = ReturnType<typeof decodeFrame>;
type WireEntry = FrameOf<"push">["entries"][number];

/** Characters of texts remembered per generation; what was not asked for during one whole generation is forgotten. */
const GENERATION_CHARS = 24 * 2 ** 20;
/** Less with few peers: all of them have read a text a moment after it was sent. */
const CHARS_PER_PEER = 48 * 2 ** 10;

/** A map of bounded size: the newest generation, and the one before it. */
class Remembered<Value> {
  readonly #generationChars: number;
  #young = new Map<string, Value>();
  #old = new Map<string, Value>();
  #chars = 0;

  constructor(generationChars: number) {
    this.#generationChars = generationChars;
  }

  has(key: string): boolean {
    return this.#young.has(key);
  }

  get(key: string): Value | undefined {
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    const old = this.#old.get(key);
    if (old !== undefined) this.set(key, old);
    return old;
  }

  set(key: string, value: Value): void {
    if (this.#chars > this.#generationChars) {
      this.#old = this.#young;
      this.#young = new Map();
      this.#chars = 0;
    }
    this.#young.set(key, value);
    this.#chars += key.length;
  }
}

/**
 * The codec of frames with a memory: each text, and each entry of a push, is read and checked once. Hosts must not change
 * what they are given.
 */
export class FrameReader implements Codec {
  readonly #frames: Remembered<Decoded>;
  readonly #entries: Remembered<WireEntry>;
  /** Of entries that were checked. */
  readonly #texts = new WeakMap<WireEntry, string>();

  /** `peers`: how many will read what one says. */
  constructor(peers: number) {
    const chars = Math.min(GENERATION_CHARS, peers * CHARS_PER_PEER);
    this.#frames = new Remembered(chars);
    this.#entries = new Remembered(chars);
  }

  /** The text encodeFrame() makes. A push is put together from the texts of its entries. */
  readonly encode = (frame: Frame): string => {
    if (frame.t !== "push") return encodeFrame(frame);
    const entries = frame.entries.map((entry) => this.#checked(entry));
    const [head, tail] = encodeFrame({ ...frame, entries: [] }).split(`"entries":[]`);
    const texts = entries.map((entry) => entry && this.#texts.get(entry));
    const text = `${head}"entries":[${texts.join()}]${tail}`;
    if (!this.#frames.has(text)) this.#frames.set(text, { ...frame, entries });
    return text;
  };

  readonly decode = (text: string): Decoded => {
    const known = this.#frames.get(text);
    if (known !== undefined) return known;
    const frame = decodeFrame(text);
    const isPush = frame !== "unknown" && !("refused" in frame) && frame.t === "push";
    const read = isPush ? { ...frame, entries: frame.entries.map((entry) => this.#checked(entry)) } : frame;
    if (!isBulky(read)) this.#frames.set(text, read);
    return read;
  };

  /** The one object there is for an entry. */
  #checked(entry: WireEntry): WireEntry {
    if (this.#texts.has(entry)) return entry;
    const text = JSON.stringify(entry);
    const known = this.#entries.get(text);
    if (known !== undefined) return known;
    const read = decodeFrame(encodeFrame({ t: "push", channel: "any", entries: [entry] }));
    const [checked] = read !== "unknown" && "entries" in read && read.t === "push" ? read.entries : [];
    if (checked === undefined) throw new Error(`a host says what none would read: ${text}`);
    this.#entries.set(text, checked);
    this.#texts.set(checked, text);
    return checked;
  }
}

/** Much larger than its text, and never the same twice. */
const isBulky = (read: Decoded): boolean =>
  read !== "unknown" && "t" in read && (read.t === "digest" || read.t === "buckets");

/** The kind of a frame, for counting: encodeFrame writes `t` first. */
export function kindOf(text: string): string {
  return text.startsWith(`{"t":"`) ? text.slice(6, text.indexOf(`"`, 6)) : "other";
}
