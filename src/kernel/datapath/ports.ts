// The containers' ports: back on the bridge when somebody took them off, or when the bridge had to be made anew. They are
// made by attach, never here; one that is gone went with its container.
import type { PortState } from "../../core/datapath/state.ts";
import { changeLink, listLinks } from "../rtnetlink/link.ts";
import { encodePort } from "../rtnetlink/link-info.ts";
import type { NetlinkSocket } from "../rtnetlink/socket.ts";
import type { Report } from "./report.ts";

/** Enslave and raise those of `ports` that exist and are not where they belong, with their hairpin setting. */
export async function ensurePorts(
  socket: NetlinkSocket,
  bridge: { readonly name: string; readonly index: number },
  ports: readonly PortState[],
  report: Report,
): Promise<void> {
  if (ports.length === 0) return;
  const wanted = new Map(ports.map((port) => [port.name, port.hairpin]));
  for (const link of await listLinks(socket)) {
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
