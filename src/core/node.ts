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
import { Cluster, eraOf, type FormerLost } from "./cluster.ts";
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
import {
  type Codec,
  decodeBody,
  encodeFrame,
  type FrameOf,
  JSON_CODEC,
  rangeFromWire,
  type UnicastBody,
  universeToWire,
} from "./gossip/frames.ts";
import { Gossip } from "./gossip/gossip.ts";
import { configurationFromWire } from "./ipam/configuration-wire.ts";
import type { Council } from "./ipam/council.ts";
import type { Contested, Foreign } from "./ipam/membership.ts";
import { Pool } from "./ipam/pool.ts";
import type { OwnedRange } from "./ipam/ring.ts";
import type { Taking } from "./ipam/takeover.ts";
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
  readonly #codec: Codec;
  readonly #random: Random;
  readonly #channels = new Map<string, OriginMap>();
  readonly #mesh: Mesh;
  readonly #gossip: Gossip;
  readonly #pools: readonly Pool[];
  readonly #desk: Desk;
  readonly #own: OwnRecord;
  readonly #neighbourhood: Neighbourhood;
  readonly #cluster: Cluster;
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
    this.#codec = codec;
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
        if (this.#frame(input.conn, input.text, now, out) === "passing") return this.#inPassing(now, out);
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

  /** "passing": nothing but gossip can follow from it. */
  #frame(conn: number, text: string, now: Instant, out: Effect[]): "passing" | "telling" {
    const link = this.#mesh.link(conn);
    if (link === undefined) return "passing"; // closed by us a moment ago
    this.#mesh.heard(link, now);
    const frame = this.#codec.decode(text);
    if (frame === "unknown") return "passing"; // of a newer version
    if ("refused" in frame) {
      out.push(
        event("frame-refused", "warn", {
          from: link.peer?.name ?? link.remoteAddress,
          why: String(frame.refused),
        }),
      );
      if (link.peer === undefined)
        this.#linkChanges(
          this.#mesh.drop(link, { code: "malformed", message: String(frame.refused) }, now, out),
          now,
          out,
        );
      return "telling";
    }
    if (frame.t === "hello") {
      this.#linkChanges(this.#mesh.hello(link, frame, now, out), now, out);
      return "telling";
    }
    if (link.peer === undefined) {
      this.#linkChanges(
        this.#mesh.drop(link, { code: "protocol", message: "spoke before it introduced itself" }, now, out),
        now,
        out,
      );
      return "telling";
    }
    switch (frame.t) {
      case "ping":
        this.#mesh.ping(link, frame.n, out);
        return "passing";
      case "pong":
        this.#mesh.pong(link, now);
        return "passing";
      case "sums":
        this.#cluster.membership.neighbourIs(link, eraOf(frame), now, out);
        this.#gossip.sums(conn, frame, now, out);
        if (this.#cluster.isBehind(frame)) this.#cluster.tell(link, now, out);
        break;
      case "config": {
        const theirs = configurationFromWire(frame.configuration);
        this.#cluster.membership.neighbourIs(link, theirs, now, out);
        if (this.#cluster.council.heard(theirs, frame.yields === true, now, out) === "older")
          this.#cluster.tell(link, now, out);
        break;
      }
      case "digest":
        this.#gossip.digest(conn, frame, now, out);
        break;
      case "buckets":
        this.#gossip.buckets(conn, frame, out);
        break;
      case "have":
        this.#gossip.have(conn, frame, now);
        return "passing";
      case "want":
        this.#gossip.want(conn, frame, out);
        return "passing";
      case "push":
        this.#pushed(conn, frame, now, out);
        break;
      case "ring": {
        const ranges = frame.ranges.map(rangeFromWire);
        const { universe = 0 } = frame;
        this.#cluster.membership.heardRing(universe, frame, ranges, conn, now, out);
        if (frame.repair === true) this.#gossip.ringArrived(conn, universe, frame.parts, now, out);
        break;
      }
      case "prune":
      case "graft":
        break; // of protocol 1, where trees were found by trial
      case "to":
        if (frame.to === this.config.name)
          this.#cluster.addressed(frame.from, decodeBody(frame.body), now, out);
        else if (frame.hops > 0) this.#forward({ ...frame, hops: frame.hops - 1 }, out);
        break;
    }
    return "telling";
  }

  #pushed(conn: number, frame: FrameOf<"push">, now: Instant, out: Effect[]): void {
    const map = this.#gossip.channel(frame.channel);
    if (map === undefined) return;
    const entries = this.#gossip.push(conn, frame);
    const self = this.config.name;
    // A clone somewhere beyond our neighbours would answer each of our answers for ever.
    const admitted = entries.filter((entry) => this.#cluster.admits(frame.channel, entry));
    const isCloned = this.#own.cloneSince(now) !== undefined;
    const heard = isCloned ? admitted.filter((e) => e.origin !== self) : admitted;
    if (frame.channel === ENDPOINTS)
      this.#desk.mind(
        heard.filter((e) => e.origin === self),
        now,
        out,
      );
    if (frame.channel === PEERS) this.#own.heard(admitted);
    const { fresh, refused } = map.merge(heard);
    if (refused > 0) out.push(event("entries-refused", "warn", { channel: frame.channel, refused }));
    this.#spread(frame.channel, fresh, conn, now, out);
    for (const { origin, key } of fresh) {
      if (origin !== self) continue;
      if (frame.channel === PEERS) this.#own.echoed(now);
      out.push(event("spoke-again", "info", { channel: frame.channel, key }));
    }
  }

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

/** What `status` and the simulator read of a node. Live objects: read, never changed. */
export interface NodeFacts {
  readonly mesh: Mesh;
  readonly pools: readonly Pool[];
  readonly startedAt: Instant;
  readonly underlay: string;
  readonly unreachable: ReadonlyMap<string, Instant>;
  /** What to call a peer in a command. */
  readonly callName: (name: string) => string;
  readonly council: Council;
  /** What of a universe waits for the heir. */
  readonly taking: (universe: number) => Taking | undefined;
  /** Addresses of containers here that others hold since this host began anew. */
  readonly lost: readonly FormerLost[];
  /** Addresses held here that others have in use from before they began anew. */
  readonly contested: (now: Instant) => readonly Contested[];
  readonly foreign: ReadonlyMap<string, Foreign>;
  readonly fullSince: (now: Instant) => Instant | undefined;
  readonly cloneSince: (now: Instant) => Instant | undefined;
  /** Who that is, for people, as far as it is known. */
  readonly clone: string | undefined;
  readonly whyNoRing: () => { message: string; hint: string };
}
