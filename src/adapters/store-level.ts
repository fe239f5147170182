// Durable records in LevelDB (npm `level`): the Store port on disk.
// Owns the database directory and its lock, which keeps a second daemon away. What the records mean is the core's matter.
import { mkdir, readdir } from "node:fs/promises";
import { Level } from "level";
import { WeaveError } from "../core/errors.ts";
import type { Store, StoreOp } from "../ports/store.ts";

type EncodedOp = { type: "put"; key: string; value: string } | { type: "del"; key: string };

/** A call of `write` that waits for its turn. */
interface Pending {
  readonly ops: readonly EncodedOp[];
  readonly sync: boolean;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Opens the database in directory `dir`, created with mode 0700 when it is missing. The lock is held until `close`.
 * already-running: another process (or store) has it open. storage: it cannot be read; nothing was changed.
 */
export async function openLevelStore(dir: string): Promise<Store> {
  try {
    await mkdir(dir, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw storageError(`cannot create the data directory ${dir}`, error, "choose another with --data-dir");
  }
  try {
    const db = new Level<string, string>(dir, {
      valueEncoding: "utf8",
      // A quarter of the default: it stays in memory until it is full, and all the state of a large host is less.
      writeBufferSize: 1024 * 1024,
      createIfMissing: !(await holdsRecords(dir)),
    });
    await db.open();
    return new LevelStore(db, dir);
  } catch (error) {
    throw openError(dir, error);
  }
}

class LevelStore implements Store {
  readonly #db: Level<string, string>;
  readonly #dir: string;
  #pending: Pending[] = [];
  #writing: Promise<void> | undefined;
  #closed: Promise<void> | undefined;
  #failure: WeaveError | undefined;

  constructor(db: Level<string, string>, dir: string) {
    this.#db = db;
    this.#dir = dir;
  }

  async load(): Promise<ReadonlyMap<string, unknown>> {
    await this.#writing;
    const records = new Map<string, unknown>();
    try {
      for await (const [key, text] of this.#db.iterator()) records.set(key, this.#parse(key, text));
    } catch (error) {
      if (error instanceof WeaveError) throw error;
      throw storageError(`cannot read the records in ${this.#dir}`, error, RESTORE);
    }
    return records;
  }

  /** After a write has failed all later ones fail too: what is on disk stays a prefix of what was written. */
  write(ops: readonly StoreOp[], options: { readonly sync: boolean }): Promise<void> {
    // Encoded now: the caller may change its objects as soon as this returns.
    const encoded = ops.map(encode);
    if (this.#closed) return Promise.reject(storageError(`the store in ${this.#dir} is closed`));
    return new Promise((resolve, reject) => {
      this.#pending.push({ ops: encoded, sync: options.sync, resolve, reject });
      this.#writing ??= this.#writePending();
    });
  }

  close(): Promise<void> {
    this.#closed ??= Promise.resolve(this.#writing).then(() => this.#db.close());
    return this.#closed;
  }

  // One batch at a time: LevelDB takes batches from a thread pool, in which a later one may overtake. What was asked
  // for meanwhile goes as one batch, so that many writers at once cost one fsync.
  async #writePending(): Promise<void> {
    while (this.#pending.length > 0) {
      const writes = this.#pending;
      this.#pending = [];
      try {
        if (this.#failure) throw this.#failure;
        await this.#db.batch(
          writes.flatMap((write) => write.ops),
          { sync: writes.some((write) => write.sync) },
        );
        for (const write of writes) write.resolve();
      } catch (error) {
        this.#failure ??= storageError(
          `cannot write to ${this.#dir}`,
          error,
          "is the file system full or read-only?",
        );
        for (const write of writes) write.reject(this.#failure);
      }
    }
    this.#writing = undefined;
  }

  #parse(key: string, text: string): unknown {
    try {
      return JSON.parse(text);
    } catch (error) {
      throw storageError(`the record "${key}" in ${this.#dir} is not JSON`, error, RESTORE);
    }
  }
}

/**
 * LevelDB answers the loss of its CURRENT file with a new, empty database over the old one's files; where there are
 * any it may open, but not create. Log and table files are written only after CURRENT was.
 */
async function holdsRecords(dir: string): Promise<boolean> {
  const names = await readdir(dir);
  return names.some((name) => name.endsWith(".log") || name.endsWith(".ldb"));
}

const RESTORE =
  "restore the data directory from a backup, or move it away: this host then joins as a new peer, and the ranges of the old one stay its own";

function encode(op: StoreOp): EncodedOp {
  if (op.type === "del") return { type: "del", key: op.key };
  const value: string | undefined = JSON.stringify(op.value);
  if (value === undefined) throw new WeaveError("internal", `the value for "${op.key}" has no JSON form`);
  return { type: "put", key: op.key, value };
}

/** LevelDB passes the system's own words on. Then nothing is wrong with the data. */
function hintOfSystem(why: string): string | undefined {
  if (/No space left|Disk quota/i.test(why)) return "make room on that file system; the data are whole";
  if (/Read-only file system/i.test(why)) return "make that file system writable; the data are whole";
  if (/Permission denied|Operation not permitted/i.test(why)) return "run this as root; the data are whole";
  return undefined;
}

function openError(dir: string, error: unknown): WeaveError {
  // abstract-level says LEVEL_DATABASE_NOT_OPEN, and LevelDB's own words as its cause.
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (cause instanceof Error && "code" in cause && cause.code === "LEVEL_LOCKED") {
    return new WeaveError("already-running", `the data directory ${dir} is in use by another daemon`, {
      hint: "stop that daemon with `weave stop`, or give this one a --data-dir and --run-dir of its own",
      cause,
      fields: { dir },
    });
  }
  return storageError(`cannot open the database in ${dir}`, cause, RESTORE);
}

function storageError(message: string, cause?: unknown, hint?: string): WeaveError {
  const why = cause instanceof Error ? `: ${cause.message}` : "";
  return new WeaveError("storage", message + why, { cause, hint: hintOfSystem(why) ?? hint });
}
