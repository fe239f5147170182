// The daemon. Started by `weave launch` or by a service manager; everything concrete is constructed here, in order, and
// closed in reverse. Its launcher, if it has an IPC channel, is told once how the start went.
import { join } from "node:path";
import { Command, Option } from "commander";
import { isJournal } from "../../src/adapters/log/journal.ts";
import { isFile } from "../../src/adapters/log/rotation.ts";
import { createLogger } from "../../src/adapters/log.ts";
import type { EraseReport, LaunchReport } from "../../src/api/launch.ts";
import { WeaveError } from "../../src/core/errors.ts";
import { type LaunchOptions, LOG_FILE } from "../../src/daemon/options.ts";
import { exitCodeOf } from "../exit-code.ts";
import { addLaunchOptions, readLaunchOptions } from "../launch-options.ts";
import type { End } from "./handlers.ts";
import { eraseHost, runWeaver } from "./weaver.ts";

declare const WEAVE_VERSION: string;

const STDERR = 2;

// A shell of `su` lacks the directories where nft and modprobe are.
process.env["PATH"] = `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin`;

const command = addLaunchOptions(
  new Command("weaver")
    .description("The weave daemon. Use `weave launch`, or run it under a service manager.")
    .version(WEAVE_VERSION)
    // What `weave reset` calls when no daemon runs: remove everything and end.
    .addOption(new Option("--erase").hideHelp()),
);

let options: LaunchOptions | undefined;
try {
  command.parse();
  options = readLaunchOptions(command.opts(), command.args);
} catch (error) {
  fail(error);
}

if (options !== undefined && command.opts()["erase"] === true) {
  try {
    report({ kind: "erased", removed: [...(await eraseHost(options))] });
  } catch (error) {
    fail(error);
  }
} else if (options !== undefined) {
  const logFile = join(options.runDir, LOG_FILE);
  const log = createLogger({
    level: options.logLevel,
    name: "weaver",
    // In the background standard error is the log file (weave launch); under a service manager it may be the journal.
    ...(isFile(STDERR, logFile) ? { rotate: { path: logFile } } : {}),
    journal: isJournal(STDERR, process.env["JOURNAL_STREAM"]),
  });
  try {
    const weaver = await runWeaver(options, WEAVE_VERSION, log, (error) => {
      log.error("weaver cannot go on", { error });
      process.exit(1);
    });
    let stopping = false;
    const stop = (how: End): void => {
      if (stopping) process.exit(1); // asked twice: now
      stopping = true;
      weaver.stop(how).then(
        () => process.exit(0),
        (error: unknown) => {
          log.error("weaver did not stop in order", { error });
          process.exit(1);
        },
      );
    };
    process.on("SIGTERM", () => stop("stop"));
    process.on("SIGINT", () => stop("stop"));
    weaver.onEndRequest(stop);
    report({ kind: "ready", ...weaver.ready, pid: process.pid });
  } catch (error) {
    // In front the message itself is enough; in the background the log is where people look.
    if (process.send !== undefined) log.error("weaver did not start", { error });
    fail(error);
  }
}

function fail(error: unknown): void {
  const known = error instanceof WeaveError;
  const message = known
    ? error.message
    : error instanceof Error
      ? (error.stack ?? error.message)
      : String(error);
  if (process.send === undefined) {
    process.stderr.write(
      `weaver: ${message}\n${known && error.hint !== undefined ? `  ${error.hint}\n` : ""}`,
    );
  }
  const hint = known && error.hint !== undefined ? { hint: error.hint } : {};
  const code = known ? error.code : "internal";
  report({ kind: "failed", code, message, ...hint }, () => process.exit(exitCodeOf(code)));
}

function report(message: LaunchReport | EraseReport, then: () => void = () => {}): void {
  if (process.send === undefined) then();
  else {
    process.send(message, () => {
      if (process.connected) process.disconnect();
      then();
    });
  }
}
