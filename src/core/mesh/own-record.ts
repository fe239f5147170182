// What this host says of itself to everybody: its one record in the peers channel, and what follows from others saying
// something there in its name. Decides what is said; Node writes it down and passes it on.
import { macForName } from "../address/mac.ts";
import type { NodeConfig } from "../config.ts";
import type { Entry, OriginMap } from "../crdt/origin-map.ts";
import type { Instant } from "../effects.ts";
import { MAX_ESTABLISHED } from "./constants.ts";
import type { EstablishedLink, Link } from "./mesh.ts";
import { PEER_KEY, type PeerRecord, parsePeerRecord } from "./peer-record.ts";

/** Between two words about connections, for each peer: every word is told to all, and a thousand peers say it, too. */
const LINKS_PAUSE_MS = 5;
/** So many corrections of our own peer record within this time are a clone's doing. */
const CLONE_ECHOES = 5;
const CLONE_MEMORY_MS = 300_000;

/** What others count a host as: the epoch it came in with, or how many it expects at a founding it stands for. */
export interface Standing {
  readonly joined: number | undefined;
  readonly candidate: number | undefined;
}

/** What the record follows from, besides the configuration. */
export interface OwnRecordHost {
  readonly config: NodeConfig;
  readonly bridgeMac: string;
  /** What the underlay leaves for containers now. */
  mtu(): number;
  /** The peers channel. */
  readonly channel: OriginMap;
  links(): readonly EstablishedLink[];
  /** So many connections at most. */
  readonly limit: number;
  /** Peers known: that many hear each word. */
  peers(): number;
  /** Of the council. */
  standing(): Standing;
  hasRings(): boolean;
}

/** This host's record. Once withdrawn it is never written again. */
export class OwnRecord {
  readonly #host: OwnRecordHost;
  #underlay: string;
  /** As others were told last. */
  #told: Standing | undefined;
  #withdrawn = false;
  #published: Instant = Number.NEGATIVE_INFINITY;
  /** When to tell of connections that came or went. */
  #linksDue: Instant | undefined;
  #other: PeerRecord | undefined;
  /** When others were heard to say something newer in our name. A lost disk explains one, a clone goes on. */
  readonly #echoes: Instant[] = [];

  constructor(host: OwnRecordHost) {
    this.#host = host;
    this.#underlay = host.config.underlay.address;
  }

  /** Where others send this host's packets. */
  get underlay(): string {
    return this.#underlay;
  }

  /** The address that connections leave from is the one the others can reach, if none leaves from the one told so far. */
  adoptUnderlay(link: Link): void {
    const isUnfit = /^(127\.|::1$)/.test(link.localAddress);
    const isUsed = this.#host.links().some((l) => l.conn !== link.conn && l.localAddress === this.#underlay);
    if (!this.#host.config.underlay.pinned && !isUsed && !isUnfit) this.#underlay = link.localAddress;
  }

  /** This host has another address than it had. */
  moveTo(underlay: string): void {
    if (!this.#host.config.underlay.pinned) this.#underlay = underlay;
  }

  /** A connection came or went: to be told, yet not more often than the mesh can hear. */
  linksChanged(now: Instant): void {
    this.#linksDue ??= Math.max(now, this.#published + LINKS_PAUSE_MS * this.#host.peers());
  }

  isDue(now: Instant): boolean {
    return this.#linksDue !== undefined && now >= this.#linksDue;
  }

  nextDeadline(): Instant | undefined {
    return this.#withdrawn ? undefined : this.#linksDue;
  }

  /** This host counts as something else than it told. */
  get isOutdated(): boolean {
    const { joined, candidate } = this.#standing();
    return this.#told?.joined !== joined || this.#told?.candidate !== candidate;
  }

  /** Say it anew. The entry to pass on, if it says anything new. */
  publish(now: Instant): Entry | undefined {
    this.#linksDue = undefined;
    if (this.#withdrawn) return undefined;
    this.#published = now;
    const { name, nickname, uid, incarnation, software, port } = this.#host.config;
    const { bridgeMac } = this.#host;
    const { joined, candidate } = this.#standing();
    this.#told = { joined, candidate };
    const links = this.#host
      .links()
      .map(({ peer }) => peer.name)
      .sort()
      .slice(0, MAX_ESTABLISHED);
    return this.#host.channel.put(PEER_KEY, {
      nickname,
      uid,
      incarnation,
      ...(joined === undefined ? {} : { joined }),
      ...(candidate === undefined ? {} : { candidate }),
      software,
      underlay: this.#underlay,
      port,
      mtu: this.#host.mtu(),
      ...(bridgeMac === macForName(name) ? {} : { bridgeMac }),
      links,
      limit: this.#host.limit,
    });
  }

  /** This host has left: it says nothing of itself any more. Its entry is the caller's to remove. */
  withdraw(): void {
    this.#withdrawn = true;
  }

  /** Somebody said something newer in our name, and was corrected. */
  echoed(now: Instant): void {
    this.#echoes.push(now);
  }

  /** What others say in our name: a process that is not this one is our own former one, or a clone. */
  heard(entries: readonly Entry[]): void {
    for (const { origin, key, value } of entries) {
      if (origin !== this.#host.config.name || key !== PEER_KEY) continue;
      const said = parsePeerRecord(value);
      if (said !== undefined && said.uid !== this.#host.config.uid) this.#other = said;
    }
  }

  /** Who else speaks in our name, for people: "carol at 192.0.2.7"; told only while cloneSince() says that somebody does. */
  get clone(): string | undefined {
    return this.#other === undefined ? undefined : `${this.#other.nickname} at ${this.#other.underlay}`;
  }

  /** Since when somebody else speaks in our name, or undefined. */
  cloneSince(now: Instant): Instant | undefined {
    while (this.#echoes[0] !== undefined && now - this.#echoes[0] > CLONE_MEMORY_MS) this.#echoes.shift();
    return this.#echoes.length >= CLONE_ECHOES ? this.#echoes[0] : undefined;
  }

  /**
   * A member only with a ring: from the ring a newcomer learns whether its name is another's, and who was taken for a
   * member under a name that is not its own would be awaited for ever.
   */
  #standing(): Standing {
    const { joined, candidate } = this.#host.standing();
    return { joined: this.#host.hasRings() ? joined : undefined, candidate };
  }
}
