// Files of the host that others wrote: only regular ones, and not more of them than a mistake would explain.
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

const MAX_BYTES = 1024 * 1024;
const MAX_FILES = 200;

/** The text of a regular file; undefined when there is none, or this user may not read it. */
export function textOf(path: string): string | undefined {
  try {
    const entry = statSync(path);
    // Reading a named pipe would wait for ever.
    return entry.isFile() && entry.size <= MAX_BYTES ? readFileSync(path, "utf8") : undefined;
  } catch {
    return undefined;
  }
}

/** Paths in a directory whose names match, sorted; empty when there is none. */
export function pathsIn(directory: string, name: RegExp): string[] {
  try {
    return readdirSync(directory)
      .filter((each) => name.test(each))
      .sort()
      .slice(0, MAX_FILES)
      .map((each) => join(directory, each));
  } catch {
    return [];
  }
}

/** The same for a chain of directories of which each may be a pattern: `["pods", /./, "volumes"]`. */
export function pathsAlong(directory: string, parts: readonly (string | RegExp)[]): string[] {
  return parts.reduce<string[]>(
    (paths, part) =>
      paths
        .flatMap((path) => (typeof part === "string" ? [join(path, part)] : pathsIn(path, part)))
        .slice(0, MAX_FILES),
    [directory],
  );
}
