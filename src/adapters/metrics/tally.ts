// What is counted while the daemon works, as plain numbers: cheap to keep, and all there is of metrics until somebody scrapes.
import type { Meter } from "../../ports/meter.ts";

/** Upper bounds in seconds: from 1 ms, what an allocation out of one's own range takes, to 10 s, after which a runtime gives up. */
export const BUCKETS_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] as const;

/** Observations by bucket; the last is what is above all bounds. */
export interface Series {
  readonly labels: Readonly<Record<string, string>>;
  readonly counts: number[];
  /** Seconds, by bucket too. */
  readonly sums: number[];
}

/** Durations by their labels. */
export class Durations {
  readonly #series = new Map<string, Series>();

  /** With the same names of labels each time. */
  observe(labels: Readonly<Record<string, string>>, seconds: number): void {
    const key = Object.values(labels).join(" ");
    const found = this.#series.get(key);
    const series = found ?? { labels, counts: zeros(), sums: zeros() };
    if (found === undefined) this.#series.set(key, series);
    const above = BUCKETS_S.findIndex((bound) => seconds <= bound);
    const bucket = above < 0 ? BUCKETS_S.length : above;
    series.counts[bucket] = (series.counts[bucket] ?? 0) + 1;
    series.sums[bucket] = (series.sums[bucket] ?? 0) + seconds;
  }

  all(): readonly Series[] {
    return [...this.#series.values()];
  }
}

/** One per daemon. Read by whoever shows it. */
export class Tally implements Meter {
  readonly gossipBytes = { sent: 0, received: 0 };
  connectionsEnded = 0;
  /** Allocations under way. */
  pending = 0;
  readonly allocations = new Durations();
  readonly cniCalls = new Durations();

  connectionEnded(): void {
    this.connectionsEnded++;
  }

  gossip(direction: "sent" | "received", bytes: number): void {
    this.gossipBytes[direction] += bytes;
  }

  allocating(): (outcome: "ok" | "refused") => void {
    this.pending++;
    const from = performance.now();
    return (outcome) => {
      this.pending--;
      this.allocations.observe({ outcome }, secondsSince(from));
    };
  }

  cni(verb: Parameters<Meter["cni"]>[0]): (exit: number) => void {
    const from = performance.now();
    return (exit) => this.cniCalls.observe({ verb, exit: String(exit) }, secondsSince(from));
  }
}

const zeros = (): number[] => Array.from({ length: BUCKETS_S.length + 1 }, () => 0);
const secondsSince = (from: number): number => (performance.now() - from) / 1000;
