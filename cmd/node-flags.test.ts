import { expect, it } from "vitest";
// @ts-expect-error: a script without types
import { firstLine } from "../scripts/build.mjs";
import { NODE_FLAGS } from "./node-flags.ts";

it("stand in the first line of weaver, as `weave launch` gives them", () => {
  expect(firstLine("bin/weaver")).toBe(`#!/usr/bin/env -S node ${NODE_FLAGS.join(" ")}`);
});
