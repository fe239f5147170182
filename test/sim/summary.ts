// What a run came to, in figures and as text.
import { percentile } from "./measures.ts";
import type { Violation, World } from "./world.ts";

/** As `--json` prints them. Bytes are characters: frames are ASCII. */
export interface Figures {
  readonly seed: number;
  readonly peers: number;
  readonly simulatedMinutes: number;
  readonly realSeconds: number;
  readonly events: number;
  readonly operations: number;
  readonly refused: number;
  /** By error code; "daemon away" and "host away": it died before it could answer. */
  readonly refusals: Readonly<Record<string, number>>;
  readonly faults: Readonly<Record<string, number>>;
  /** Addresses held twice: none, or the run was ended at the first. */
  readonly duplicates: number;
  /** Of these, with a removed peer that still lived, which is not promised. */
  readonly duplicatesAside: number;
  /** Offsets nobody there owned at the end. */
  readonly lostOffsets: number;
  readonly convergenceMs: { readonly p50?: number; readonly p99?: number; readonly samples: number };
  readonly updates: number;
  /** Gossip, all kinds of frames but introductions and heartbeats. */
  readonly bytesPerPeerPerUpdate: number;
  readonly gifts: number;
  readonly ringEntries: number;
  readonly mostRingEntriesOfOnePeer: number;
  readonly containers: number;
  readonly peakMemoryMiB: number;
  readonly violation?: string;
}

/** The figures of a world at the end of its run. */
export function summaryOf(
  world: World,
  run: { seed: number; minutes: number; seconds: number; violation?: Violation },
): { readonly figures: Figures; readonly text: string } {
  const { measures, hosts, witness } = world;
  const cluster = hosts.find((h) => h.node !== undefined)?.node?.cluster ?? "none";
  const truth = witness.truth(cluster, 0);
  const names = new Set(hosts.map((h) => h.peerName));
  const owned = truth.filter((p) => names.has(p.owner)).reduce((sum, p) => sum + p.end - p.start, 0);
  const size = hosts[0]?.node?.config.universes[0]?.size ?? owned;
  const entries = new Map<string, number>();
  for (const { owner } of truth) entries.set(owner, (entries.get(owner) ?? 0) + 1);
  const [p50, p99] = [percentile(measures.convergence, 0.5), percentile(measures.convergence, 0.99)];
  const figures: Figures = {
    seed: run.seed,
    peers: hosts.length,
    simulatedMinutes: run.minutes,
    realSeconds: Math.round(run.seconds * 10) / 10,
    events: measures.events,
    operations: measures.adds + measures.removes,
    refused: measures.refused,
    refusals: Object.fromEntries([...measures.refusals].sort(([, a], [, b]) => b - a)),
    faults: {
      crashes: measures.crashes,
      powerLosses: measures.powerLosses,
      diskLosses: measures.diskLosses,
      partitions: measures.partitions,
      removals: measures.removals,
      leavings: measures.leavings,
      forced: world.decrees.forced,
      asides: hosts.reduce((sum, { asides }) => sum + asides, 0),
    },
    duplicates: run.violation?.what.includes("is held by") === true ? 1 : 0,
    duplicatesAside: witness.asideDuplicates,
    lostOffsets: size - owned,
    convergenceMs: {
      ...(p50 === undefined ? {} : { p50: Math.round(p50) }),
      ...(p99 === undefined ? {} : { p99: Math.round(p99) }),
      samples: measures.convergence.length,
    },
    updates: measures.updates,
    bytesPerPeerPerUpdate: Math.round(measures.gossipChars / hosts.length / Math.max(1, measures.updates)),
    gifts: witness.gifts,
    ringEntries: truth.length,
    mostRingEntriesOfOnePeer: Math.max(0, ...entries.values()),
    containers: hosts.reduce((sum, h) => sum + h.containerCount, 0),
    peakMemoryMiB: Math.round(process.resourceUsage().maxRSS / 1024),
    ...(run.violation === undefined ? {} : { violation: run.violation.what }),
  };
  return { figures, text: textOf(figures, measures.frames) };
}

const counted = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([name, count]) => `${count} ${name}`)
    .join(", ");

function textOf(f: Figures, frames: ReadonlyMap<string, { count: number; chars: number }>): string {
  const faults = counted(f.faults);
  const rows: [string, string][] = [
    ["peers, seed", `${f.peers}, ${f.seed}`],
    ["simulated, real time", `${f.simulatedMinutes} min, ${f.realSeconds} s`],
    ["events", `${f.events}`],
    ["operations", `${f.operations}; ${f.containers} containers at the end`],
    ["refused", `${f.refused}${f.refused > 0 ? `: ${counted(f.refusals)}` : ""}`],
    ["faults", faults || "none"],
    [
      "duplicates",
      `${f.duplicates}${f.duplicatesAside > 0 ? `, and ${f.duplicatesAside} with removed peers` : ""}`,
    ],
    ["lost ranges", `${f.lostOffsets} offsets`],
    [
      "convergence",
      `p50 ${f.convergenceMs.p50 ?? "-"} ms, p99 ${f.convergenceMs.p99 ?? "-"} ms (${f.convergenceMs.samples} updates)`,
    ],
    ["gossip", `${f.bytesPerPeerPerUpdate} bytes per peer per update (${f.updates} updates)`],
    ["ring", `${f.ringEntries} entries, at most ${f.mostRingEntriesOfOnePeer} of one peer; ${f.gifts} gifts`],
    ["peak memory", `${f.peakMemoryMiB} MiB`],
  ];
  const kinds = [...frames].sort((a, b) => b[1].chars - a[1].chars);
  for (const [kind, { count, chars }] of kinds)
    rows.push([`  ${kind}`, `${count} frames, ${(chars / 2 ** 20).toFixed(1)} MiB`]);
  return rows.map(([name, value]) => `${name.padEnd(22)}${value}`).join("\n");
}
