// Runs the model in decisions.pml through spin, stage by stage, and then once per mutation: a rule is taken away, and the
// checks must miss it. Prints a table. Exits 1 when the model fails, a mutation survives, or a search did not end.
// Needs spin and gcc. `--deep` adds a run with three gifts. model.test.mjs runs the same within `npm test`.
import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isMainModule, repositoryRoot, run } from "../scripts/run.mjs";

const MODEL = join(repositoryRoot, "model", "decisions.pml");
/** Exact search, no bitstate hashing. No partial order reduction: every step touches shared state. */
const GCC = ["-w", "-DSAFETY", "-DNOREDUCE", "-DMEMLIM=2000", "-DVECTORSZ=2048"];
const PAN = ["-m20000", "-w24", "-n"];
const AT_ONCE = 2;
const DEADLINE_MS = 300_000;

/** What the model is cut into: each stage takes the result of the one before for granted. */
export const STAGES = { 1: "votes of the founding", 2: "votes of the removal", 3: "the ring" };
const holds = (stage, ...defines) => ({ stage, defines, expect: "holds" });
const fails = (stage, ...defines) => ({ stage, defines, expect: "fails" });

/** The model as it is, by stage; then what must be found: the ends of the story, and each rule taken away. */
export const RUNS = [
  holds(3, "GIFTS=2", "DISKS=1"),
  holds(2, "DISKS=1"),
  holds(1, "DISKS=1"),
  ...[1, 2, 3].map((stage) => fails(stage, "WITNESS")),
  ...[1, 2].flatMap((stage) => [fails(stage, "NO_VOTER_CHECK"), fails(stage, "AMNESIAC_VOTES")]),
  ...[1, 2].map((stage) => fails(stage, "SEND_BEFORE_PERSIST")),
  fails(3, "SEND_BEFORE_PERSIST", "GIFTS=1"),
  fails(3, "NO_OWNER_CHECK"),
  fails(3, "NO_FENCE"),
  fails(3, "NO_EPOCH_CHECK"),
  fails(3, "NO_LIST_CHECK"),
];
const DEEP = holds(3, "GIFTS=3", "DISKS=0");

async function must(program, args, cwd) {
  const { code, output } = await run(program, args, { capture: true, cwd, timeoutMs: DEADLINE_MS });
  if (code !== 0) throw new Error(`${program} ${args.join(" ")}: exit ${code}\n${output}`);
}

/** "holds", "fails", or why the search says nothing. */
function verdict(text) {
  const errors = /errors: (\d+)/.exec(text)?.[1];
  if (errors === undefined) return "no result";
  if (errors !== "0") return /assertion violated/.test(text) ? "fails" : "error";
  if (/max search depth too small|out of memory|Search not completed/.test(text)) return "incomplete";
  return "holds";
}

/**
 * One search. `got` is what it found: as `expect`, or why it says nothing; `text` is spin's own report.
 * @param {{ stage: number, defines: string[], expect?: "holds" | "fails" }} run
 * @param {string} [model] path of another Promela file
 */
export async function search({ stage, defines, expect }, model = MODEL) {
  const dir = await mkdtemp(join(tmpdir(), "weave-model-"));
  try {
    await copyFile(model, join(dir, "model.pml"));
    await must("spin", [`-DSTAGE=${stage}`, ...defines.map((d) => `-D${d}`), "-a", "model.pml"], dir);
    // A failure is found soon: compiling well would take longer than the search.
    await must("gcc", [expect === "fails" ? "-O0" : "-O2", ...GCC, "-o", "pan", "pan.c"], dir);
    const started = performance.now();
    const { output } = await run("./pan", PAN, { capture: true, cwd: dir, timeoutMs: DEADLINE_MS });
    const states = Number(/(\d+) states, stored/.exec(output)?.[1] ?? Number.NaN);
    const seconds = (performance.now() - started) / 1000;
    return { got: verdict(output), states, seconds, text: output };
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

async function main() {
  const started = performance.now();
  const runs = process.argv.includes("--deep") ? [DEEP, ...RUNS] : RUNS;
  const waiting = [...runs.entries()];
  const results = [];
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        results[next[0]] = { ...next[1], ...(await search(next[1])) };
      }
    }),
  );
  const line = (stage, defines, states, seconds, expect, found) =>
    `${stage.padEnd(23)}${defines.padEnd(34)}${states.padStart(9)}${seconds.padStart(7)}  ${expect.padEnd(8)}  ${found}`;
  console.log(line("stage", "switches", "states", "s", "expected", "found"));
  for (const { stage, defines, expect, got, states, seconds } of results) {
    const found = got === expect ? got : `${got}  <== WRONG`;
    console.log(line(STAGES[stage], defines.join(" "), String(states), seconds.toFixed(1), expect, found));
  }
  const wrong = results.filter(({ expect, got }) => got !== expect);
  for (const { text } of wrong) console.error(text);
  const took = ((performance.now() - started) / 1000).toFixed(0);
  console.log(`${results.length} runs, ${wrong.length} wrong, ${took} s`);
  process.exitCode = wrong.length === 0 ? 0 : 1;
}

if (isMainModule(import.meta.url)) await main();
