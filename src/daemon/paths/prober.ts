// Probes the paths to the other hosts while the daemon runs: lets the monitor (monitor.ts) say when, sends, and hands it the
// answers. One timer for all peers, and no socket before there is somebody to ask.
import type { PathState, PathTarget } from "../../core/datapath/paths.ts";
import type { Random } from "../../core/random.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Echoes, OpenEchoes } from "../../ports/echo.ts";
import { PathMonitor } from "./monitor.ts";

/** How often the paths themselves are looked up: peers come and go, the MTU changes. */
const LOOK_MS = 2_000;

/** What is probed, and by whom. */
export interface Probing {
  paths(): readonly PathTarget[];
  readonly open: OpenEchoes;
  readonly clock: Pick<Clock, "now">;
  readonly random: Random;
}

/** Probes until it is stopped. */
export class PathProber {
  readonly #probing: Probing;
  readonly #monitor: PathMonitor;
  #echoes: Echoes | undefined;
  #timer: NodeJS.Timeout | undefined;
  #judging: NodeJS.Immediate | undefined;
  #lookAt = Number.NEGATIVE_INFINITY;
  #stopped = false;

  constructor(probing: Probing) {
    this.#probing = probing;
    this.#monitor = new PathMonitor(probing.random);
    this.#go();
  }

  /** By peer. */
  states(): ReadonlyMap<string, PathState> {
    return this.#monitor.states();
  }

  /** Resolves when the sockets are closed. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    clearImmediate(this.#judging);
    await this.#echoes?.close();
  }

  #go(): void {
    if (this.#stopped) return;
    const { clock, paths } = this.#probing;
    const now = clock.now();
    if (now >= this.#lookAt) {
      this.#lookAt = now + LOOK_MS;
      this.#monitor.follow(paths(), now);
    }
    const echoes = this.#monitor.tick(now);
    if (echoes.length > 0) {
      this.#echoes ??= this.#open();
      for (const echo of echoes) this.#echoes.send(echo);
    }
    this.#rest();
  }

  /** Answers that came meanwhile are read before anything is judged overdue: timers are served before sockets. */
  #rest(): void {
    const next = Math.min(this.#lookAt, this.#monitor.nextDeadline() ?? Number.POSITIVE_INFINITY);
    const wait = Math.max(0, next - this.#probing.clock.now());
    this.#timer = setTimeout(() => {
      this.#judging = setImmediate(() => this.#go());
    }, wait);
    this.#timer.unref();
  }

  #open(): Echoes {
    const { open, clock } = this.#probing;
    return open({
      answered: (id, rttMs) => this.#monitor.answered(id, rttMs, clock.now()),
      refused: (id, why) => this.#monitor.refused(id, why, clock.now()),
    });
  }
}
