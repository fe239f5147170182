import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { temporaryDirectory } from "../../testing/harness.ts";
import { kernelSurvey } from "./kernel.ts";

let directory: ReturnType<typeof temporaryDirectory>;
beforeEach(() => {
  directory = temporaryDirectory();
});
afterEach(() => directory.remove());

/** A survey by a program that does this. */
function surveyBy(source: string, patienceMs?: number): ReturnType<typeof kernelSurvey> {
  const program = join(directory.path, "survey.mjs");
  writeFileSync(program, source);
  return kernelSurvey(program, patienceMs);
}

it("each part stands alone: told, failed, malformed, untold", async () => {
  const part = surveyBy(`
    console.log(JSON.stringify({ part: "overlay", value: ["10.32.0.0/12"] }));
    console.log("no JSON");
    console.log(JSON.stringify({ part: "drops", failure: "nft list chains: EPERM" }));
    console.log(JSON.stringify({ part: "trial", value: 7 }));`);
  expect(await part("overlay")).toEqual(["10.32.0.0/12"]);
  await expect(part("drops")).rejects.toThrow("nft list chains: EPERM");
  await expect(part("trial")).rejects.toThrow();
  await expect(part("links")).rejects.toThrow("ended early");
});

it("is read once", async () => {
  const part = surveyBy(`console.log(JSON.stringify({ part: "overlay", value: [String(process.pid)] }))`);
  expect(await part("overlay")).toEqual(await part("overlay"));
});

it("that never ends is left behind, with what it told", async () => {
  const part = surveyBy(
    `
    console.log(JSON.stringify({ part: "overlay", value: [] }));
    setInterval(() => {}, 1000);`,
    1_000,
  );
  const startedAt = performance.now();
  await expect(part("links")).rejects.toThrow("not read within 1 s");
  expect(performance.now() - startedAt).toBeLessThan(5_000);
  expect(await part("overlay")).toEqual([]);
});
