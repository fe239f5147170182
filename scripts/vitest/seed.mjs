// Replays a random test: with WEAVE_SEED set, every fast-check property starts from that seed. A failed property
// prints its seed itself.

import fc from "fast-check";

const seed = process.env.WEAVE_SEED;
if (seed !== undefined) {
  if (!/^-?\d+$/.test(seed)) throw new Error(`WEAVE_SEED must be a whole number, not "${seed}"`);
  fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: Number(seed) });
}
