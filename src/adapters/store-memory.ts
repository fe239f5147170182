// Records in memory: the Store port for the simulator and for tests, with a disk that outlives its stores and can fail
// as a real one does. Values are kept as JSON text, so that no object is shared between a writer and a reader.
import { WeaveError } from "../core/errors.ts";
import type { Store, StoreOp } from "../ports/store.ts";

type EncodedOp = readonly [key: string, text: string | undefined];

export interface MemoryStore extends Store {
  /** Always synchronous: the batch is on the disk when this returns, safe from power loss only with `sync`. */
  write(ops: readonly StoreOp[], options: { readonly sync: boolean }): undefined;
  /** The process dies, as by kill -9: completed batches stay, later writes reach nothing, the lock is free. */
  crash(): void;
}

export type { MemoryDisk };

/** A disk without records. */
export function createMemoryDisk(): MemoryDisk {
  return new MemoryDisk();
}

/** What a host's disk holds. Survives its stores; one of them at a time may have it open. */
class MemoryDisk {
  readonly #synced = new Map<string, string>();
  #unsynced: (readonly EncodedOp[])[] = [];
  #holder: symbol | undefined;

  /** Batches that a power loss would take. */
  get unsyncedBatches(): number {
    return this.#unsynced.length;
  }

  /**
   * The host loses power: of the batches not synced only the first `survivors` stay, which had been written back by
   * chance. The store that was open is dead.
   */
  powerLoss(survivors = 0): void {
    this.#holder = undefined;
    this.#unsynced.length = Math.min(this.#unsynced.length, survivors);
    this.#sync();
  }

  /** Takes the lock for `holder`; throws already-running while another has it. */
  lock(holder: symbol): void {
    if (this.#holder !== undefined) {
      throw new WeaveError("already-running", "the disk is in use by another store", {
        hint: "close() or crash() that store first",
      });
    }
    this.#holder = holder;
  }

  unlock(holder: symbol): void {
    if (this.#holder === holder) this.#holder = undefined;
  }

  /** False when `holder` does not have the lock: it crashed, or was closed. */
  append(holder: symbol, batch: readonly EncodedOp[], sync: boolean): boolean {
    if (this.#holder !== holder) return false;
    this.#unsynced.push(batch);
    // An fsync writes back all that came before, as it does with a log file.
    if (sync) this.#sync();
    return true;
  }

  /** A copy of every record in key order. Needs no lock: it is how a test looks at a disk that is in use. */
  records(): Map<string, unknown> {
    const texts = new Map(this.#synced);
    for (const batch of this.#unsynced) apply(texts, batch);
    const sorted = [...texts].sort(([one], [other]) => (one < other ? -1 : 1));
    return new Map(sorted.map(([key, text]): [string, unknown] => [key, JSON.parse(text)]));
  }

  #sync(): void {
    for (const batch of this.#unsynced) apply(this.#synced, batch);
    this.#unsynced = [];
  }
}

/** Opens a disk, by default a new one. Throws already-running while another store has it open. */
export function createMemoryStore(disk: MemoryDisk = createMemoryDisk()): MemoryStore {
  const holder = Symbol("store");
  let closed = false;
  disk.lock(holder);
  return {
    async load() {
      return disk.records();
    },
    write(ops, { sync }) {
      const batch = ops.map(encode);
      if (closed) throw new WeaveError("storage", "the store is closed");
      disk.append(holder, batch, sync);
      return undefined;
    },
    async close() {
      closed = true;
      disk.unlock(holder);
    },
    crash() {
      disk.unlock(holder);
    },
  };
}

function encode(op: StoreOp): EncodedOp {
  if (op.type === "del") return [op.key, undefined];
  const text: string | undefined = JSON.stringify(op.value);
  if (text === undefined) throw new WeaveError("internal", `the value for "${op.key}" has no JSON form`);
  return [op.key, text];
}

function apply(records: Map<string, string>, batch: readonly EncodedOp[]): void {
  for (const [key, text] of batch) {
    if (text === undefined) records.delete(key);
    else records.set(key, text);
  }
}
