// What a host keeps on disk, key by key, and how it is read back. Untrusted like everything else: a record that does not
// parse stops the start with its key (storage), it is never dropped in silence.
//
//   schema                               { version }
//   identity                             { name, nickname, incarnation }
//   mac                                  of the bridge, where it is not the one of the name (aside.ts)
//   targets                              [ "host:port", ... ]
//   ranges                               [ CIDR, ... ]: what the ranges are, even before there is a ring
//   configuration                        { configuration, joined }: what was decided last, fsynced
//   left                                 the last configurations this host began anew for, newest first: without it, or the end
//                                        of a cluster it was of
//   base, expect, newcomer               of a host that began anew: see aside.ts, which writes and reads them
//   vote                                 what this directory promised and accepted for the next epoch, fsynced before it is said
//   ring/<universe index>                ranges, fsynced before any message that depends on it
//   exposed                              { addresses, masquerade } of the bridge, slot implied
//   allocation/<network>/<id>/<ifname>   addresses of one container
//   freed/<address>                      when it was freed (ms since the epoch)
//   doubtful/<address>                   last known in use at a removed peer, whose range is ours now
//   entry/<channel>/<origin>/<key>       gossip: own entries are the truth, foreign ones a cache
import { z } from "zod";
import { MAX_UNIVERSE_BITS } from "./address/universe.ts";
import { type Entry, type Json, MAX_NAME_CHARS } from "./crdt/origin-map.ts";
import { WeaveError } from "./errors.ts";
import { rangeToWire } from "./gossip/frames.ts";
import type { Vote } from "./ipam/acceptor.ts";
import { type Configuration, founded } from "./ipam/configuration.ts";
import {
  configurationFromWire,
  configurationSchema,
  configurationToWire,
} from "./ipam/configuration-wire.ts";
import { type OwnedRange, type Ring, wellFormed } from "./ipam/ring.ts";
import type { StoreOp } from "./store-op.ts";

/** Grows when an older weaver could not read the directory any more. 2: epochs. */
const SCHEMA_VERSION = 2;

const name = z.string().min(1).max(MAX_NAME_CHARS);
const moment = z.object({ bootId: z.string(), bootMs: z.number() });

/** `founding` and ranges without `made`: schema 1. */
const ringRecord = z.object({
  universe: z.string(),
  founding: z.object({ cluster: name, founders: z.array(name) }).exactOptional(),
  ranges: z.array(z.tuple([z.int(), z.int(), z.int(), name, z.int().optional()])),
});

