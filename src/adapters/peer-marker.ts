// Two files beside the database. `peer` says whose it is: LevelDB recovers from a damaged log by leaving out what it cannot
// read, in silence, and a peer that lost its identity so would start as a new one and found a cluster. `leaving` says that
// all of it is to go, and outlives a reset that is cut short.
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { WeaveError } from "../core/errors.ts";

const FILE = "peer";
/** Written and synced when the ranges are handed over, or given up, and removed as the last thing of a reset. */
const LEAVING = "leaving";
/** Whether the others know, and have the ranges. */
export type Leaving = "told" | "untold";

/** Throws storage when the directory belonged to a peer of which the database knows nothing. */
export function checkMarker(dataDir: string, storedName: string | undefined): void {
  const path = join(dataDir, FILE);
  if (storedName !== undefined || !existsSync(path)) return;
  const name = readFileSync(path, "utf8").trim();
  throw new WeaveError(
    "storage",
    `${dataDir} belongs to peer ${name}, but its database has no record of it`,
    {
      hint: "it is damaged: restore it from a backup, or move it away to join as a new peer",
    },
  );
}

/** After the identity is in the database. */
export function writeMarker(dataDir: string, name: string): void {
  writeFileSync(join(dataDir, FILE), `${name}\n`, { mode: 0o600 });
}

/** Whose directory it is, or was said to be last; undefined for a new one. */
export function readMarker(dataDir: string): string | undefined {
  const path = join(dataDir, FILE);
  return existsSync(path) ? readFileSync(path, "utf8").trim() : undefined;
}

/**
 * From now on nothing of this directory counts, also after a crash: what is left is removed by whoever comes next. `told`:
 * the ranges are in other hands. A mark that is there already stays as it is.
 */
export function markLeaving(dataDir: string, how: Leaving): void {
  if (leavingOf(dataDir) !== undefined) return;
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const file = openSync(join(dataDir, LEAVING), "w", 0o600);
  try {
    writeSync(file, `${how}: the rest of this directory is to be removed: weave reset, or weave launch\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  syncDirectory(dataDir);
}

/** Whether a reset was cut short, and whether others know of it. */
export function leavingOf(dataDir: string): Leaving | undefined {
  const path = join(dataDir, LEAVING);
  if (!existsSync(path)) return undefined;
  return readFileSync(path, "utf8").startsWith("told") ? "told" : "untold";
}

/** Remove the state of a daemon that does not run: all but what setup and people keep there. */
export function removeState(dataDir: string): void {
  for (const name of ["db", FILE]) rmSync(join(dataDir, name), { recursive: true, force: true });
  syncDirectory(dataDir);
}

/** The reset is over. */
export function unmarkLeaving(dataDir: string): void {
  rmSync(join(dataDir, LEAVING), { force: true });
  syncDirectory(dataDir);
}

function syncDirectory(dir: string): void {
  const file = openSync(dir, "r");
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
