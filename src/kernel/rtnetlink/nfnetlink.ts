// What all messages of NETLINK_NETFILTER begin with (linux/netfilter/nfnetlink.h).

/** NFPROTO_* (linux/netfilter.h); those of the IP families are their AF_* numbers. */
export const NFPROTO_UNSPEC = 0;
export const NFPROTO_INET = 1;
export const NFPROTO_BRIDGE = 7;

/** The families our tables are of. */
export type TableFamily = "inet" | "bridge";

export const protocolOf = (family: TableFamily = "inet"): number =>
  family === "inet" ? NFPROTO_INET : NFPROTO_BRIDGE;

/** struct nfgenmsg: family, version 0, resource id in network order. */
export function nfgenmsg(family: number, resource: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt8(family, 0);
  bytes.writeUInt16BE(resource, 2);
  return bytes;
}
