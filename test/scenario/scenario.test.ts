// Every scenario file of this folder, with each of its seeds. WEAVE_SEED=N plays all of them with that one.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "vitest";
import { perform } from "./perform.ts";
import { parseScript } from "./script.ts";

const given = process.env["WEAVE_SEED"];
const files = readdirSync(import.meta.dirname).filter((name) => name.endsWith(".txt"));

describe.each(files)("%s", (file) => {
  const script = parseScript(file, readFileSync(join(import.meta.dirname, file), "utf8"));
  const seeds = given === undefined ? script.seeds : [Number(given)];
  it.each(seeds)(`${script.title} (seed %i)`, async (seed) => {
    await perform(script, seed);
  });
});
