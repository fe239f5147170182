// One host's whole mind, without senses or hands. The contract, on one page:
//
//   const node = new Node(config, storedState, random)
//   effects = node.start(now)                 once, before anything else
//   effects = node.handle(input, now)         for everything that happens, one at a time
//   node.nextDeadline()                       when to hand in {type: "deadline"} at the latest
//   node.datapath(), view(node, now), ...      read-only views, at any time between inputs
//
// The shell runs effects strictly in order and finishes each persist before the next effect. Never call handle while
// effects of an earlier input are still running. Same inputs, same random seed: same effects.
//
// Node joins the machines: mesh (connections), gossip (spreading), membership and pools (the ring), desk (containers).

import { macForName } from "./address/mac.ts";
import { Cluster, eraOf } from "./cluster.ts";
import type { NodeConfig } from "./config.ts";
import { type Entry, OriginMap } from "./crdt/origin-map.ts";
import { type PathTarget, pathsOf } from "./datapath/paths.ts";
import { agreedMtu, plan } from "./datapath/plan.ts";
import type { DatapathState } from "./datapath/state.ts";
import { type Effect, event, type Input, type Instant, persist, reply } from "./effects.ts";
import type { Attachment, AttachmentKey, Readiness } from "./endpoints/attachment.ts";
import { toAttachment } from "./endpoints/book.ts";
import { Desk, RING_PATIENCE_MS } from "./endpoints/desk.ts";
import { type Conflict, ENDPOINTS, type Endpoint, viewOf } from "./endpoints/endpoint.ts";
import { addressesOf, masqueradeOf, portMapsOf, portsOf } from "./endpoints/publish.ts";
import type { NodeFacts } from "./facts.ts";
import {
  type Codec,
  encodeFrame,
  type FrameOf,
  JSON_CODEC,
  type UnicastBody,
  universeToWire,
} from "./gossip/frames.ts";
import { Gossip } from "./gossip/gossip.ts";
import { Inbound } from "./inbound.ts";
import { Pool } from "./ipam/pool.ts";
import type { OwnedRange } from "./ipam/ring.ts";
import { DEFAULT_CONN_LIMIT } from "./mesh/constants.ts";
import { dispensable, isFull, sought } from "./mesh/discovery.ts";
import { introduction } from "./mesh/hello.ts";
import { type LinkChange, Mesh } from "./mesh/mesh.ts";
import { Neighbourhood } from "./mesh/neighbourhood.ts";
import { OwnRecord } from "./mesh/own-record.ts";
import { PEERS, type PeerRecord } from "./mesh/peer-record.ts";
import type { Random } from "./random.ts";
import {
  configurationOps,
  type Exposure,
  entryOp,
  identityOps,
  rangesOp,
  type StoredState,
  targetsOp,
} from "./records.ts";
import type { Request } from "./requests.ts";

/** Hops a unicast may take; beyond it views of the topology disagree. */
const MAX_HOPS = 16;

/** One host of the mesh, deterministic; the contract stands at the head of this file. */
export class Node {
  readonly config: NodeConfig;
  readonly bridgeMac: string;
  readonly #stored: StoredState;
  readonly #random: Random;
  readonly #channels = new Map<string, OriginMap>();
  readonly #mesh: Mesh;
  readonly #gossip: Gossip;
  readonly #pools: readonly Pool[];
  readonly #desk: Desk;
  readonly #own: OwnRecord;
  readonly #neighbourhood: Neighbourhood;
  readonly #cluster: Cluster;
  readonly #inbound: Inbound;
  #endpoints: ReturnType<typeof viewOf> | undefined;
  /** What the underlay leaves for containers. */
  #mtu: number;
  #startedAt: Instant = 0;
  /** When the mesh was to be looked after at the latest. */
  #meshDue: Instant | undefined;
  #synced = false;
  /** Until then, or until it is synced and sees all owners, a host that was just started cannot say who is reachable. */
  #arrivingUntil: Instant | undefined;

