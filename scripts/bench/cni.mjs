// `npm run bench:cni`: how fast weave's CNI plugin attaches and detaches containers, beside Debian's bridge and host-local
// on the same machine in the same minutes. docs/benchmarks.md says how to read it.
//
//   --quick   fewer calls, less than a minute; the targets of memory are not looked at
//   --json    the figures as JSON on standard output
//
// Exit code 1: a target was missed; 2: the bench could not be run. Needs root.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { compileCaller, stopCallers } from "./caller.mjs";
import { refuse } from "./commands.mjs";
import { percentile } from "./figures.mjs";
import { leftovers } from "./leftovers.mjs";
import { alone, manyAtATime, oneAtATime, pairs, storm } from "./measure.mjs";
import { makeContainers, makeDirectory, removeEverything } from "./place.mjs";
import { mustBeRoot, runBench } from "./program.mjs";
import { figure } from "./report.mjs";
import { makeReference, makeWeave, REFERENCE_PLUGINS } from "./sides.mjs";

/** How much is done. Targets are meant for `full`. */
const extents = {
  full: { one: 100, many: 96, rounds: 4, alone: 300, storm: 200, pairs: [200, 2_000] },
  quick: { one: 25, many: 48, rounds: 1, alone: 50, storm: 200, pairs: [100, 400] },
};
const AT_ONCE = 8;

async function bench(extent, say) {
  mustBeRoot();
  if (!existsSync(join(REFERENCE_PLUGINS, "bridge"))) {
    throw new Error(`no ${REFERENCE_PLUGINS}/bridge; run: apt-get install containernetworking-plugins`);
  }
  await removeEverything();
  const base = makeDirectory();
  const program = join(base, "caller");
  await compileCaller(program);
  const weave = await makeWeave(base);
  const reference = await makeReference(base);
  const ours = { side: weave, pool: await makeContainers("weave", extent.storm) };
  const theirs = {
    side: reference,
    pool: await makeContainers("reference", Math.max(extent.one, extent.many)),
  };
  const sides = [ours, theirs];
  const figures = [];

  for (const ipMasq of [false, true]) {
    const how = ipMasq ? "ipMasq" : "no ipMasq";
    say(`ADD and DEL, ${how}`);
    // The first containers of a side make its bridge and warm its caches.
    await manyAtATime(program, sides, { count: AT_ONCE, rounds: 2, atOnce: AT_ONCE, ipMasq });
    const one = await oneAtATime(program, sides, { count: extent.one, ipMasq });
    const many = await manyAtATime(program, sides, {
      count: extent.many,
      rounds: extent.rounds,
      atOnce: AT_ONCE,
      ipMasq,
    });
    const p50 = (verb) => one[verb].map((durations) => percentile(durations, 0.5));
    figures.push(
      figure(`ADD one at a time, p50, ${how}`, "ms", p50("ADD"), { of: "ratio", atMost: 0.5 }),
      figure(`DEL one at a time, p50, ${how}`, "ms", p50("DEL")),
      figure(`ADD ${AT_ONCE} at a time, ${how}`, "/s", many.ADD, { of: "ratio", atLeast: 2 }),
      figure(`DEL ${AT_ONCE} at a time, ${how}`, "/s", many.DEL, { of: "ratio", atLeast: 2 }),
    );
  }

  say("VERSION and STATUS");
  const [version, theirVersion] = await alone(program, sides, "VERSION", extent.alone);
  const [status] = await alone(program, [ours], "STATUS", extent.alone);
  const under3 = { of: "ours", atMost: 3 };
  figures.push(
    figure("VERSION, p50", "ms", [percentile(version, 0.5), percentile(theirVersion, 0.5)], under3),
    figure("VERSION, p99", "ms", [percentile(version, 0.99), percentile(theirVersion, 0.99)]),
    figure("STATUS, p50", "ms", [percentile(status, 0.5)], under3),
    figure("STATUS, p99", "ms", [percentile(status, 0.99)]),
  );

  say(`${extent.storm} pods at once`);
  const clean = await leftovers(weave, ours.pool);
  const seconds = await storm(program, ours, extent.storm);
  const left = (await leftovers(weave, ours.pool)).filter((one) => !clean.includes(one));
  for (const one of left) say(`left behind: ${one}`);
  figures.push(
    figure(`${extent.storm} ADDs at once`, "s", [seconds.ADD]),
    figure(`${extent.storm} DELs at once`, "s", [seconds.DEL]),
    figure("left behind by the storm", "", [left.length], { of: "ours", atMost: 0 }),
  );

  const [few, all] = extent.pairs;
  say(`${all} pairs of ADD and DEL`);
  await weave.relaunch();
  await pairs(program, ours, { count: few, atOnce: AT_ONCE });
  const before = weave.residentMiB();
  await pairs(program, ours, { count: all - few, atOnce: AT_ONCE });
  const after = weave.residentMiB();
  const growth = { of: "ours", atMost: 10 };
  figures.push(
    figure(`daemon's RSS after ${few} pairs`, "MiB", [before]),
    figure(`daemon's RSS after ${all} pairs`, "MiB", [after]),
    figure("its growth", "%", [(after / before - 1) * 100], extent === extents.full ? growth : undefined),
  );
  return figures;
}

await runBench(extents, bench, async () => {
  stopCallers();
  await refuse();
  await removeEverything();
});
