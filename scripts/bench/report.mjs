// What every bench ends with: its table, or its JSON, and the exit code. Figures are those of figures.mjs.

import { cpus, release, totalmem } from "node:os";
import { isMet, renderTable } from "./figures.mjs";

/**
 * A line of the result; without a target where none is given, without a ratio where there is nothing to compare. `ratios`
 * are those of single rounds, where both sides were measured in rounds.
 */
export function figure(name, unit, [ours, reference], target, ratios) {
  return {
    name,
    unit,
    ours,
    ...(reference === undefined ? {} : { reference }),
    ...(target === undefined ? {} : { target }),
    ...(ratios === undefined ? {} : { ratios }),
  };
}

/** What figures depend on, for whoever compares two runs. */
function machine() {
  const [cpu] = cpus();
  return {
    cpu: cpu?.model ?? "unknown",
    cpus: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
  };
}

/** Prints the figures of a bench that began at `startedAt` (performance.now()). Its exit code: 1 when a target was missed. */
export function report(figures, { json, startedAt }) {
  const missed = figures.filter((one) => isMet(one) === false);
  const { cpu, cpus: count, memoryGiB, kernel, node } = machine();
  if (json) {
    console.log(
      JSON.stringify({ machine: machine(), figures: figures.map((f) => ({ ...f, met: isMet(f) })) }),
    );
  } else {
    console.log(`\n${count} x ${cpu}, ${memoryGiB} GiB, Linux ${kernel}, Node ${node}\n`);
    for (const line of renderTable(figures)) console.log(line);
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(0);
    const verdict = missed.length === 0 ? "every target is met" : `${missed.length} targets are MISSED`;
    console.log(`\n${verdict} (${seconds} s)`);
  }
  return missed.length === 0 ? 0 : 1;
}