  constructor(config: NodeConfig, stored: StoredState, random: Random, codec: Codec = JSON_CODEC) {
    this.config = config;
    this.#mtu = config.mtu;
    this.#random = random;
    this.#stored = stored;
    this.bridgeMac = stored.bridgeMac ?? macForName(config.name);
    for (const channel of [PEERS, ENDPOINTS]) this.#channels.set(channel, new OriginMap(config.name));
    this.#mesh = new Mesh(
      introduction({ ...config, universes: config.universes.map((u) => u.text) }),
      random,
      {
        incarnationOf: (name) => this.peers().get(name)?.incarnation,
        isReachable: (name) => this.reachable().has(name),
        isFull: (name) => isFull(this.peers().get(name)),
        discovery: config.discovery === true,
        limit: config.connLimit ?? DEFAULT_CONN_LIMIT,
      },
    );
    this.#neighbourhood = new Neighbourhood(config.name, this.#channel(PEERS), this.#mesh);
    this.#own = new OwnRecord({
      config,
      bridgeMac: this.bridgeMac,
      mtu: () => this.#mtu,
      channel: this.#channel(PEERS),
      links: () => this.#mesh.links(),
      limit: this.#mesh.limit,
      peers: () => this.peers().size,
      standing: () => this.#cluster.council,
      hasRings: () => this.#pools.every(({ ring }) => ring !== undefined),
    });
    this.#pools = config.universes.map((universe) => new Pool(universe, config.name));
    this.#gossip = new Gossip(
      {
        self: config.name,
        channels: this.#channels,
        rings: () => this.#pools.map((pool) => pool.ring),
        era: () => this.#cluster.council.gossipEra(),
      },
      codec.encode,
    );
    for (const [channel, entries] of stored.entries) this.#gossip.channel(channel)?.restore(entries);
    this.#neighbourhood.restore();
    this.#desk = new Desk(this.#pools, config.defaultSubnets, stored, {
      endpoints: this.#channel(ENDPOINTS),
      bridgeMac: this.bridgeMac,
      spread: (entries, now, out) => this.#spread(ENDPOINTS, entries, undefined, now, out),
      ringChanged: (universe, fresh, now, out) =>
        this.#cluster.membership.ringChanged(universe, fresh, undefined, now, out),
      reachable: () => this.reachable(),
      ask: (donor, { universe, ...body }, out) => {
        const { era } = this.#cluster.council;
        if (era === undefined) return false;
        return this.#send(donor, { ...body, ...universeToWire(universe), ...era }, out);
      },
      label: (peer) => this.#neighbourhood.label(peer),
      whyNoRing: () => this.#cluster.whyNoRing(),
      foreignEndpoints: () => [...this.endpoints().byAddress].filter(([, { peer }]) => peer !== config.name),
      ownPorts: [
        { protocol: "tcp", hostPort: config.port, containerPort: config.port },
        { protocol: "udp", hostPort: config.vxlanPort, containerPort: config.vxlanPort },
      ],
      formerGone: (universe, offset) => this.#cluster.formerGone(universe, offset),
      arrivingUntil: () => this.#arrivingUntil,
      isTaking: () => this.#cluster.isTaking(),
      isLeaving: () => this.#cluster.isLeaving,
    });
    this.#cluster = new Cluster(
      {
        config,
        random,
        mesh: this.#mesh,
        gossip: this.#gossip,
        pools: this.#pools,
        channels: this.#channels,
        neighbourhood: this.#neighbourhood,
        send: (to, body, out) => this.#send(to, body, out),
        publishSelf: (now, out) => this.#publishSelf(now, out),
        doubt: (addresses, out) => this.#desk.doubt(addresses, out),
        hasContainers: () => this.#desk.book.size > 0,
        formers: () => this.#desk.formers(),
        lost: (former) => this.#desk.lost(former),
        regained: (former, now, out) => this.#desk.regained(former, now, out),
        withdraw: (now, out) => this.#withdraw(now, out),
        forgotten: () => {
          this.#endpoints = undefined;
        },
      },
      stored,
    );
    this.#inbound = new Inbound({
      self: config.name,
      codec,
      mesh: this.#mesh,
      gossip: this.#gossip,
      cluster: this.#cluster,
      desk: this.#desk,
      own: this.#own,
      linkChanges: (changes, now, out) => this.#linkChanges(changes, now, out),
      spread: (channel, fresh, from, now, out) => this.#spread(channel, fresh, from, now, out),
      forward: (frame, out) => this.#forward(frame, out),
    });
  }

  /** Identity of the cluster; undefined before it is founded or found. */
  get cluster(): string | undefined {
    return this.#cluster.council.era?.cluster;
  }

  start(now: Instant): readonly Effect[] {
    const out: Effect[] = [];
    this.#startedAt = now;
    this.#arrivingUntil = now + RING_PATIENCE_MS;
    const { name, nickname, incarnation } = this.config;
    if (this.#stored.incarnation === undefined || this.#stored.nickname !== nickname) {
      const { configuration } = this.#stored;
      // Schema 1 had the configuration in its rings.
      const [decided] =
        configuration === undefined
          ? []
          : configurationOps(configuration.configuration, configuration.joined);
      const identity = identityOps(name, nickname, incarnation);
      out.push(persist(decided === undefined ? identity : [...identity, decided], true));
    }
    const ranges = this.config.universes.map((universe) => universe.text);
    if (this.#stored.ranges?.join() !== ranges.join()) out.push(persist([rangesOp(ranges)], true));
    const targets = this.config.targets ?? this.#stored.targets ?? [];
    if (this.config.targets !== undefined) out.push(persist([targetsOp(targets)], false));
    this.#mesh.setTargets(targets, true, now);
    this.#cluster.start(now, out);
    this.#publishSelf(now, out);
    this.#desk.republish(now, out);
    out.push({ type: "datapath" });
    this.#afterwards(now, Number.NEGATIVE_INFINITY, out);
    return this.#upToTheEnd(out);
  }

  handle(input: Input, now: Instant): readonly Effect[] {
    const out: Effect[] = [];
    if (this.#cluster.council.ended) return out;
    switch (input.type) {
      case "conn-up":
        this.#mesh.up(input, now, out);
        break;
      case "conn-frame":
        if (this.#inbound.frame(input.conn, input.text, now, out) === "passing")
          return this.#inPassing(now, out);
        break;
      case "conn-sent":
        this.#gossip.sent(input.conn);
        if (!this.#cluster.isLeaving) return this.#inPassing(now, out); // who leaves waits for all to be sent
        break;
      case "conn-down": {
        const theirs = this.#mesh.link(input.conn)?.peer?.cluster;
        this.#linkChanges(this.#mesh.down(input.conn, input.reason, now), now, out);
        if (input.reason.code === "name-taken") this.#cluster.council.nameRefused(theirs, out);
        break;
      }
      case "dial-failed": {
        const target = this.#mesh.dialFailed(input.dial, input.message, now, input.code);
        if (target !== undefined)
          out.push(event("dial-failed", "info", { target: target.address, message: input.message }));
        break;
      }
      case "conn-refused":
        if (this.#mesh.refused(input, now))
          out.push(event("refused", "warn", { address: input.remoteAddress, ...input.reason }));
        break;
      case "request":
        this.#request(input.id, input.request, now, out);
        break;
      case "cancel":
        this.#desk.cancel(input.id, out);
        this.#cluster.cancel(input.id);
        break;
      case "addresses":
        this.#moved(input, now, out);
        break;
      case "deadline":
        break;
    }
    // Not only of deadlines: a process that was stopped may read first what others sent meanwhile.
    this.#afterwards(now, now - (this.#meshDue ?? Number.POSITIVE_INFINITY), out);
    return this.#upToTheEnd(out);
  }

  /** Nothing follows a rejoin. */
  #upToTheEnd(out: readonly Effect[]): readonly Effect[] {
    const end = this.#cluster.council.ended ? out.find(({ type }) => type === "rejoin") : undefined;
    return end === undefined ? out : [...out.filter((effect) => effect !== end), end];
  }

  nextDeadline(): Instant | undefined {
    const all = [
      this.#mesh.nextDeadline(),
      this.#gossip.nextDeadline(),
      this.#neighbourhood.nextDeadline(),
      this.#own.nextDeadline(),
      ...this.#pools.map((pool) => pool.nextDeadline()),
      this.#desk.nextDeadline(),
      this.#cluster.nextDeadline(),
    ].filter((at) => at !== undefined);
    return all.length === 0 ? undefined : Math.min(...all);
  }

  // --- views ---

  datapath(): DatapathState {
    return plan({
      self: this.config.name,
      bridgeName: this.config.bridgeName,
      bridgeMac: this.bridgeMac,
      vxlanName: this.config.vxlanName,
      vni: this.config.vni,
      vxlanPort: this.config.vxlanPort,
      controlPort: this.config.port,
      underlay: this.#own.underlay,
      mtu: this.#mtu,
      universes: this.#pools.map((pool) => pool.universe.text),
      ports: portsOf(this.#desk.book.all()),
      here: addressesOf(this.#desk.book.all()),
      portMaps: portMapsOf(this.#desk.book.all()),
      ...masqueradeOf(this.#desk.book.all()),
      exposed: this.#desk.exposed,
      peers: this.peers(),
      endpoints: this.endpoints().byAddress,
      prune: this.#synced,
    });
  }

  /** The MTU of the overlay, as in datapath(). */
  overlayMtu(): number {
    return this.agreedMtu().mtu;
  }

  /** The same, what this host's own underlay leaves, and the peer whose underlay leaves less than that. */
  agreedMtu(): { readonly mtu: number; readonly own: number; readonly by?: string } {
    const { name: self } = this.config;
    const input = { self, mtu: this.#mtu, underlay: this.#own.underlay, peers: this.peers() };
    return { ...agreedMtu(input), own: this.#mtu };
  }

  /** The ways to the other hosts. */
  paths(): readonly PathTarget[] {
    return pathsOf({
      self: this.config.name,
      underlay: this.#own.underlay,
      mtu: this.overlayMtu(),
      peers: this.peers(),
      exposed: this.#desk.exposed,
      endpoints: this.endpoints().byAddress,
    });
  }

  peers(): ReadonlyMap<string, PeerRecord> {
    return this.#neighbourhood.records();
  }

  endpoints(): {
    readonly byAddress: ReadonlyMap<string, Endpoint>;
    readonly conflicts: readonly Conflict[];
  } {
    this.#endpoints ??= viewOf(this.#channel(ENDPOINTS), this.config.name);
    return this.#endpoints;
  }

  find(key: AttachmentKey): Attachment | undefined {
    const record = this.#desk.book.find(key);
    return record === undefined ? undefined : toAttachment(record);
  }

  attachments(): readonly Attachment[] {
    return [...this.#desk.book.all()].map(toAttachment);
  }

  exposed(): readonly Exposure[] {
    return this.#desk.exposed;
  }

  isExposed(subnet: string | undefined): boolean {
    return this.#desk.isExposed(subnet);
  }

  exposedIn(subnet: string | undefined): readonly string[] {
    return this.#desk.exposedIn(subnet);
  }

  readiness(subnet: string | undefined): Readiness {
    return this.#desk.readiness(subnet);
  }

  /** The neighbour that messages to a peer go through; undefined when there is no way. */
  via(peer: string): string | undefined {
    return this.#neighbourhood.linkTowards(peer)?.peer.name;
  }

  /** Peers with a path from here. */
  reachable(): ReadonlySet<string> {
    return this.#neighbourhood.reachable();
  }

  /** Everything `status` is made from (status.ts). */
  facts(): NodeFacts {
    return {
      mesh: this.#mesh,
      pools: this.#pools,
      startedAt: this.#startedAt,
      underlay: this.#own.underlay,
      unreachable: this.#neighbourhood.unreachable,
      callName: (name) => this.#neighbourhood.callName(name),
      foreign: this.#cluster.membership.foreign,
      council: this.#cluster.council,
      taking: (universe) => this.#cluster.taking(universe),
      lost: this.#cluster.lost(),
      contested: (now) => this.#cluster.membership.contested(now),
      fullSince: (now) => this.#desk.fullSince(now),
      cloneSince: (now) => this.#own.cloneSince(now),
      clone: this.#own.clone,
      whyNoRing: () => this.#cluster.whyNoRing(),
    };
  }

  // --- inputs ---

  #linkChanges(changes: readonly LinkChange[], now: Instant, out: Effect[]): void {
    for (const { type, link, reason } of changes) {
      const data = { peer: link.peer.name, nickname: link.peer.nickname, address: link.remoteAddress };
      if (type === "established") {
        out.push(event("connected", "info", data));
        this.#gossip.linkUp(link.conn, false, now, this.config.name < link.peer.name);
        this.#cluster.membership.neighbourIs(link, eraOf(link.peer), now, out);
        if (this.#cluster.isBehind(link.peer)) {
          this.#cluster.tell(link, now, out);
          if (link.peer.cluster === undefined) this.#gossip.introduce(link.conn, out);
        }
        this.#own.adoptUnderlay(link);
      } else {
        out.push(event("disconnected", "info", { ...data, why: reason?.message ?? "" }));
        this.#gossip.linkDown(link.conn, now);
        this.#cluster.membership.neighbourLeft(link);
      }
    }
    if (changes.length === 0) return;
    this.#neighbourhood.linksChanged(now);
    this.#own.linksChanged(now);
  }

  /** A link both ends do not speak of yet stays as it is: the tree knows nothing of it. */
  #followTree(): void {
    const { tree } = this.#neighbourhood;
    const { name } = this.config;
    for (const { conn, peer } of this.#mesh.links()) {
      const isKnown = this.peers().get(peer.name)?.links.includes(name) === true;
      if (tree !== undefined && isKnown) this.#gossip.setEager(conn, tree.has(peer.name));
    }
  }

  /** Whom gossip tells of is dialled; who can be spared beyond the limit is let go. */
  #keepMeshed(now: Instant, out: Effect[]): void {
    const records = this.peers();
    const { name: self, port, discovery } = this.config;
    const { limit } = this.#mesh;
    const linked = this.#mesh.links().map(({ peer }) => peer.name);
    if (discovery === true) {
      // Who has not joined anything yet was removed from nothing.
      const isMember = (name: string): boolean =>
        this.#cluster.council.roster.isMember(name, records.get(name)?.joined ?? Number.MAX_SAFE_INTEGER);
      const around = { self, port, records, reachable: this.reachable(), linked, limit, isMember };
      this.#mesh.seek(sought(around), (name) => records.has(name), now);
    }
    if (linked.length <= limit) return;
    const order = linked.map((name) => ({ name, at: this.#random.next() })).sort((a, b) => a.at - b.at);
    const spared = dispensable(
      { self, records, linked, limit },
      order.map(({ name }) => name),
    );
    for (const peer of spared) out.push(event("spared", "debug", { peer }));
    this.#linkChanges(this.#mesh.spare(spared, now, out), now, out);
  }

  /**
   * This host has other addresses, or its underlay another MTU: the others are told, and connections from addresses it has
   * no more are ended.
   */
  #moved(input: Extract<Input, { type: "addresses" }>, now: Instant, out: Effect[]): void {
    const { addresses, underlay, mtu = this.#mtu } = input;
    const before = { underlay: this.#own.underlay, mtu: this.#mtu };
    this.#own.moveTo(underlay);
    this.#mtu = mtu;
    const moved = this.#own.underlay !== before.underlay;
    if (moved) out.push(event("moved", "info", { from: before.underlay, to: this.#own.underlay }));
    if (mtu !== before.mtu) out.push(event("mtu", "info", { from: before.mtu, to: mtu }));
    if (moved || mtu !== before.mtu) {
      out.push({ type: "datapath" });
      this.#publishSelf(now, out);
    }
    this.#linkChanges(this.#mesh.addressesAre(new Set(addresses), moved, now, out), now, out);
  }

  #request(id: number, request: Request, now: Instant, out: Effect[]): void {
    switch (request.kind) {
      case "connect":
        this.#mesh.setTargets(request.targets, request.replace, now);
        break;
      case "forget":
        this.#mesh.forgetTargets(request.targets);
        break;
      case "remove":
      case "leave":
      case "join-cluster":
        this.#cluster.request(id, request, now, out);
        return;
      default:
        this.#desk.request(id, request, now, out);
        return;
    }
    out.push(persist([targetsOp(this.#mesh.targets().map((t) => t.address))], true), reply(id, { ok: true }));
  }

  /** What follows heartbeats and the like, of which there are very many: nothing but sending what gathered. */
  #inPassing(now: Instant, out: Effect[]): readonly Effect[] {
    this.#gossip.tick(now, out);
    return out;
  }

  /** What follows every other input: due work, waiting requests, and sending what gathered. */
  #afterwards(now: Instant, lateMs: number, out: Effect[]): void {
    this.#linkChanges(this.#mesh.tick(now, lateMs, out), now, out);
    const back = this.#neighbourhood.tick(now);
    if (back !== undefined) {
      this.#followTree();
      this.#cluster.topologyChanged(now);
      for (const name of back) this.#mesh.cameBack(name, now);
      this.#keepMeshed(now, out);
    }
    this.#cluster.tick(now, out);
    if (this.#cluster.council.ended) return;
    if (this.#own.isOutdated || this.#own.isDue(now)) this.#publishSelf(now, out);
    const reachable = this.reachable();
    for (const pool of this.#pools) pool.tick(reachable, now);
    // A host that knows of nobody has nothing to wait for.
    if (
      !this.#synced &&
      (this.#gossip.isSynced() || (this.peers().size <= 1 && this.#mesh.targets().length === 0))
    ) {
      this.#synced = true;
      out.push({ type: "datapath" });
    }
    if (now >= (this.#arrivingUntil ?? now) || (this.#synced && this.#seesOwners(reachable)))
      this.#arrivingUntil = undefined;
    this.#desk.stockUp(now, out);
    this.#desk.serve(now, out);
    this.#gossip.tick(now, out);
    this.#meshDue = Math.max(now, this.#mesh.nextDeadline() ?? Number.POSITIVE_INFINITY);
  }

  /** Whether all who own something can be reached. A neighbour that has just started knows no more of them than we do. */
  #seesOwners(reachable: ReadonlySet<string>): boolean {
    const isSeen = ({ owner }: OwnedRange): boolean => owner === this.config.name || reachable.has(owner);
    return this.#pools.every(({ ring }) => ring?.ranges.every(isSeen) === true);
  }

  // --- spreading ---

  /** Persist and pass on what became effective in a channel. */
  #spread(
    channel: string,
    fresh: readonly Entry[],
    from: number | undefined,
    now: Instant,
    out: Effect[],
  ): void {
    if (fresh.length === 0) return;
    out.push(
      persist(
        fresh.map((entry) => entryOp(channel, entry)),
        false,
      ),
    );
    this.#gossip.changed(channel, fresh, from, now);
    if (channel === PEERS) this.#neighbourhood.recordsChanged(fresh, now);
    if (channel === ENDPOINTS) this.#endpoints = undefined;
    if (channel === PEERS || channel === ENDPOINTS) out.push({ type: "datapath" });
  }

  #publishSelf(now: Instant, out: Effect[]): void {
    this.#neighbourhood.linksChanged(now);
    const entry = this.#own.publish(now);
    if (entry !== undefined) this.#spread(PEERS, [entry], undefined, now, out);
  }

  /** This host goes: what it said is said no more. */
  #withdraw(now: Instant, out: Effect[]): void {
    this.#own.withdraw();
    for (const channel of [ENDPOINTS, PEERS]) {
      const map = this.#channel(channel);
      const gone = map.ownLive().flatMap(({ key }) => map.remove(key) ?? []);
      this.#spread(channel, gone, undefined, now, out);
    }
  }

  /** A message to a peer anywhere in the mesh. False when there is no way. */
  #send(to: string, body: UnicastBody, out: Effect[]): boolean {
    return this.#forward({ t: "to", from: this.config.name, to, hops: MAX_HOPS, body }, out);
  }

  /** Hand a message to the neighbour nearest its addressee. False when there is no way. */
  #forward(frame: FrameOf<"to">, out: Effect[]): boolean {
    const link = this.#neighbourhood.linkTowards(frame.to);
    if (link === undefined || this.#cluster.membership.foreign.has(link.peer.name)) return false;
    out.push({ type: "send", conn: link.conn, text: encodeFrame(frame), ack: false });
    return true;
  }

  // --- small things ---

  #channel(name: string): OriginMap {
    const map = this.#channels.get(name);
    if (map === undefined) throw new Error(`no channel ${name}`);
    return map;
  }
}
