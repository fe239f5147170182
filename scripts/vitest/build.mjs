// Builds before the projects that run what is built. scripts/test.mjs has built already and says so.

import { build } from "../build.mjs";

/** What each project needs; all others need everything. */
const needs = { kernel: ["lib/kernel-worker.js", "bin/weave-net"] };

/** @param {{ name: string }} project */
export async function setup({ name }) {
  if (process.env.WEAVE_BUILT !== "1") await build(needs[name]);
}
