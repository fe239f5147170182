// What setup wrote, kept in the data directory: to tell its own files from those a user made or changed, and to take
// them away again.
import { mkdirSync, readdirSync, rmdirSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { z } from "zod";
import { contentOf, replaceFile, sha256 } from "./files.ts";

const MEMORY_FILE = "setup.json";

const memory = z.object({
  files: z.array(z.object({ path: z.string(), sha256: z.string() })),
  directories: z.array(z.string()).default([]),
});
type Memory = z.infer<typeof memory>;

/**
 * Absolute path -> SHA-256 of the content setup wrote there, and the directories it made. Each change is on disk when
 * the call returns. While a file is being replaced it has two hashes, so that a setup killed at any moment knows it.
 */
export class Remembered {
  readonly #dataDir: string;
  /** The path that was written last stands last. */
  readonly #hashes = new Map<string, string[]>();
  readonly #directories: string[];

  private constructor(dataDir: string, { files, directories }: Memory) {
    this.#dataDir = dataDir;
    for (const file of files)
      this.#hashes.set(file.path, [...(this.#hashes.get(file.path) ?? []), file.sha256]);
    this.#directories = directories;
  }

  /** A memory that cannot be read is none: then files that differ from ours are kept. */
  static load(dataDir: string): Remembered {
    return new Remembered(dataDir, parse(contentOf(join(dataDir, MEMORY_FILE))));
  }

  /** Whether setup wrote something to this path. */
  has(path: string): boolean {
    return this.#hashes.has(path);
  }

  /** Whether setup wrote exactly this to this path. */
  wrote(path: string, content: string | Buffer): boolean {
    return this.#hashes.get(path)?.includes(sha256(content)) ?? false;
  }

  /** Oldest first. */
  paths(): string[] {
    return [...this.#hashes.keys()];
  }

  /** Directories that setup made, parents first. */
  directories(): readonly string[] {
    return this.#directories;
  }

  /** Runs `write`, which puts `content` to `path` in one step. */
  whileWriting(path: string, content: string | Buffer, write: () => void): void {
    const hash = sha256(content);
    const before = this.#hashes.get(path) ?? [];
    this.#put(path, [...new Set([...before, hash])]);
    write();
    this.#put(path, [hash]);
  }

  /** `path` holds `content` already. */
  confirm(path: string, content: string | Buffer): void {
    const hash = sha256(content);
    const known = this.#hashes.get(path);
    if (known?.length !== 1 || known[0] !== hash) this.#put(path, [hash]);
  }

  forget(path: string): void {
    if (this.#hashes.delete(path)) this.#save();
  }

  /** Makes a directory with its parents, and remembers those it had to make. */
  makeDirectory(path: string): void {
    const missing: string[] = [];
    for (let at = path; statSync(at, { throwIfNoEntry: false }) === undefined; at = dirname(at))
      missing.unshift(at);
    if (missing.length === 0) return;
    this.#directories.push(...missing.filter((each) => !this.#directories.includes(each)));
    this.#save();
    mkdirSync(path, { recursive: true, mode: 0o755 });
  }

  /** Ends the memory itself; the data directory goes with it when nothing else is in it. */
  erase(): void {
    this.#hashes.clear();
    this.#directories.length = 0;
    rmSync(join(this.#dataDir, MEMORY_FILE), { force: true });
    const empty =
      statSync(this.#dataDir, { throwIfNoEntry: false }) && readdirSync(this.#dataDir).length === 0;
    if (empty) rmdirSync(this.#dataDir);
  }

  #put(path: string, hashes: string[]): void {
    this.#hashes.delete(path);
    this.#hashes.set(path, hashes);
    this.#save();
  }

  #save(): void {
    mkdirSync(this.#dataDir, { recursive: true, mode: 0o700 });
    const files = [...this.#hashes].flatMap(([path, hashes]) =>
      hashes.map((hash) => ({ path, sha256: hash })),
    );
    const content = { files, directories: this.#directories };
    replaceFile(join(this.#dataDir, MEMORY_FILE), `${JSON.stringify(content, null, 2)}\n`, 0o600);
  }
}

function parse(content: Buffer | undefined): Memory {
  const nothing = { files: [], directories: [] };
  if (content === undefined) return nothing;
  try {
    return memory.safeParse(JSON.parse(content.toString("utf8"))).data ?? nothing;
  } catch {
    return nothing;
  }
}
