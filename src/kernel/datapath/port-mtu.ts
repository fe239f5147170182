// Follows the bridge's MTU at its veth ports: the host ends, and the ends inside running containers. The kernel lets
// nobody change a link in another namespace by its id (with RTM_SETLINK that id means "move it there"), so the
// namespace is looked for and entered. Rare: only when the MTU of the whole network changes.
import { closeSync, openSync, readdirSync, statSync } from "node:fs";
import { WeaveError } from "../../core/errors.ts";
import { inNetns } from "../netns.ts";
import { changeLink, getLink, type Link, listLinks } from "../rtnetlink/link.ts";
import { netnsIdOf } from "../rtnetlink/netns-id.ts";
import { NETLINK_ROUTE, NetlinkSocket } from "../rtnetlink/socket.ts";
import { ifbName } from "../shaping.ts";
import type { Report } from "./report.ts";

/** Where namespaces without a process may be named. */
const NAMED = ["/run/netns", "/var/run/docker/netns"];

/**
 * Lower every port that is larger than `mtu`; when the bridge rose from `former`, raise those that had exactly that
 * (others were given their own).
 */
export async function ensurePortMtus(
  socket: NetlinkSocket,
  bridge: number,
  former: number,
  mtu: number,
  report: Report,
): Promise<void> {
  const ports = (await listLinks(socket, bridge)).filter(
    (port) =>
      port.info.kind === "other" && port.info.name === "veth" && (port.mtu > mtu || port.mtu === former),
  );
  const changing = ports.filter((port) => port.mtu !== mtu);
  if (changing.length === 0) return;
  await changeInside(socket, changing, mtu, report);
  for (const port of changing) {
    await changeLink(socket, port, { mtu });
    report.changed(`link set ${port.name} mtu ${mtu}`);
    const shaper = ifbName(port.name);
    const ifb = shaper === undefined ? undefined : await getLink(socket, shaper);
    if (ifb !== undefined) await changeLink(socket, ifb, { mtu });
  }
}

/** The containers' ends, namespace by namespace. One that cannot be found is told; its container needs a restart. */
async function changeInside(
  socket: NetlinkSocket,
  ports: readonly Link[],
  mtu: number,
  report: Report,
): Promise<void> {
  const left = new Set(ports.filter((port) => port.peer !== undefined && port.peerNetnsId !== undefined));
  const seen = new Set<number>();
  for (const path of candidates()) {
    if (left.size === 0) return;
    const fd = openUnseen(path, seen);
    if (fd === undefined) continue;
    try {
      const id = await netnsIdOf(socket, fd);
      const inside = [...left].filter((port) => port.peerNetnsId === id);
      if (inside.length === 0) continue;
      const inner = inNetns(fd, () => new NetlinkSocket(NETLINK_ROUTE));
      try {
        for (const port of inside) {
          await changeLink(inner, { index: port.peer ?? 0, name: `peer of ${port.name}` }, { mtu });
          left.delete(port);
        }
      } finally {
        await inner.close();
      }
    } catch (error) {
      if (!(error instanceof WeaveError)) throw error;
      // A process that ended meanwhile, or no namespace: what is left is told below.
    } finally {
      closeSync(fd);
    }
  }
  for (const port of left) {
    report.lacking(
      port.name,
      new WeaveError("kernel", `its container keeps its MTU: namespace not found`, {
        hint: "restart the container",
      }),
    );
  }
}

function* candidates(): Generator<string> {
  for (const pid of names("/proc")) if (/^\d+$/.test(pid)) yield `/proc/${pid}/ns/net`;
  for (const directory of NAMED) for (const name of names(directory)) yield `${directory}/${name}`;
}

function names(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

/** Open a namespace not looked at before. Many processes share one. */
function openUnseen(path: string, seen: Set<number>): number | undefined {
  try {
    const { ino } = statSync(path);
    if (seen.has(ino)) return undefined;
    seen.add(ino);
    return openSync(path, "r");
  } catch {
    return undefined;
  }
}
