// What an operator may say at launch, as data: the same for `weave launch` and for `weaver` under a service manager.
import { z } from "zod";
import { contains, parseAddress, parseCidr } from "../core/address/cidr.ts";
import { NAME_PATTERN } from "../core/crdt/origin-map.ts";
import { MIN_MTU } from "../core/mesh/peer-record.ts";

/** Weave Net's. */
export const DEFAULT_PORT = 6783;
/** Weave Net's range: 1,048,576 addresses. */
export const DEFAULT_RANGE = "10.32.0.0/12";
/** `--data-dir`. */
export const DEFAULT_DATA_DIR = "/var/lib/weave";
/** `--run-dir`. */
export const DEFAULT_RUN_DIR = "/run/weave";
/** Weave Net's, of status and metrics. */
export const DEFAULT_STATUS_ADDR = "127.0.0.1:6782";
/** From most to least. */
export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;

const peerName = z
  .string()
  .regex(NAME_PATTERN, "up to 64 letters, digits, and : . _ - (starting with a letter or digit)");

/** Hosts that may stand for one founding: as many as a configuration can name as founders. */
export const MAX_EXPECTED = 1024;

/** `--ipalloc-init`: Init of src/core/config.ts. */
const init = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("consensus"),
    expected: z.int().min(1).max(MAX_EXPECTED).exactOptional(),
  }),
  z.strictObject({ kind: z.literal("seed"), names: z.array(peerName).min(1).max(MAX_EXPECTED) }),
  z.strictObject({ kind: z.literal("observer") }),
]);

/** How a daemon is launched, as `weave` hands it to `weaver`. */
export const launchOptions = z.strictObject({
  /** Peer name; absent: the stored one, or a new random one. */
  name: peerName.optional(),
  /** Display name; absent: the stored one, or the host name. */
  nickname: z.string().min(1).max(255).optional(),
  /** Address to listen on and to give to peers; absent: listen on all, give the one of the default route. */
  host: z.string().optional(),
  port: z.int().min(1).max(65535).default(DEFAULT_PORT),
  /** Absent: the stored one, or DEFAULT_RANGE. */
  range: z.string().optional(),
  defaultSubnet: z.string().optional(),
  /** How a cluster is founded where none is stored or heard of; absent: consensus of as many hosts as peers are named. */
  init: init.optional(),
  /** MTU of containers; absent: what the underlay leaves. */
  mtu: z.int().min(MIN_MTU).max(65535).optional(),
  logLevel: z.enum(LOG_LEVELS).default("info"),
  /** ADDRESS:PORT of a TCP listener for the control API; absent or empty: none. */
  httpAddr: z.string().max(64).optional(),
  /** ADDRESS:PORT of the read-only listener; absent: DEFAULT_STATUS_ADDR; empty: none. */
  statusAddr: z.string().max(64).optional(),
  /** Absent: the stored targets. */
  peers: z.array(z.string().min(1).max(255)).max(1024).optional(),
  dataDir: z.string().default(DEFAULT_DATA_DIR),
  runDir: z.string().default(DEFAULT_RUN_DIR),
});
export type LaunchOptions = z.infer<typeof launchOptions>;

/** "127.0.0.1:6784", "[::1]:6784"; undefined for anything else. */
export function parseListenAddress(
  text: string,
): { readonly host: string; readonly port: number } | undefined {
  const [, v6, v4, digits] = /^(?:\[([0-9a-fA-F:.]+)\]|([\d.]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = v6 ?? v4 ?? "";
  const port = Number(digits);
  const address = parseAddress(host);
  const fits = address !== undefined && (address.family === 6) === (v6 !== undefined);
  return fits && port >= 1 && port <= 65_535 ? { host, port } : undefined;
}

/** Whether only this host can reach an address. */
export function isLoopback(host: string): boolean {
  const address = parseAddress(host);
  return address !== undefined && LOOPBACK.some((range) => contains(range, address));
}

const LOOPBACK = ["127.0.0.0/8", "::1/128"].flatMap((text) => parseCidr(text) ?? []);

/** File names inside the run directory. */
export const SOCKET_FILE = "weave.sock";
export const PID_FILE = "weaver.pid";
export const LOG_FILE = "weaver.log";
export const JOURNAL_DIR = "journal";
