// The files beside the database that keep what a host knew before it began anew: aside-<date>-<reason>.json, one for each
// time. Nobody reads them again but people, and whoever restores one by hand.
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { type FileHandle, open, rename } from "node:fs/promises";
import { join } from "node:path";

/** A host that begins anew again and again must not fill its disk: the oldest go. */
const MAX_FILES = 32;
const UNFINISHED = "aside.unfinished";
const NAME = /^aside-(\d{8}T\d{6}\.\d{3}Z)-([a-z-]+)\.json$/;

/** One file with a former state: where it is, why it was set aside, and when. */
export interface AsideFile {
  readonly file: string;
  readonly reason: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

/** Writes all records; file and directory entry are on disk when it resolves. Answers the path. Throws errors of node:fs. */
export async function writeAside(
  dataDir: string,
  records: ReadonlyMap<string, unknown>,
  { reason, at }: { readonly reason: string; readonly at: number },
): Promise<string> {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const date = new Date(at).toISOString();
  const path = join(dataDir, `aside-${date.replace(/[-:]/g, "")}-${reason}.json`);
  const lines = [...records].map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`);
  const text = `{"reason":${JSON.stringify(reason)},"at":"${date}","records":{\n${lines.join(",\n")}\n}}\n`;
  const unfinished = join(dataDir, UNFINISHED);
  await synced(open(unfinished, "w", 0o600), (file) => file.writeFile(text));
  await rename(unfinished, path);
  await synced(open(dataDir, "r"), async () => {});
  for (const { file } of asideFiles(dataDir).slice(MAX_FILES)) rmSync(file, { force: true });
  return path;
}

/** Those of a data directory, the newest first. */
export function asideFiles(dataDir: string): readonly AsideFile[] {
  const names = readdirSync(dataDir).sort().reverse();
  return names.flatMap((name) => {
    const [, date, reason] = NAME.exec(name) ?? [];
    if (date === undefined || reason === undefined) return [];
    const iso = date.replace(/^(\d{4})(\d\d)(\d\dT\d\d)(\d\d)/, "$1-$2-$3:$4:");
    return [{ file: join(dataDir, name), reason, at: Date.parse(iso) }];
  });
}

async function synced(
  opening: Promise<FileHandle>,
  work: (file: FileHandle) => Promise<void>,
): Promise<void> {
  const file = await opening;
  try {
    await work(file);
    await file.sync();
  } finally {
    await file.close();
  }
}
