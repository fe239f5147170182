// Proves that the lint rules this project added to the recommended ones fire where they should, and that the
// rules for src/core bind nothing else.

import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { localProgram, repositoryRoot, run } from "../run.mjs";

/** A line of code and the rule that refuses it. */
const everywhere = [
  ["export const a: any = 1;", "noExplicitAny"],
  ["export const a = [1][0]!;", "noNonNullAssertion"],
  ["async function a(): Promise<void> {}\nexport function b() {\n  a();\n}", "noFloatingPromises"],
  [
    'export function a(k: "x" | "y") {\n  switch (k) {\n    case "x":\n      return 1;\n  }\n}',
    "useExhaustiveSwitchCases",
  ],
  ['import "./self.ts";\nimport "left-pad";', "noUndeclaredDependencies"],
  ["// @ts-ignore\nexport const a = 1;", "noTsIgnore"],
  ["const a = 1;", "noUnusedVariables"],
  ['import { readFileSync } from "fs";\nexport const a = readFileSync;', "useNodejsImportProtocol"],
];

const coreOnly = [
  ["export const a = Date.now();", "noRestrictedGlobals"],
  ["export const a = new Date();", "noRestrictedGlobals"],
  ["export const a = performance.now();", "noRestrictedGlobals"],
  ["setTimeout(() => {}, 1);", "noRestrictedGlobals"],
  ["setInterval(() => {}, 1);", "noRestrictedGlobals"],
  ["export const a = process.pid;", "noRestrictedGlobals"],
  ["export const a = crypto.randomUUID();", "noRestrictedGlobals"],
  ["export const a = Math.random();", "plugin"],
  ["export const a = [1].map(Math.random);", "plugin"],
  ['import { pid } from "node:process";\n\nexport const a = pid;', "noRestrictedImports"],
];

const roots = [];
afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true, force: true });
});

/** The rules that biome reports for these files, each once. */
async function rulesFor(files) {
  const root = mkdtempSync(join(tmpdir(), "weave-lint-"));
  roots.push(root);
  for (const name of ["biome.jsonc", "package.json", "scripts/lint/core-is-deterministic.grit"]) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    cpSync(join(repositoryRoot, name), join(root, name));
  }
  for (const [path, code] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(
      join(root, path),
      `${code}
`,
    );
  }
  const { code: exitCode, output } = await run(
    localProgram("biome"),
    ["lint", "--error-on-warnings", "--colors=off", root],
    {
      capture: true,
      cwd: root,
    },
  );
  const rules = [...output.matchAll(/^\S+:\d+:\d+ (?:lint\/\w+\/)?(\w+) /gm)].map(([, rule]) => rule);
  return { failed: exitCode !== 0, rules: [...new Set(rules)] };
}

test.each(everywhere)("refused everywhere: %s", async (code, rule) => {
  for (const path of ["src/core/seeded.ts", "cmd/weave/seeded.ts"]) {
    const { failed, rules } = await rulesFor({ [path]: code });
    expect(rules).toContain(rule);
    expect(failed).toBe(true);
  }
});

test.each(coreOnly)("refused in the core: %s", async (code, rule) => {
  const inCore = await rulesFor({ "src/core/mesh/seeded.ts": code });
  expect(inCore).toEqual({ failed: true, rules: [rule] });
  expect(await rulesFor({ "src/daemon/seeded.ts": code })).toEqual({ failed: false, rules: [] });
});

test("import cycles are refused, of types too", async () => {
  const { failed, rules } = await rulesFor({
    "cmd/weave/a.ts": 'import type { B } from "./b.ts";\n\nexport type A = B;',
    "cmd/weave/b.ts": 'import type { A } from "./a.ts";\n\nexport type B = A | string;',
  });
  expect(rules).toEqual(["noImportCycles"]);
  expect(failed).toBe(true);
});

test.each(["test.only", "test.skip"])("%s is refused", async (call) => {
  const code = `import { test } from "vitest";\n\n${call}("a", () => {});`;
  const { failed, rules } = await rulesFor({ "src/core/seeded.test.ts": code });
  expect(rules).toEqual([call === "test.only" ? "noFocusedTests" : "noSkippedTests"]);
  expect(failed).toBe(true);
});
