// Setting the state of a host aside: its records into a file first, then one batch that leaves what the host begins anew
// with (src/core/aside.ts). Killed in between, all is as before; killed afterwards, the next start is a usual one.
import { anewOf, asideOps, type NewIdentity, nextName } from "../core/aside.ts";
import type { RejoinReason } from "../core/effects.ts";
import { readState } from "../core/records.ts";
import type { Logger } from "../ports/logger.ts";
import type { Store } from "../ports/store.ts";
import type { Rejoin } from "./runner.ts";

/** What the routine needs of the host. */
export interface AsidePorts {
  readonly store: Store;
  /** Write all records into a file of their own, on disk when it resolves. Answers its path. */
  readonly keep: (records: ReadonlyMap<string, unknown>, reason: RejoinReason) => Promise<string>;
  /** Random: a name, four hexadecimal digits, the identity of a data directory. */
  readonly draw: () => { readonly freshName: string; readonly digits: string; readonly incarnation: string };
  readonly log: Logger;
}

/** Answers the records that are left, and the file that has the others. Throws what file and store throw. */
export async function setAside(
  { reason, expect }: Rejoin,
  { store, keep, draw, log }: AsidePorts,
): Promise<{ readonly records: ReadonlyMap<string, unknown>; readonly file: string }> {
  const records = await store.load();
  const file = await keep(records, reason);
  const identity = identityAfter(records, reason, draw());
  await store.write(asideOps(records, identity, expect), { sync: true });
  const { name: former = "" } = readState(records);
  log.warn("state set aside", { reason, file, former, name: identity.name });
  return { records: await store.load(), file };
}

/**
 * Another range is another network, where nobody knows this host's name: one that was given stays, so that a list of seeds
 * has it. In the same network the name is that of a host that others remember.
 */
function identityAfter(
  records: ReadonlyMap<string, unknown>,
  reason: RejoinReason,
  { freshName: fresh, digits, incarnation }: ReturnType<AsidePorts["draw"]>,
): NewIdentity {
  const { name = fresh, nickname = name } = readState(records);
  const next = nextName(name, anewOf(records).base, { fresh, digits });
  if (reason !== "range") return { ...next, nickname, incarnation, newcomer: true };
  return { name: next.base ?? next.name, nickname, incarnation, otherRanges: true };
}
