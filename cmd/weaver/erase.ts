// The end of a reset: what weave keeps on a host is removed, the state before the kernel's objects. Whoever is cut short
// leaves the mark behind, and the next reset or launch begins here again.
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { markLeaving, removeState, unmarkLeaving } from "../../src/adapters/peer-marker.ts";
import { openLevelStore } from "../../src/adapters/store-level.ts";
import { WeaveError } from "../../src/core/errors.ts";
import { BRIDGE, VXLAN } from "../../src/daemon/config.ts";
import { JOURNAL_DIR } from "../../src/daemon/options.ts";
import type { Kernel } from "../../src/ports/kernel.ts";
import type { Store } from "../../src/ports/store.ts";

/** Where a daemon keeps its state, and its socket. */
export interface Directories {
  readonly dataDir: string;
  readonly runDir: string;
}

/**
 * Answers what was there, in words for people. Only while no daemon uses the directory: already-running. Files set aside
 * and what `weave setup` remembers stay. Throws what the kernel throws, when the state is gone and the mark still there.
 */
export async function erase({ dataDir, runDir }: Directories, kernel: Kernel): Promise<readonly string[]> {
  const removed = existsSync(join(dataDir, "db")) ? [`state in ${dataDir}`] : [];
  const lock = await lockOf(dataDir);
  try {
    markLeaving(dataDir, "untold");
    removeState(dataDir);
  } finally {
    await lock?.close();
  }
  removeState(dataDir); // what closing the database has written again
  removed.push(...(await kernel.clear({ bridge: BRIDGE, vxlan: VXLAN })));
  rmSync(join(runDir, JOURNAL_DIR), { recursive: true, force: true });
  unmarkLeaving(dataDir);
  return removed;
}

/** A database that cannot be opened is nobody's, and is removed like another. */
async function lockOf(dataDir: string): Promise<Store | undefined> {
  try {
    return await openLevelStore(join(dataDir, "db"));
  } catch (error) {
    if (error instanceof WeaveError && error.code === "already-running") throw error;
    return undefined;
  }
}
