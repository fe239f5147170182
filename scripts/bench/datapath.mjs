// `npm run bench:datapath`: how fast packets go from a container on one host to a container on another over weave, beside a
// routed VXLAN as Flannel lays it and beside no network at all. docs/benchmarks.md says how to read it.
//
//   --quick   two short rounds, half a minute; too few to judge by
//   --json    the figures as JSON on standard output
//
// Exit code 1: a target was missed; 2: the bench could not be run. Needs root, iperf3 and gcc.

import { refuse } from "./commands.mjs";
import { percentile } from "./figures.mjs";
import { hasBridgeNetfilter, makeRouted, makeVeth, makeWeavePath, setUp } from "./paths.mjs";
import { makeDirectory, removeEverything } from "./place.mjs";
import { mustBeRoot, runBench } from "./program.mjs";
import { figure } from "./report.mjs";
import { flood, prepareTraffic, requests, SMALL, serve, stopServers, stream } from "./traffic.mjs";

const extents = {
  full: { rounds: 10, seconds: 1 },
  quick: { rounds: 2, seconds: 1 },
};

/** What is measured of a path: its name, its unit, and which way is better. */
const measures = [
  { name: "TCP, one stream", unit: "Gbit/s", of: ({ stream }) => stream.rate, better: "more" },
  { name: "TCP, CPU per byte", unit: "s/GB", of: ({ stream }) => stream.cpu, better: "less" },
  { name: "TCP, requests of 1 byte", unit: "/s", of: ({ requests }) => requests, better: "more" },
  { name: `UDP, ${SMALL} bytes`, unit: "kpps", of: ({ flood }) => flood, better: "more" },
];
const bounds = { more: { of: "ratio", atLeast: 1 }, less: { of: "ratio", atMost: 1 } };

async function bench({ rounds, seconds }, say) {
  mustBeRoot();
  await removeEverything();
  const pingpong = await prepareTraffic(makeDirectory());
  say("two hosts for weave, two for a routed VXLAN");
  const [weave, routed, veth] = [await makeWeavePath(), await makeRouted(), await makeVeth()];
  for (const path of [weave, routed, veth]) await serve(path, pingpong);
  const runs = [{ path: weave }, { path: routed }, { path: veth }];
  if (hasBridgeNetfilter()) runs.push({ path: weave, asNodes: true }, { path: routed, asNodes: true });
  else say("this kernel has no br_netfilter: hosts are not measured as nodes of Kubernetes");
  const kinds = {
    stream: (path) => stream(path, seconds),
    requests: (path) => requests(path, pingpong, seconds / 2),
    flood: (path) => flood(path, seconds),
  };
  const taken = [];
  // The first is thrown away: its packets fill caches and open windows.
  for (let round = 0; round <= rounds; round++) {
    say(round === 0 ? "warming up" : `round ${round} of ${rounds}`);
    taken.push(await measureAll(runs, kinds, round));
  }
  return figuresOf(taken.slice(1));
}

/** Each kind in every run by turns, and another run first in each round: other work meets all alike. */
async function measureAll(runs, kinds, round) {
  const results = runs.map(() => ({}));
  for (const [kind, measure] of Object.entries(kinds))
    for (const turn of runs.keys()) {
      const which = (turn + round) % runs.length;
      const { path, asNodes = false } = runs[which];
      await setUp(path, asNodes);
      results[which][kind] = await measure(path);
    }
  return results;
}

/** Medians of the rounds, and of the ratios within each round. */
function figuresOf(rounds) {
  return [
    { ours: 0, theirs: 1, words: "routed VXLAN", judged: true },
    { ours: 3, theirs: 4, words: "both as nodes", judged: false },
    { ours: 0, theirs: 2, words: "plain veth", judged: false },
  ]
    .filter(({ theirs }) => rounds[0]?.[theirs] !== undefined)
    .flatMap(({ ours, theirs, words, judged }) =>
      measures.map(({ name, unit, of, better }) => {
        const both = [ours, theirs].map((which) => rounds.map((results) => of(results[which])));
        const medians = both.map((values) => percentile(values, 0.5));
        const ratios = both[0].map((value, round) => value / both[1][round]);
        return figure(`${name}; ${words}`, unit, medians, judged ? bounds[better] : undefined, ratios);
      }),
    );
}

await runBench(extents, bench, async () => {
  await refuse();
  await stopServers();
  await removeEverything();
});
