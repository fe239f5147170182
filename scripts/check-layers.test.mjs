// Proves that every import rule fires: a tree with one seeded violation per rule goes in, exactly those come out.

import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, expect, test } from "vitest";
import config from "../.dependency-cruiser.mjs";
import { repositoryRoot } from "./run.mjs";

/** Allowed imports, one or more per layer. */
const clean = {
  "src/core/errors.ts": `export const code = "internal";`,
  "src/core/address/cidr.ts": `import { z } from "zod";\nimport "../errors.ts";\nexport type Cidr = string;\nexport const cidr = z.string();`,
  "src/core/address/cidr.test.ts": `import "node:fs";\nimport "vitest";\nimport "fast-check";\nimport "../../../test/support/alice.ts";\nimport "./cidr.ts";`,
  "src/ports/store.ts": `import type { Cidr } from "../core/address/cidr.ts";\nexport type Store = Cidr;`,
  "src/api/schema.ts": `import { z } from "zod";\nimport "node:http";\nimport "../core/errors.ts";\nimport type { Cidr } from "../core/address/cidr.ts";\nexport const schema = z.custom<Cidr>();`,
  "src/kernel/worker.ts": `import "koffi";\nimport "netlink";\nimport "../core/errors.ts";\nimport type { Store } from "../ports/store.ts";\nexport type K = Store;`,
  "src/adapters/transport-ws/dial.ts": `import "ws";\nimport type { WebSocket } from "ws";\nexport type W = WebSocket;`,
  "src/adapters/transport-ws/index.ts": `import "./dial.ts";\nimport "../../core/errors.ts";`,
  "src/adapters/store-level.ts": `import "level";`,
  "src/adapters/log.ts": `import "pino";`,
  "src/adapters/http/server.ts": `import "fastify";\nimport "../../api/schema.ts";`,
  "src/daemon/loop.ts": `import "../core/errors.ts";\nimport type { Store } from "../ports/store.ts";\nexport type L = Store;`,
  "cni-plugin/verbs.ts": `import "../src/api/schema.ts";\nimport "../src/core/errors.ts";\nimport "../src/core/address/cidr.ts";`,
  "cmd/weaver/main.ts": `import "commander";\nimport "../../src/daemon/loop.ts";\nimport "../../src/adapters/log.ts";\nimport "../../src/kernel/worker.ts";\nimport "../../cni-plugin/verbs.ts";\nimport "../../src/core/errors.ts";\nimport "../../src/api/schema.ts";`,
  "scripts/build.mjs": "",
  "test/support/alice.ts": `import "../../src/daemon/loop.ts";`,
  "test/e2e/two.test.ts": `import "../support/alice.ts";\nimport "koffi";`,
};

