// `npm run sim -- [OPTIONS]`: bundles the simulator and runs it. See `npm run sim -- --help`.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { isMainModule, repositoryRoot, run } from "./run.mjs";

/** A thousand hosts are to fit into 2 GiB, with what Node needs beside its heap. */
const HEAP_MIB = 1_700;

/**
 * Bundles one TypeScript program of the repository and runs it with Node.
 * @param {string} entry
 * @param {string[]} args
 * @param {{ nodeOptions?: string[], capture?: boolean | "stdout" }} [options]
 * @returns {Promise<{ code: number, output: string }>}
 */
export async function runProgram(entry, args, { nodeOptions = [], capture = false } = {}) {
  const folder = mkdtempSync(join(tmpdir(), "weave-sim-"));
  try {
    const outfile = join(folder, "program.mjs");
    await build({
      absWorkingDir: repositoryRoot,
      entryPoints: [entry],
      outfile,
      bundle: true,
      platform: "node",
      format: "esm",
      target: "node20",
      sourcemap: "inline",
      logLevel: "error",
    });
    const heap = [`--max-old-space-size=${HEAP_MIB}`, "--max-semi-space-size=64"];
    return await run(process.execPath, ["--enable-source-maps", ...heap, ...nodeOptions, outfile, ...args], {
      capture,
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (isMainModule(import.meta.url)) {
  // node --cpu-prof and the like, for who looks for time or memory.
  const nodeOptions = (process.env["WEAVE_SIM_NODE"] ?? "").split(" ").filter((word) => word !== "");
  const { code } = await runProgram("test/sim/main.ts", process.argv.slice(2), { nodeOptions });
  process.exitCode = code;
}
