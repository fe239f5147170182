// What a simulated cluster did and what it cost: operations, bytes by kind of frame, and how long an update takes until
// everybody knows it. Looks on; decides nothing.
import type { StoreOp } from "../../src/ports/store.ts";
import { kindOf } from "./frames.ts";

/** Updates watched at a time. Watching one costs a look at each write of each host. */
const WATCHED = 4;

/** Frames that are sent whether or not anything changes. */
const STANDING: ReadonlySet<string> = new Set(["hello", "ping", "pong", "sums"]);

/** What is sent only because two sides differ. */
const isRepair = (kind: string, text: string): boolean =>
  kind === "digest" || kind === "buckets" || kind === "want" || text.includes(`"repair":true`);

interface Watch {
  readonly since: number;
  readonly version: number;
  readonly waiting: Set<string>;
}

/** What a run counts. */
export class Measures {
  adds = 0;
  /** Of the ADDs, by code; "daemon away" and "host away": nobody could answer. */
  readonly refusals = new Map<string, number>();
  removes = 0;
  crashes = 0;
  powerLosses = 0;
  diskLosses = 0;
  partitions = 0;
  removals = 0;
  leavings = 0;
  events = 0;
  /** Entries and ranges that came into being anywhere. */
  updates = 0;
  readonly frames = new Map<string, { count: number; chars: number }>();
  /** Milliseconds from an update at its origin to the last host that was up. */
  readonly convergence: number[] = [];
  readonly #watches = new Map<string, Watch>();

  /** host -> connection -> characters of what changes cause, while somebody wants to know. */
  links: Map<string, Map<number, number>> | undefined;

  /** Frames of repairs, while somebody wants to know. */
  repairs = 0;

  /** Kinds left out of `links`. */
  uncounted: ReadonlySet<string> = new Set();

  get refused(): number {
    return [...this.refusals.values()].reduce((sum, count) => sum + count, 0);
  }

  refusedFor(code: string): void {
    this.refusals.set(code, (this.refusals.get(code) ?? 0) + 1);
  }

  sent(text: string, from: string, conn: number): void {
    const kind = kindOf(text);
    if (this.links !== undefined && isRepair(kind, text)) this.repairs++;
    if (this.links !== undefined && !STANDING.has(kind) && !this.uncounted.has(kind)) {
      const of = this.links.get(from) ?? new Map<number, number>();
      this.links.set(from, of.set(conn, (of.get(conn) ?? 0) + text.length));
    }
    const sum = this.frames.get(kind);
    if (sum === undefined) this.frames.set(kind, { count: 1, chars: text.length });
    else {
      sum.count++;
      sum.chars += text.length;
    }
  }

  /** Characters of what changes cause: all frames but introductions and heartbeats. */
  get gossipChars(): number {
    let chars = 0;
    for (const [kind, sum] of this.frames)
      if (kind !== "hello" && kind !== "ping" && kind !== "pong") chars += sum.chars;
    return chars;
  }

  /** `own`: the record is what this host says itself. */
  wrote(host: string, op: StoreOp, own: boolean, now: number, running: () => Iterable<string>): void {
    if (own) {
      this.updates++;
      if (op.type === "put" && this.#watches.size < WATCHED && !this.#watches.has(op.key)) {
        const waiting = new Set(running());
        waiting.delete(host);
        this.#watches.set(op.key, { since: now, version: versionOf(op.value), waiting });
      }
      return;
    }
    if (this.#watches.size === 0 || op.type !== "put") return;
    const watch = this.#watches.get(op.key);
    if (watch === undefined || versionOf(op.value) < watch.version) return;
    watch.waiting.delete(host);
    if (watch.waiting.size > 0) return;
    this.convergence.push(now - watch.since);
    this.#watches.delete(op.key);
  }

  /** A host that is down learns of it later; that is not the gossip's delay. */
  down(host: string, now: number): void {
    for (const [key, watch] of this.#watches) {
      watch.waiting.delete(host);
      if (watch.waiting.size > 0) continue;
      this.convergence.push(now - watch.since);
      this.#watches.delete(key);
    }
  }

  /** From here on is counted what the cluster costs, not its launch. */
  begin(): void {
    this.updates = 0;
    this.frames.clear();
    this.convergence.length = 0;
    this.#watches.clear();
  }

  /** What is on its way when the network is parted says nothing. */
  interrupted(): void {
    this.#watches.clear();
  }
}

function versionOf(value: unknown): number {
  return typeof value === "object" && value !== null && "version" in value ? Number(value.version) : 0;
}

/** The value below which the given share of the values lies; undefined without values. */
export function percentile(values: readonly number[], share: number): number | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}