/** File, its one wrong import, and the rules that refuse it. */
const seeded = [
  ["src/core/a1.ts", `import "../ports/store.ts";`, ["layer src/core"]],
  [
    "src/core/a2.ts",
    `import type { Store } from "../ports/store.ts";\nexport type A = Store;`,
    ["layer src/core"],
  ],
  ["src/core/a3.ts", `import "node:fs";`, ["core has no platform"]],
  ["src/core/a4.ts", `import "commander";`, ["core packages", "package commander"]],
  ["src/ports/b1.ts", `import "../api/schema.ts";`, ["layer src/ports", "ports are types"]],
  ["src/ports/b2.ts", `import "../core/errors.ts";`, ["ports are types"]],
  ["src/api/c1.ts", `import "../ports/store.ts";`, ["layer src/api"]],
  ["src/api/c2.ts", `import "../core/address/cidr.ts";`, ["api takes types and errors"]],
  ["src/kernel/d1.ts", `import "../api/schema.ts";`, ["layer src/kernel"]],
  ["src/kernel/d2.ts", `import "../adapters/log.ts";`, ["layer src/kernel"]],
  ["src/adapters/e1.ts", `import "../daemon/loop.ts";`, ["layer src/adapters"]],
  ["src/adapters/log/e2.ts", `import "../../api/schema.ts";`, ["layer src/adapters"]],
  ["src/adapters/e3.ts", `import "./log.ts";`, ["adapters apart"]],
  ["src/adapters/http/e4.ts", `import "../store-level.ts";`, ["adapters apart", "layer src/adapters/http"]],
  ["src/adapters/e5.ts", `import "ws";`, ["package ws"]],
  ["src/adapters/e6.ts", `import "koffi";`, ["package netlink, koffi, raw-socket"]],
  ["src/adapters/e7.ts", `import "netlink";`, ["package netlink, koffi, raw-socket"]],
  ["src/adapters/e8.ts", `import "level";`, ["package level"]],
  ["src/adapters/e9.ts", `import "fastify";`, ["package fastify"]],
  ["src/adapters/e10.ts", `import "pino";`, ["package pino"]],
  ["src/adapters/e11.ts", `import type { WebSocket } from "ws";\nexport type W = WebSocket;`, ["package ws"]],
  ["src/daemon/f1.ts", `import "../adapters/log.ts";`, ["layer src/daemon"]],
  ["src/daemon/f2.ts", `import "../../cni-plugin/verbs.ts";`, ["layer src/daemon"]],
  ["cni-plugin/g1.ts", `import "../src/daemon/loop.ts";`, ["layer cni-plugin"]],
  ["cni-plugin/g2.ts", `import "../src/core/ring.ts";`, ["layer cni-plugin"]],
  ["src/core/ring.ts", `import "../../test/support/alice.ts";`, ["nothing imports test"]],
  ["src/core/h1.test.ts", `import "../../test/e2e/host.ts";`, ["tests import support only"]],
  ["test/e2e/host.ts", `import "./two.test.ts";`, ["no test imported"]],
  ["src/core/i1.ts", `import type { J } from "./i2.ts";\nexport type I = J;`, ["no cycles"]],
  ["src/core/i2.ts", `import type { I } from "./i1.ts";\nexport type J = I | string;`, []], // told once per cycle
  ["cmd/weave/k1.ts", `import "./nowhere.ts";`, ["resolvable"]],
  ["cmd/weave/k3.ts", `import "../../scripts/build.mjs";`, ["layer cmd"]],
  ["cmd/weave/k2.ts", `import "vitest";`, ["no development packages"]],
];

const roots = [];
afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true, force: true });
});

function tree(files) {
  const root = mkdtempSync(join(tmpdir(), "weave-layers-"));
  roots.push(root);
  for (const name of ["package.json", "tsconfig.json"]) cpSync(join(repositoryRoot, name), join(root, name));
  symlinkSync(join(repositoryRoot, "node_modules"), join(root, "node_modules"));
  for (const [path, source] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), `${source}\n`);
  }
  return root;
}

function checkLayers(root) {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [join(repositoryRoot, "scripts/check-layers.mjs"), root],
      (error, stdout, stderr) => resolve({ failed: error !== null, output: stderr + stdout }),
    );
  });
}

/** "file: rule" for each reported violation. */
function reported(output) {
  return [...output.matchAll(/^(\S+) -> .*\n {4}([^:]+):/gm)]
    .map(([, file, rule]) => `${file}: ${rule}`)
    .sort();
}

test("what the architecture allows passes", async () => {
  const { failed, output } = await checkLayers(tree(clean));
  expect(output).toMatch(/^\d+ modules, \d+ imports, 0 violations\n$/);
  expect(failed).toBe(false);
});

test("each seeded violation is reported, and nothing else", async () => {
  const files = { ...clean, ...Object.fromEntries(seeded.map(([file, source]) => [file, source])) };
  const { failed, output } = await checkLayers(tree(files));
  expect(reported(output)).toEqual(
    seeded.flatMap(([file, , rules]) => rules.map((rule) => `${file}: ${rule}`)).sort(),
  );
  expect(failed).toBe(true);
});

test("every rule has a seeded violation", () => {
  const covered = new Set(seeded.flatMap(([, , rules]) => rules));
  const optional = ["package prom-client"]; // not installed yet
  const uncovered = config.forbidden.map(({ name }) => name).filter((name) => !covered.has(name));
  expect(uncovered.filter((name) => !optional.includes(name))).toEqual([]);
});

test("a checker that sees no modules is a failure", async () => {
  const { failed, output } = await checkLayers(tree({ "index.ts": "" }));
  expect(output).toContain("there are no modules to check");
  expect(failed).toBe(true);
});
