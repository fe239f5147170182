// One range of our own, and the order in which its offsets are handed out: never used ones from the bottom, then freed
// ones by age. A reading aid for Space, which alone knows the truth about an offset: a shelf may remember too much.
import type { OffsetRange } from "../address/universe.ts";

/** An offset that was freed, and when. */
export interface Freed {
  readonly offset: number;
  readonly at: number;
}

/** One owned range in the order of its use. */
export class Shelf implements OffsetRange {
  readonly start: number;
  readonly end: number;
  /** Below it nothing is fresh. */
  #next: number;
  /** Longest freed first; read from #head. */
  #freed: Freed[] = [];
  #head = 0;

  constructor({ start, end }: OffsetRange) {
    this.start = start;
    this.end = end;
    this.#next = start;
  }

  has(offset: number): boolean {
    return offset >= this.start && offset < this.end;
  }

  /** The lowest offset that is fresh. Those below it are not looked at again until `renew`. */
  fresh(isFresh: (offset: number) => boolean): number | undefined {
    while (this.#next < this.end && !isFresh(this.#next)) this.#next++;
    return this.#next < this.end ? this.#next : undefined;
  }

  /** The offset may be fresh again. */
  renew(offset: number): void {
    this.#next = Math.min(this.#next, offset);
  }

  /** Mostly the last that was freed; a reservation that is taken back may have been freed before others. */
  add(freed: Freed): void {
    let at = this.#freed.length;
    while (at > this.#head && (this.#freed[at - 1]?.at ?? freed.at) > freed.at) at--;
    this.#freed.splice(at, 0, freed);
  }

  /** The longest freed that `isFreed` confirms; others are forgotten. It stays until it is no longer confirmed. */
  longestFreed(isFreed: (freed: Freed) => boolean): Freed | undefined {
    for (;;) {
      const freed = this.#freed[this.#head];
      if (freed === undefined || isFreed(freed)) return freed;
      this.#head++;
      if (this.#head * 2 > this.#freed.length) {
        this.#freed = this.#freed.slice(this.#head);
        this.#head = 0;
      }
    }
  }

  /** How much is remembered, right or not. */
  get size(): number {
    return this.#freed.length - this.#head;
  }
}
