// Asking another program, with bounds on time and answer.
import { execFile } from "node:child_process";

/** A tool that asks its daemon over D-Bus answers in half a second. */
const PATIENCE_MS = 2_500;
const MAX_BYTES = 1024 * 1024;

/** stdout of a program that succeeds; undefined when it is not installed. Rejects when it fails or takes too long. */
export function ask(program: string, words: readonly string[]): Promise<string | undefined> {
  const options = {
    timeout: PATIENCE_MS,
    killSignal: "SIGKILL",
    maxBuffer: MAX_BYTES,
    env: { ...process.env, LC_ALL: "C" },
  } as const;
  return new Promise((resolve, reject) => {
    execFile(program, [...words], options, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout);
      if (error.code === "ENOENT") return resolve(undefined);
      const why = error.killed
        ? `no answer within ${PATIENCE_MS / 1000} s`
        : stderr.trim().split("\n")[0] || `exit code ${error.code}`;
      reject(new Error(`${program} ${words.join(" ")}: ${why}`));
    });
  });
}
