// Virtual time: a heap of things to happen, ties broken by the order they were asked for.
import type { Scheduler } from "../../src/adapters/transport-memory.ts";

interface Happening {
  readonly at: number;
  readonly seq: number;
  readonly run: () => void;
}

export class Schedule implements Scheduler {
  #now = 1_000_000;
  #seq = 0;
  readonly #heap: Happening[] = [];

  now(): number {
    return this.#now;
  }

  at(time: number, run: () => void): void {
    const heap = this.#heap;
    heap.push({ at: Math.max(time, this.#now), seq: this.#seq++, run });
    let i = heap.length - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!this.#before(i, parent)) break;
      this.#swap(i, parent);
      i = parent;
    }
  }

  /** Let the next thing happen. False when nothing is left before `until`. */
  step(until: number): boolean {
    const heap = this.#heap;
    const next = heap[0];
    if (next === undefined || next.at > until) {
      this.#now = Math.max(this.#now, until);
      return false;
    }
    const last = heap.pop();
    if (last !== undefined && heap.length > 0) {
      heap[0] = last;
      this.#sink();
    }
    this.#now = next.at;
    next.run();
    return true;
  }

  #sink(): void {
    let i = 0;
    for (;;) {
      let least = i;
      for (const child of [2 * i + 1, 2 * i + 2])
        if (child < this.#heap.length && this.#before(child, least)) least = child;
      if (least === i) return;
      this.#swap(i, least);
      i = least;
    }
  }

  #before(i: number, j: number): boolean {
    const a = this.#heap[i];
    const b = this.#heap[j];
    return a !== undefined && b !== undefined && (a.at !== b.at ? a.at < b.at : a.seq < b.seq);
  }

  #swap(i: number, j: number): void {
    const a = this.#heap[i];
    const b = this.#heap[j];
    if (a === undefined || b === undefined) return;
    this.#heap[i] = b;
    this.#heap[j] = a;
  }
}
