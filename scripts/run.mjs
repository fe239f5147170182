// What the scripts of this folder share: where the repository is, and running a program. Plain Node, because it
// must work before `npm ci` has run.

import { spawn } from "node:child_process";
import { realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The directory that holds package.json, whatever the working directory is. */
export const repositoryRoot = dirname(dirname(fileURLToPath(import.meta.url)));

/** True in the module that `node` was started with, false where it is imported. */
export function isMainModule(url) {
  return process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(url);
}

/** The path of a program that `npm ci` installs. */
export function localProgram(name) {
  return join(repositoryRoot, "node_modules", ".bin", name);
}

/**
 * Runs a program, in the repository unless told otherwise, with `input` as standard input, and answers with its exit code and, when `capture`
 * is set, everything it printed; otherwise its output goes through. A program that cannot be started is an
 * error; a program that fails is not.
 * @param {string} program
 * @param {string[]} args
 * @param {{ capture?: boolean | "stdout", cwd?: string, env?: Record<string, string>, input?: string, timeoutMs?: number }} [options]
 * @returns {Promise<{ code: number, output: string, timedOut: boolean }>}
 */
export function run(
  program,
  args,
  { capture = false, cwd = repositoryRoot, env = {}, input, timeoutMs } = {},
) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: [
        input === undefined ? "ignore" : "pipe",
        capture === false ? "inherit" : "pipe",
        capture === true ? "pipe" : "inherit",
      ],
      // A group of its own, so that a run past its time is ended with everything it started.
      detached: timeoutMs !== undefined,
    });
    child.stdin?.end(input);
    const chunks = [];
    child.stdout?.on("data", (chunk) => chunks.push(chunk));
    child.stderr?.on("data", (chunk) => chunks.push(chunk));

    let timedOut = false;
    const endGroup = (signal) => {
      try {
        process.kill(-child.pid, signal);
      } catch {
        // The group is gone already.
      }
    };
    const forward = (signal) => endGroup(signal);
    const timers = [];
    if (timeoutMs !== undefined) {
      for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, forward);
      timers.push(
        setTimeout(() => {
          timedOut = true;
          endGroup("SIGTERM");
          timers.push(setTimeout(() => endGroup("SIGKILL"), 10_000));
        }, timeoutMs),
      );
    }
    const finish = () => {
      for (const timer of timers) clearTimeout(timer);
      for (const signal of ["SIGINT", "SIGTERM"]) process.off(signal, forward);
    };
    child.on("error", (error) => {
      finish();
      reject(new Error(`cannot run ${program}: ${error.message}`, { cause: error }));
    });
    child.on("close", (code, signal) => {
      finish();
      resolve({ code: code ?? (signal ? 128 : 1), output: Buffer.concat(chunks).toString("utf8"), timedOut });
    });
  });
}
