// Frames as the simulator reads them: each text is parsed once, however many hosts it reaches, and all of them share
// what it says. That is what a thousand copies of a thousand records fit into memory by.
import { decodeFrame, type FrameOf } from "../../src/core/gossip/frames.ts";

type Decoded = ReturnType<typeof decodeFrame>;
type WireEntry = FrameOf<"push">["entries"][number];

/** Texts and entries remembered per generation; what was not asked for during one whole generation is forgotten. */
const GENERATION = 50_000;

/** A map of bounded size: the newest generation, and the one before it. */
class Remembered<Value> {
  #young = new Map<string, Value>();
  #old = new Map<string, Value>();

  get(key: string): Value | undefined {
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    const old = this.#old.get(key);
    if (old !== undefined) this.set(key, old);
    return old;
  }

  set(key: string, value: Value): void {
    if (this.#young.size >= GENERATION) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, value);
  }
}

/** decodeFrame() with a memory. Hosts must not change what they are given. */
export class FrameReader {
  readonly #frames = new Remembered<Decoded>();
  readonly #entries = new Remembered<WireEntry>();

  readonly decode = (text: string): Decoded => {
    const known = this.#frames.get(text);
    if (known !== undefined) return known;
    const frame = text.startsWith(`{"t":"push"`) ? this.#push(text) : decodeFrame(text);
    this.#frames.set(text, frame);
    return frame;
  };

  /** The entries of a push come in ever new combinations: each of them is checked once. */
  #push(text: string): Decoded {
    const raw: unknown = JSON.parse(text);
    if (typeof raw !== "object" || raw === null || !("entries" in raw) || !Array.isArray(raw.entries))
      return decodeFrame(text);
    const { entries: wire, ...envelope } = raw;
    const frame = decodeFrame(JSON.stringify({ ...envelope, entries: [] }));
    if (frame === "unknown" || "refused" in frame || frame.t !== "push") return decodeFrame(text);
    const entries: WireEntry[] = [];
    for (const one of wire) {
      const key = JSON.stringify(one);
      let entry = this.#entries.get(key);
      if (entry === undefined) {
        const alone = decodeFrame(JSON.stringify({ ...envelope, entries: [one] }));
        if (alone === "unknown" || "refused" in alone || alone.t !== "push") return alone;
        entry = alone.entries[0];
        if (entry === undefined) return decodeFrame(text);
        this.#entries.set(key, entry);
      }
      entries.push(entry);
    }
    return { ...frame, entries };
  }
}

/** The kind of a frame, for counting: encodeFrame writes `t` first. */
export function kindOf(text: string): string {
  return text.startsWith(`{"t":"`) ? text.slice(6, text.indexOf(`"`, 6)) : "other";
}
