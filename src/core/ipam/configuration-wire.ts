// A configuration as JSON, in frames, ballots and records alike: bounded, and refused when it contradicts itself.
// Fields of a newer version are let through by the schema and dropped here.
import { z } from "zod";
import { NAME_PATTERN } from "../crdt/origin-map.ts";
import { type Configuration, MAX_LINEAGE, MAX_VOTERS } from "./configuration.ts";

/** Founders of one ring: as many as a seed list may name. */
export const MAX_FOUNDERS = 1024;
/** Peers a configuration may name: eight times what the product is measured with, 160 KB. */
const MAX_REMAINING = 8192;
/** Peers removed by one command. */
const MAX_REMOVED = 64;

const name = z.string().regex(NAME_PATTERN);
const epoch = z.int().min(1);

/** Strictly ascending: sorted, and nobody twice. */
const isAscending = (names: readonly string[]): boolean =>
  names.every((item, i) => i === 0 || (names[i - 1] ?? "") < item);
const ascending = (max: number) =>
  z.array(name).max(max).refine(isAscending, "not sorted, or a name is there twice");

/** What is accepted from wire and disk. */
export const configurationSchema = z
  .looseObject({
    cluster: name,
    epoch,
    /** [name, incarnation] */
    voters: z
      .array(z.tuple([name, z.string().max(64)]))
      .min(1)
      .max(MAX_VOTERS)
      .refine(
        (voters) => isAscending(voters.map(([voter]) => voter)),
        "voters not sorted, or one is there twice",
      ),
    founders: ascending(MAX_FOUNDERS).exactOptional(),
    remaining: z
      .looseObject({ since: z.int().min(2), names: ascending(MAX_REMAINING), heir: name })
      .exactOptional(),
    lineage: z
      .array(
        z.looseObject({
          cluster: name,
          epoch,
          by: name,
          removed: z.array(name).max(MAX_REMOVED),
          at: z.int().min(0),
        }),
      )
      .max(MAX_LINEAGE)
      .exactOptional(),
    joins: name.exactOptional(),
  })
  .refine((c) => c.founders === undefined || c.epoch === 1, "founders belong to epoch 1")
  .refine((c) => c.remaining === undefined || c.remaining.since <= c.epoch, "a removal of a later epoch")
  .refine((c) => c.remaining?.names.includes(c.remaining.heir) ?? true, "the heir does not stay")
  // Later epochs may have voters that joined after the removal.
  .refine(
    (c) =>
      c.remaining?.since !== c.epoch ||
      c.voters.every(([voter]) => c.remaining?.names.includes(voter) === true),
    "a voter does not stay",
  )
  .refine((c) => c.lineage?.every((l) => l.epoch < c.epoch) ?? true, "continues a later epoch");

/** A configuration as JSON. */
export type ConfigurationWire = z.infer<typeof configurationSchema>;

/** Configuration to JSON: a copy. */
export function configurationToWire(c: Configuration): ConfigurationWire {
  return {
    cluster: c.cluster,
    epoch: c.epoch,
    voters: c.voters.map((v) => [v.name, v.incarnation]),
    ...(c.founders === undefined ? {} : { founders: [...c.founders] }),
    ...(c.remaining === undefined ? {} : { remaining: { ...c.remaining, names: [...c.remaining.names] } }),
    ...(c.lineage === undefined
      ? {}
      : { lineage: c.lineage.map((l) => ({ ...l, removed: [...l.removed] })) }),
    ...(c.joins === undefined ? {} : { joins: c.joins }),
  };
}

/** The way back, from what the schema has let through. */
export function configurationFromWire(w: ConfigurationWire): Configuration {
  return {
    cluster: w.cluster,
    epoch: w.epoch,
    voters: w.voters.map(([voter, incarnation]) => ({ name: voter, incarnation })),
    ...(w.founders === undefined ? {} : { founders: w.founders }),
    ...(w.remaining === undefined
      ? {}
      : { remaining: { since: w.remaining.since, names: w.remaining.names, heir: w.remaining.heir } }),
    ...(w.lineage === undefined
      ? {}
      : {
          lineage: w.lineage.map((l) => ({
            cluster: l.cluster,
            epoch: l.epoch,
            by: l.by,
            removed: l.removed,
            at: l.at,
          })),
        }),
    ...(w.joins === undefined ? {} : { joins: w.joins }),
  };
}
