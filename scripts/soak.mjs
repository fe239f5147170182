// `npm run soak`: what takes minutes. A million operations on few hosts, then a thousand hosts, both under every fault. Prints
// their summaries; exits 1 when a promise was broken or a bound was passed.
//
//   --seed N   what both follow from (7)
import { parseArgs } from "node:util";
import { isMainModule } from "./run.mjs";
import { runProgram } from "./sim.mjs";

/** Of each run. */
const MOST_SECONDS = 600;
const MOST_MIB = 2_048;

const runs = [
  {
    name: "a million operations",
    args: ["--peers", "5", "--minutes", "240", "--operations", "1000000"],
    idling: signsOfIdling,
  },
  { name: "a thousand peers", args: ["--peers", "1000", "--minutes", "5"], idling: () => [] },
];

/** Where nothing works any more no promise is broken either: hours of standing still would pass for hours of peace. */
function signsOfIdling(output) {
  const figure = (pattern) => Number(pattern.exec(output)?.[1] ?? 0);
  const operations = figure(/^operations +(\d+)/m);
  const refused = figure(/^refused +(\d+)/m);
  const containers = figure(/; (\d+) containers at the end/m);
  return [
    ...(operations >= 950_000 ? [] : [`only ${operations} operations`]),
    ...(refused <= operations / 100 ? [] : [`${refused} operations were refused`]),
    ...(containers > 0 ? [] : ["no container was left at the end"]),
  ];
}

async function soak(seed) {
  let broken = 0;
  for (const { name, args, idling } of runs) {
    console.log(`${name}: npm run sim -- ${args.join(" ")} --seed ${seed}`);
    const startedAt = performance.now();
    const { code, output } = await runProgram("test/sim/main.ts", [...args, "--seed", seed], {
      capture: "stdout",
    });
    const seconds = (performance.now() - startedAt) / 1_000;
    const memory = Number(/^peak memory +(\d+) MiB/m.exec(output)?.[1] ?? Number.POSITIVE_INFINITY);
    const problems = [
      ...(code === 0 ? [] : [`a promise was broken, or the simulator: exit code ${code}`]),
      ...(seconds <= MOST_SECONDS ? [] : [`took more than ${MOST_SECONDS} s`]),
      ...(memory <= MOST_MIB ? [] : [`took more than ${MOST_MIB} MiB`]),
      ...idling(output),
    ];
    console.log(`\n${output}\n${name}: ${seconds.toFixed(0)} s, ${problems.join("; ") || "in order"}\n`);
    broken += problems.length;
  }
  return broken === 0 ? 0 : 1;
}

if (isMainModule(import.meta.url)) {
  const { values } = parseArgs({ options: { seed: { type: "string", default: "7" } } });
  process.exitCode = await soak(values.seed);
}
