// Prometheus' view of this host, on prom-client: Weave Net's names where the meaning is the same, and ours. docs/metrics.md
// lists them. Bundled on its own (dist/lib/metrics.js) and loaded with the first scrape (metrics.ts).
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { createGauges, type Figures } from "./gauges.ts";
import { createProcessGauges } from "./process.ts";
import { BUCKETS_S, type Durations, type Tally } from "./tally.ts";

export interface Exposition {
  scrape(figures: Figures): Promise<{ readonly type: string; readonly text: string }>;
}

/** Shows the tally, whatever it has counted before. */
export function createExposition(tally: Tally): Exposition {
  const registry = new Registry();
  const registers = [registry];
  const showGauges = createGauges(registry);
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
  const buckets = [...BUCKETS_S];
  const allocation = new Histogram({
    name: "weave_allocation_seconds",
    help: "Time from asking for an address to the answer",
    labelNames: ["outcome"],
    buckets,
    registers,
  });
  const cni = new Histogram({
    name: "weave_cni_seconds",
    help: "Time of CNI calls inside the daemon",
    labelNames: ["verb", "exit"],
    buckets,
    registers,
  });
  const followers = [follow(allocation, tally.allocations), follow(cni, tally.cniCalls)];

  return {
    async scrape(figures) {
      showGauges(figures);
      showProcess();
      ended.reset();
      ended.inc(tally.connectionsEnded);
      gossip.reset();
      for (const direction of ["sent", "received"] as const)
        gossip.inc({ direction }, tally.gossipBytes[direction]);
      pending.set(tally.pending);
      for (const catchUp of followers) catchUp();
      return { type: registry.contentType, text: await registry.metrics() };
    },
  };
}

/**
 * Hands a histogram what was observed since the last call. The client takes single observations only: as many are made in each
 * bucket as there were, of their mean, so that buckets, count and sum are right.
 */
function follow(histogram: Histogram<string>, durations: Durations): () => void {
  const shown = new Map<string, { readonly counts: number[]; readonly sums: number[] }>();
  return () => {
    for (const { labels, counts, sums } of durations.all()) {
      const key = Object.values(labels).join(" ");
      const before = shown.get(key) ?? { counts: [], sums: [] };
      shown.set(key, { counts: [...counts], sums: [...sums] });
      for (const [bucket, count] of counts.entries()) {
        const more = count - (before.counts[bucket] ?? 0);
        const seconds = (sums[bucket] ?? 0) - (before.sums[bucket] ?? 0);
        // What sums of fractions lose must not lift it into the next bucket.
        const mean = Math.min(seconds / more, BUCKETS_S[bucket] ?? Number.POSITIVE_INFINITY);
        for (let n = 0; n < more; n++) histogram.observe(labels, mean);
      }
    }
  };
}
