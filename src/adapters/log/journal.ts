// Whether a descriptor leads to systemd's journal, and lines as the journal likes them. The protocol is that of sd-daemon(3)
// and systemd.exec(5): JOURNAL_STREAM names device and inode of the stream, "<N>" before a line is its priority.
import { fstatSync } from "node:fs";

/** `stream` is JOURNAL_STREAM. A variable inherited by a process whose output was redirected since does not count. */
export function isJournal(fd: number, stream: string | undefined): boolean {
  if (stream === undefined || stream === "") return false;
  try {
    const { dev, ino } = fstatSync(fd);
    return stream === `${dev}:${ino}`;
  } catch {
    return false;
  }
}

/** Priorities of syslog(3). */
const PRIORITY: Readonly<Record<string, number>> = { debug: 7, info: 6, warn: 4, error: 3 };

/** A line of our log with its priority in front. */
export function withPriority(line: string): string {
  const [, level = "info"] = /^\{"level":"(\w+)"/.exec(line) ?? [];
  return `<${PRIORITY[level] ?? 6}>${line}`;
}
