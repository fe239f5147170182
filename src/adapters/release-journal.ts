// The releases that the plugin's forwarder wrote down while the daemon was away: one file each in the run directory, handed
// on once at the start and whenever a new one appears, and removed when it has been applied.
import { type FSWatcher, watch } from "node:fs";
import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { Logger } from "../ports/logger.ts";

/** Written by cni-plugin/forwarder/journal.c. */
const release = z.object({
  network: z.string().min(1),
  containerId: z.string().min(1),
  ifname: z.string().min(1),
  bootId: z.string(),
  bootMs: z.number(),
});
export type JournalledRelease = z.infer<typeof release>;

/** Pause before what could not be applied is tried again. */
const RETRY_MS = 5_000;
/** A release is a few hundred bytes; anything larger is not one. */
const MAX_BYTES = 64 * 1024;

export interface ReleaseJournal {
  close(): Promise<void>;
}

/** Resolves after what was there has been applied. `apply` must be idempotent: a crash before the removal repeats it. */
export async function followJournal(
  dir: string,
  apply: (entry: JournalledRelease) => Promise<void>,
  log: Logger,
): Promise<ReleaseJournal> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  let work: Promise<void> = Promise.resolve();
  let again: NodeJS.Timeout | undefined;
  const sweep = (): Promise<void> => {
    work = work.then(async () => {
      clearTimeout(again);
      if (!(await applyAll(dir, apply, log))) again = setTimeout(() => void sweep(), RETRY_MS);
    });
    return work;
  };
  // Watch first: what arrives while the first sweep reads is then seen by a second.
  const watcher: FSWatcher = watch(dir, () => void sweep());
  watcher.on("error", (error) => log.warn("journal is not watched any more", { dir, error }));
  await sweep();
  return {
    async close() {
      watcher.close();
      await work;
      clearTimeout(again);
    },
  };
}

/** Returns whether all that was there is done. */
async function applyAll(
  dir: string,
  apply: (entry: JournalledRelease) => Promise<void>,
  log: Logger,
): Promise<boolean> {
  let done = true;
  const failed = (error: unknown, path: string): void => {
    done = false;
    log.warn("journal could not be applied; it is tried again", { path, error });
  };
  const files = await readdir(dir).catch((error: unknown) => {
    failed(error, dir);
    return [];
  });
  for (const file of files.sort()) {
    const path = join(dir, file);
    if (isFinished(file)) await applyOne(path, apply, log).catch((error: unknown) => failed(error, path));
  }
  return done;
}

async function applyOne(
  path: string,
  apply: (entry: JournalledRelease) => Promise<void>,
  log: Logger,
): Promise<void> {
  const text = await readFile(path, "utf8").catch(() => undefined);
  if (text === undefined) return; // applied by an earlier sweep
  const entry = parseEntry(text);
  if (entry === undefined)
    log.warn("journal entry does not parse; it is dropped", { path, text: text.slice(0, 200) });
  else await apply(entry);
  await rm(path, { force: true });
}

/** The writer renames an entry when it is whole; until then its name starts with a dot. */
const isFinished = (file: string): boolean => file.endsWith(".json") && !file.startsWith(".");

function parseEntry(text: string): JournalledRelease | undefined {
  if (text.length > MAX_BYTES) return undefined;
  try {
    return release.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
