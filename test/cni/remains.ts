// What is left of attachments on a host and in a container, to compare before and after.
import { expect } from "vitest";
import { eventually } from "../kernel/support/namespaces.ts";
import type { Container } from "../support/container.ts";
import type { Host } from "../support/host.ts";
import { journalOf } from "../support/traces.ts";

/** Everything an attachment may leave on its host. */
export interface Remains {
  readonly links: readonly string[];
  readonly journal: readonly string[];
  /** `nft list table inet weave`: masquerade, port maps. */
  readonly firewall: string;
  readonly used: number;
  readonly endpoints: readonly string[];
}

export async function remainsOf(host: Host): Promise<Remains> {
  const links = await host.namespace.json("ip -j link show");
  const status = await host.status();
  return {
    links: links.map((link) => String(link["ifname"])).sort(),
    journal: journalOf(host),
    firewall: await host.namespace.run("nft list table inet weave"),
    used: status.ipam.reduce((sum, { used }) => sum + used, 0),
    endpoints: status.endpoints
      .filter((endpoint) => endpoint.local)
      .map((endpoint) => endpoint.address)
      .sort(),
  };
}

/** Wait until all is as it was; a failure shows what differs, and the daemon's log. */
export async function untilAsBefore(
  host: Host,
  before: Remains,
  why: string,
  timeoutMs = 10_000,
): Promise<void> {
  let now: Remains | undefined;
  try {
    await eventually(
      why,
      async () => {
        now = await remainsOf(host);
        return JSON.stringify(now) === JSON.stringify(before);
      },
      timeoutMs,
    );
  } catch {
    expect(now, `${why}${host.logTail()}`).toEqual(before);
  }
}

/** The container side: nothing but `lo`. */
export async function expectEmpty(pod: Container): Promise<void> {
  const links = await pod.namespace.json("ip -j link show");
  expect(links.map((link) => link["ifname"])).toEqual(["lo"]);
}
