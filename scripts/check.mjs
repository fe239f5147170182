// `npm run check [types|lint|layers|unused]...`: everything that can be said about the code without running it.
// Output is shown for what failed only.

import { isMainModule, localProgram, run } from "./run.mjs";

const checks = {
  types: [localProgram("tsc"), ["--project", ".", "--noEmit", "--pretty", "false"]],
  lint: [localProgram("biome"), ["check", "--error-on-warnings", "--max-diagnostics=20", "--colors=off"]],
  layers: [process.execPath, ["scripts/check-layers.mjs"]],
  unused: [localProgram("knip"), ["--no-progress"]],
};

/**
 * Runs the named checks, or all, side by side, and answers with the names of those that failed.
 * @param {string[]} [names]
 * @returns {Promise<string[]>}
 */
export async function check(names = Object.keys(checks)) {
  const failed = [];
  await Promise.all(
    names.map(async (name) => {
      const [program, args] = checks[name];
      const startedAt = performance.now();
      const { code, output } = await run(program, args, { capture: true });
      const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
      if (code === 0) {
        // The layers check says how much it saw.
        console.log(`check ${name}: ok (${seconds} s)${name === "layers" ? `, ${output.trim()}` : ""}`);
        return;
      }
      failed.push(name);
      console.log(`check ${name}: FAILED (${seconds} s)\n${output.trimEnd()}\n`);
    }),
  );
  return failed;
}

if (isMainModule(import.meta.url)) {
  const names = process.argv.slice(2);
  const unknown = names.filter((name) => !(name in checks));
  if (unknown.length > 0) {
    console.error(`unknown check ${unknown.join(", ")}; there are ${Object.keys(checks).join(", ")}`);
    process.exitCode = 2;
  } else {
    const failed = await check(names.length === 0 ? undefined : names);
    if (failed.length > 0) process.exitCode = 1;
  }
}
