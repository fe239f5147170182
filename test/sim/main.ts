// `npm run sim -- [OPTIONS]`: a cluster of simulated hosts with the real core, under faults, from one seed. Prints what was
// done and what it cost; exits 1 when a promise was broken, with the seed and the number of the event.
import { parseArgs } from "node:util";
import { FAULTS, type Fault } from "./faults.ts";
import { Life } from "./life.ts";
import { BUGS, type Bug } from "./sabotage.ts";
import { summaryOf } from "./summary.ts";
import { tracerOf } from "./trace.ts";
import { Violation } from "./world.ts";

const HELP = `Usage: npm run sim -- [OPTIONS]

Runs simulated hosts, each with the real core and its effect runner, in virtual time. Checks after every event that no
address is held twice, that owners change by their own hand only, and that nobody tells what is not on its disk; at the
end, when all has healed, that everybody knows the same and nothing is lost. The same options give the same run.

  --peers N         hosts (10)
  --seed N          what everything follows from (1)
  --minutes N       simulated time under faults (10)
  --operations N    ADDs and DELs in that time (10 for each peer, at most 1000)
  --faults A,B      all, none, or names of faults (all):
                    ${FAULTS.join(", ")}
  --universe CIDR   the range (10.32.0.0/12)
  --trace           print everything that happens; with --from N, from event N on
  --bug NAME        one host is wrong on purpose, to see that it is noticed:
                    ${Object.keys(BUGS).join(", ")}
  --json            the summary as JSON
  --help

Exit code: 0 all promises kept, 1 one was broken, 2 the options make no sense.

Examples:
  npm run sim -- --peers 50 --seed 3 --minutes 5
  npm run sim -- --peers 1000 --seed 7 --minutes 10 --faults partition,crash,loss
  npm run sim -- --peers 5 --minutes 1 --faults none --trace | less
  npm run sim -- --peers 20 --seed 3 --trace --from 80000     # what came before a violation
`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      peers: { type: "string", default: "10" },
      seed: { type: "string", default: "1" },
      minutes: { type: "string", default: "10" },
      operations: { type: "string" },
      faults: { type: "string", default: "all" },
      universe: { type: "string", default: "10.32.0.0/12" },
      trace: { type: "boolean", default: false },
      from: { type: "string", default: "0" },
      bug: { type: "string" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const peers = numberOf("peers", values.peers, 1, 2_000);
  const seed = numberOf("seed", values.seed, 0, 2 ** 32 - 1);
  const minutes = numberOf("minutes", values.minutes, 0.1, 10_000);
  const operations = numberOf(
    "operations",
    values.operations ?? `${Math.min(10 * peers, 1_000)}`,
    0,
    100_000_000,
  );
  const from = numberOf("from", values.from, 0, Number.MAX_SAFE_INTEGER);
  const faults = faultsOf(values.faults);
  const startedAt = performance.now();
  const say = (text: string): void => {
    if (!values.json)
      process.stderr.write(`${((performance.now() - startedAt) / 1000).toFixed(1)} s  ${text}\n`);
  };
  const bug = bugOf(values.bug);
  const { universe } = values;
  const options = { seed, peers, minutes, operations, faults, universe, say };
  const life: Life = new Life({
    ...options,
    ...(bug === undefined ? {} : { bug }),
    ...(values.trace
      ? {
          trace: tracerOf(
            (line) => process.stdout.write(`${line}\n`),
            () => life.world.measures.events >= from,
          ),
        }
      : {}),
  });
  let violation: Violation | undefined;
  try {
    await life.run();
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    violation = error;
  }
  const summary = summaryOf(life.world, {
    seed,
    minutes,
    seconds: (performance.now() - startedAt) / 1000,
    ...(violation === undefined ? {} : { violation }),
  });
  if (values.json) process.stdout.write(`${JSON.stringify(summary.figures)}\n`);
  else process.stdout.write(`${summary.text}\n`);
  if (violation === undefined) return 0;
  process.stderr.write(
    `\nVIOLATION with seed ${seed} at event ${violation.event}: ${violation.message}\n` +
      "the same options with --trace show how it came to that\n",
  );
  return 1;
}

class UsageError extends Error {}

function numberOf(option: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (text.trim() === "" || !(value >= least && value <= most))
    throw new UsageError(`--${option} ${text}: a number from ${least} to ${most}`);
  return value;
}

function faultsOf(text: string): ReadonlySet<Fault> {
  if (text === "none") return new Set();
  if (text === "all") return new Set(FAULTS);
  return new Set(
    text.split(",").map((name) => {
      const fault = FAULTS.find((known) => known === name);
      if (fault === undefined) throw new UsageError(`--faults ${name}: there are ${FAULTS.join(", ")}`);
      return fault;
    }),
  );
}

function bugOf(text: string | undefined): Bug | undefined {
  if (text === undefined) return undefined;
  if (!isBug(text)) throw new UsageError(`--bug ${text}: there are ${Object.keys(BUGS).join(", ")}`);
  return text;
}

const isBug = (text: string): text is Bug => Object.hasOwn(BUGS, text);

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof UsageError) && !isOptionError(error)) throw error;
  process.stderr.write(`sim: ${error.message}; npm run sim -- --help\n`);
  process.exitCode = 2;
}

function isOptionError(error: unknown): error is Error {
  return error instanceof Error && "code" in error && String(error.code).startsWith("ERR_PARSE_ARGS");
}
