// weaver as a background process: started apart from the terminal, with its log as output, and waited for until it
// has said once, over Node's IPC channel, how its start went.
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, openSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { isJournal } from "../../../src/adapters/log/journal.ts";
import { type LaunchReport, launchReport } from "../../../src/api/launch.ts";
import { WeaveError } from "../../../src/core/errors.ts";
import { LOG_FILE } from "../../../src/daemon/options.ts";
import { NODE_ENVIRONMENT, NODE_FLAGS } from "../../node-flags.ts";
import { ensureRunDir } from "../../run-dir.ts";
import type { Context } from "../context.ts";
import { logEnd, logTail } from "./log-tail.ts";

/** A start takes about a second; replaying a large store or a slow disk may take many. */
const DEADLINE_MS = 60_000;
const PROGRESS_AFTER_MS = 2000;
const STDERR = 2;
/** How long a daemon that did not get ready may take to end when told to. */
const END_MS = 5000;

/** The daemon to start. */
export interface Weaver {
  /** Path of the executable. */
  readonly program: string;
  readonly words: readonly string[];
}

/** Times of `launchInBackground`, for tests. */
export interface Patience {
  readonly deadlineMs: number;
  readonly progressAfterMs: number;
}

/**
 * Starts weaver and answers its report. Throws WeaveError: internal when it ends without a report, timeout when
 * none comes; both show the last lines of the log. After a report the child no longer keeps this process alive.
 */
export async function launchInBackground(
  weaver: Weaver,
  runDir: string,
  { tell }: Pick<Context, "tell">,
  patience: Patience = { deadlineMs: DEADLINE_MS, progressAfterMs: PROGRESS_AFTER_MS },
): Promise<LaunchReport> {
  checkProgram(weaver.program);
  ensureRunDir(runDir);
  const log = join(runDir, LOG_FILE);
  const from = logEnd(log);
  const toJournal = isJournal(STDERR, process.env["JOURNAL_STREAM"]);
  const child = start(weaver, toJournal ? undefined : log);
  const where = toJournal ? "in the journal" : log;
  const progress = setTimeout(
    () =>
      tell(`weave: weaver is starting, waiting up to ${patience.deadlineMs / 1000} s; its log is ${where}`),
    patience.progressAfterMs,
  );
  const interrupts = passInterrupts(child);
  try {
    const outcome = await firstOutcome(child, patience.deadlineMs);
    if (outcome.kind !== "ready" && outcome.kind !== "failed") {
      throw new WeaveError(outcome.kind === "late" ? "timeout" : "internal", outcome.message, {
        hint: toJournal ? "its log is in the journal: journalctl --since -5min" : whatLogSays(log, from),
      });
    }
    return outcome;
  } finally {
    clearTimeout(progress);
    interrupts.remove();
    if (child.connected) child.disconnect();
    child.unref();
  }
}

function whatLogSays(log: string, from: number): string {
  const tail = logTail(log, from);
  return tail === "" ? `its log ${log} says nothing about it` : `the end of its log ${log}:\n${tail}`;
}

/** Also used in front. */
export function checkProgram(program: string): void {
  if (existsSync(program)) return;
  throw new WeaveError("feature-missing", `${program} does not exist`, {
    hint: "weave and weaver belong into one directory; build both with: npm run build",
  });
}

/** Without a log file it speaks where we do. */
function start({ program, words }: Weaver, log: string | undefined): ChildProcess {
  const output = log === undefined ? STDERR : openLog(log);
  try {
    return spawn(process.execPath, [...NODE_FLAGS, program, ...words], {
      env: { ...process.env, ...NODE_ENVIRONMENT },
      cwd: "/", // or the daemon would keep the caller's file system from being unmounted
      detached: true,
      stdio: ["ignore", output, output, "ipc"],
    });
  } finally {
    if (output !== STDERR) closeSync(output);
  }
}

function openLog(path: string): number {
  try {
    return openSync(path, "a", 0o600);
  } catch (error) {
    throw new WeaveError(
      "storage",
      `cannot write the log ${path}: ${error instanceof Error ? error.message : error}`,
      {
        hint: "choose another directory with --run-dir or WEAVE_RUN_DIR",
        cause: error,
      },
    );
  }
}

type Outcome = LaunchReport | { readonly kind: "ended" | "late"; readonly message: string };

async function firstOutcome(child: ChildProcess, deadlineMs: number): Promise<Outcome> {
  const cancel = new AbortController();
  try {
    const outcome = await Promise.race([reported(child), ended(child), late(deadlineMs, cancel.signal)]);
    if (outcome.kind === "late") await end(child);
    return outcome;
  } finally {
    cancel.abort();
  }
}

function reported(child: ChildProcess): Promise<Outcome> {
  return new Promise((resolve) => {
    child.once("message", (message) => {
      const report = launchReport.safeParse(message);
      if (report.success) resolve(report.data);
      else
        resolve({ kind: "ended", message: "weaver reported its start in a form this weave does not know" });
    });
  });
}

function ended(child: ChildProcess): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    // "close" and not "exit": a report sent just before the end has then been read.
    child.once("close", (code, signal) => {
      const how = signal === null ? `with exit code ${code}` : `by ${signal}`;
      resolve({ kind: "ended", message: `weaver ended ${how} before it was ready` });
    });
  });
}

async function late(deadlineMs: number, signal: AbortSignal): Promise<Outcome> {
  await delay(deadlineMs, undefined, { signal }).catch(() => undefined);
  return { kind: "late", message: `weaver was not ready after ${deadlineMs / 1000} s and has been ended` };
}

async function end(child: ChildProcess): Promise<void> {
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  const cancel = new AbortController();
  const force = delay(END_MS, undefined, { signal: cancel.signal }).then(
    () => child.kill("SIGKILL"),
    () => undefined,
  );
  await gone;
  cancel.abort();
  await force;
}

/** Ctrl-C while waiting ends the daemon that is starting, which sits in a session of its own. */
function passInterrupts(child: ChildProcess): { remove(): void } {
  const interrupt = (signal: NodeJS.Signals): void => {
    child.kill("SIGTERM");
    process.exit(128 + constants.signals[signal]);
  };
  process.on("SIGINT", interrupt).on("SIGTERM", interrupt);
  return { remove: () => process.off("SIGINT", interrupt).off("SIGTERM", interrupt) };
}
