// What the checks are told of one host: every record it really writes, and everything it says. Judges nothing itself.
import type { MemoryDisk } from "../../src/adapters/store-memory.ts";
import { decodeBody, type UnicastBody } from "../../src/core/gossip/frames.ts";
import type { StoreOp } from "../../src/ports/store.ts";
import type { Decree, Decrees, VoteRecord } from "./decrees.ts";
import type { FrameReader } from "./frames.ts";
import type { Measures } from "./measures.ts";
import type { RingTuple } from "./piece.ts";
import { piecesOf } from "./ring-text.ts";
import type { Schedule } from "./schedule.ts";
import type { Witness } from "./witness.ts";

/** Who looks on. */
export interface Onlookers {
  readonly witness: Witness;
  readonly decrees: Decrees;
  readonly measures: Measures;
  readonly reader: FrameReader;
  readonly schedule: Schedule;
  /** Ids of the hosts whose daemon runs. */
  running(): Iterable<string>;
}

/** Whom they look at. */
export interface Seen {
  readonly id: string;
  /** What its peers call it. */
  readonly peerName: string;
  readonly incarnation: string;
  readonly disk: MemoryDisk;
  /** An allocation stands on the disk with a right to its address. */
  entitled(container: string): void;
  /** It stands there without one: the host begins anew. */
  disowned(container: string): void;
  /** It belongs to another cluster than before. */
  moved(cluster: string): void;
}

/** Look at one host, and tell the witness what has changed. */
export class Eyes {
  readonly #host: Seen;
  readonly #world: Onlookers;
  /** As its disk says. */
  #cluster: string | undefined;
  /** The last fingerprints it sent: when all are quiet, all say the same. */
  lastSums = "";

  constructor(host: Seen, world: Onlookers) {
    this.#host = host;
    this.#world = world;
  }

  get cluster(): string {
    return this.#cluster ?? "none";
  }

  /** What a start finds. */
  found(): void {
    const { disk } = this.#host;
    this.#configuration(disk.record("configuration"));
    for (const universe of [0, 1]) this.#ring(universe, disk.record(`ring/${universe}`));
  }

  /** These records were written, whatever the host wanted to write. */
  wrote(ops: readonly StoreOp[]): void {
    const { measures, decrees, schedule } = this.#world;
    const { id, peerName, incarnation } = this.#host;
    // Votes first: they are of the epoch before a configuration in the same batch.
    for (const op of ops)
      if (op.type === "put" && op.key === "vote" && isVote(op.value))
        decrees.voteWritten([peerName, incarnation], this.#cluster, op.value);
    for (const op of ops) if (op.key === "configuration") this.#configuration(writtenBy(op));
    for (const op of ops) {
      if (op.key.startsWith("ring/")) this.#ring(Number(op.key.slice(5)), writtenBy(op));
      else if (op.key.startsWith("entry/")) {
        const own = op.key.startsWith(`${peerName}/`, op.key.indexOf("/", 6) + 1);
        measures.wrote(id, op, own, schedule.now(), () => this.#world.running());
      } else if (op.key.startsWith("allocation/") && op.type === "put") {
        const container = op.key.split("/")[2] ?? "";
        if (isFormer(op.value)) this.#host.disowned(container);
        else this.#host.entitled(container);
      }
    }
  }

  /** Persist before send: whatever is told must be on the disk when it leaves. */
  says(text: string): void {
    if (text.startsWith(`{"t":"sums"`)) this.lastSums = text;
    const looked = [`{"t":"to"`, `{"t":"ring"`, `{"t":"config"`].some((kind) => text.startsWith(kind));
    if (!looked) return;
    const frame = this.#world.reader.decode(text);
    if (frame === "unknown" || "refused" in frame) return;
    if (frame.t === "ring") this.#told(frame.universe ?? 0, frame.cluster, frame.ranges);
    if (frame.t === "config") this.#toldConfiguration(frame.configuration);
    if (frame.t !== "to" || frame.from !== this.#host.peerName) return;
    const body = decodeBody(frame.body);
    if (body !== undefined) this.#toldBody(frame.to, body);
  }

  #toldBody(to: string, body: UnicastBody): void {
    const { decrees, witness } = this.#world;
    const { peerName, disk } = this.#host;
    switch (body.k) {
      case "answer":
        if (body.gift !== undefined) {
          const [start, end, version, made] = body.gift;
          this.#told(body.universe ?? 0, body.cluster, [[start, end, version, to, made]]);
        }
        break;
      case "promise":
      case "accepted": {
        const vote = disk.record("vote");
        if (body.higher === undefined) decrees.voteTold(peerName, body, isVote(vote) ? vote : undefined);
        break;
      }
      case "config":
        this.#toldConfiguration(body.configuration);
        break;
      case "fenced":
      case "handover":
        for (const [universe, ...range] of body.ranges) this.#told(universe, body.cluster, [range]);
        if (body.k === "handover") witness.handovers.set(`${peerName} ${body.id}`, body.ranges);
        break;
      case "took":
        for (const [universe, ...range] of witness.handovers.get(`${to} ${body.id}`) ?? [])
          this.#told(universe, body.cluster, [range]);
        break;
    }
  }

  #toldConfiguration(said: Decree): void {
    const { disk, peerName } = this.#host;
    const left = disk.record("left");
    const records = [disk.record("configuration"), ...(Array.isArray(left) ? left : [left])];
    const written = records.map((record) => decreeOf(record)?.decree);
    this.#world.decrees.configurationTold(peerName, said, written);
  }

  #told(universe: number, cluster: string, ranges: readonly RingTuple[]): void {
    const told = piecesOf({ ranges });
    if (told !== undefined) this.#world.witness.told(this.#host.peerName, universe, cluster, told.pieces);
  }

  #configuration(value: unknown): void {
    const before = this.#cluster;
    const read = decreeOf(value);
    this.#cluster = read?.decree.cluster;
    if (read === undefined) return;
    this.#world.decrees.configurationWritten(this.#host.peerName, read.decree, read.joined);
    if (before !== undefined && before !== this.#cluster) this.#host.moved(read.decree.cluster);
  }

  #ring(universe: number, value: unknown): void {
    const { witness } = this.#world;
    const { peerName } = this.#host;
    const stored = piecesOf(value);
    if (stored === undefined) witness.ringGone(peerName, universe);
    else witness.ringWritten(peerName, universe, this.cluster, stored.pieces);
  }
}

const writtenBy = (op: StoreOp): unknown => (op.type === "put" ? op.value : undefined);

const isFormer = (value: unknown): boolean =>
  typeof value === "object" && value !== null && "former" in value;

function isVote(value: unknown): value is VoteRecord {
  return typeof value === "object" && value !== null && "epoch" in value && "round" in value;
}

/** A `configuration` record. */
function decreeOf(value: unknown): { readonly decree: Decree; readonly joined: number } | undefined {
  if (typeof value !== "object" || value === null || !("configuration" in value)) return undefined;
  const { configuration } = value;
  if (!isDecree(configuration)) return undefined;
  return { decree: configuration, joined: "joined" in value ? Number(value.joined) : 0 };
}

const isDecree = (value: unknown): value is Decree =>
  typeof value === "object" && value !== null && "cluster" in value && "epoch" in value && "voters" in value;
