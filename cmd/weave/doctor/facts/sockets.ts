// Sockets bound to a port, as /proc/net tells them for the network namespace of this process (net/ipv4/tcp_ipv4.c,
// get_tcp4_sock, and its likes).
import { join } from "node:path";
import { textOf } from "./files.ts";

/** A listening TCP socket, or a UDP socket. */
export interface BoundSocket {
  readonly protocol: "tcp" | "udp";
  readonly port: number;
  /** Bound to an address that only this host reaches. */
  readonly loopback: boolean;
  readonly anyAddress: boolean;
  readonly inode: string;
}

/** TCP_LISTEN (net/tcp_states.h). */
const LISTEN = "0A";

/** All of these ports. */
export function boundSockets(root: string, ports: ReadonlySet<number>): BoundSocket[] {
  return (["tcp", "tcp6", "udp", "udp6"] as const).flatMap((table) => {
    const protocol = table.startsWith("tcp") ? "tcp" : "udp";
    const text = textOf(join(root, "proc/self/net", table)) ?? "";
    return parseSockets(text, protocol).filter(({ port }) => ports.has(port));
  });
}

export function parseSockets(text: string, protocol: "tcp" | "udp"): BoundSocket[] {
  return text.split("\n").flatMap((line) => {
    const words = line.trim().split(/\s+/);
    const [, address = "", port = ""] =
      /^([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4})$/.exec(words[1] ?? "") ?? [];
    const inode = words[9];
    if (port === "" || inode === undefined || (protocol === "tcp" && words[3] !== LISTEN)) return [];
    // IPv4 is one word in the host's order: the last two digits are the first octet.
    const loopback = address.length === 8 ? address.endsWith("7F") : address === `${"0".repeat(24)}01000000`;
    return [{ protocol, port: Number.parseInt(port, 16), loopback, anyAddress: /^0+$/.test(address), inode }];
  });
}
