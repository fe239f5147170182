// A file beside the database that says whose it is. LevelDB recovers from a damaged log by leaving out what it cannot read,
// and says nothing: without this file a peer that lost its identity so would start as a new one and found a cluster.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { WeaveError } from "../core/errors.ts";

const FILE = "peer";

/** Throws storage when the directory belonged to a peer of which the database knows nothing. */
export function checkMarker(dataDir: string, storedName: string | undefined): void {
  const path = join(dataDir, FILE);
  if (storedName !== undefined || !existsSync(path)) return;
  const name = readFileSync(path, "utf8").trim();
  throw new WeaveError(
    "storage",
    `${dataDir} belongs to peer ${name}, but its database has no record of it`,
    {
      hint: "it is damaged: restore it from a backup, or move it away to join as a new peer",
    },
  );
}

/** After the identity is in the database. */
export function writeMarker(dataDir: string, name: string): void {
  writeFileSync(join(dataDir, FILE), `${name}\n`, { mode: 0o600 });
}
