// The host ends of our containers as they are now: on which bridge, how, up, and what MAC the other end has.
// Which of them belongs to which attachment is not known here.

import { WeaveError } from "../core/errors.ts";
import type { HostEnd } from "../ports/kernel.ts";
import { getLink, type Link, listLinks } from "./rtnetlink/link.ts";
import type { NetlinkPort } from "./rtnetlink/socket.ts";

/** Names given by cni-plugin/host-ifname.ts. */
const OURS = /^vw[0-9a-f]{12}$/;

/** All veths of the namespace that bear a name of ours. One that goes meanwhile is left out, or has no container MAC. */
export async function hostEnds(socket: NetlinkPort): Promise<ReadonlyMap<string, HostEnd>> {
  const links = await listLinks(socket);
  const names = new Map(links.map((link) => [link.index, link.name]));
  const ends = new Map<string, HostEnd>();
  for (const link of links) {
    if (!OURS.test(link.name) || link.info.kind !== "other" || link.info.name !== "veth") continue;
    const bridge = link.master === undefined ? undefined : names.get(link.master);
    const containerMac = await peerMac(socket, link);
    ends.set(link.name, {
      up: link.up,
      ...(bridge === undefined ? {} : { bridge }),
      ...(link.port === undefined ? {} : { hairpin: link.port.hairpin }),
      ...(containerMac === undefined ? {} : { containerMac }),
    });
  }
  return ends;
}

/** Asked by the id of the other end's namespace, which needs no descriptor of it. */
async function peerMac(socket: NetlinkPort, { peer, peerNetnsId }: Link): Promise<string | undefined> {
  if (peer === undefined) return undefined;
  try {
    return (await getLink(socket, peer, peerNetnsId))?.mac;
  } catch (error) {
    // The namespace went since the list was read, or may not be looked into.
    if (error instanceof WeaveError && error.code === "kernel") return undefined;
    throw error;
  }
}
