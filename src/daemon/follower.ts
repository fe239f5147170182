// Lets the kernel follow the core: one apply at a time, always towards the newest wish, again after a while when something
// could not be reached. Level-triggered: changes that come during an apply are one change afterwards.
import type { DatapathState } from "../core/datapath/state.ts";
import type { DatapathReport, Kernel } from "../ports/kernel.ts";
import type { Logger } from "../ports/logger.ts";
import { type MtuChange, MtuChanges } from "./paths/mtu-changes.ts";
import { type RepairRecord, Repairs } from "./repairs.ts";

/** Least time between two applies, so that many changes are one, unless somebody waits. */
const GATHER_MS = 10;
/**
 * And so many times what the last one took, up to MAX_GATHER_MS: to state a large datapath takes the core's time, so while
 * changes keep coming no more than a fifth of it goes there.
 */
const EASE = 4;
const MAX_GATHER_MS = 250;
/** Pause before what failed is tried again. */
const RETRY_MS = 5_000;
/** How often the kernel is read anew, for what neither notifications nor looking at settings has shown. */
const OBSERVE_MS = 30_000;

/** What the kernel could not be brought to, and since when it is tried. */
export type Failure = DatapathReport["failures"][number] & { readonly since: number };

/** Keeps the kernel at what the core wants: one apply at a time, always of the newest wish. */
export class DatapathFollower {
  readonly #kernel: Kernel;
  readonly #wanted: () => DatapathState;
  readonly #log: Logger;
  #failures: readonly Failure[] = [];
  #dirty = false;
  #working: Promise<void> | undefined;
  #retry: NodeJS.Timeout | undefined;
  /** Who waits in settled(). */
  #waiting = 0;
  /** Ends the gathering under way. */
  #hurry: (() => void) | undefined;
  #appliedAt = Number.NEGATIVE_INFINITY;
  #pauseMs = GATHER_MS;
  readonly #observing: NodeJS.Timeout;
  readonly #repairs = new Repairs();
  readonly #mtus = new MtuChanges();
  /** Waits with what is damaged again and again. */
  #delayed: NodeJS.Timeout | undefined;
  #waitingFor: readonly Failure[] = [];
  #repairing: NodeJS.Immediate | undefined;
  #stopped = false;

  constructor(kernel: Kernel, wanted: () => DatapathState, log: Logger) {
    this.#kernel = kernel;
    this.#wanted = wanted;
    this.#log = log;
    this.#observing = setInterval(() => void this.#observe(), OBSERVE_MS);
    kernel
      .watch((objects) => this.#drifted(objects))
      .catch((error: unknown) => {
        log.warn("the kernel's notifications cannot be read; it is looked at each 30 s", { error });
      });
  }

  /** The wish changed. */
  changed(): void {
    this.#dirty = true;
    if (this.#working === undefined && !this.#stopped) this.#working = this.#work();
  }

  /**
   * The kernel is not as it was left: read it anew and bring it back at once. Not before the caller's own turn of the loop
   * is over, so that whoever found it can answer first; calls of one turn are one.
   */
  repair(): void {
    this.#repairing ??= setImmediate(() => {
      this.#repairing = undefined;
      if (!this.#stopped) void this.#observe();
    });
  }

  /** Resolves when the kernel was last asked for what the core wants now. */
  async settled(): Promise<void> {
    this.#waiting++;
    this.#hurry?.();
    while (this.#working !== undefined) await this.#working;
    this.#waiting--;
  }

  isSettled(): boolean {
    return this.#working === undefined && this.failures().length === 0;
  }

  failures(): readonly Failure[] {
    return [...this.#failures, ...this.#waitingFor];
  }

  /** What others damaged and was put back, of the last hour, the newest first. */
  repairs(): readonly RepairRecord[] {
    return this.#repairs.recent(Date.now());
  }

  /** The last time the MTU of bridge and containers was changed, if it was. */
  mtuChange(): MtuChange | undefined {
    return this.#mtus.last;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#retry);
    clearInterval(this.#observing);
    clearImmediate(this.#repairing);
    clearTimeout(this.#delayed);
    await this.settled();
  }

  /** At once, unless somebody takes away again and again what is put back. */
  #drifted(objects: readonly string[]): void {
    if (this.#stopped) return;
    const now = Date.now();
    const wait = this.#repairs.pauseFor(objects, now);
    if (wait === 0) this.#endPause();
    else if (this.#delayed === undefined) {
      this.#delayed = setTimeout(() => this.#endPause(), wait);
      const until = new Date(now + wait).toISOString();
      const message = `others take it away again and again; put back at ${until}`;
      this.#waitingFor = objects.map((object) => ({ object, message, since: now }));
    }
  }

  #endPause(): void {
    clearTimeout(this.#delayed);
    this.#delayed = undefined;
    this.#waitingFor = [];
    this.repair();
  }

  async #observe(): Promise<void> {
    try {
      await this.#kernel.observe();
      this.changed();
    } catch (error) {
      this.#log.warn("the kernel could not be read anew", { error });
    }
  }

  async #work(): Promise<void> {
    // The core may state its wish in the middle of its own effects; look at it only after they are done, and after the
    // answers they gave are on their way: stating all of a large datapath takes a millisecond.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#dirty && !this.#stopped) {
      await this.#gather();
      if (this.#stopped) break;
      this.#dirty = false;
      const from = performance.now();
      this.#note(await this.#apply());
      this.#appliedAt = performance.now();
      this.#pauseMs = Math.min(Math.max(EASE * (this.#appliedAt - from), GATHER_MS), MAX_GATHER_MS);
    }
    this.#working = undefined;
  }

  async #gather(): Promise<void> {
    const left = this.#appliedAt + this.#pauseMs - performance.now();
    if (left <= 0 || this.#waiting > 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, left);
      this.#hurry = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#hurry = undefined;
  }

  /** A kernel that throws, as one whose worker ended, has reached nothing. */
  async #apply(): Promise<DatapathReport> {
    try {
      const state = this.#wanted();
      const report = await this.#kernel.apply(state);
      const change = this.#mtus.note(state.bridge.mtu, Date.now());
      if (change !== undefined)
        this.#log.warn("the MTU of the network changed", { from: change.from, to: change.to });
      return report;
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      return { changes: [], failures: [{ object: "datapath", message }] };
    }
  }

  #note({ changes, failures, repairs = [] }: DatapathReport): void {
    for (const { object, message } of repairs)
      this.#log.warn("put back what was changed", { object, message });
    this.#repairs.note(repairs, Date.now());
    for (const change of changes) this.#log.debug("datapath changed", { change });
    for (const failure of failures) {
      if (!this.#failures.some((f) => f.object === failure.object && f.message === failure.message)) {
        this.#log.warn("datapath object not reached", failure);
      }
    }
    const now = Date.now();
    this.#failures = failures.map((f) => ({
      ...f,
      since: this.#failures.find((old) => old.object === f.object)?.since ?? now,
    }));
    clearTimeout(this.#retry);
    if (failures.length > 0 && !this.#stopped) this.#retry = setTimeout(() => this.changed(), RETRY_MS);
  }
}
