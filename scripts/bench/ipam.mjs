// `npm run bench:ipam`: how fast addresses are given out, in the core and through the daemon with its store, how fast large
// rings are merged, and what a daemon takes that has nothing to do. docs/benchmarks.md says how to read it.
//
//   --quick   less work, less than a minute; two idle hosts instead of ten
//   --json    the figures as JSON on standard output
//
// Exit code 1: a target was missed; 2: the bench could not be run. Needs root, for the hosts of the idle daemons.

import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { firstLine } from "../build.mjs";
import { repositoryRoot } from "../run.mjs";
import { must, refuse } from "./commands.mjs";
import { idleDaemons } from "./idle.mjs";
import { makeDirectory, removeEverything } from "./place.mjs";
import { mustBeRoot, runBench } from "./program.mjs";
import { figure } from "./report.mjs";

const extents = {
  full: { name: "full", idle: { hosts: 10, seconds: 20 } },
  quick: { name: "quick", idle: { hosts: 2, seconds: 5 } },
};

/** Inside dist/, so that native packages are found from there. */
const program = join(repositoryRoot, "dist", `bench-ipam.${process.pid}.mjs`);

/** What test/bench/ipam.ts measures, in a process that is run like the daemon. */
async function measureCore(extent) {
  await build({
    absWorkingDir: repositoryRoot,
    entryPoints: ["test/bench/ipam.ts"],
    outfile: program,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20.19",
    external: ["netlink", "koffi", "level"],
    banner: {
      js: `import { createRequire as __createRequire } from "node:module";\nconst require = __createRequire(import.meta.url);`,
    },
    logLevel: "error",
  });
  const [flags = ""] = /--.*$/.exec(firstLine("bin/weaver")) ?? [];
  const args = [...flags.split(" "), program, makeDirectory(), extent.name];
  const output = await must(process.execPath, args, {
    env: { ...process.env, MALLOC_ARENA_MAX: "1" },
    timeoutMs: 300_000,
  });
  return JSON.parse(output.split("\n").at(-1));
}

async function bench(extent, say) {
  mustBeRoot();
  await removeEverything();
  mkdirSync(join(repositoryRoot, "dist"), { recursive: true });
  say("allocations, and merges of a ring of 10,000 entries");
  const { allocator, node, api, merge } = await measureCore(extent);
  say(`${extent.idle.hosts} idle hosts`);
  const idle = await idleDaemons(extent.idle);
  const perSecond = (atLeast) => ({ of: "ours", atLeast });
  return [
    figure(
      "core: address never used; reference: a Map",
      "/s",
      [allocator.fresh, allocator.naive],
      perSecond(100_000),
    ),
    figure("core: address that has rested", "/s", [allocator.reused, allocator.naive], perSecond(100_000)),
    figure("core: container, allocate and commit", "/s", [node]),
    figure("API: allocate; reference: the store alone", "/s", [api.allocate, api.store], perSecond(5_000)),
    figure("API: allocate and commit", "/s", [api.both, api.store / 2]),
    figure("merge of 10,000 entries; reference: one by one", "ms", [merge.whole, merge.naive], {
      of: "ours",
      atMost: 20,
    }),
    figure("one gift in a ring of 10,000 entries", "ms", [merge.one]),
    figure(`RSS, idle among ${extent.idle.hosts} hosts`, "MiB", [idle.rssMiB], { of: "ours", atMost: 80 }),
    figure("processor, idle", "% of a core", [idle.cpuPercent], { of: "ours", atMost: 1 }),
  ];
}

await runBench(extents, bench, async () => {
  await refuse();
  rmSync(program, { force: true });
  await removeEverything();
});
