// Files that others read while they are replaced: a reader sees the old content or the new, never a part, and after
// a power loss either of them is there.

import { createHash } from "node:crypto";
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";

/** Writes, syncs and renames a temporary file in the directory of `path`. A running executable keeps its old file. */
export function replaceFile(path: string, content: string | Buffer, mode: number): void {
  const temporary = temporaryName(path);
  try {
    const fd = openSync(temporary, "wx", mode);
    try {
      writeFileSync(fd, content);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    chmodSync(temporary, mode); // the umask took its share of the mode given above
    renameSync(temporary, path);
  } finally {
    rmSync(temporary, { force: true });
  }
  syncDirectory(dirname(path));
}

/** Points the symbolic link at `path` to `target` in one step, whatever was there before. */
export function replaceLink(path: string, target: string): void {
  const temporary = temporaryName(path);
  try {
    symlinkSync(target, temporary);
    renameSync(temporary, path);
  } finally {
    rmSync(temporary, { force: true });
  }
  syncDirectory(dirname(path));
}

/** Content of a file, or undefined when there is none. Follows symbolic links. */
export function contentOf(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Target of a symbolic link as written, or undefined when there is none. */
export function linkTarget(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

/** In hexadecimal, as sha256sum prints it. */
export function sha256(content: string | Buffer): string {
  return createHash("sha256").update(content).digest("hex");
}

/**
 * Removes temporary files that a killed setup left in `directory`. Mesos reads every regular file of its configuration
 * directory, whatever its name.
 */
export function removeAbandoned(directory: string): void {
  for (const name of readdirSync(directory)) {
    const pid = /^\.(?:10-weave|weave-).*\.(\d+)\.tmp$/.exec(name)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) rmSync(join(directory, name), { force: true });
  }
}

/**
 * A name that container runtimes pass over: they read *.conf, *.conflist and *.json. In the same directory, since a
 * rename is atomic only inside one file system and containerd does not notice files moved in from elsewhere.
 */
function temporaryName(path: string): string {
  return join(dirname(path), `.${basename(path)}.${process.pid}.tmp`);
}

function syncDirectory(path: string): void {
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
