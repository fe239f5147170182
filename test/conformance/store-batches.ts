// The numbered batches of the crash test: whatever number a writer got to, the records tell whether they are the
// outcome of a whole number of batches. Shared by the suite and by the process that is killed.
import type { StoreOp } from "../../src/ports/store.ts";

/** Records each batch puts; many, so that a torn batch has many places to show. */
const WIDTH = 100;
/** A batch deletes what the one this far before it put. */
const KEPT = 3;

const key = (batch: number, i: number): string => `batch/${batch}/${i}`;

export function numberedBatch(batch: number): StoreOp[] {
  const ops: StoreOp[] = [];
  for (let i = 0; i < WIDTH; i++) {
    ops.push({ type: "put", key: key(batch, i), value: { batch, i } });
    ops.push({ type: "del", key: key(batch - KEPT, i) });
  }
  ops.push({ type: "put", key: "last", value: batch });
  return ops;
}

/** The number of the last batch that is there, 0 for none. */
export function survivors(records: ReadonlyMap<string, unknown>): number {
  const last = records.get("last");
  return typeof last === "number" ? last : 0;
}

/** The first key by which the records differ from the outcome of the batches 1 to `last`; undefined when none does. */
export function firstWrong(records: ReadonlyMap<string, unknown>, last: number): string | undefined {
  const expected = new Map<string, unknown>();
  for (let batch = Math.max(1, last - KEPT + 1); batch <= last; batch++) {
    for (let i = 0; i < WIDTH; i++) expected.set(key(batch, i), { batch, i });
  }
  if (last > 0) expected.set("last", last);
  for (const [name, value] of expected) {
    if (JSON.stringify(records.get(name)) !== JSON.stringify(value)) return name;
  }
  return [...records.keys()].find((name) => !expected.has(name));
}
