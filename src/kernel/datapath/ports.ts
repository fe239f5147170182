// The containers' ports: back on the bridge when somebody took them off, or when the bridge had to be made anew. They are
// made by attach, never here; one that is gone went with its container, and what shaped it then goes here.
import type { PortState } from "../../core/datapath/state.ts";
import { changeLink, deleteLink, listLinks } from "../rtnetlink/link.ts";
import { encodePort } from "../rtnetlink/link-info.ts";
import type { NetlinkSocket } from "../rtnetlink/socket.ts";
import { hostEndOf } from "../shaping.ts";
import type { Report } from "./report.ts";

/** Enslave and raise those of `ports` that exist and are not where they belong, with their hairpin setting. */
export async function ensurePorts(
  socket: NetlinkSocket,
  bridge: { readonly name: string; readonly index: number },
  ports: readonly PortState[],
  report: Report,
): Promise<void> {
  const wanted = new Map(ports.map((port) => [port.name, port.hairpin]));
  const links = await listLinks(socket);
  await deleteOrphans(socket, new Set(links.map((link) => link.name)), report);
  for (const link of links) {
    const hairpin = wanted.get(link.name);
    if (hairpin === undefined) continue;
    try {
      const placed = link.master === bridge.index;
      if (!placed || !link.up) {
        await changeLink(socket, link, { master: bridge.index, up: true });
        report.changed(`link set ${link.name} master ${bridge.name} up`);
      }
      // A port that left the bridge lost its flags.
      if ((placed && link.port?.hairpin) === hairpin) continue;
      await changeLink(socket, link, { info: encodePort({ hairpin }) });
      report.changed(`link set ${link.name} type bridge_slave hairpin ${hairpin ? "on" : "off"}`);
    } catch (error) {
      report.failed(link.name, error);
    }
  }
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
