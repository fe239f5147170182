// The cgroups of test machines: found by name in every hierarchy, since runtimes leave them behind when they are
// killed. Names bear the process id of the tests, so that what a killed run left can be told and is swept.
import { readdirSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { untilSync } from "./until-sync.ts";

/** For the containers of one machine. */
export function cgroupName(label: string): string {
  return `weave-test-${process.pid}-${label}`;
}

/**
 * `root` is where hierarchies are mounted. Waits until the processes inside, which are being killed, are gone.
 * Synchronous: also for use at exit.
 */
export function removeCgroups(root: string, name: string): void {
  for (const parent of hierarchies(root)) {
    const gone = untilSync(() => removeTree(parent, name));
    if (!gone) throw new Error(`${join(parent, name)} cannot be removed`);
  }
}

/** Those of version 1 are directories below the root; the one of version 2 is the root or one of them. */
function hierarchies(root: string): string[] {
  return [root, ...directoriesIn(root).map((name) => join(root, name))];
}

function directoriesIn(path: string): string[] {
  try {
    return readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name);
  } catch {
    return [];
  }
}

/** Whether it is gone. */
function removeTree(parent: string, name: string): boolean {
  if (!directoriesIn(parent).includes(name)) return true;
  const path = join(parent, name);
  if (!directoriesIn(path).every((child) => removeTree(path, child))) return false;
  try {
    rmdirSync(path);
    return true;
  } catch {
    return false;
  }
}

/** What test processes that do not live any more left. */
function sweep(): void {
  const alive = new Set(directoriesIn("/proc"));
  for (const parent of hierarchies("/sys/fs/cgroup")) {
    for (const name of directoriesIn(parent)) {
      const pid = /^weave-test-(\d+)-/.exec(name)?.[1];
      if (pid !== undefined && !alive.has(pid)) removeTree(parent, name);
    }
  }
}
sweep();
