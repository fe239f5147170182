// All that is decided about the cluster, joined: council (decisions), membership (rings), and what follows from a
// configuration for pools, gossip, links and what is remembered of peers. Node hands in what arrives.
import type { NodeConfig } from "./config.ts";
import type { Entry, OriginMap } from "./crdt/origin-map.ts";
import { type Effect, type Instant, persist } from "./effects.ts";
import { ENDPOINTS, parseEndpoint } from "./endpoints/endpoint.ts";
import { encodeFrame, type UnicastBody } from "./gossip/frames.ts";
import type { Gossip } from "./gossip/gossip.ts";
import { ballotFromWire, ballotToWire } from "./ipam/ballot-wire.ts";
import { configurationFromWire, configurationToWire } from "./ipam/configuration-wire.ts";
import { Council, type Entered, type Era } from "./ipam/council.ts";
import { Membership } from "./ipam/membership.ts";
import type { Pool } from "./ipam/pool.ts";
import type { Link, Mesh } from "./mesh/mesh.ts";
import type { Neighbourhood } from "./mesh/neighbourhood.ts";
import { PEERS, parsePeerRecord } from "./mesh/peer-record.ts";
import type { Random } from "./random.ts";
import { configurationOps, forgetOp, noRingOp, type StoredState } from "./records.ts";

/** A host with nothing in use gives way to another cluster when no member of its own answered for so long. */
const YIELD_PATIENCE_MS = 30_000;

/** What it joins, owned by Node. */
export interface ClusterParts {
  readonly config: NodeConfig;
  readonly random: Random;
  readonly mesh: Mesh;
  readonly gossip: Gossip;
  readonly pools: readonly Pool[];
  readonly channels: ReadonlyMap<string, OriginMap>;
  readonly neighbourhood: Neighbourhood;
  /** A message to a peer anywhere in the mesh. False when there is no way. */
  send(to: string, body: UnicastBody, out: Effect[]): boolean;
  /** What others know of this host follows. */
  publishSelf(now: Instant, out: Effect[]): void;
  /** These addresses may still be in use where nobody hears of it. */
  doubt(addresses: readonly string[], out: Effect[]): void;
  /** Peers were forgotten. */
  recordsChanged(): void;
}

/** Ranges of removed peers on their way to this host. */
export interface Taking {
  readonly addresses: number;
  /** Names of the former owners. */
  readonly of: readonly string[];
  /** Names of those who have not answered. */
  readonly waitingFor: readonly string[];
  readonly since: Instant;
}

/** An address of a container here that another host holds. */
export interface Lost {
  readonly address: string;
  readonly holder: string;
  readonly by: string;
  readonly since: Instant;
}

export class Cluster {
  readonly #parts: ClusterParts;
  readonly council: Council;
  readonly membership: Membership;
  /** The configuration came from another peer since the start. */
  #joinedNow = false;

  constructor(parts: ClusterParts, stored: StoredState) {
    this.#parts = parts;
    const { config, random, mesh, gossip, pools, neighbourhood } = parts;
    this.council = new Council(
      {
        self: { name: config.name, incarnation: config.incarnation },
        init: config.init,
        expect: config.expect,
        random,
        universes: config.universes.map((universe) => universe.text).join(),
        records: () => neighbourhood.records(),
        reachable: () => neighbourhood.topology().reachable,
        unreachable: () => neighbourhood.unreachable,
        owners: () => this.#owners(),
        otherTargets: () => mesh.targets().filter(({ state }) => state !== "self").length,
        isUnused: () => pools.every((pool) => pool.isUnused()),
        isAbandoned: (now) => this.#isAbandoned(now),
        label: (peer) => neighbourhood.label(peer),
        send: (to, body, cluster, out) => parts.send(to, ballotToWire(body, cluster), out),
        entered: (change, now, out) => this.#entered(change, now, out),
      },
      stored,
    );
    this.membership = new Membership(config.name, pools, mesh, gossip, this.council);
    for (const [index, { ranges }] of stored.rings) pools[index]?.restore(ranges);
    for (const pool of pools) pool.enter(this.council.era?.epoch ?? 1, this.council.isStale);
  }

