// Removing what weave left on a host where no daemon runs: done by weaver, which knows state and kernel, started for
// nothing else.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { type EraseReport, eraseReport } from "../../../src/api/launch.ts";
import { isErrorCode, WeaveError } from "../../../src/core/errors.ts";
import { checkProgram } from "../launch/background.ts";

/** Hundreds of interfaces take some seconds. */
const PATIENCE_MS = 60_000;

/** Answers what was there, in words for people. Throws what weaver says, or internal when it says nothing. */
export async function eraseHere(
  { runDir, dataDir }: { readonly runDir: string; readonly dataDir: string },
  programs: string,
): Promise<readonly string[]> {
  const weaver = join(programs, "weaver");
  checkProgram(weaver);
  const words = [weaver, "--erase", `--run-dir=${runDir}`, `--data-dir=${dataDir}`];
  const child = spawn(process.execPath, words, {
    cwd: "/",
    stdio: ["ignore", "ignore", "pipe", "ipc"],
    timeout: PATIENCE_MS,
  });
  let stderr = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  let report: EraseReport | undefined;
  child.on("message", (message) => {
    report = eraseReport.safeParse(message).data;
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  if (report?.kind === "erased") return report.removed;
  if (report?.kind === "failed") {
    throw new WeaveError(isErrorCode(report.code) ? report.code : "internal", report.message, {
      hint: report.hint ?? "what was removed is gone; run weave reset --force again for the rest",
    });
  }
  throw new WeaveError("internal", `weaver ended with ${code} before it had removed everything`, {
    hint: stderr.trim().slice(-1000) || "run weave reset --force again",
  });
}
