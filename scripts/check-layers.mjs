// Checks the import rules of .dependency-cruiser.mjs, and that the checker saw every module: dependency-cruiser
// reports success over nothing when it cannot read the installed TypeScript. `node scripts/check-layers.mjs [ROOT]`

import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { cruise } from "dependency-cruiser";
import extractTSConfig from "dependency-cruiser/config-utl/extract-ts-config";
import config from "../.dependency-cruiser.mjs";
import { repositoryRoot } from "./run.mjs";

process.chdir(process.argv[2] ?? repositoryRoot);

const folders = ["src", "cmd", "cni-plugin", "test"].filter((folder) => existsSync(folder));

const expected = folders.flatMap((folder) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => join(entry.parentPath, entry.name)),
);

const { tsConfig, enhancedResolveOptions, ...options } = config.options;
const { output } = await cruise(
  folders,
  { ...options, ruleSet: { forbidden: config.forbidden }, validate: true },
  enhancedResolveOptions,
  { tsConfig: extractTSConfig(tsConfig.fileName) },
);

for (const { rule, from, to, cycle } of output.summary.violations) {
  const path = cycle === undefined ? to : cycle.map(({ name }) => name).join(" -> ");
  const comment = config.forbidden.find(({ name }) => name === rule.name)?.comment ?? "";
  console.error(`${from} -> ${path}\n    ${rule.name}: ${comment}`);
}

const seen = new Set(output.modules.map(({ source }) => source));
const unseen = expected.filter((path) => !seen.has(path));
if (unseen.length > 0) {
  console.error(
    `dependency-cruiser saw only ${expected.length - unseen.length} of ${expected.length} modules; unseen:`,
  );
  for (const path of unseen) console.error(`    ${path}`);
}
if (expected.length === 0) console.error("there are no modules to check");

const imports = output.modules
  .filter(({ source }) => expected.includes(source))
  .reduce((sum, { dependencies }) => sum + dependencies.length, 0);
console.log(`${expected.length} modules, ${imports} imports, ${output.summary.violations.length} violations`);
if (output.summary.violations.length > 0 || unseen.length > 0 || expected.length === 0) process.exitCode = 1;