const round = z.tuple([z.int(), z.string()]);
const configurationRecord = z.object({ configuration: configurationSchema, joined: z.int().min(1) });
const leftRecord = z.object({ configuration: configurationSchema });
/** At first there was one. */
const leftRecords = z.union([z.array(leftRecord).max(64), leftRecord.transform((one) => [one])]);
const voteRecord = z.object({
  epoch: z.int().min(1),
  round: z.int().min(0),
  promised: round.exactOptional(),
  accepted: z.object({ round, value: configurationSchema }).exactOptional(),
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
  /** From before this host began anew: the address must be asked of its owner before it is announced again. */
  former: z.literal(true).exactOptional(),
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
/** One container's addresses, as on disk. */
export type AllocationRecord = z.infer<typeof allocationRecord>;

const exposure = z.object({
  cidr: z.string(),
  masquerade: z.boolean(),
  former: z.literal(true).exactOptional(),
});
/** One address of the bridge, as on disk. */
export type Exposure = z.infer<typeof exposure>;

const entryRecord = z.object({ version: z.int().min(1), value: z.json() });

/** Everything that was on disk, read and checked. */
export interface StoredState {
  readonly name: string | undefined;
  readonly nickname: string | undefined;
  /** Random number of this directory; undefined in a new one. */
  readonly incarnation: string | undefined;
  readonly targets: readonly string[] | undefined;
  /** The bridge keeps its MAC when the host begins anew: containers know it as their gateway's. */
  readonly bridgeMac: string | undefined;
  /** CIDRs of all ranges. Directories of before have them in their rings alone. */
  readonly ranges: readonly string[] | undefined;
  /** What was decided last, and the epoch this peer came in with. */
  readonly configuration: { readonly configuration: Configuration; readonly joined: number } | undefined;
  readonly vote: Vote | undefined;
  /**
   * The configurations this host began anew for, newest first: those that removed it, or the last of a cluster that gave
   * itself up.
   */
  readonly left: readonly Configuration[];
  readonly rings: ReadonlyMap<number, { readonly universe: string; readonly ranges: readonly OwnedRange[] }>;
  readonly exposed: readonly Exposure[];
  readonly allocations: readonly AllocationRecord[];
  readonly freed: readonly { readonly address: string; readonly at: number }[];
  /** Addresses without prefix. */
  readonly doubtful: readonly string[];
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
  const rings = new Map<number, { universe: string; ranges: OwnedRange[] }>();
  let former: Configuration | undefined;
  const doubtful: string[] = [];
  const allocations: AllocationRecord[] = [];
  const freed: { address: string; at: number }[] = [];
  const entries = new Map<string, Entry[]>();
  for (const [key, value] of records) {
    const [kind, ...rest] = key.split("/");
    if (kind === "ring") {
      const { universe, founding, ranges } = read(ringRecord, key, value);
      const owned = ranges.map(([start, end, version, owner, made = 1]) => ({
        start,
        end,
        version,
        owner,
        made,
      }));
      const whole = wellFormed(owned, 2 ** MAX_UNIVERSE_BITS, Number.MAX_SAFE_INTEGER);
      if (!/^[0-7]$/.test(rest[0] ?? "") || !whole) throw damaged(key, "ranges out of order or bounds");
      rings.set(Number(rest[0]), { universe, ranges: owned });
      if (founding !== undefined)
        former = founded(
          founding.cluster,
          founding.founders.map((founder) => ({ name: founder, incarnation: "" })),
        );
    } else if (kind === "allocation") allocations.push(read(allocationRecord, key, value));
    else if (kind === "freed") freed.push({ address: rest.join("/"), at: read(z.number(), key, value) });
    else if (kind === "doubtful") doubtful.push(rest.join("/"));
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
  const decided = one("configuration", configurationRecord);
  const vote = one("vote", voteRecord);
  const left = one("left", leftRecords) ?? [];
  const configuration =
    decided === undefined
      ? former && { configuration: former, joined: 1 }
      : { configuration: configurationFromWire(decided.configuration), joined: decided.joined };
  return {
    name: identity?.name,
    nickname: identity?.nickname,
    incarnation: identity?.incarnation,
    targets: one("targets", z.array(z.string())),
    exposed: one("exposed", z.array(exposure)) ?? [],
    bridgeMac: one("mac", z.string()),
    ranges: one("ranges", z.array(z.string()).min(1).max(8)) ?? rangesIn(rings),
    configuration,
    left: left.map(({ configuration }) => configurationFromWire(configuration)),
    vote: vote && {
      epoch: vote.epoch,
      round: vote.round,
      ...(vote.promised === undefined ? {} : { promised: vote.promised }),
      ...(vote.accepted === undefined
        ? {}
        : {
            accepted: {
              round: vote.accepted.round,
              value: configurationFromWire(vote.accepted.value),
            },
          }),
    },
    rings,
    doubtful,
    allocations,
    freed: freed.sort((a, b) => a.at - b.at),
    entries,
  };
}

function rangesIn(rings: StoredState["rings"]): readonly string[] | undefined {
  const sorted = [...rings].sort(([a], [b]) => a - b).map(([, { universe }]) => universe);
  return sorted.length === 0 ? undefined : sorted;
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

/** The whole ring of a universe. */
export const ringOp = (index: number, universe: string, { ranges }: Ring): StoreOp => ({
  type: "put",
  key: `ring/${index}`,
  value: { universe, ranges: ranges.map(rangeToWire) },
});
/** The ring was of a cluster that was given up. */
export const noRingOp = (index: number): StoreOp => ({ type: "del", key: `ring/${index}` });

/** A configuration taken over: the votes for its epoch are over, in the same batch. */
export const configurationOps = (configuration: Configuration, joined: number): readonly StoreOp[] => [
  {
    type: "put",
    key: "configuration",
    value: { configuration: configurationToWire(configuration), joined },
  },
  { type: "del", key: "vote" },
];

/** Clusters a host remembers to have left: who was away while its cluster moved so often still hears where it has gone. */
const MAX_LEFT = 4;

/** With one more: it takes the place of what was known of its cluster. */
export const withLeft = (left: readonly Configuration[], newest: Configuration): readonly Configuration[] =>
  [newest, ...left.filter(({ cluster }) => cluster !== newest.cluster)].slice(0, MAX_LEFT);

/** Kept while this host begins anew: it may be the only one that knows. */
export const leftOp = (left: readonly Configuration[]): StoreOp => ({
  type: "put",
  key: "left",
  value: left.map((configuration) => ({ configuration: configurationToWire(configuration) })),
});

/** A cluster that gave itself up: its hosts that were away are told so when they come by. */
export function movedOps(records: ReadonlyMap<string, unknown>): readonly StoreOp[] {
  const last = leftRecord.safeParse(records.get("configuration")).data?.configuration;
  if (last?.joins === undefined) return [];
  const before = leftRecords.safeParse(records.get("left")).data ?? [];
  const left = before.map(({ configuration }) => configurationFromWire(configuration));
  return [leftOp(withLeft(left, configurationFromWire(last)))];
}

/** The cluster this host was to join is joined (`expect` is written by aside.ts). */
export const unexpectOp: StoreOp = { type: "del", key: "expect" };

/** What was promised and accepted; to be synced before it is said. */
export const voteOp = ({ accepted, ...vote }: Vote): StoreOp => ({
  type: "put",
  key: "vote",
  value: {
    ...vote,
    ...(accepted === undefined
      ? {}
      : { accepted: { round: accepted.round, value: configurationToWire(accepted.value) } }),
  },
});

/** The address may be in use where nobody hears of it. */
export const doubtfulOp = (address: string): StoreOp => ({
  type: "put",
  key: `doubtful/${address}`,
  value: true,
});
/** It is held here by right: no doubt any more. */
export const trustedOp = (address: string): StoreOp => ({ type: "del", key: `doubtful/${address}` });
/** An entry of a peer that belongs to the cluster no more. */
export const forgetOp = (channel: string, origin: string, key: string): StoreOp => ({
  type: "del",
  key: `entry/${channel}/${origin}/${key}`,
});

/** The ranges of this host, as text. */
export const rangesOp = (ranges: readonly string[]): StoreOp => ({
  type: "put",
  key: "ranges",
  value: [...ranges],
});

/** Whom to dial after a restart. */
export const targetsOp = (targets: readonly string[]): StoreOp => ({
  type: "put",
  key: "targets",
  value: targets,
});

/** All addresses of the bridge that were exposed. */
export const exposedOp = (exposed: readonly Exposure[]): StoreOp => ({
  type: "put",
  key: "exposed",
  value: exposed,
});

/** What is kept of each entry: one object, however many simulated disks it is written to. */
const entryValues = new WeakMap<Entry, { readonly version: number; readonly value: Json }>();

/** An entry of a channel, own or foreign, tombstones too. */
export function entryOp(channel: string, entry: Entry): StoreOp {
  const { origin, key, version, value } = entry;
  let kept = entryValues.get(entry);
  if (kept === undefined) {
    kept = { version, value };
    entryValues.set(entry, kept);
  }
  return { type: "put", key: `entry/${channel}/${origin}/${key}`, value: kept };
}

const allocationKey = (a: { network: string; containerId: string; ifname: string }): string =>
  `allocation/${a.network}/${a.containerId}/${a.ifname}`;

/** An allocation, committed or not. */
export const allocationOp = (a: AllocationRecord): StoreOp => ({
  type: "put",
  key: allocationKey(a),
  value: a,
});
/** It is over. */
export const releaseOp = (a: AllocationRecord): StoreOp => ({ type: "del", key: allocationKey(a) });
/** `at`: milliseconds since the epoch. The address rests from then on. */
export const freedOp = (address: string, at: number): StoreOp => ({
  type: "put",
  key: `freed/${address}`,
  value: at,
});
/** It is in use again. */
export const reusedOp = (address: string): StoreOp => ({ type: "del", key: `freed/${address}` });
