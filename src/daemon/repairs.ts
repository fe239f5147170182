// What others damaged and the daemon put back: a ledger for `status`, and how long to wait with a thing that somebody takes
// away again and again, so that the two do not wear each other out.
import type { Repair } from "../ports/kernel.ts";

/** So long a repair is told. */
const TOLD_MS = 3_600_000;
/** As many objects are remembered; the longest untouched go first. */
const MAX_OBJECTS = 200;
/** So often in a row a thing is put back at once: a person at work is not made to wait, a program in a loop soon is. */
const AT_ONCE = 20;
/** Then it waits a second, two, four, up to this. */
const MAX_PAUSE_MS = 30_000;
const FIRST_PAUSE_MS = 1_000;
/** Left alone this long after it was put back or could have been, a thing is put back at once again. */
const CALM_MS = 10_000;

/** All repairs of one object, of the last hour at least. */
export interface RepairRecord {
  readonly object: string;
  /** What was done the last time. */
  readonly message: string;
  /** How often. */
  readonly count: number;
  /** Instants of the first and the last, ms since the epoch. */
  readonly first: number;
  readonly time: number;
  /** It is damaged again and again: put back no sooner than this. */
  readonly notBefore?: number;
}

interface Entry extends RepairRecord {
  /** Repairs in a row, with less than CALM_MS between them. */
  readonly row: number;
}

export class Repairs {
  /** In the order of the last repair. */
  readonly #entries = new Map<string, Entry>();

  note(repairs: readonly Repair[], now: number): void {
    for (const { object, message } of repairs) {
      const former = this.#entries.get(object);
      const goesOn = former !== undefined && now - former.time < pauseOf(former.row) + CALM_MS;
      this.#entries.delete(object);
      this.#entries.set(object, {
        object,
        message,
        count: (former?.count ?? 0) + 1,
        first: former?.first ?? now,
        time: now,
        row: goesOn ? former.row + 1 : 1,
      });
    }
    for (const [object, { time }] of this.#entries) {
      if (this.#entries.size <= MAX_OBJECTS && now - time < TOLD_MS) break;
      this.#entries.delete(object);
    }
  }

  /** How long to wait before these objects, found damaged, are put back: as long as each of them has to. */
  pauseFor(objects: readonly string[], now: number): number {
    const waits = objects.map((object) => Math.max(0, (this.#notBefore(object, now) ?? now) - now));
    return waits.length === 0 ? 0 : Math.min(...waits);
  }

  /** Of the last hour, the newest first. */
  recent(now: number): readonly RepairRecord[] {
    const entries = [...this.#entries.values()].filter(({ time }) => now - time < TOLD_MS);
    return entries.reverse().map(({ row: _, ...record }) => {
      const notBefore = this.#notBefore(record.object, now);
      return notBefore === undefined ? record : { ...record, notBefore };
    });
  }

  /** Undefined when it may be put back now. */
  #notBefore(object: string, now: number): number | undefined {
    const entry = this.#entries.get(object);
    if (entry === undefined) return undefined;
    const at = entry.time + pauseOf(entry.row);
    return at > now ? at : undefined;
  }
}

/** After so many repairs in a row, ms. */
function pauseOf(row: number): number {
  return row < AT_ONCE ? 0 : Math.min(FIRST_PAUSE_MS * 2 ** (row - AT_ONCE), MAX_PAUSE_MS);
}
