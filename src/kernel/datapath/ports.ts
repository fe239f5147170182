// The containers' ports: back on the bridge when somebody took them off, or when the bridge had to be made anew. They are
// made by attach, never here; one that is gone went with its container.
import { changeLink, listLinks } from "../rtnetlink/link.ts";
import { encodePort } from "../rtnetlink/link-info.ts";
import type { NetlinkSocket } from "../rtnetlink/socket.ts";
import type { Report } from "./report.ts";

/** Enslave and raise those of `names` that exist and are not where they belong. */
export async function ensurePorts(
  socket: NetlinkSocket,
  bridge: { readonly name: string; readonly index: number },
  names: readonly string[],
  report: Report,
): Promise<void> {
  if (names.length === 0) return;
  const wanted = new Set(names);
  for (const link of await listLinks(socket)) {
    if (!wanted.has(link.name) || (link.master === bridge.index && link.up)) continue;
    try {
      await changeLink(socket, link, { master: bridge.index, up: true });
      // A port that left the bridge lost its flags; hairpin is what every port has unless it was told otherwise.
      if (link.master !== bridge.index)
        await changeLink(socket, link, { info: encodePort({ hairpin: true }) });
      report.changed(`link set ${link.name} master ${bridge.name} up`);
    } catch (error) {
      report.failed(link.name, error);
    }
  }
}
