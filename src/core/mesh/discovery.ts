// Which of the peers that gossip tells of should be connected, and which connections can be spared: decisions over what is
// known, without memory. That the mesh holds together rests on three rules:
//
//   - who is known and has no path from here is always dialled, whatever the limit;
//   - who has no path to the other side, or no connection at all, is always let in (Mesh.hello);
//   - a connection is given up beyond the limit only while its peer can be reached without it.
import { parseAddress } from "../address/cidr.ts";
import { fingerprint } from "../hash.ts";
import type { Sought } from "./dialler.ts";
import type { PeerRecord } from "./peer-record.ts";
import { reachableFrom } from "./topology.ts";

/** What the choice follows from. */
export interface Surroundings {
  readonly self: string;
  /** Of this host's listener: what a target without a port means. */
  readonly port: number;
  readonly records: ReadonlyMap<string, PeerRecord>;
  readonly reachable: ReadonlySet<string>;
  /** Peers connected now. */
  readonly linked: readonly string[];
  readonly limit: number;
  /** Whether a peer may belong to the cluster: nobody who was removed is dialled. */
  isMember(name: string): boolean;
}

/**
 * Peers to connect to. As long as all of them fit: all. Of more: so many that a quarter of the limit is left for those who
 * come; who is connected to as many as it can is left alone. Chosen by a hash over both names, so that everybody chooses
 * others, and the same ones again.
 */
export function sought(around: Surroundings): readonly Sought[] {
  const { self, records, reachable, linked, limit } = around;
  const own = new Set(linked);
  const urgent: Sought[] = [];
  const others: { readonly name: string; readonly record: PeerRecord }[] = [];
  for (const [name, record] of records) {
    if (name === self || own.has(name) || !around.isMember(name)) continue;
    if (!reachable.has(name)) urgent.push({ name, address: addressOf(record, around.port), urgent: true });
    else if (!isFull(record)) others.push({ name, record });
  }
  const goal = records.size - 1 <= limit ? limit : Math.max(Math.min(2, limit), Math.floor(limit * 0.75));
  const places = goal - own.size;
  if (places <= 0) return urgent;
  const chosen =
    others.length <= places
      ? others
      : others
          .map((other) => ({ ...other, at: fingerprint(`${self} ${other.name}`) }))
          .sort((a, b) => a.at - b.at)
          .slice(0, places);
  return [
    ...urgent,
    ...chosen.map(({ name, record }) => ({ name, address: addressOf(record, around.port), urgent: false })),
  ];
}

/** Whether a peer has as many connections as it may, by its own word. */
export const isFull = (record: Pick<PeerRecord, "links" | "limit"> | undefined): boolean =>
  record?.limit !== undefined && record.links.length >= record.limit;

/** Connected peers, in this order, that can be given up beyond the limit: each can be reached without its connection. */
export function dispensable(
  { self, records, linked, limit }: Pick<Surroundings, "self" | "records" | "linked" | "limit">,
  order: readonly string[],
): readonly string[] {
  const kept = new Set(linked);
  const given: string[] = [];
  for (const name of order) {
    if (kept.size <= limit) break;
    kept.delete(name);
    if (reachableFrom(self, [...kept], records).has(name)) given.push(name);
    else kept.add(name);
  }
  return given;
}

/** As an operator would write it. */
function addressOf({ underlay, port }: PeerRecord, own: number): string {
  if (port === own) return underlay;
  return parseAddress(underlay)?.family === 6 ? `[${underlay}]:${port}` : `${underlay}:${port}`;
}
