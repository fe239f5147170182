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

/**
 * Writes, syncs and renames a temporary file, which is in the directory of `path` unless `staging`, a directory of the
 * same file system, is given. A running executable keeps its old file.
 */
export function replaceFile(
  path: string,
  content: string | Buffer,
  mode: number,
  staging = dirname(path),
): void {
  const temporary = temporaryName(path, staging);
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

/** Removes a file or link, if it is there, for good. */
export function removeFile(path: string): void {
  rmSync(path, { force: true });
  syncDirectory(dirname(path));
}

/** Points the symbolic link at `path` to `target` in one step, whatever was there before. */
export function replaceLink(path: string, target: string): void {
  const temporary = temporaryName(path, dirname(path));
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
    if (systemCode(error) === "ENOENT") return undefined;
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

/** Removes what a killed setup left in `directory`, if that is there, under temporary names; one that runs keeps its own. */
export function removeAbandoned(directory: string): void {
  if (!existsSync(directory)) return;
  for (const name of readdirSync(directory)) {
    const pid = /^\.(?:(?:10-)?weave[.-].*|setup\.json)\.(\d+)\.tmp$/.exec(name)?.[1];
    if (pid === undefined || existsSync(`/proc/${pid}`)) continue;
    rmSync(join(directory, name), { force: true, recursive: true });
  }
}

/**
 * A name that container runtimes pass over: they read *.conf, *.conflist and *.json. Usually in the same directory,
 * since a rename is atomic only inside one file system and containerd does not notice files moved in from elsewhere.
 */
export function temporaryName(path: string, staging: string): string {
  return join(staging, `.${basename(path)}.${process.pid}.tmp`);
}

function syncDirectory(path: string): void {
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** "ENOENT" and the like; undefined for anything but an error of the operating system. */
export function systemCode(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}
