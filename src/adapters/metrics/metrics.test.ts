import { describe, expect, it, vi } from "vitest";
import { parseExposition } from "../../../test/support/exposition.ts";
import type { Figures } from "./gauges.ts";
import { createMetrics } from "./metrics.ts";

const load = () => import("./exposition.ts");

const figures: Figures = {
  connections: [{ state: "established" }, { state: "established", encrypted: true }, { state: "retrying" }],
  peers: [{ reachable: true }, { reachable: false }],
  ipam: [
    {
      size: 256,
      owned: 128,
      used: 3,
      owners: [
        { reachable: true, addresses: 192 },
        { reachable: false, addresses: 64 },
      ],
    },
  ],
  endpoints: [{ local: true }, { local: false }, { local: false }],
  problems: [{ code: "peer-unreachable" }, { code: "peer-unreachable" }],
  repairs: [{ count: 2 }, { count: 3 }],
  paths: [{ verified: "yes" }, { verified: "no" }, { verified: "yes" }],
  datapath: { mtu: 1450, settled: true },
  version: '1 "quoted"',
};

/** `name{labels}` -> value. */
async function scraped(metrics: ReturnType<typeof createMetrics>, shown = figures) {
  const { type, text } = await metrics.scrape(shown);
  expect(type).toMatch(/^text\/plain; version=0\.0\.4/);
  const families = parseExposition(text);
  return {
    families,
    value: (name: string, labels: Record<string, string> = {}): number | undefined =>
      [...families.values()]
        .flatMap(({ samples }) => samples)
        .find((s) => s.name === name && JSON.stringify(s.labels) === JSON.stringify(labels))?.value,
  };
}

describe("metrics", () => {
  it("have Weave Net's names where the meaning is the same", async () => {
    const { value, families } = await scraped(createMetrics(load));
    const state = (name: string, encryption: string) => ({ state: name, type: "vxlan", encryption });
    expect(value("weave_connections", state("established", ""))).toBe(1);
    expect(value("weave_connections", state("established", "yes"))).toBe(1);
    expect(value("weave_connections", state("connecting", ""))).toBe(0);
    expect(value("weave_ips", { state: "local-used" })).toBe(3);
    expect(value("weave_max_ips")).toBe(256);
    expect(value("weave_ipam_unreachable_count")).toBe(64);
    expect(value("weave_ipam_unreachable_percentage")).toBe(25);
    expect(value("weave_ipam_pending_allocates")).toBe(0);
    expect(["yes", "no", "unverified"].map((verified) => value("weave_paths", { verified }))).toEqual([
      2, 1, 0,
    ]);
    expect(value("weave_connection_terminations_total")).toBe(0);
    expect(value("process_resident_memory_bytes")).toBeGreaterThan(1e6);
    expect(families.get("weave_allocation_seconds")?.type).toBe("histogram");
  });

  it("count what passes the meter", async () => {
    const metrics = createMetrics(load);
    metrics.meter.connectionEnded();
    metrics.meter.gossip("sent", 100);
    metrics.meter.gossip("sent", 20);
    const done = metrics.meter.allocating();
    metrics.meter.allocating();
    done("ok");
    metrics.meter.cni("ADD")(1);
    const { value } = await scraped(metrics);
    expect(value("weave_connection_terminations_total")).toBe(1);
    expect(value("weave_gossip_bytes_total", { direction: "sent" })).toBe(120);
    expect(value("weave_gossip_bytes_total", { direction: "received" })).toBe(0);
    expect(value("weave_ipam_pending_allocates")).toBe(1);
    expect(value("weave_allocation_seconds_count", { outcome: "ok" })).toBe(1);
    expect(value("weave_cni_seconds_count", { verb: "ADD", exit: "1" })).toBe(1);
  });

  it("put durations into buckets, each once, however often they are shown", async () => {
    const metrics = createMetrics(load);
    vi.spyOn(performance, "now").mockReturnValue(0);
    const took = (...ms: number[]): void => {
      for (const one of ms) {
        vi.mocked(performance.now).mockReturnValueOnce(0).mockReturnValueOnce(one);
        metrics.meter.cni("DEL")(0);
      }
    };
    const shown = async (): Promise<(number | undefined)[]> => {
      const { value } = await scraped(metrics);
      const at = (le: string) => value("weave_cni_seconds_bucket", { le, verb: "DEL", exit: "0" });
      const sum = value("weave_cni_seconds_sum", { verb: "DEL", exit: "0" });
      return [at("0.001"), at("0.0025"), at("10"), at("+Inf"), Math.round((sum ?? 0) * 1000)];
    };
    took(0.5, 1, 1, 1, 2, 20_000);
    expect(await shown()).toEqual([4, 5, 5, 6, 20_006]);
    expect(await shown()).toEqual([4, 5, 5, 6, 20_006]);
    took(1);
    expect(await shown()).toEqual([5, 6, 6, 7, 20_007]);
    vi.restoreAllMocks();
  });

  it("are tried again after what shows them could not be loaded", async () => {
    let failures = 1;
    const metrics = createMetrics(() => (failures-- > 0 ? Promise.reject(new Error("gone")) : load()));
    await expect(metrics.scrape(figures)).rejects.toThrow("gone");
    expect((await scraped(metrics)).value("weave_max_ips")).toBe(256);
  });

  it("show the state of now: what is no more goes, what is counted stays", async () => {
    const metrics = createMetrics(load);
    const first = await scraped(metrics);
    expect(first.value("weave_problems", { code: "peer-unreachable" })).toBe(2);
    expect(first.value("weave_datapath_repairs_total")).toBe(5);
    const { value } = await scraped(metrics, { ...figures, problems: [], version: "2" });
    expect(value("weave_problems", { code: "peer-unreachable" })).toBeUndefined();
    expect(value("weave_datapath_repairs_total")).toBe(5);
    expect(value("weave_build_info", { version: "2" })).toBe(1);
  });
});
