// Waiting for the end of a daemon that was told to end: its process is gone, and nobody listens on its socket.
import { readFileSync } from "node:fs";
import { createConnection } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { WeaveError } from "../../src/core/errors.ts";
import { LOG_FILE } from "../../src/daemon/options.ts";
import type { Daemon } from "./daemon.ts";

const POLL_MS = 20;

/** Resolves when process `pid` is gone and nobody listens on `socket`. Throws `timeout` when that takes `patienceMs`. */
export async function untilEnded(
  pid: number,
  { socket, runDir }: Pick<Daemon, "socket" | "runDir">,
  patienceMs: number,
): Promise<void> {
  const deadline = Date.now() + patienceMs;
  while (isRunning(pid) || (await accepts(socket))) {
    if (Date.now() > deadline) {
      throw new WeaveError(
        "timeout",
        `weaver (process ${pid}) was told to stop and still runs after ${patienceMs / 1000} s`,
        {
          hint: `its log is ${join(runDir, LOG_FILE)}; to end it by force: kill -9 ${pid}`,
        },
      );
    }
    await delay(POLL_MS);
  }
}

/** Whether there is such a process. A zombie does not run: in a container without an init nobody may ever collect it. */
export function isRunning(pid: number): boolean {
  try {
    // The state follows the command in parentheses, which may contain any character (proc(5)).
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return !/^ [ZX]/.test(stat.slice(stat.lastIndexOf(")") + 1));
  } catch {
    return false;
  }
}

function accepts(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createConnection(socket);
    probe.once("connect", () => {
      probe.destroy();
      resolve(true);
    });
    probe.once("error", () => resolve(false));
  });
}
