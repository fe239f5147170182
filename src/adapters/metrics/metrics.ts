// Prometheus' view of this host, on prom-client: Weave Net's names where the meaning is the same, and ours. docs/metrics.md
// lists them. Owns what is counted while the daemon works; what can be read at any time is gauges.ts.
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { Meter } from "../../ports/meter.ts";
import { createGauges, type Figures } from "./gauges.ts";
import { createProcessGauges } from "./process.ts";

export interface Metrics {
  readonly meter: Meter;
  /** In the text format, and its content type. */
  scrape(figures: Figures): Promise<{ readonly type: string; readonly text: string }>;
}

/** From 1 ms, what an allocation out of one's own range takes, to 10 s, after which a runtime gives up. */
const BUCKETS_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** One per daemon. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const show = createGauges(registry);
  const showProcess = createProcessGauges(registry);
  const ended = new Counter({
    name: "weave_connection_terminations_total",
    help: "Connections to peers that ended",
    registers,
  });
  const gossip = new Counter({
    name: "weave_gossip_bytes_total",
    help: "Bytes of frames between this host and its peers, before compression and framing",
    labelNames: ["direction"],
    registers,
  });
  const pending = new Gauge({
    name: "weave_ipam_pending_allocates",
    help: "Allocations that wait for an address",
    registers,
  });
  const allocation = new Histogram({
    name: "weave_allocation_seconds",
    help: "Time from asking for an address to the answer",
    labelNames: ["outcome"],
    buckets: BUCKETS_S,
    registers,
  });
  const cni = new Histogram({
    name: "weave_cni_seconds",
    help: "Time of CNI calls inside the daemon",
    labelNames: ["verb", "exit"],
    buckets: BUCKETS_S,
    registers,
  });
  for (const direction of ["sent", "received"]) gossip.inc({ direction }, 0);

  return {
    meter: {
      connectionEnded: () => ended.inc(),
      gossip: (direction, bytes) => gossip.inc({ direction }, bytes),
      allocating() {
        pending.inc();
        const from = performance.now();
        return (outcome) => {
          pending.dec();
          allocation.observe({ outcome }, secondsSince(from));
        };
      },
      cni(verb) {
        const from = performance.now();
        return (exit) => cni.observe({ verb, exit: String(exit) }, secondsSince(from));
      },
    },
    async scrape(figures) {
      show(figures);
      showProcess();
      return { type: registry.contentType, text: await registry.metrics() };
    },
  };
}

const secondsSince = (from: number): number => (performance.now() - from) / 1000;
