// A vitest reporter that writes what scripts/test.mjs needs for its verdict to the file named by WEAVE_TALLY.
// Skips carry the reason given to ctx.skip(reason), which vitest's own reports leave out.

import { writeFileSync } from "node:fs";
import { relative } from "node:path";
import { repositoryRoot } from "../run.mjs";

export default class Tally {
  onTestRunEnd(testModules, unhandledErrors) {
    const tally = {
      passed: 0,
      failed: 0,
      skipped: [],
      brokenFiles: [],
      unhandledErrors: unhandledErrors.length,
    };
    for (const testModule of testModules) {
      const file = relative(repositoryRoot, testModule.moduleId);
      // Errors outside any test: the file did not load, or a hook of a suite failed.
      const suites = [testModule, ...testModule.children.allSuites()];
      if (suites.some((suite) => suite.errors().length > 0)) tally.brokenFiles.push(file);
      for (const testCase of testModule.children.allTests()) {
        const result = testCase.result();
        if (result.state === "passed") tally.passed += 1;
        else if (result.state === "failed") tally.failed += 1;
        else
          tally.skipped.push({
            project: testModule.project.name,
            file,
            name: testCase.fullName,
            reason: result.note ?? "",
          });
      }
    }
    writeFileSync(process.env.WEAVE_TALLY, JSON.stringify(tally));
  }
}
