// One reading of the kernel for all who ask at about the same time: hundreds of CHECKs arrive together after a node
// restarts. Nobody gets a reading that began before it asked, so nothing is ever told that was true only earlier.

export class SharedReading<T> {
  readonly #read: () => Promise<T>;
  #last: Promise<unknown> = Promise.resolve();
  /** Not begun yet. */
  #next: Promise<T> | undefined;

  constructor(read: () => Promise<T>) {
    this.#read = read;
  }

  /** A reading that begins after this call; readings never overlap. */
  get(): Promise<T> {
    this.#next ??= this.#begin();
    return this.#next;
  }

  #begin(): Promise<T> {
    const reading = this.#last.then(turnOfTheLoop).then(() => {
      this.#next = undefined;
      return this.#read();
    });
    this.#last = reading.catch(() => {});
    return reading;
  }
}

/** Calls that are waiting in the thread's queue come in meanwhile. */
const turnOfTheLoop = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
