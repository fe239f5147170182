// All that is decided about the cluster, joined: council (decisions), membership (rings), and what follows from a
// configuration for pools, gossip, links and what is remembered of peers. Node hands in what arrives.
import type { NodeConfig } from "./config.ts";
import type { Entry, OriginMap } from "./crdt/origin-map.ts";
import { type Effect, event, type Instant, persist, reply } from "./effects.ts";
import { ENDPOINTS, parseEndpoint } from "./endpoints/endpoint.ts";
import {
  encodeFrame,
  rangesFromWire,
  rangesToWire,
  type UnicastBody,
  universeToWire,
} from "./gossip/frames.ts";
import type { Gossip } from "./gossip/gossip.ts";
import { ballotFromWire, ballotToWire } from "./ipam/ballot-wire.ts";
import type { Configuration } from "./ipam/configuration.ts";
import { configurationFromWire, configurationToWire } from "./ipam/configuration-wire.ts";
import { Council, type Entered, type Era } from "./ipam/council.ts";
import { Departure, type Stays } from "./ipam/departure.ts";
import { Membership } from "./ipam/membership.ts";
import type { Pool } from "./ipam/pool.ts";
import { type FormerAddress, Reclaim } from "./ipam/reclaim.ts";
import type { OwnedRange } from "./ipam/ring.ts";
import { Takeover, type Taking } from "./ipam/takeover.ts";
import type { Link, Mesh } from "./mesh/mesh.ts";
import type { Neighbourhood } from "./mesh/neighbourhood.ts";
import { PEERS, parsePeerRecord } from "./mesh/peer-record.ts";
import type { Random } from "./random.ts";
import {
  configurationOps,
  forgetOp,
  leftOp,
  noRingOp,
  type StoredState,
  unexpectOp,
  withLeft,
} from "./records.ts";
import { type Reply, type Request, refusal } from "./requests.ts";

/** A host without containers gives way to another cluster when no member of its own answered for so long. */
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
  /** Take back what others know of this host. */
  withdraw(now: Instant, out: Effect[]): void;
  /** Whether any container has an address here. */
  hasContainers(): boolean;
  /** In use here without a right: from before this host began anew, or given away by now. */
  formers(): readonly FormerAddress[];
  regained(former: FormerAddress, now: Instant, out: Effect[]): void;
  lost(former: FormerAddress): void;
  /** What peers said was forgotten. */
  forgotten(): void;
}

/** An address of a container here that another host holds. */
export type FormerLost = FormerAddress & { readonly by: string };

/** This host's part in its cluster. Fed by Node; everything it wants done goes into `out`, in order. */
export class Cluster {
  readonly #parts: ClusterParts;
  readonly council: Council;
  readonly membership: Membership;
  readonly #takeover: Takeover;
  readonly #departure: Departure;
  readonly #reclaim: Reclaim;
  /** The request to leave. */
  #leaveId = 0;
  /** What this host began anew for, newest first: those who have not heard of it are told. */
  #left: readonly Configuration[];

