// `npm test [FILTER]...`: sets the machine up, checks the code and runs every test project. The last line is
// `N passed, N failed`, with `, N skipped` when tests were skipped. A failed check, a test file that does not load
// and a skip nobody allowed count as failures, so that the line never says less than the exit code.
//
// Filters are those of vitest (parts of file paths, or options such as --project unit); with filters the checks are left out.

import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { check } from "./check.mjs";
import { localProgram, repositoryRoot, run } from "./run.mjs";
import { prepare } from "./setup-machine.mjs";
import { forbiddenSkips } from "./skips.mjs";

/** A run that takes longer hangs; everything together is meant to end within 15 minutes. */
const limitMs = 20 * 60_000;

const filters = process.argv.slice(2);
const verdict = { passed: 0, failed: 0, skipped: 0 };

function fail(message) {
  verdict.failed += 1;
  console.log(`FAILED: ${message}`);
}

async function runTests() {
  const folder = mkdtempSync(join(tmpdir(), "weave-tally-"));
  const tallyFile = join(folder, "tally.json");
  try {
    const { code, timedOut } = await run(
      localProgram("vitest"),
      ["run", "--allowOnly=false", "--reporter=default", "--reporter=./scripts/vitest/tally.mjs", ...filters],
      { env: { WEAVE_TALLY: tallyFile, WEAVE_BUILT: "1" }, timeoutMs: limitMs },
    );
    if (timedOut) fail(`the tests did not end within ${limitMs / 60_000} minutes`);
    if (!existsSync(tallyFile)) {
      fail(`vitest ended with exit code ${code} before it had a result`);
      return;
    }
    count(JSON.parse(readFileSync(tallyFile, "utf8")), code);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function count(tally, code) {
  verdict.passed += tally.passed;
  verdict.failed += tally.failed;
  for (const file of tally.brokenFiles) fail(`${file}: an error outside its tests`);
  if (tally.unhandledErrors > 0) fail(`${tally.unhandledErrors} errors that no test caught`);

  const forbidden = new Set(forbiddenSkips(tally.skipped, allowedReasons(), process.getuid?.() === 0));
  for (const skip of tally.skipped) {
    const text = `${skip.file} > ${skip.name}: ${skip.reason || "no reason given"}`;
    if (forbidden.has(skip)) fail(`skipped, and not allowed by test/allowed-skips.txt: ${text}`);
    else {
      verdict.skipped += 1;
      console.log(`skipped: ${text}`);
    }
  }
  if (tally.passed + tally.failed === 0 && verdict.failed === 0) fail("no test ran");
  if (code !== 0 && verdict.failed === 0) fail(`vitest ended with exit code ${code}`);
}

function allowedReasons() {
  return readFileSync(join(repositoryRoot, "test/allowed-skips.txt"), "utf8")
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"));
}

try {
  await prepare();
  if (filters.length === 0) {
    console.log("==> checking types, lint, layers, unused code");
    for (const name of await check()) fail(`npm run check ${name}`);
  }
  console.log("==> running the tests");
  await runTests();
} catch (error) {
  fail(error.message);
}

const { passed, failed, skipped } = verdict;
console.log(`${passed} passed, ${failed} failed${skipped === 0 ? "" : `, ${skipped} skipped`}`);
// Waits for nothing that a failed step may have left open.
process.exit(failed === 0 ? 0 : 1);
