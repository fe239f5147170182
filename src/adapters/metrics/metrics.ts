// Metrics of this host: counts from the start, and loads what shows them (exposition.ts, and prom-client with it) only when
// somebody scrapes for the first time: a megabyte of memory that most daemons never need.
import type { Meter } from "../../ports/meter.ts";
import type { createExposition, Exposition } from "./exposition.ts";
import type { Figures } from "./gauges.ts";
import { Tally } from "./tally.ts";

export interface Metrics {
  readonly meter: Meter;
  /** In the text format, and its content type. Rejects when what shows them cannot be loaded; the next scrape tries again. */
  scrape(figures: Figures): Promise<{ readonly type: string; readonly text: string }>;
}

/** One per daemon. `load` answers with the module exposition.ts. */
export function createMetrics(
  load: () => Promise<{ readonly createExposition: typeof createExposition }>,
): Metrics {
  const meter = new Tally();
  let exposition: Promise<Exposition> | undefined;
  return {
    meter,
    async scrape(figures) {
      exposition ??= load().then(({ createExposition }) => createExposition(meter));
      try {
        return await (await exposition).scrape(figures);
      } catch (error) {
        exposition = undefined;
        throw error;
      }
    },
  };
}
