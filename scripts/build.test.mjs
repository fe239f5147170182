import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { firstLine } from "./build.mjs";

test("the first line of weaver has the flags `weave launch` gives it", () => {
  const source = readFileSync(new URL("../cmd/node-flags.ts", import.meta.url), "utf8");
  const flags = /NODE_FLAGS: readonly string\[\] = (\[.*\]);/.exec(source)?.[1] ?? "";
  expect(firstLine("bin/weaver")).toBe(`#!/usr/bin/env -S node ${JSON.parse(flags).join(" ")}`);
  expect(firstLine("bin/weave")).toBe("#!/usr/bin/env node");
});
