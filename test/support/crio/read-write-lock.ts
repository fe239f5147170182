// Many at once, or one alone. Whoever wants to be alone waits for those inside and holds up those that come after.

export class ReadWriteLock {
  readonly #inside = new Set<Promise<unknown>>();
  #alone: Promise<unknown> = Promise.resolve();

  async shared<T>(work: () => Promise<T>): Promise<T> {
    for (let seen: Promise<unknown> | undefined; seen !== this.#alone; ) {
      seen = this.#alone;
      await seen;
    }
    const running = work();
    const settled = running.catch(() => {});
    this.#inside.add(settled);
    void settled.then(() => this.#inside.delete(settled));
    return running;
  }

  async exclusive<T>(work: () => Promise<T>): Promise<T> {
    const before = [this.#alone, ...this.#inside];
    const running = Promise.all(before).then(work);
    this.#alone = running.catch(() => {});
    return running;
  }
}
