// Takes from a host all that weave ever brought to it, by name and kind, whatever daemon made it: for `weave reset`. What
// sysctls of the host were switched on stays, because others may rely on them by now.
import type { Accepts } from "./accept/accepts.ts";
import { removeBridgeRules } from "./datapath/routes.ts";
import type { Firewall } from "./firewall.ts";
import { TABLE } from "./nftables.ts";
import { deleteLink, type Link, listLinks } from "./rtnetlink/link.ts";
import type { NetlinkPort } from "./rtnetlink/socket.ts";
import { hostEndOf, ifbName } from "./shaping.ts";

/** Containers first, or the bridge would be gone under them for the time the rest takes. */
export async function clear(
  socket: NetlinkPort,
  { firewall, accepts }: { readonly firewall: Firewall; readonly accepts: Accepts },
  { bridge, vxlan }: { readonly bridge: string; readonly vxlan: string },
): Promise<readonly string[]> {
  const removed: string[] = [];
  const failures: unknown[] = [];
  const attempt = async (work: () => Promise<readonly string[]>): Promise<void> => {
    try {
      removed.push(...(await work()));
    } catch (error) {
      failures.push(error);
    }
  };
  const links = await listLinks(socket);
  const ours = [
    ...links.filter((link) => kindOf(link) === "veth" && ifbName(link.name) !== undefined),
    ...links.filter((link) => kindOf(link) === "ifb" && hostEndOf(link.name) !== undefined),
    ...links.filter((link) => kindOf(link) === "vxlan" && link.name === vxlan),
    ...links.filter((link) => kindOf(link) === "bridge" && link.name === bridge),
  ];
  for (const { name } of ours) {
    await attempt(async () => ((await deleteLink(socket, name)) ? [`link del ${name}`] : []));
  }
  await attempt(() => removeBridgeRules(socket, bridge));
  await attempt(async () => ((await firewall.remove()) ? [`nft delete table inet ${TABLE}`] : []));
  await attempt(() => accepts.remove(bridge));
  if (failures.length > 0) throw failures[0];
  return removed;
}

function kindOf({ info }: Link): string {
  return info.kind === "other" ? info.name : info.kind;
}
