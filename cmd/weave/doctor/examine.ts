// Runs the checks one after the other. Each has its own time, and one that fails is a finding of its own.
import type { Check, Surroundings, Verdict } from "./check.ts";
import type { Finding } from "./finding.ts";
import type { DoctorReport } from "./report.ts";

/** Everything a check waits for ends sooner by itself; this is for what nobody thought of. */
const PATIENCE_MS = 10_000;

/** Never throws. */
export async function examine(
  checks: readonly Check[],
  around: Surroundings,
  patienceMs = PATIENCE_MS,
): Promise<DoctorReport> {
  const findings: DoctorReport["findings"] = [];
  const notes: DoctorReport["notes"] = [];
  const looked: DoctorReport["checks"] = [];
  for (const check of checks) {
    const verdict = await outcome(check, around, patienceMs);
    const failed = verdict instanceof Error;
    const found = failed ? [failure(check, verdict)] : verdict.findings;
    findings.push(...found.map((each) => ({ check: check.name, ...each })));
    if (!failed) notes.push(...(verdict.notes ?? []).map((each) => ({ check: check.name, ...each })));
    const state = failed ? "unknown" : found.length > 0 ? "wrong" : "ok";
    looked.push({ name: check.name, state, saw: failed ? verdict.message : verdict.saw });
  }
  return { ok: findings.length === 0, findings, notes, checks: looked };
}

async function outcome(check: Check, around: Surroundings, patienceMs: number): Promise<Verdict | Error> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Error>((resolve) => {
    timer = setTimeout(() => resolve(new Error(`not done within ${patienceMs / 1000} s`)), patienceMs);
  });
  try {
    return await Promise.race([check.run(around), late]);
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  } finally {
    clearTimeout(timer);
  }
}

function failure({ name }: Check, { message }: Error): Finding {
  return {
    code: "check-failed",
    object: name,
    message: `${name} could not be looked at: ${message}`,
    command: process.getuid?.() === 0 ? "weave doctor" : "sudo weave doctor",
  };
}
