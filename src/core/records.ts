// What a host keeps on disk, key by key, and how it is read back. Untrusted like everything else: a record that does not
// parse stops the start with its key (storage), it is never dropped in silence.
//
//   schema                               { version }
//   identity                             { name, nickname, incarnation }
//   targets                              [ "host:port", ... ]
//   ring/<universe index>                founding and ranges, fsynced before any message that depends on it
//   exposed                              { addresses, masquerade } of the bridge, slot implied
//   allocation/<network>/<id>/<ifname>   addresses of one container
//   freed/<address>                      when it was freed (ms since the epoch)
//   entry/<channel>/<origin>/<key>       gossip: own entries are the truth, foreign ones a cache
import { z } from "zod";
import { MAX_UNIVERSE_BITS } from "./address/universe.ts";
import { type Entry, MAX_NAME_CHARS } from "./crdt/origin-map.ts";
import { WeaveError } from "./errors.ts";
import { type Founding, type OwnedRange, type Ring, wellFormed } from "./ipam/ring.ts";
import type { StoreOp } from "./store-op.ts";

/** Grows when an older weaver could not read the directory any more. */
const SCHEMA_VERSION = 1;

const name = z.string().min(1).max(MAX_NAME_CHARS);
const moment = z.object({ bootId: z.string(), bootMs: z.number() });

const ringRecord = z.object({
  universe: z.string(),
  founding: z.object({ cluster: name, epoch: z.int().min(1), founders: z.array(name) }),
  ranges: z.array(z.tuple([z.int(), z.int(), z.int(), name])),
});

const port = z.int().min(1).max(65_535);
const publishedPort = z.object({
  protocol: z.enum(["tcp", "udp", "sctp"]),
  hostAddress: z.string().exactOptional(),
  hostPort: port,
  containerPort: port,
});

const delegate = z.object({
  type: z.string(),
  path: z.string(),
  args: z.string(),
  netns: z.string(),
  config: z.string(),
});

const limit = z.object({ rate: z.number().min(0), burst: z.number().min(0) });

const allocationRecord = z.object({
  network: z.string(),
  containerId: z.string(),
  ifname: z.string(),
  /** With prefix. */
  addresses: z.array(z.string()).min(1),
  slot: z.string(),
  moment,
  /** False while ADD is under way: after a crash nobody was told of the address, and it is freed. */
  committed: z.boolean(),
  mac: z.string().exactOptional(),
  netns: z.string().exactOptional(),
  hostIfname: z.string().exactOptional(),
  hairpin: z.boolean().exactOptional(),
  ports: z.array(publishedPort).exactOptional(),
  masquerade: z.boolean().exactOptional(),
  gateways: z.array(z.string()).exactOptional(),
  delegate: delegate.exactOptional(),
  bandwidth: z.object({ ingress: limit.exactOptional(), egress: limit.exactOptional() }).exactOptional(),
});
export type AllocationRecord = z.infer<typeof allocationRecord>;

const exposure = z.object({ cidr: z.string(), masquerade: z.boolean() });
export type Exposure = z.infer<typeof exposure>;

const entryRecord = z.object({ version: z.int().min(1), value: z.json() });

export interface StoredState {
  readonly name: string | undefined;
  readonly nickname: string | undefined;
  /** Random number of this directory; undefined in a new one. */
  readonly incarnation: string | undefined;
  readonly targets: readonly string[] | undefined;
  readonly rings: ReadonlyMap<
    number,
    { readonly universe: string; readonly founding: Founding; readonly ranges: readonly OwnedRange[] }
  >;
  readonly exposed: readonly Exposure[];
  readonly allocations: readonly AllocationRecord[];
  readonly freed: readonly { readonly address: string; readonly at: number }[];
  readonly entries: ReadonlyMap<string, readonly Entry[]>;
}