  constructor(parts: ClusterParts, stored: StoredState) {
    this.#parts = parts;
    this.#left = stored.left;
    const { config, random, mesh, gossip, pools, neighbourhood } = parts;
    this.council = new Council(
      {
        self: { name: config.name, incarnation: config.incarnation },
        init: config.init,
        expect: config.expect,
        random,
        universes: config.universes.map((universe) => universe.text).join(),
        records: () => neighbourhood.records(),
        reachable: () => neighbourhood.reachable(),
        unreachable: () => neighbourhood.unreachable,
        owners: () => this.#owners(),
        otherTargets: () => mesh.targets().filter(({ state }) => state !== "self").length,
        isUnused: () => pools.every((pool) => pool.isUnused()),
        isAbandoned: (now) => this.#isAbandoned(now),
        label: (peer) => neighbourhood.label(peer),
        send: (to, body, cluster, out) => parts.send(to, ballotToWire(body, cluster), out),
        expelled: (configuration, now, out) => {
          this.#left = withLeft(this.#left, configuration);
          out.push(persist([leftOp(this.#left)], true));
          for (const link of mesh.links())
            if (this.membership.lacks(link, configuration)) this.tell(link, now, out);
        },
        entered: (change, now, out) => this.#entered(change, now, out),
      },
      stored,
    );
    this.membership = new Membership(
      config.name,
      pools,
      mesh,
      gossip,
      this.council,
      (universe, ranges, out) => parts.doubt(this.#inUseElsewhere(universe, ranges), out),
    );
    const heard = (universe: number, ranges: readonly OwnedRange[], now: Instant, out: Effect[]): void => {
      const { era } = this.council;
      if (era !== undefined) this.membership.heardRing(universe, era, ranges, undefined, now, out);
    };
    const changed = (universe: number, fresh: readonly OwnedRange[], now: Instant, out: Effect[]): void =>
      this.membership.ringChanged(universe, fresh, undefined, now, out);
    this.#takeover = new Takeover(
      {
        self: config.name,
        pools,
        configuration: () => this.council.configuration,
        reachable: () => neighbourhood.reachable(),
        send: (to, { ranges, ...body }, out) => {
          const { era } = this.council;
          if (era !== undefined) parts.send(to, { ...body, ...era, ranges: rangesToWire(ranges) }, out);
        },
        heard,
        changed,
      },
      random,
    );
    this.#departure = new Departure(
      {
        self: config.name,
        pools,
        epoch: () => this.council.era?.epoch ?? 0,
        members: () => this.council.others(),
        reachable: () => neighbourhood.reachable(),
        isVoter: () => this.council.isVoter(),
        send: (to, body, out) => {
          const { era } = this.council;
          if (era === undefined) return;
          const wire = body.k === "handover" ? { ...body, ranges: rangesToWire(body.ranges) } : body;
          parts.send(to, { ...wire, ...era }, out);
        },
        heard,
        changed,
        doubt: (peer, out) => parts.doubt(this.#addressesOf(peer), out),
        decide: (heir, done, now, out) => this.council.leave(heir, done, now, out),
        withdraw: (now, out) => parts.withdraw(now, out),
        isFlushed: () => gossip.isFlushed(),
        left: (left, out) => {
          const nickname = neighbourhood.records().get(left.heir ?? "")?.nickname;
          const named = nickname === undefined ? left : { ...left, nickname };
          out.push(reply(this.#leaveId, { ok: true, left: named }));
        },
        stays: (why, peers, out) => {
          out.push(reply(this.#leaveId, this.#stays(why, peers)));
          this.#reclaim.add(parts.formers()); // what was given away is another's, containers or not
        },
      },
      random,
    );
    this.#reclaim = new Reclaim({
      self: config.name,
      pools,
      reachable: () => neighbourhood.reachable(),
      isStale: (range) => this.council.isStale(range),
      ask: (owner, { universe, ...body }, out) => {
        const { era } = this.council;
        if (era !== undefined) parts.send(owner, { ...body, ...universeToWire(universe), ...era }, out);
      },
      regained: (former, now, out) => parts.regained(former, now, out),
      lost: (former, by, out) => {
        const { address, holder } = former;
        out.push(event("lost", "warn", { address, holder, by: neighbourhood.label(by) }));
        parts.lost(former);
      },
    });
    for (const [index, { ranges }] of stored.rings) pools[index]?.restore(ranges);
    for (const pool of pools) pool.enter(this.council.era?.epoch ?? 1, this.council.isStale);
    this.#reclaim.add(parts.formers());
  }

  /** What of a universe waits for the heir. */
  taking(universe: number): Taking | undefined {
    return this.#takeover.waiting(universe);
  }

  /** Something waits for the heir, and everybody it waits for can be reached. */
  isTaking(): boolean {
    const { remaining } = this.council.configuration ?? {};
    if (remaining === undefined) return false;
    const { config, neighbourhood, pools } = this.#parts;
    const reachable = neighbourhood.reachable();
    return (
      remaining.names.every((name) => name === config.name || reachable.has(name)) &&
      pools.some((pool) => pool.stale(false).length > 0)
    );
  }

  lost(): readonly FormerLost[] {
    // The bridge keeps such an address for its containers, and has or gets another: nothing to act upon.
    return this.#reclaim.lost().filter(({ isBridge }) => !isBridge);
  }

  /** The container that had a former address is gone. */
  formerGone(universe: number, offset: number): void {
    this.#reclaim.forget(universe, offset);
  }

  /** An operator wants something decided. */
  request(id: number, request: DecisionRequest, now: Instant, out: Effect[]): void {
    switch (request.kind) {
      case "remove":
        this.council.remove(id, request.peers, request.force === true, now, out);
        break;
      case "leave":
        if (this.#departure.isLeaving)
          out.push(reply(id, refusal("cancelled", "this host is leaving already")));
        else {
          this.#leaveId = id;
          this.#departure.leave(now, out);
        }
        break;
      case "join-cluster": {
        const known = [...new Set([...this.membership.foreign.values()].map(({ cluster }) => cluster))];
        if (request.cluster === this.council.era?.cluster)
          out.push(
            reply(
              id,
              refusal(
                "bad-request",
                `this host is in cluster ${request.cluster} already`,
                "run: weave status",
              ),
            ),
          );
        else if (!known.includes(request.cluster))
          out.push(reply(id, unknownCluster(request.cluster, known)));
        else if (request.alone === true) {
          out.push(reply(id, { ok: true }));
          this.council.rejoin("joins", out, request.cluster);
        } else this.council.giveUpFor(id, request.cluster, now, out);
        break;
      }
    }
  }

  start(now: Instant, out: Effect[]): void {
    this.#forgetOthers(out); // a crash may have come between a decision and this
    this.introduceAs();
    this.council.start(now, out);
  }

  /** Somebody came, went, or said something else of itself. */
  topologyChanged(now: Instant): void {
    this.council.topologyChanged(now);
  }

  /** What is due. Called after every input. */
  tick(now: Instant, out: Effect[]): void {
    this.council.tick(now, out);
    if (this.council.ended) return;
    this.#takeover.tick(now, out);
    this.#departure.tick(now, out);
    if (!this.isLeaving) this.#reclaim.tick(now, out);
  }

  /** Nothing is to be given out here, nor asked for. */
  get isLeaving(): boolean {
    return this.#departure.isLeaving;
  }

  cancel(id: number): void {
    this.council.cancel(id);
    if (id === this.#leaveId) this.#departure.cancel();
  }

  nextDeadline(): Instant | undefined {
    const parts = [this.council, this.#takeover, this.#departure, this.#reclaim];
    const all = parts.map((part) => part.nextDeadline()).filter((at) => at !== undefined);
    return all.length === 0 ? undefined : Math.min(...all);
  }

  /** Another configuration holds: ranges, gossip, links and what others know of us follow. */
  #entered({ configuration, joined, before, founders, afresh }: Entered, now: Instant, out: Effect[]): void {
    const { epoch } = configuration;
    const newcomer = before === undefined || afresh;
    for (const pool of this.#parts.pools) {
      if (afresh) pool.drop();
      if (newcomer && founders !== undefined) pool.found(founders);
      pool.enter(epoch, this.council.isStale);
    }
    const rings = this.#parts.pools.flatMap((_, index) => {
      const records = this.membership.ringRecords(index);
      return records.length === 0 && afresh ? [noRingOp(index)] : records;
    });
    const joinedIt = newcomer ? [unexpectOp] : [];
    out.push(persist([...configurationOps(configuration, joined), ...joinedIt, ...rings], true));
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
    const { channels, config, neighbourhood } = this.#parts;
    const gone = new Set<string>();
    for (const [channel, map] of channels)
      for (const origin of map.origins()) {
        if (origin === config.name) continue;
        const isGone = !this.#isKnownMember(origin);
        if (isGone) gone.add(origin);
        else if (channel !== ENDPOINTS || this.#hasJoined(origin)) continue;
        if (channel === ENDPOINTS) this.#parts.doubt(this.#addressesOf(origin), out);
        for (const key of map.forget(origin)) out.push(persist([forgetOp(channel, origin, key)], false));
      }
    for (const origin of gone)
      this.council.roster.noteGone(origin, neighbourhood.records().get(origin)?.nickname ?? origin);
    neighbourhood.forgotten(gone);
    this.#parts.forgotten();
  }

  /** Whether an entry is of somebody who belongs here. What a removed peer said must not come back through a third. */
  admits(channel: string, { origin, value }: Entry): boolean {
    if (this.council.configuration?.remaining === undefined || origin === this.#parts.config.name)
      return true;
    if (channel === ENDPOINTS) return this.#hasJoined(origin);
    if (channel !== PEERS) return this.#isKnownMember(origin);
    const said = parsePeerRecord(value);
    return this.council.roster.isMember(
      origin,
      said === undefined ? 0 : (said.joined ?? Number.MAX_SAFE_INTEGER),
    );
  }

  /** Who has not joined anything yet was removed from nothing. */
  #isKnownMember(name: string): boolean {
    const record = this.#parts.neighbourhood.records().get(name);
    return this.council.roster.isMember(
      name,
      record === undefined ? 0 : (record.joined ?? Number.MAX_SAFE_INTEGER),
    );
  }

  /** Who has no ring has no addresses: endpoints of somebody who joined nothing are of one removed before it said that it had. */
  #hasJoined(name: string): boolean {
    return this.#isKnownMember(name) && this.#parts.neighbourhood.records().get(name)?.joined !== undefined;
  }

  /**
   * Tell a neighbour what was decided last; one that has not heard why this host began anew, that; and one that looks for a
   * cluster, where those have gone that this host has left: it may be one of them.
   */
  tell(link: Link, now: Instant, out: Effect[]): void {
    const said = this.membership.saidBy(link);
    const left = this.#leftBy(said);
    const ours = this.council.configuration;
    const moves = said === undefined && ours !== undefined ? this.#left.filter(({ joins }) => joins) : [];
    const yields = this.council.yields(now) ? { yields: true } : {};
    for (const configuration of [...moves.toReversed(), left ?? ours]) {
      if (configuration === undefined) continue;
      const frame = { t: "config", configuration: configurationToWire(configuration), ...yields } as const;
      out.push({ type: "send", conn: link.conn, text: encodeFrame(frame), ack: false });
    }
  }

  /** Whether a neighbour that says this of itself should hear a configuration from us. */
  isBehind(theirs: {
    cluster?: string | undefined;
    epoch?: number | undefined;
    decision?: number | undefined;
  }): boolean {
    const ours = this.council.gossipEra();
    if (this.#leftBy(eraOf(theirs)) !== undefined) return true;
    if (ours === undefined) return false;
    if (theirs.cluster !== ours.cluster || theirs.epoch === undefined) return true;
    if (theirs.epoch !== ours.epoch) return theirs.epoch < ours.epoch;
    return theirs.decision !== undefined && theirs.decision !== ours.decision;
  }

  /** Why this host left the cluster somebody is of, and has not heard of it. */
  #leftBy(theirs: Era | undefined): Configuration | undefined {
    return this.#left.find(({ cluster, epoch }) => theirs?.cluster === cluster && theirs.epoch < epoch);
  }

  introduceAs(): void {
    const { era, joined } = this.council;
    this.#parts.mesh.belongs = era === undefined || joined === undefined ? {} : { ...era, joined };
  }

  #addressesOf(peer: string): readonly string[] {
    const entries = this.#parts.channels.get(ENDPOINTS)?.entriesSince(peer, 0) ?? [];
    return entries.flatMap(({ value }) => parseEndpoint(value)?.addresses ?? []);
  }

  /** What other peers have in use of some ranges, as far as this host has heard: a donor that leaves gives that, too. */
  #inUseElsewhere(universe: number, ranges: readonly OwnedRange[]): readonly string[] {
    const space = this.#parts.pools[universe]?.universe;
    const isInside = (address: string): boolean => {
      const offset = space?.offsetOf(address);
      return offset !== undefined && ranges.some(({ start, end }) => offset >= start && offset < end);
    };
    const others = [...(this.#parts.channels.get(ENDPOINTS)?.live() ?? [])].filter(
      ({ origin }) => origin !== this.#parts.config.name,
    );
    return others.flatMap(({ value }) => parseEndpoint(value)?.addresses.filter(isInside) ?? []);
  }

  #stays(why: Stays, peers: readonly string[]): Reply {
    const names = peers.map((name) => this.#parts.neighbourhood.label(name)).join(", ");
    const message = {
      "nobody-reachable": `no peer is reachable that could take this host's addresses: ${names}`,
      "nobody-answers": `no peer took this host's addresses in time: ${names}`,
      "not-confirmed": `${names} was given this host's addresses, and has not said that it has them`,
    }[why];
    return refusal("no-heir", message, "try again; or, to go without handing them over: weave reset --force");
  }

  *#owners(): Generator<string> {
    for (const pool of this.#parts.pools)
      for (const range of pool.ring?.ranges ?? []) if (!this.council.isStale(range)) yield range.owner;
  }

  /** No container is here, and no other member has answered for long. */
  #isAbandoned(now: Instant): boolean {
    if (this.#parts.hasContainers()) return false; // the bridge takes its address along
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
        if (!this.council.isOurs(body)) break;
        this.membership.answered(body, now, out);
        this.#reclaim.answered(from, body.id, now, out);
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
      case "fence":
      case "fenced": {
        const ranges = rangesFromWire(body.ranges);
        if (!this.council.isOurs(body)) this.#correct(from, body, out);
        else if (body.k === "fence") this.#takeover.fence(from, { id: body.id, ranges }, out);
        else this.#takeover.fenced(from, { id: body.id, ranges }, now, out);
        break;
      }
      case "offer":
      case "want":
      case "took":
      case "handover":
        if (!this.council.isOurs(body)) this.#correct(from, body, out);
        else if (body.k === "handover") {
          const { k, id } = body;
          this.#departure.heard(from, { k, id, ranges: rangesFromWire(body.ranges) }, now, out);
        } else this.#departure.heard(from, body, now, out);
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
    const { init, foundCommand } = this.#parts.config;
    const { expect } = this.council;
    if (expect !== undefined)
      return {
        message: `no peer of cluster ${expect} answers yet${away}`,
        hint: "look at: weave status connections",
      };
    if (init.kind === "observer" && !this.council.isStranded)
      return {
        message: `nobody has founded a cluster yet, and this host is an observer${away}`,
        hint: "look at: weave status connections",
      };
    if (init.kind === "seed")
      return {
        message: `this host is not in the list seed=${init.names.join()}, and none of these answers yet${away}`,
        hint: "look at: weave status connections",
      };
    const { there, expected, needed } = this.council.founding();
    const reachable = this.#parts.neighbourhood.reachable();
    const observers = [...this.#parts.neighbourhood.records()]
      .filter(
        ([name, { joined, candidate }]) =>
          reachable.has(name) && joined === undefined && candidate === undefined,
      )
      .map(([name]) => this.#parts.neighbourhood.label(name));
    const only = observers.length === 0 ? "" : `; ${observers.join(", ")} only observes`;
    return {
      message: `founding: ${there.length} of ${expected} hosts answer, ${needed} needed${only}${away}`,
      hint: `start the others (weave status connections); or, to found with this host alone: ${foundCommand}`,
    };
  }
}

/** Requests that Cluster answers; all others are the desk's, or change targets. */
export type DecisionRequest = Extract<Request, { kind: "remove" | "leave" | "join-cluster" }>;

/** A cluster nobody here is connected with: all would move to where nobody is. */
function unknownCluster(cluster: string, known: readonly string[]): Reply {
  const others =
    known.length === 0 ? "no peer of another cluster is connected" : `connected: ${known.join(", ")}`;
  return refusal(
    "unknown-cluster",
    `this host is connected with no peer of cluster ${cluster}; ${others}`,
    "connect this host with one of its peers first: weave connect HOST",
  );
}

/** Where somebody says it belongs. */
export const eraOf = ({
  cluster,
  epoch,
}: {
  cluster?: string | undefined;
  epoch?: number | undefined;
}): Era | undefined => (cluster === undefined || epoch === undefined ? undefined : { cluster, epoch });
