// The Logger port on pino: one JSON object per line, `data` apart from what every line has (time, level, name, msg).
// Owns the form of a line and where it goes. What is worth a line is decided by who logs.
import { type DestinationStream, pino, stdSerializers, stdTimeFunctions } from "pino";
import type { Logger } from "../ports/logger.ts";
import { withPriority } from "./log/journal.ts";
import { createRotation } from "./log/rotation.ts";

export type LogLevel = "debug" | "info" | "warn" | "error" | "silent";

export interface LoggerOptions {
  readonly level: LogLevel;
  /** A file that is appended to (created 0640), or an open descriptor. Absent: standard error. */
  readonly destination?: string | number;
  /** The file the destination is, to be kept small. */
  readonly rotate?: { readonly path: string; readonly maxBytes?: number };
  /** The destination is systemd's journal. */
  readonly journal?: boolean;
  /** Which program speaks: "weaver". */
  readonly name: string;
}

const STDERR = 2;

/** Each line is written before the call returns: the last words before a crash are the ones that are needed. */
export function createLogger(options: LoggerOptions): Logger {
  const destination = pino.destination({
    dest: options.destination ?? STDERR,
    sync: true,
    append: true,
    mode: 0o640,
  });
  // A full disk or a closed pipe must not end the daemon; without a listener the error would be thrown from the call.
  destination.on("error", () => {});
  const out = pino(
    {
      name: options.name,
      level: options.level,
      nestedKey: "data",
      // Without the default's pid and hostname: the service manager adds both.
      base: { name: options.name },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    lineByLine(destination, options),
  );
  const write = (
    level: Exclude<LogLevel, "silent">,
    message: string,
    data: Record<string, unknown> | undefined,
  ): void => {
    if (data === undefined) out[level](message);
    else if (out.isLevelEnabled(level)) out[level](readable(data), message);
  };
  return {
    debug: (message, data) => write("debug", message, data),
    info: (message, data) => write("info", message, data),
    warn: (message, data) => write("warn", message, data),
    error: (message, data) => write("error", message, data),
  };
}

/** What is done with a line beside writing it. */
function lineByLine(
  destination: DestinationStream,
  { rotate, journal = false }: Pick<LoggerOptions, "rotate" | "journal">,
): DestinationStream {
  if (rotate === undefined && !journal) return destination;
  const wrote = rotate === undefined ? undefined : createRotation(rotate.path, rotate.maxBytes);
  return {
    write(line) {
      destination.write(journal ? withPriority(line) : line);
      wrote?.(line);
    },
  };
}

/** JSON shows nothing of an Error; its type, message, stack, code and causes are what a reader looks for. */
function readable(data: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(data).map(([key, value]) => [
      key,
      value instanceof Error ? stdSerializers.err(value) : value,
    ]),
  );
}
