// One direction of an in-memory connection: items arrive in the order they were pushed, each after a latency, and wait
// while the way is blocked. Knows nothing of connections; what an item means is the receiver's matter.

/**
 * Runs functions at points in time. The simulator's is virtual. Functions due at the same time run in the order in
 * which they were scheduled, never from within `at`.
 */
export interface Scheduler {
  /** Milliseconds; never runs backwards. */
  now(): number;
  /** A `time` in the past means as soon as possible. */
  at(time: number, run: () => void): void;
}

/** What a kernel's socket buffer holds here, in characters; what is beyond has not left the process. */
const SOCKET_BUFFER_CHARS = 256 * 1024;

interface Entry<Item> {
  readonly item: Item;
  readonly chars: number;
  dueAt: number;
  readonly onLeft: (() => void) | undefined;
}

export interface PipeOptions<Item> {
  readonly scheduler: Scheduler;
  /** Drawn once per item. */
  readonly latencyMs: () => number;
  readonly blocked: () => boolean;
  readonly deliver: (item: Item) => void;
}

export class Pipe<Item> {
  readonly #options: PipeOptions<Item>;
  readonly #entries: Entry<Item>[] = [];
  /** How many of the entries, from the head, are in the socket buffer, and their characters. */
  #left = 0;
  #leftChars = 0;
  #chars = 0;
  #scheduled = false;
  #stalled = false;

  constructor(options: PipeOptions<Item>) {
    this.#options = options;
  }

  /** Characters that have not left the process. */
  get buffered(): number {
    return this.#chars - this.#leftChars;
  }

  /** `onLeft` is called, never from within, when the item is in the socket buffer. */
  push(item: Item, chars = 0, onLeft?: () => void): void {
    const { scheduler, latencyMs } = this.#options;
    // One that is due before the head waits for it: only the head is ever looked at.
    this.#entries.push({ item, chars, dueAt: scheduler.now() + latencyMs(), onLeft });
    this.#chars += chars;
    this.#fillSocketBuffer();
    this.#schedule();
  }

  /** The sending process is gone: what it had not handed to its kernel is lost. */
  dropUnsent(): void {
    this.#entries.length = this.#left;
    this.#chars = this.#leftChars;
  }

  /** Nothing is delivered any more. */
  discard(): void {
    this.#entries.length = 0;
    this.#left = 0;
    this.#leftChars = 0;
    this.#chars = 0;
  }

  /** The way may be free again: what was held back sets out now. */
  resume(): void {
    if (!this.#stalled || this.#options.blocked()) return;
    this.#stalled = false;
    const arrival = this.#options.scheduler.now() + this.#options.latencyMs();
    for (const entry of this.#entries) entry.dueAt = Math.max(entry.dueAt, arrival);
    this.#schedule();
  }

  #schedule(): void {
    const head = this.#entries[0];
    if (head === undefined || this.#scheduled || this.#stalled) return;
    this.#scheduled = true;
    this.#options.scheduler.at(head.dueAt, () => this.#deliverDue());
  }

  #deliverDue(): void {
    this.#scheduled = false;
    if (this.#options.blocked()) {
      this.#stalled = true;
      return;
    }
    const head = this.#entries[0];
    if (head !== undefined && head.dueAt <= this.#options.scheduler.now()) {
      this.#entries.shift();
      this.#left -= 1;
      this.#leftChars -= head.chars;
      this.#chars -= head.chars;
      this.#fillSocketBuffer();
      this.#options.deliver(head.item);
    }
    this.#schedule();
  }

  #fillSocketBuffer(): void {
    for (;;) {
      const next = this.#entries[this.#left];
      // The head always fits: a kernel takes the first part of a large write and is given the rest as it drains.
      if (next === undefined) return;
      if (this.#left > 0 && this.#leftChars + next.chars > SOCKET_BUFFER_CHARS) return;
      this.#left += 1;
      this.#leftChars += next.chars;
      if (next.onLeft) this.#options.scheduler.at(this.#options.scheduler.now(), next.onLeft);
    }
  }
}
