// Whether the daemon runs, and what it says of this host itself.
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Status } from "../../../../src/api/status.ts";
import type { WeaveError } from "../../../../src/core/errors.ts";
import { PID_FILE } from "../../../../src/daemon/options.ts";
import { quote } from "../../cni/finding.ts";
import { isDenied } from "../../daemon.ts";
import { count } from "../../status/names.ts";
import { defineCheck, type Verdict } from "../check.ts";
import type { Finding } from "../finding.ts";
import { isAboutPath } from "./mtu.ts";

export interface DaemonFacts {
  readonly status: Status | WeaveError;
  /** There is a state on disk. */
  readonly launched: boolean;
  readonly runDir: string;
  readonly version: string;
}

export const daemon = defineCheck<DaemonFacts>(
  "daemon",
  async ({ status, dataDir, runDir, version }) => ({
    status: await status(),
    launched: existsSync(join(dataDir, "db")),
    runDir,
    version,
  }),
  judgeDaemon,
);

export function judgeDaemon({ status, launched, runDir, version }: DaemonFacts): Verdict {
  if (status instanceof Error) return silent(status, launched, runDir);
  const findings: Finding[] = status.problems
    .filter(({ code }) => code === "datapath")
    .map(({ object, message }) => ({
      code: "kernel-fault",
      object,
      message: `the kernel does not hold what it should: ${message}`,
      command: "weave report -f '.problems[].message'",
    }));
  for (const { object, count: times, message, notBefore } of status.repairs ?? []) {
    if (notBefore === undefined) continue;
    findings.push({
      code: "fought-over",
      object,
      message: `something on this host takes it away again and again, ${times} times in the last hour; last put back: ${message}`,
      command: "weave report -f .repairs",
    });
  }
  const notes: Finding[] = status.problems
    .filter(({ code }) => code !== "datapath" && !isAboutPath(code))
    .map(({ code, object, message, command }) => ({
      code: "network-problem",
      object,
      message: `weave status tells ${code}: ${message}`,
      command,
    }));
  const other = status.version === version ? "" : `, this is weave ${version}`;
  return {
    findings,
    notes,
    saw: `weaver ${status.version}, process ${status.pid}${other}; ${count(status.problems.length, "problem")} in weave status`,
  };
}

function silent(error: WeaveError, launched: boolean, runDir: string): Verdict {
  const where = `--run-dir ${quote(runDir)}`;
  if (error.code === "timeout" || error.code === "internal") {
    const end =
      error.code === "timeout" ? `kill -9 $(cat ${quote(join(runDir, PID_FILE))})` : `weave stop ${where}`;
    const finding: Finding = {
      code: "no-answer",
      object: runDir,
      message: error.message,
      command: `${end} && weave launch ${where}`,
    };
    return { findings: [finding], saw: "weaver does not answer" };
  }
  if (isDenied(error)) throw error;
  const launch = `weave launch ${where}`;
  if (!launched) {
    const message = "weaver was never launched here; what follows is whether it could be";
    return {
      findings: [],
      notes: [{ code: "not-launched", object: runDir, message, command: launch }],
      saw: "never launched here",
    };
  }
  const message = `${error.message}: containers keep their network, no new ones start`;
  return {
    findings: [{ code: "not-running", object: runDir, message, command: launch }],
    saw: "weaver is not running",
  };
}
