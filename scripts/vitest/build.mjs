// Builds before the projects that run the built programs. scripts/test.mjs has built already and says so.

import { build } from "../build.mjs";

export async function setup() {
  if (process.env.WEAVE_BUILT !== "1") await build();
}
