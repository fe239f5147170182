// `npm run bench:gossip`: how fast an update reaches a thousand hosts and what it costs, beside naive flooding over the same
// connections, and how long two hundred hosts launched at once need to their first addresses. The real core in simulated
// time, with 50 ms from host to host: the figures do not depend on the machine. docs/benchmarks.md says how to read it.
//
//   --quick   200 hosts and 50, less than a minute
//   --json    the figures as JSON on standard output
//
// Exit code 1: a target was missed; 2: the bench could not be run.

import { runProgram } from "../sim.mjs";
import { runBench } from "./program.mjs";
import { figure } from "./report.mjs";

const extents = {
  full: { peers: 1_000, updates: 20, cold: 200 },
  quick: { peers: 200, updates: 10, cold: 50 },
};

async function bench({ peers, updates, cold }, say) {
  say("simulating");
  const { code, output } = await runProgram("test/bench/gossip.ts", [peers, updates, cold].map(String), {
    capture: true,
  });
  if (code !== 0) throw new Error(`the simulator ended with ${code}: ${output}`);
  const { start, update } = JSON.parse(output.trim().split("\n").at(-1));
  const { flooding } = update;
  const atMost = (most) => ({ of: "ours", atMost: most });
  return [
    figure(
      `an update is known to ${peers}; reference: flooding`,
      "ms",
      [update.slowest, flooding.slowest],
      atMost(1_000),
    ),
    figure("what it costs, per host", "bytes", [update.perPeer, flooding.perPeer], atMost(717)),
    figure("and on the connection with most", "bytes", [update.perLink], atMost(512)),
    figure("frames of needless repairs", "", [update.repairs], atMost(0)),
    figure("a gift, on the connection with most", "bytes", [update.gift], atMost(512)),
    figure(`${cold} hosts at once: last first address`, "ms", [start.ms], atMost(5_000)),
    figure("clusters they founded", "", [start.clusters], atMost(1)),
  ];
}

await runBench(extents, bench);
