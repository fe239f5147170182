// The test projects: which files belong to each, how long one test may take, and what may run side by side.

import { readFileSync } from "node:fs";
import { defineConfig } from "vitest/config";

const { version } = JSON.parse(readFileSync(new URL("package.json", import.meta.url), "utf8")) as {
  version: string;
};

/** Whole hosts with real timers: they mostly wait, and more of them at once would make each other late. */
const SIDE_BY_SIDE = 2;

/** Projects of one group run together, groups one after the other. */
const group = { pure: 0, kernel: 1, e2e: 2 };

function project(
  name: string,
  options: {
    include: string[];
    exclude?: string[];
    /** For one test; a hook gets the same. */
    timeoutMs: number;
    groupOrder?: number;
    maxWorkers?: number;
    globalSetup?: string[];
  },
) {
  return {
    // What the build writes into the bundles.
    define: { WEAVE_VERSION: JSON.stringify(version) },
    test: {
      name,
      include: options.include,
      exclude: ["**/node_modules/**", "dist/**", ...(options.exclude ?? [])],
      testTimeout: options.timeoutMs,
      hookTimeout: options.timeoutMs,
      setupFiles: ["./scripts/vitest/seed.mjs"],
      globalSetup: options.globalSetup ?? [],
      sequence: { groupOrder: options.groupOrder ?? group.pure },
      ...(options.maxWorkers === undefined ? {} : { maxWorkers: options.maxWorkers }),
      // A process per file: a test that changes its namespace or hangs in the kernel harms no other.
      pool: "forks" as const,
    },
  };
}

export default defineConfig({
  test: {
    // A test that was left focused would hide the others.
    allowOnly: !process.env["CI"],
    projects: [
      project("unit", {
        include: ["{src,cni-plugin,cmd}/**/*.test.ts", "scripts/**/*.test.mjs"],
        exclude: ["**/*.prop.test.ts"],
        timeoutMs: 10_000,
      }),
      project("property", { include: ["{src,cni-plugin,cmd}/**/*.prop.test.ts"], timeoutMs: 60_000 }),
      project("model", { include: ["model/**/*.test.mjs"], timeoutMs: 120_000 }),
      project("conformance", { include: ["test/conformance/**/*.test.ts"], timeoutMs: 30_000 }),
      project("scenario", { include: ["test/scenario/**/*.test.ts"], timeoutMs: 30_000 }),
      project("sim", { include: ["test/sim/**/*.test.ts"], timeoutMs: 120_000 }),
      project("kernel", {
        include: ["test/kernel/**/*.test.ts"],
        timeoutMs: 60_000,
        groupOrder: group.kernel,
        globalSetup: ["./scripts/vitest/build.mjs"],
      }),
      project("e2e", {
        include: ["test/e2e/**/*.test.ts"],
        timeoutMs: 180_000,
        groupOrder: group.e2e,
        maxWorkers: SIDE_BY_SIDE,
        globalSetup: ["./scripts/vitest/build.mjs"],
      }),
      project("cni", {
        include: ["test/cni/**/*.test.ts"],
        timeoutMs: 120_000,
        groupOrder: group.e2e,
        maxWorkers: SIDE_BY_SIDE,
        globalSetup: ["./scripts/vitest/build.mjs"],
      }),
      project("runtimes", {
        include: ["test/runtimes/**/*.test.ts"],
        timeoutMs: 180_000,
        groupOrder: group.e2e,
        maxWorkers: SIDE_BY_SIDE,
        globalSetup: ["./scripts/vitest/build.mjs"],
      }),
    ],
  },
});
