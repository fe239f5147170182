// Records in memory: the Store port for the simulator and for tests, with a disk that outlives its stores and can fail
// as a real one does. Values are kept as JSON text, so that no object is shared between a writer and a reader; or as they
// are, for a simulated world of a thousand hosts whose disks say mostly the same.
import { WeaveError } from "../core/errors.ts";
import type { Store, StoreOp } from "../ports/store.ts";

/** `stored` undefined: the record goes. */
type EncodedOp = readonly [key: string, stored: unknown];

/** How a disk in memory keeps what is written. */
export interface MemoryDiskOptions {
  /** Keep values as they are. Whoever writes, and whoever reads, must not change them afterwards. */
  readonly shareValues?: boolean;
}

/** Batches not synced after which the oldest are written back all the same, as a kernel does after a while. */
const MAX_UNSYNCED = 256;

/** A store on such a disk, as one process has it. */
export interface MemoryStore extends Store {
  /** Always synchronous: the batch is on the disk when this returns, safe from power loss only with `sync`. */
  write(ops: readonly StoreOp[], options: { readonly sync: boolean }): undefined;
  /** The process dies, as by kill -9: completed batches stay, later writes reach nothing, the lock is free. */
  crash(): void;
}

export type { MemoryDisk };

/** A disk without records. */
export function createMemoryDisk(options: MemoryDiskOptions = {}): MemoryDisk {
  return new MemoryDisk(options.shareValues === true);
}

/** What a host's disk holds. Survives its stores; one of them at a time may have it open. */
class MemoryDisk {
  readonly #shares: boolean;
  readonly #synced = new Map<string, unknown>();
  #unsynced: (readonly EncodedOp[])[] = [];
  #holder: symbol | undefined;

  constructor(shares: boolean) {
    this.#shares = shares;
  }

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
  append(holder: symbol, ops: readonly StoreOp[], sync: boolean): boolean {
    const batch = ops.map((op) => this.#encode(this.#shares ? { ...op, key: shared(op.key) } : op));
    if (this.#holder !== holder) return false;
    this.#unsynced.push(batch);
    if (this.#unsynced.length > MAX_UNSYNCED) {
      for (const old of this.#unsynced.splice(0, MAX_UNSYNCED / 2)) apply(this.#synced, old);
    }
    // An fsync writes back all that came before, as it does with a log file.
    if (sync) this.#sync();
    return true;
  }

  /** A copy of every record in key order. Needs no lock: it is how a test looks at a disk that is in use. */
  records(): Map<string, unknown> {
    const all = new Map(this.#synced);
    for (const batch of this.#unsynced) apply(all, batch);
    const sorted = [...all].sort(([one], [other]) => (one < other ? -1 : 1));
    return new Map(sorted.map(([key, stored]): [string, unknown] => [key, this.#decode(stored)]));
  }

  /** One record; undefined when there is none. */
  record(key: string): unknown {
    for (let i = this.#unsynced.length - 1; i >= 0; i--) {
      const op = this.#unsynced[i]?.findLast(([written]) => written === key);
      if (op !== undefined) return this.#decode(op[1]);
    }
    return this.#decode(this.#synced.get(key));
  }

  #sync(): void {
    for (const batch of this.#unsynced) apply(this.#synced, batch);
    this.#unsynced = [];
  }

  #encode(op: StoreOp): EncodedOp {
    if (op.type === "del") return [op.key, undefined];
    if (this.#shares) return [op.key, op.value];
    const text: string | undefined = JSON.stringify(op.value);
    if (text === undefined) throw new WeaveError("internal", `the value for "${op.key}" has no JSON form`);
    return [op.key, text];
  }

  #decode(stored: unknown): unknown {
    return this.#shares || typeof stored !== "string" ? stored : JSON.parse(stored);
  }
}

/** Far more than a thousand hosts tell each other about; then it begins anew, as keys of containers long gone are among them. */
const MAX_SHARED_KEYS = 100_000;
/** One string for each key, however many disks have it. */
const keys = new Map<string, string>();
function shared(key: string): string {
  const known = keys.get(key);
  if (known !== undefined) return known;
  if (keys.size >= MAX_SHARED_KEYS) keys.clear();
  keys.set(key, key);
  return key;
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
      if (closed) throw new WeaveError("storage", "the store is closed");
      disk.append(holder, ops, sync);
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

function apply(records: Map<string, unknown>, batch: readonly EncodedOp[]): void {
  for (const [key, stored] of batch) {
    if (stored === undefined) records.delete(key);
    else records.set(key, stored);
  }
}
