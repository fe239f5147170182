// Keeps the log file small: when it has grown to its size, it is copied aside and emptied. Copied and not renamed, because
// what else this process says (a crash, a warning of Node's) goes to the same open file, and would follow a renamed one.
import { copyFileSync, existsSync, fstatSync, renameSync, rmSync, statSync, truncateSync } from "node:fs";

/** The run directory is memory on most hosts: three files of this size are what a talkative daemon may take of it. */
const MAX_LOG_BYTES = 4 * 1024 * 1024;
/** weaver.log.1 and weaver.log.2, the newest first. */
const KEPT_LOGS = 2;

/** Whether a descriptor is the file at this path. */
export function isFile(fd: number, path: string): boolean {
  try {
    const [open, there] = [fstatSync(fd), statSync(path)];
    return open.isFile() && open.dev === there.dev && open.ino === there.ino;
  } catch {
    return false;
  }
}

/**
 * A function to be told of every line that was appended. The file must be open for appending only. Never throws: a log that
 * cannot be set aside goes on growing, and is tried again after as much again.
 */
export function createRotation(
  path: string,
  maxBytes = MAX_LOG_BYTES,
  keep = KEPT_LOGS,
): (line: string) => void {
  let size = sizeOf(path);
  return (line) => {
    size += Buffer.byteLength(line);
    if (size < maxBytes) return;
    try {
      rotate(path, keep);
    } catch {
      // A full disk; whoever looks finds the old file grown.
    }
    size = 0;
  };
}

function rotate(path: string, keep: number): void {
  for (let number = keep - 1; number >= 1; number--)
    if (existsSync(`${path}.${number}`)) renameSync(`${path}.${number}`, `${path}.${number + 1}`);
  try {
    copyFileSync(path, `${path}.1`);
  } catch (error) {
    rmSync(`${path}.1`, { force: true });
    throw error;
  }
  truncateSync(path, 0);
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
