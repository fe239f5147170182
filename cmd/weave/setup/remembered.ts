// What setup wrote, kept in the data directory, to tell its own files from those a user made or changed.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { contentOf, replaceFile } from "./files.ts";

const MEMORY_FILE = "setup.json";

const memory = z.object({ files: z.array(z.object({ path: z.string(), sha256: z.string() })) });

/** Absolute path -> SHA-256 of the content setup wrote there last. Each change is on disk when the call returns. */
export class Remembered {
  readonly #path: string;
  readonly #hashes: Map<string, string>;

  private constructor(path: string, hashes: Map<string, string>) {
    this.#path = path;
    this.#hashes = hashes;
  }

  /** Creates the data directory. A memory that cannot be read is none: then files that differ from ours are kept. */
  static load(dataDir: string): Remembered {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    const path = join(dataDir, MEMORY_FILE);
    const { files } = parse(contentOf(path));
    return new Remembered(path, new Map(files.map((file) => [file.path, file.sha256])));
  }

  hashOf(path: string): string | undefined {
    return this.#hashes.get(path);
  }

  paths(): string[] {
    return [...this.#hashes.keys()];
  }

  set(path: string, hash: string): void {
    if (this.#hashes.get(path) === hash) return;
    this.#hashes.set(path, hash);
    this.#save();
  }

  delete(path: string): void {
    if (this.#hashes.delete(path)) this.#save();
  }

  #save(): void {
    const files = [...this.#hashes].map(([path, sha256]) => ({ path, sha256 }));
    replaceFile(this.#path, `${JSON.stringify({ files }, null, 2)}\n`, 0o600);
  }
}

function parse(content: Buffer | undefined): z.infer<typeof memory> {
  const nothing = { files: [] };
  if (content === undefined) return nothing;
  try {
    return memory.safeParse(JSON.parse(content.toString("utf8"))).data ?? nothing;
  } catch {
    return nothing;
  }
}