  /** The configuration came from another peer since the start. */
  get joinedNow(): boolean {
    return this.#joinedNow;
  }

  taking(): Taking | undefined {
    return undefined;
  }

  lost(): readonly Lost[] {
    return [];
  }

  start(now: Instant, out: Effect[]): void {
    this.introduceAs();
    this.council.start(now, out);
  }

  /** Another configuration holds: ranges, gossip, links and what others know of us follow. */
  #entered({ configuration, joined, before, afresh }: Entered, now: Instant, out: Effect[]): void {
    const { epoch, founders } = configuration;
    const newcomer = before === undefined || afresh;
    for (const pool of this.#parts.pools) {
      if (afresh) pool.drop();
      if (newcomer && founders !== undefined) pool.found(founders);
      pool.enter(epoch, this.council.isStale);
    }
    this.#joinedNow ||= newcomer && !(founders?.length === 1 && founders[0] === this.#parts.config.name);
    const rings = this.#parts.pools.flatMap((_, index) => {
      const records = this.membership.ringRecords(index);
      return records.length === 0 && afresh ? [noRingOp(index)] : records;
    });
    out.push(persist([...configurationOps(configuration, joined), ...rings], true));
    this.#forgetOthers(out);
    this.introduceAs();
    this.#parts.gossip.eraChanged(now);
    for (const link of this.#parts.mesh.links())
      if (this.membership.lacks(link, configuration)) this.tell(link, now, out);
    this.membership.moved(now, out);
    this.#parts.publishSelf(now, out);
    out.push({ type: "datapath" });
  }

  /** What peers said that belong to the cluster no more; their addresses may still be in use there. */
  #forgetOthers(out: Effect[]): void {
    if (this.council.configuration?.remaining === undefined) return;
    const endpoints = this.#parts.channels.get(ENDPOINTS);
    const gone = new Set(
      [...this.#parts.channels.values()]
        .flatMap((map) => map.origins())
        .filter((origin) => origin !== this.#parts.config.name && !this.#isKnownMember(origin)),
    );
    for (const { origin, value } of endpoints?.live() ?? [])
      if (gone.has(origin)) this.#parts.doubt(parseEndpoint(value)?.addresses ?? [], out);
    for (const [channel, map] of this.#parts.channels)
      for (const origin of gone)
        for (const key of map.forget(origin)) out.push(persist([forgetOp(channel, origin, key)], false));
    if (gone.size === 0) return;
    this.#parts.recordsChanged();
  }

  /** Whether an entry is of somebody who belongs here. What a removed peer said must not come back through a third. */
  admits(channel: string, { origin, value }: Entry): boolean {
    if (this.council.configuration?.remaining === undefined || origin === this.#parts.config.name)
      return true;
    if (channel !== PEERS) return this.#isKnownMember(origin);
    const said = parsePeerRecord(value);
    return this.council.isMember(origin, said === undefined ? 0 : (said.joined ?? Number.MAX_SAFE_INTEGER));
  }

  /** Who has not joined anything yet was removed from nothing. */
  #isKnownMember(name: string): boolean {
    const record = this.#parts.neighbourhood.records().get(name);
    return this.council.isMember(name, record === undefined ? 0 : (record.joined ?? Number.MAX_SAFE_INTEGER));
  }

  /** Tell a neighbour what was decided last. */
  tell(link: Link, now: Instant, out: Effect[]): void {
    const { configuration } = this.council;
    if (configuration === undefined) return;
    const yields = this.council.yields(now) ? { yields: true } : {};
    const frame = { t: "config", configuration: configurationToWire(configuration), ...yields } as const;
    out.push({ type: "send", conn: link.conn, text: encodeFrame(frame), ack: false });
  }

  /** Whether a neighbour that says this of itself should hear our configuration. */
  isBehind(theirs: {
    cluster?: string | undefined;
    epoch?: number | undefined;
    decision?: number | undefined;
  }): boolean {
    const ours = this.council.gossipEra();
    if (ours === undefined) return false;
    if (theirs.cluster !== ours.cluster || theirs.epoch === undefined) return true;
    if (theirs.epoch !== ours.epoch) return theirs.epoch < ours.epoch;
    return theirs.decision !== undefined && theirs.decision !== ours.decision;
  }

  introduceAs(): void {
    const { era, joined } = this.council;
    this.#parts.mesh.belongs = era === undefined || joined === undefined ? {} : { ...era, joined };
  }

  *#owners(): Generator<string> {
    for (const pool of this.#parts.pools)
      for (const range of pool.ring?.ranges ?? []) if (!this.council.isStale(range)) yield range.owner;
  }

  /** Nothing is in use here, and no other member has answered for long. */
  #isAbandoned(now: Instant): boolean {
    if (this.#parts.pools.some((pool) => pool.space.heldOffsets().next().done !== true)) return false;
    const away = this.#parts.neighbourhood.unreachable;
    return [...this.#parts.neighbourhood.records()].every(([name, { joined }]) => {
      if (name === this.#parts.config.name || joined === undefined) return true;
      return (away.get(name) ?? now) + YIELD_PATIENCE_MS <= now;
    });
  }

  addressed(from: string, body: UnicastBody | undefined, now: Instant, out: Effect[]): void {
    switch (body?.k) {
      case undefined:
        break;
      case "ask": {
        const answer = this.membership.asked(from, body, now, out);
        if (answer !== undefined) this.#parts.send(from, answer, out);
        else this.#correct(from, body, out);
        break;
      }
      case "answer":
        this.membership.answered(from, body, now, out);
        break;
      case "prepare":
      case "promise":
      case "accept":
      case "accepted":
        if (!this.council.message(from, ballotFromWire(body), body.cluster, now, out))
          this.#correct(from, body, out);
        break;
      case "config": {
        const theirs = configurationFromWire(body.configuration);
        if (this.council.heard(theirs, false, now, out) === "older") this.#correct(from, theirs, out);
        break;
      }
      default:
        break;
    }
  }

  /** Somebody speaks of an epoch that is not ours: whoever is behind learns of the later one, and begins again. */
  #correct(to: string, theirs: { cluster?: string | undefined; epoch: number }, out: Effect[]): void {
    const c = this.council.configuration;
    if (c !== undefined && theirs.cluster === c.cluster)
      this.#parts.send(to, { k: "config", configuration: configurationToWire(c) }, out);
  }

  whyNoRing(): { message: string; hint: string } {
    const waiting = this.#parts.mesh
      .targets()
      .filter(
        ({ state, peer }) =>
          state !== "self" && (peer === undefined || this.#parts.mesh.linkTo(peer) === undefined),
      )
      .map(({ address }) => address);
    const away = waiting.length === 0 ? "" : `; not connected: ${waiting.join(", ")}`;
    if (this.council.era !== undefined)
      return {
        message: `the ranges have not been heard yet${away}`,
        hint: "look at: weave status connections",
      };
    const { expect, init, foundCommand } = this.#parts.config;
    if (expect !== undefined)
      return {
        message: `no peer of cluster ${expect} answers yet${away}`,
        hint: "look at: weave status connections",
      };
    if (init.kind === "observer")
      return {
        message: `nobody has founded a cluster yet, and this host is an observer${away}`,
        hint: "look at: weave status connections",
      };
    const { there, expected, needed } = this.council.founding();
    return {
      message: `founding: ${there.length} of ${expected} hosts answer, ${needed} needed${away}`,
      hint: `start the others; or, to found with this host alone: ${foundCommand}`,
    };
  }
}

/** Where somebody says it belongs. */
export const eraOf = ({
  cluster,
  epoch,
}: {
  cluster?: string | undefined;
  epoch?: number | undefined;
}): Era | undefined => (cluster === undefined || epoch === undefined ? undefined : { cluster, epoch });
