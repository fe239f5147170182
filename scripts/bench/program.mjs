// A bench as a command: its options, its figures as a table or as JSON, its exit code, and that nothing it made outlives it.

import { parseArgs } from "node:util";
import { report } from "./report.mjs";

/**
 * Runs `bench(extent, say)`, which answers with figures, in the extent that the command line asks for. `takeAway` removes
 * what it made, once, whether it comes to an end, fails or is interrupted. Sets the exit code.
 */
export async function runBench(extents, bench, takeAway = async () => {}) {
  let ending;
  function end() {
    ending ??= takeAway();
    return ending;
  }
  for (const signal of ["SIGINT", "SIGTERM"]) {
    process.on(signal, () => void end().finally(() => process.exit(130)));
  }
  try {
    const { values } = parseArgs({ options: { quick: { type: "boolean" }, json: { type: "boolean" } } });
    // Some machines' certificates slow every start of Node down.
    delete process.env.NODE_EXTRA_CA_CERTS;
    const startedAt = performance.now();
    const json = values.json === true;
    const say = (text) => {
      if (!json) console.log(`  ${text}`);
    };
    const figures = await bench(values.quick === true ? extents.quick : extents.full, say);
    process.exitCode = report(figures, { json, startedAt });
  } catch (error) {
    if (ending === undefined) console.error(`bench: ${error.message}`);
    process.exitCode = 2;
  } finally {
    await end();
  }
}

/** For benches that make network namespaces. */
export function mustBeRoot() {
  if (process.getuid?.() !== 0) throw new Error("the bench makes network namespaces; run it as root");
}
