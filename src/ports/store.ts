// Durable records of this host. Implemented by src/adapters/store-level (LevelDB) and store-memory.

import type { StoreOp } from "../core/store-op.ts";

export type { StoreOp };

/**
 * Keys are slash-separated ASCII, values JSON. A batch is atomic: after a crash either all of it is there or none.
 * `write` may answer synchronously (undefined) or with a promise; batches take effect in the order of the calls.
 */
export interface Store {
  /** Every record, in key order. */
  load(): Promise<ReadonlyMap<string, unknown>>;
  /** With `sync` the batch is on disk (fsync) when the promise resolves; without, it survives kill -9 but not power loss. */
  write(ops: readonly StoreOp[], options: { readonly sync: boolean }): Promise<void> | undefined;
  close(): Promise<void>;
}
