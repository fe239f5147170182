// The searches of check.mjs as tests, one each: the model holds, and every mutation is caught.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { repositoryRoot } from "../scripts/run.mjs";
import { RUNS, STAGES, search } from "./check.mjs";

const source = readFileSync(join(repositoryRoot, "model/decisions.pml"), "utf8");
const named = RUNS.map((run) => [`${STAGES[run.stage]} ${run.defines.join(" ")} ${run.expect}`, run]);

describe("model", () => {
  it.each(named)("%s", async (_, searched) => {
    const { got, text } = await search(searched);
    expect(got, text).toBe(searched.expect);
  });

  it("is searched with every rule taken away that can be", () => {
    const switches = [...source.matchAll(/#if(?:n?def +|.*defined\()(\w+)/g)].map((match) => match[1]);
    const bounds = ["STAGE", "GIFTS", "DISKS"];
    const mutations = new Set(switches.filter((name) => !bounds.includes(name)));
    const run = new Set(RUNS.flatMap(({ defines }) => defines.filter((define) => !define.includes("="))));
    expect(run).toEqual(mutations);
  });

  it("is not said to hold when the search was cut short, or the text does not compile", async () => {
    const dir = mkdtempSync(join(tmpdir(), "weave-model-test-"));
    try {
      const endless = join(dir, "endless.pml");
      writeFileSync(endless, "int n; active proctype p() { do :: n < 100000 -> n++ :: else -> break od }");
      expect((await search({ stage: 1, defines: [] }, endless)).got).toBe("incomplete");
      const broken = join(dir, "broken.pml");
      writeFileSync(broken, "active proctype p() {");
      await expect(search({ stage: 1, defines: [] }, broken)).rejects.toThrow("spin");
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
});
