// The end of the daemon's log, to show why a start failed: only what was written since, and not all of it.
import { closeSync, fstatSync, openSync, readSync, statSync } from "node:fs";

const MAX_LINES = 12;
const MAX_BYTES = 16 * 1024;
/** A JSON log line may be very long; its beginning says what it is about. */
const MAX_LINE = 400;

/** Size of the log in bytes, 0 when there is none. */
export function logEnd(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/** The last lines written after byte `from`; empty when there are none. */
export function logTail(path: string, from: number): string {
  const fd = openSync(path, "r");
  try {
    const { size } = fstatSync(fd);
    const start = Math.max(from, size - MAX_BYTES, 0);
    const bytes = Buffer.alloc(Math.max(0, size - start));
    const count = readSync(fd, bytes, 0, bytes.length, start);
    const lines = bytes.toString("utf8", 0, count).trimEnd().split("\n").slice(-MAX_LINES);
    return lines.map((line) => (line.length > MAX_LINE ? `${line.slice(0, MAX_LINE)}…` : line)).join("\n");
  } finally {
    closeSync(fd);
  }
}
