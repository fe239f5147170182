// Who there is and who can be reached: the peers channel and our own links, seen together. Views are worked out when asked
// for and kept until something they rest on changes.
import type { OriginMap } from "../crdt/origin-map.ts";
import type { Instant } from "../effects.ts";
import type { Mesh } from "./mesh.ts";
import { PEER_KEY, type PeerRecord, parsePeerRecord } from "./peer-record.ts";
import { explore, type Topology } from "./topology.ts";

export class Neighbourhood {
  readonly #self: string;
  readonly #channel: OriginMap;
  readonly #mesh: Mesh;
  #records: ReadonlyMap<string, PeerRecord> | undefined;
  #topology: Topology | undefined;
  #noted: Topology | undefined;
  readonly #unreachable = new Map<string, Instant>();

  constructor(self: string, channel: OriginMap, mesh: Mesh) {
    this.#self = self;
    this.#channel = channel;
    this.#mesh = mesh;
  }

  /** Every peer known, self included, reachable or not. */
  records(): ReadonlyMap<string, PeerRecord> {
    if (this.#records === undefined) {
      const records = new Map<string, PeerRecord>();
      for (const { origin, key, value } of this.#channel.live()) {
        const record = key === PEER_KEY ? parsePeerRecord(value) : undefined;
        if (record !== undefined) records.set(origin, record);
      }
      this.#records = records;
    }
    return this.#records;
  }

  topology(): Topology {
    if (this.#topology === undefined) {
      const said = new Map([...this.records()].map(([name, record]) => [name, record.links]));
      const neighbours = this.#mesh.links().map((link) => link.peer.name);
      this.#topology = explore(this.#self, neighbours, said);
    }
    return this.#topology;
  }

  /** Peers known and not reachable, since when. */
  get unreachable(): ReadonlyMap<string, Instant> {
    return this.#unreachable;
  }

  /** Name for people: nickname and name. */
  label(name: string): string {
    const nickname = this.records().get(name)?.nickname;
    return nickname === undefined || nickname === name ? name : `${nickname} (${name})`;
  }

  recordsChanged(): void {
    this.#records = undefined;
    this.#topology = undefined;
  }

  linksChanged(): void {
    this.#topology = undefined;
  }

  /** Note who came and went, if anything changed since the last time. */
  note(now: Instant): void {
    const topology = this.topology();
    if (topology === this.#noted) return;
    this.#noted = topology;
    for (const name of this.#unreachable.keys()) {
      if (topology.reachable.has(name) || !this.records().has(name)) this.#unreachable.delete(name);
    }
    for (const name of this.records().keys()) {
      const gone = name !== this.#self && !topology.reachable.has(name);
      if (gone && !this.#unreachable.has(name)) this.#unreachable.set(name, now);
    }
  }
}
