// Who there is and who can be reached: the peers channel and our own links, seen together. What others say of their links
// is looked at a little later, once for all changes of that time; our own links, and a way that is not found, at once.
import type { Entry, OriginMap } from "../crdt/origin-map.ts";
import type { Instant } from "../effects.ts";
import type { EstablishedLink, Mesh } from "./mesh.ts";
import { PEER_KEY, type PeerRecord, parsePeerRecord } from "./peer-record.ts";
import { nextHops, nextTo, reachableFrom, treeFrom } from "./topology.ts";

/** After the first change: where one connection came or went, its other end says so in the same moment. */
const SETTLE_MS = 200;
/** Between two looks at all connections, for each peer: a look costs a microsecond for each of them, and a bit. */
const LOOK_PAUSE_MS = 5;

/** Which peers there are, which can be reached, and over which link. Fed with changes of records and links. */
export class Neighbourhood {
  readonly #self: string;
  readonly #channel: OriginMap;
  readonly #mesh: Mesh;
  readonly #records = new Map<string, PeerRecord>();
  #reachable: ReadonlySet<string> | undefined;
  /** Worked out when a message is to go further than to a neighbour. */
  #hops: ReadonlyMap<string, string> | undefined;
  /** Others have said something since it was worked out. */
  #stale = false;
  #tree: ReadonlySet<string> | undefined;
  /** Where the last one began. */
  #root: string;
  #lookDue: Instant | undefined;
  #looked: Instant = Number.NEGATIVE_INFINITY;
  readonly #unreachable = new Map<string, Instant>();

  constructor(self: string, channel: OriginMap, mesh: Mesh) {
    this.#self = self;
    this.#root = self;
    this.#channel = channel;
    this.#mesh = mesh;
  }

  /** Every peer known, self included, reachable or not. */
  records(): ReadonlyMap<string, PeerRecord> {
    return this.#records;
  }

  /** Peers with a path, as of the last look, or of the last change of our own links. */
  reachable(): ReadonlySet<string> {
    return this.#reachable ?? this.#found(reachableFrom(this.#self, this.#neighbours(), this.#records));
  }

  /** The link that leads to a peer, by the newest there is to know if need be; undefined when there is no way. */
  linkTowards(name: string): EstablishedLink | undefined {
    const direct = this.#mesh.linkTo(name);
    if (direct !== undefined) return direct;
    if (this.reachable().has(name)) {
      this.#hops ??= nextHops(this.#self, this.#neighbours(), this.#records);
      const link = this.#mesh.linkTo(this.#hops.get(name) ?? "");
      if (link !== undefined) return link;
    }
    if (!this.#stale) return undefined;
    this.#reachable = undefined;
    return this.linkTowards(name);
  }

  /** Neighbours that changes are passed on to at once; undefined before the first look. */
  get tree(): ReadonlySet<string> | undefined {
    return this.#tree;
  }

  /** Peers known and not reachable, since when. */
  get unreachable(): ReadonlyMap<string, Instant> {
    return this.#unreachable;
  }

  /** What to call a peer in a command: its nickname, or its name where another has that nickname. */
  callName(name: string): string {
    const nickname = this.#records.get(name)?.nickname;
    if (nickname === undefined || this.#records.has(nickname)) return name;
    for (const [other, record] of this.#records)
      if (other !== name && record.nickname === nickname) return name;
    return nickname;
  }

  /** Name for people: nickname and name. */
  label(name: string): string {
    const nickname = this.#records.get(name)?.nickname;
    return nickname === undefined || nickname === name ? name : `${nickname} (${name})`;
  }

  /** Read the whole channel. */
  restore(): void {
    for (const { origin, key } of this.#channel.live()) this.#read(origin, key);
  }

  /** All these said is forgotten. */
  forgotten(names: Iterable<string>): void {
    for (const name of names) {
      this.#records.delete(name);
      this.#unreachable.delete(name);
    }
    this.#reachable = undefined;
  }

  /** These entries of the channel changed. */
  recordsChanged(entries: readonly Entry[], now: Instant): void {
    for (const { origin, key } of entries) this.#read(origin, key);
    this.#stale = true;
    this.#look(now);
  }

  linksChanged(now: Instant): void {
    this.#reachable = undefined;
    this.#look(now);
  }

  #look(now: Instant): void {
    this.#lookDue ??= Math.max(now + SETTLE_MS, this.#looked + LOOK_PAUSE_MS * this.#records.size);
  }

  nextDeadline(): Instant | undefined {
    return this.#lookDue;
  }

  /** Look who came and went, if that is due. True when it was, and the tree may be another. */
  tick(now: Instant): boolean {
    if (this.#lookDue === undefined || now < this.#lookDue) return false;
    this.#lookDue = undefined;
    this.#looked = now;
    if (this.#stale) this.#reachable = undefined;
    const tree = this.#growTree();
    const reachable = this.reachable();
    for (const name of this.#unreachable.keys()) {
      if (reachable.has(name) || !this.#records.has(name)) this.#unreachable.delete(name);
    }
    for (const name of this.#records.keys()) {
      const gone = name !== this.#self && !reachable.has(name);
      if (gone && !this.#unreachable.has(name)) this.#unreachable.set(name, now);
    }
    this.#tree = nextTo(this.#self, tree);
    return true;
  }

  /** The tree from the least name of those reachable. */
  #growTree(): ReadonlyMap<string, string | undefined> {
    const tree = treeFrom(this.#root, this.#records);
    if (this.#isOfAll(tree)) {
      // Who is on it is who can be reached: no need to look at all connections once more.
      if (this.#reachable === undefined) {
        const reachable = new Set(tree.keys());
        reachable.delete(this.#self);
        this.#found(reachable);
      }
      return tree;
    }
    this.#root = this.#self;
    for (const name of this.reachable()) if (name < this.#root) this.#root = name;
    return treeFrom(this.#root, this.#records);
  }

  /** Whether a tree begins with the least name and has us and all our neighbours on it. */
  #isOfAll(tree: ReadonlyMap<string, string | undefined>): boolean {
    if (!tree.has(this.#self) || !this.#neighbours().every((name) => tree.has(name))) return false;
    for (const name of tree.keys()) if (name < this.#root) return false;
    return true;
  }

  #found(reachable: ReadonlySet<string>): ReadonlySet<string> {
    this.#reachable = reachable;
    this.#hops = undefined;
    this.#stale = false;
    return reachable;
  }

  #neighbours(): readonly string[] {
    return this.#mesh.links().map((link) => link.peer.name);
  }

  #read(origin: string, key: string): void {
    if (key !== PEER_KEY) return;
    const record = parsePeerRecord(this.#channel.get(origin, key));
    if (record === undefined) this.#records.delete(origin);
    else this.#records.set(origin, record);
  }
}
