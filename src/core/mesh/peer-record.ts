// What each peer says of itself to all: its entry in the "peers" channel, key "self".
import { z } from "zod";
import { isUnicast } from "../address/cidr.ts";
import { isUnicastMac, macForName } from "../address/mac.ts";
import { MAX_NAME_CHARS } from "../crdt/origin-map.ts";
import { MAX_ESTABLISHED } from "./constants.ts";

/** The channel of peer records. */
export const PEERS = "peers";
/** The one key each peer has in it. */
export const PEER_KEY = "self";

/** What every IPv4 host must be able to receive (RFC 791, 3.1). One peer's figure lowers everybody's MTU. */
export const MIN_MTU = 576;

const record = z.looseObject({
  nickname: z.string().max(255),
  uid: z.string().max(64),
  software: z.string().max(64),
  /** Random per data directory. */
  incarnation: z.string().min(1).max(64),
  /** Epoch of the configuration it came in with; absent before that. */
  joined: z.int().min(1).exactOptional(),
  /** It stands for election at the founding, and expects so many hosts. */
  candidate: z.int().min(1).exactOptional(),
  /** Where its VXLAN packets come from and go to. */
  underlay: z.string().refine(isUnicast, "not an address a host can have"),
  /** TCP port of its mesh listener. */
  port: z.int().min(1).max(65535),
  /** What its underlay leaves for containers. The overlay runs at the least of all peers. */
  mtu: z.int().min(MIN_MTU).max(65535),
  /** MAC of its bridge, where that is not made of its name (a host that began anew keeps the former one's). */
  bridgeMac: z.string().refine(isUnicastMac, "not a MAC an interface can have").exactOptional(),
  /** Peers it is connected to now. */
  links: z.array(z.string().max(MAX_NAME_CHARS)).max(MAX_ESTABLISHED),
  /** So many connections it has at most, but for those that hold the mesh together. */
  limit: z.int().min(1).max(MAX_ESTABLISHED).exactOptional(),
});

/** What a peer says of itself to everybody. Fields of newer versions are kept and relayed. */
export type PeerRecord = z.infer<typeof record>;

/** MAC of a peer's bridge. */
export const bridgeMacOf = (name: string, record: Pick<PeerRecord, "bridgeMac">): string =>
  record.bridgeMac ?? macForName(name);

/** What each value was parsed to. */
const parsedBefore = new WeakMap<object, PeerRecord | undefined>();

/** A value of the peers channel, or undefined when it is not one (it is still relayed). */
export function parsePeerRecord(value: unknown): PeerRecord | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  if (parsedBefore.has(value)) return parsedBefore.get(value);
  const parsed = record.safeParse(value).data;
  parsedBefore.set(value, parsed);
  return parsed;
}
