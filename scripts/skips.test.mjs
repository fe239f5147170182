import { expect, test } from "vitest";
import { forbiddenSkips } from "./skips.mjs";

const skip = (project, reason) => ({ project, reason });

test.each([
  ["no reason", skip("kernel", ""), [], true, true],
  ["no reason, not even without root", skip("kernel", ""), [], false, true],
  ["a reason that is not listed", skip("kernel", "no vxlan"), ["no dummy"], true, true],
  ["a listed reason", skip("kernel", "no dummy device: EOPNOTSUPP"), ["no dummy"], true, false],
  ["a listed reason in a pure project", skip("unit", "no dummy"), ["no dummy"], true, false],
  ["without root, a test that needs it", skip("runtimes", "needs root"), [], false, false],
  ["without root, a test that does not need it", skip("unit", "needs root"), [], false, true],
])("%s", (_title, skipped, allowed, isRoot, forbidden) => {
  expect(forbiddenSkips([skipped], allowed, isRoot)).toEqual(forbidden ? [skipped] : []);
});
