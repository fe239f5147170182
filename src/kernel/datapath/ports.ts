// The containers' ports: back on the bridge when somebody took them off, or when the bridge had to be made anew. They are
// made by attach, never here; one that is gone went with its container, and what shaped it then goes here.
import type { PortState } from "../../core/datapath/state.ts";
import type { Host } from "../host.ts";
import { hostEndMac } from "../mac.ts";
import { changeLink, deleteLink, type Link, listLinks } from "../rtnetlink/link.ts";
import { encodePort } from "../rtnetlink/link-info.ts";
import type { NetlinkSocket } from "../rtnetlink/socket.ts";
import { hostEndOf, ifbName } from "../shaping.ts";
import { ensureSysctls, PORT_SYSCTLS } from "../sysctl.ts";
import type { PortLeft } from "./drift.ts";
import { NAME } from "./objects.ts";
import type { Report } from "./report.ts";

/** How the ports are brought to what they should be. */
interface Terms {
  readonly host: Host;
  readonly bridge: { readonly name: string; readonly index: number };
  /** The ports by index as they were first seen. Mutated. */
  readonly seen: Map<number, PortLeft>;
  /** They were as they should be once: what is changed now is a repair. */
  readonly repairing: boolean;
}

/** Enslave and raise those of `ports` that exist and are not where they belong, with their settings. */
export async function ensurePorts(
  socket: NetlinkSocket,
  { host, bridge, seen, repairing }: Terms,
  ports: readonly PortState[],
  report: Report,
): Promise<void> {
  const wanted = new Map(ports.map((port) => [port.name, port.hairpin]));
  const links = await listLinks(socket);
  await deleteOrphans(socket, new Set(links.map((link) => link.name)), report);
  const indices = new Set(links.map((link) => link.index));
  for (const index of seen.keys()) if (!indices.has(index)) seen.delete(index);
  for (const link of links) {
    const hairpin = wanted.get(link.name);
    if (hairpin === undefined) continue;
    const before = report.count;
    try {
      const placed = link.master === bridge.index;
      if (!placed || !link.up) {
        await changeLink(socket, link, { master: bridge.index, up: true });
        report.changed(`link set ${link.name} master ${bridge.name} up`);
      }
      // A port that left the bridge lost its flags.
      if ((placed && link.port?.hairpin) !== hairpin) {
        await changeLink(socket, link, { info: encodePort({ hairpin }) });
        report.changed(`link set ${link.name} type bridge_slave hairpin ${hairpin ? "on" : "off"}`);
      }
      await ensureSettings(socket, host, link, seen, report);
    } catch (error) {
      report.failed(link.name, error);
    }
    if (repairing) report.repaired(NAME.port(link.name), report.since(before));
  }
}

/** What attach gave it, and network managers like to change. */
async function ensureSettings(
  socket: NetlinkSocket,
  host: Host,
  link: Link,
  seen: Map<number, PortLeft>,
  report: Report,
): Promise<void> {
  const mac = hostEndMac(link.name);
  if (link.mac !== mac && ifbName(link.name) !== undefined) {
    await changeLink(socket, link, { mac });
    report.changed(`link set ${link.name} address ${mac}`);
  }
  const { mtu } = seen.get(link.index) ?? link;
  seen.set(link.index, { name: link.name, mtu });
  if (link.mtu !== mtu) {
    await changeLink(socket, link, { mtu });
    report.changed(`link set ${link.name} mtu ${mtu}`);
  }
  report.changed(...host.run(() => ensureSysctls(PORT_SYSCTLS, link.name)));
}

/**
 * Devices that shaped a container whose namespace, and with it the pair, went without a detach. An attach in progress is
 * safe: it makes the host end first.
 */
async function deleteOrphans(
  socket: NetlinkSocket,
  names: ReadonlySet<string>,
  report: Report,
): Promise<void> {
  for (const name of names) {
    const hostEnd = hostEndOf(name);
    if (hostEnd === undefined || names.has(hostEnd)) continue;
    try {
      if (await deleteLink(socket, name)) report.changed(`link del ${name}`);
    } catch (error) {
      report.failed(name, error);
    }
  }
}
