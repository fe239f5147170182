// What attachments leave on a host: to compare before and after.
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Host } from "./host.ts";

export interface Traces {
  readonly veths: readonly string[];
  readonly journal: readonly string[];
  /** Of the daemon; absent while it is away. */
  readonly used?: number;
  readonly endpoints?: readonly string[];
}

/** Host ends of veths, journalled releases, addresses in use, endpoints of this host. */
export async function tracesOf(host: Host): Promise<Traces> {
  const status = await host.status().catch(() => undefined);
  const own = status?.endpoints.filter((endpoint) => endpoint.local).map((endpoint) => endpoint.address);
  return {
    veths: (await host.veths()).sort(),
    journal: journalOf(host),
    ...(status === undefined ? {} : { used: status.ipam.reduce((sum, { used }) => sum + used, 0) }),
    ...(own === undefined ? {} : { endpoints: own.sort() }),
  };
}

/** Files of releases that wait for the daemon. */
export function journalOf(host: Host): string[] {
  const dir = join(host.runDir, "journal");
  return existsSync(dir) ? readdirSync(dir).sort() : [];
}
