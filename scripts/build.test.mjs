import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { firstLine } from "./build.mjs";

test("the first line of weaver runs it as `weave launch` does, and is not too long for the kernel", () => {
  const source = readFileSync(new URL("../cmd/node-flags.ts", import.meta.url), "utf8");
  const flags = [...source.matchAll(/"(--[^"]+)"/g)].map(([, flag]) => flag);
  expect(flags.length).toBeGreaterThan(0);
  const environment = [...source.matchAll(/([A-Z_]+): "([^"]+)"/g)].map(
    ([, name, value]) => `${name}=${value}`,
  );
  const line = firstLine("bin/weaver");
  expect(line).toBe(`#!/usr/bin/env -S ${environment.join(" ")} node ${flags.join(" ")}`);
  expect(line.length).toBeLessThan(255); // BINPRM_BUF_SIZE of linux/binfmts.h
  expect(firstLine("bin/weave")).toBe("#!/usr/bin/env node");
});
