// Namespace ids: the small numbers by which a namespace knows others, as in IFLA_LINK_NETNSID (linux/net_namespace.h).
import { attribute, parseAttributes, readS32, u32 } from "./attributes.ts";
import type { NetlinkPort } from "./socket.ts";

const RTM_GETNSID = 90;
const NETNSA_NSID = 1;
const NETNSA_FD = 3;

/** The id the socket's namespace has given to the one open as `fd`; undefined when it has given none. */
export async function netnsIdOf(socket: NetlinkPort, fd: number): Promise<number | undefined> {
  // struct rtgenmsg is one byte, padded.
  const payload = Buffer.concat([Buffer.alloc(4), attribute(NETNSA_FD, u32(fd))]);
  const [reply] = await socket.request(
    { operation: "netns id", object: `descriptor ${fd}` },
    RTM_GETNSID,
    payload,
  );
  const bytes = reply === undefined ? undefined : parseAttributes(reply.data.subarray(4)).get(NETNSA_NSID);
  const id = bytes === undefined ? -1 : readS32(bytes);
  return id < 0 ? undefined : id;
}
