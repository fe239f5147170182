// Which skipped tests are a failure. A test that could run here must run: as root every skip needs a reason that
// test/allowed-skips.txt lists; without root the tests that need it may skip, and say so.

const needRoot = ["kernel", "e2e", "cni", "runtimes"];

/**
 * @param {{ project: string, reason: string }[]} skipped
 * @param {string[]} allowedReasons a skip is allowed when its reason begins with one of these
 * @param {boolean} isRoot
 */
export function forbiddenSkips(skipped, allowedReasons, isRoot) {
  return skipped.filter(({ project, reason }) => {
    if (reason === "") return true;
    if (allowedReasons.some((allowed) => reason.startsWith(allowed))) return false;
    return isRoot || !needRoot.includes(project);
  });
}