/** Read all records. Throws WeaveError: state-mismatch for a newer schema, storage for a record that does not parse. */
export function readState(records: ReadonlyMap<string, unknown>): StoredState {
  const read = <T>(schema: z.ZodType<T>, key: string, value: unknown): T => {
    const parsed = schema.safeParse(value);
    if (parsed.success) return parsed.data;
    throw damaged(key, parsed.error.issues[0]?.message ?? "malformed");
  };
  const schema = records.get("schema");
  if (schema !== undefined) {
    const { version } = read(z.object({ version: z.int() }), "schema", schema);
    if (version > SCHEMA_VERSION) {
      throw new WeaveError(
        "state-mismatch",
        `the data directory was written by a newer weaver (schema ${version}, this one reads ${SCHEMA_VERSION})`,
        {
          hint: "install that version again; going back is not possible",
        },
      );
    }
  }
  const rings = new Map<number, { universe: string; founding: Founding; ranges: OwnedRange[] }>();
  const allocations: AllocationRecord[] = [];
  const freed: { address: string; at: number }[] = [];
  const entries = new Map<string, Entry[]>();
  for (const [key, value] of records) {
    const [kind, ...rest] = key.split("/");
    if (kind === "ring") {
      const { universe, founding, ranges } = read(ringRecord, key, value);
      const owned = ranges.map(([start, end, version, owner]) => ({ start, end, version, owner }));
      const whole = /^[0-7]$/.test(rest[0] ?? "") && wellFormed(owned, 2 ** MAX_UNIVERSE_BITS);
      if (!whole) throw damaged(key, "ranges out of order or bounds");
      rings.set(Number(rest[0]), { universe, founding, ranges: owned });
    } else if (kind === "allocation") allocations.push(read(allocationRecord, key, value));
    else if (kind === "freed") freed.push({ address: rest.join("/"), at: read(z.number(), key, value) });
    else if (kind === "entry") {
      const [channel = "", origin = "", ...keyParts] = rest;
      const list = entries.get(channel) ?? [];
      entries.set(channel, list);
      list.push({ origin, key: keyParts.join("/"), ...read(entryRecord, key, value) });
    }
  }
  const one = <T>(key: string, schemaOf: z.ZodType<T>): T | undefined =>
    records.has(key) ? read(schemaOf, key, records.get(key)) : undefined;
  const identity = one(
    "identity",
    z.object({ name, nickname: z.string().optional(), incarnation: z.string().optional() }),
  );
  return {
    name: identity?.name,
    nickname: identity?.nickname,
    incarnation: identity?.incarnation,
    targets: one("targets", z.array(z.string())),
    exposed: one("exposed", z.array(exposure)) ?? [],
    rings,
    allocations,
    freed: freed.sort((a, b) => a.at - b.at),
    entries,
  };
}

function damaged(key: string, why: string): WeaveError {
  return new WeaveError("storage", `stored record "${key}" does not parse: ${why}`, {
    hint: "the data directory is damaged; keep a copy of it, then remove it and launch again to join afresh",
  });
}

/** The records a new data directory starts with. */
export const identityOps = (peerName: string, nickname: string, incarnation: string): readonly StoreOp[] => [
  { type: "put", key: "schema", value: { version: SCHEMA_VERSION } },
  { type: "put", key: "identity", value: { name: peerName, nickname, incarnation } },
];

export const ringOp = (index: number, universe: string, { founding, ranges }: Ring): StoreOp => ({
  type: "put",
  key: `ring/${index}`,
  value: { universe, founding, ranges: ranges.map((r) => [r.start, r.end, r.version, r.owner]) },
});

export const targetsOp = (targets: readonly string[]): StoreOp => ({
  type: "put",
  key: "targets",
  value: targets,
});

export const exposedOp = (exposed: readonly Exposure[]): StoreOp => ({
  type: "put",
  key: "exposed",
  value: exposed,
});

export const entryOp = (channel: string, { origin, key, version, value }: Entry): StoreOp => ({
  type: "put",
  key: `entry/${channel}/${origin}/${key}`,
  value: { version, value },
});

const allocationKey = (a: { network: string; containerId: string; ifname: string }): string =>
  `allocation/${a.network}/${a.containerId}/${a.ifname}`;

export const allocationOp = (a: AllocationRecord): StoreOp => ({
  type: "put",
  key: allocationKey(a),
  value: a,
});
export const releaseOp = (a: AllocationRecord): StoreOp => ({ type: "del", key: allocationKey(a) });
export const freedOp = (address: string, at: number): StoreOp => ({
  type: "put",
  key: `freed/${address}`,
  value: at,
});
export const reusedOp = (address: string): StoreOp => ({ type: "del", key: `freed/${address}` });
