// Runs the model in decisions.pml through spin, stage by stage, and then once per mutation: a rule is taken away, and the
// checks must miss it. Prints a table. Exits 1 when the model fails, a mutation survives, or a search did not end.
// Needs spin and gcc. `--deep` adds a run with three gifts.
import { spawn } from "node:child_process";
import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const MODEL = join(dirname(fileURLToPath(import.meta.url)), "decisions.pml");
/** Exact search, no bitstate hashing. No partial order reduction: every step touches shared state. */
const GCC = ["-w", "-DSAFETY", "-DNOREDUCE", "-DMEMLIM=2000", "-DVECTORSZ=2048"];
const PAN = ["-m20000", "-w24", "-n"];
const AT_ONCE = 2;
const DEADLINE_MS = 300_000;

const STAGES = { 1: "votes of the founding", 2: "votes of the removal", 3: "the ring" };
const holds = (stage, ...defines) => ({ stage, defines, expect: "holds" });
const fails = (stage, ...defines) => ({ stage, defines, expect: "fails" });

const RUNS = [
  holds(3, "GIFTS=2", "DISKS=1"),
  ...(process.argv.includes("--deep") ? [holds(3, "GIFTS=3", "DISKS=0")] : []),
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

/** Output of a program; rejects when it cannot be started or is not done in time. */
function run(command, args, cwd) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, timeout: DEADLINE_MS });
    let text = "";
    child.stdout.on("data", (chunk) => (text += chunk));
    child.stderr.on("data", (chunk) => (text += chunk));
    child.on("error", (cause) =>
      reject(new Error(`${command}: ${cause.message} (apt-get install spin gcc)`)),
    );
    child.on("close", (code, signal) => {
      if (signal !== null) reject(new Error(`${command} was ended by ${signal}`));
      else resolve({ code, text });
    });
  });
}

async function must(command, args, cwd) {
  const { code, text } = await run(command, args, cwd);
  if (code !== 0) throw new Error(`${command} ${args.join(" ")}: exit ${code}\n${text}`);
}

/** "holds", "fails", or why the search says nothing. */
function verdict(text) {
  const errors = /errors: (\d+)/.exec(text)?.[1];
  if (errors === undefined) return "no result";
  if (errors !== "0") return /assertion violated/.test(text) ? "fails" : "error";
  if (/max search depth too small|out of memory|Search not completed/.test(text)) return "incomplete";
  return "holds";
}

async function check({ stage, defines, expect }) {
  const dir = await mkdtemp(join(tmpdir(), "weave-model-"));
  try {
    await copyFile(MODEL, join(dir, "decisions.pml"));
    await must("spin", [`-DSTAGE=${stage}`, ...defines.map((d) => `-D${d}`), "-a", "decisions.pml"], dir);
    await must("gcc", [expect === "holds" ? "-O2" : "-O0", ...GCC, "-o", "pan", "pan.c"], dir);
    const started = performance.now();
    const { text } = await run("./pan", PAN, dir);
    const got = verdict(text);
    const states = Number(/(\d+) states, stored/.exec(text)?.[1] ?? Number.NaN);
    return { stage, defines, expect, got, states, seconds: (performance.now() - started) / 1000, text };
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

const started = performance.now();
const waiting = [...RUNS.entries()];
const results = [];
await Promise.all(
  Array.from({ length: AT_ONCE }, async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      results[next[0]] = await check(next[1]);
    }
  }),
);

console.log(
  `${"stage".padEnd(23)}${"switches".padEnd(34)}${"states".padStart(9)}${"s".padStart(7)}  expected  found`,
);
for (const { stage, defines, expect, got, states, seconds } of results) {
  const mark = got === expect ? "" : "  <== WRONG";
  console.log(
    `${STAGES[stage].padEnd(23)}${defines.join(" ").padEnd(34)}${String(states).padStart(9)}${seconds.toFixed(1).padStart(7)}  ${expect.padEnd(8)}  ${got}${mark}`,
  );
}
const wrong = results.filter(({ expect, got }) => got !== expect);
for (const { text } of wrong) console.error(text);
console.log(
  `${results.length} runs, ${wrong.length} wrong, ${((performance.now() - started) / 1000).toFixed(0)} s`,
);
process.exitCode = wrong.length === 0 ? 0 : 1;
