// For tests of decisions: councils with a disk each, joined by a wire that may lose, part and kill, in virtual time. What a
// whole host makes of decisions is tried in test/scenario and test/sim.
import type { Init } from "../../config.ts";
import type { Effect, Instant, RejoinReason } from "../../effects.ts";
import type { PeerRecord } from "../../mesh/peer-record.ts";
import { seededRandom } from "../../random.ts";
import { configurationOps, readState } from "../../records.ts";
import type { Reply } from "../../requests.ts";
import type { BallotBody } from "../ballot.ts";
import { type Configuration, canonical } from "../configuration.ts";
import { Council } from "../council.ts";

const LATENCY_MS = 10;
/** After a start all that founding needs is over, and voters are chosen. */
const FOUNDED_MS = 120_000;

type Message =
  | { readonly k: "ballot"; readonly body: BallotBody; readonly cluster: string | undefined }
  | { readonly k: "config"; readonly configuration: Configuration };

/** How a host is started; unless told otherwise it stands for election, alone. */
export interface Options {
  readonly init?: Init;
  /** How many others it was told of. */
  readonly targets?: number;
  readonly expect?: string;
  readonly incarnation?: string;
}

/** Whether a message is lost, and what else happens as it leaves. */
type Wire = (from: string, to: string, message: Message) => boolean;

/** A host with nothing but a council: a disk, which outlives it, and effects that are run one by one. */
export class Host {
  readonly name: string;
  readonly incarnation: string;
  readonly options: Options;
  readonly disk = new Map<string, unknown>();
  readonly replies = new Map<number, Reply>();
  readonly events: string[] = [];
  targets: number;
  council: Council;
  running = false;
  /** Whom its ring was to be founded among. */
  founders: readonly string[] | undefined;
  rejoined: { readonly reason: RejoinReason; readonly expect: string | undefined } | undefined;
  /** How many more effects it may run; the next one kills it. */
  fuse = Number.POSITIVE_INFINITY;
  readonly #net: Net;

  constructor(net: Net, name: string, options: Options) {
    this.#net = net;
    this.name = name;
    this.options = options;
    this.incarnation = options.incarnation ?? `${name}-disk`;
    this.targets = options.targets ?? 0;
    this.council = this.#made();
  }

  #made(): Council {
    const { init = { kind: "consensus" }, expect: expected } = this.options;
    const net = this.#net;
    return new Council(
      {
        self: { name: this.name, incarnation: this.incarnation },
        init,
        expect: expected,
        random: seededRandom(net.draw()),
        universes: "10.0.0.0/24",
        records: () => net.records(this.name),
        reachable: () => new Set(net.reachableFrom(this.name)),
        unreachable: () => net.away(this.name),
        owners: () => [],
        otherTargets: () => this.targets,
        isUnused: () => false,
        isAbandoned: () => false,
        label: (peer) => peer,
        send: (to, body, cluster, out) => out.push(post({ to, message: { k: "ballot", body, cluster } })),
        expelled: () => {},
        entered: ({ configuration, joined, founders }, _now, out) => {
          this.founders = founders;
          out.push({ type: "persist", ops: configurationOps(configuration, joined), sync: true });
          for (const to of net.reachableFrom(this.name))
            out.push(post({ to, message: { k: "config", configuration } }));
        },
      },
      readState(this.disk),
    );
  }

  start(): void {
    this.council = this.#made();
    this.running = true;
    this.input((now, out) => this.council.start(now, out));
  }

  kill(): void {
    this.running = false;
    this.fuse = Number.POSITIVE_INFINITY;
  }

  /** Hands something in, and runs what follows. */
  input(handle: (now: Instant, out: Effect[]) => void): void {
    if (!this.running) return;
    const out: Effect[] = [];
    handle(this.#net.now, out);
    if (!this.council.ended) this.council.tick(this.#net.now, out);
    for (const effect of out) this.#run(effect);
  }

  #run(effect: Effect): void {
    if (!this.running) return;
    if (this.fuse-- <= 0) {
      this.kill();
      return;
    }
    switch (effect.type) {
      case "persist":
        for (const op of effect.ops)
          if (op.type === "put") this.disk.set(op.key, structuredClone(op.value));
          else this.disk.delete(op.key);
        break;
      case "send":
        this.#net.post(this, JSON.parse(effect.text));
        break;
      case "reply":
        this.replies.set(effect.id, effect.reply);
        break;
      case "event":
        this.events.push(effect.event.kind);
        break;
      case "rejoin":
        this.rejoined = { reason: effect.reason, expect: effect.expect };
        this.running = false;
        break;
      case "dial":
      case "close":
      case "datapath":
        throw new Error(`a council has no business with ${effect.type}`);
    }
  }

  /** A message arrives: what Cluster does with it, as far as decisions go. */
  hear(from: string, message: Message): void {
    this.input((now, out) => {
      const { council } = this;
      if (message.k === "config") {
        if (council.heard(message.configuration, false, now, out) === "older") this.#correct(from, out);
      } else if (!council.message(from, message.body, message.cluster, now, out)) this.#correct(from, out);
    });
  }

  #correct(to: string, out: Effect[]): void {
    const { configuration } = this.council;
    if (configuration !== undefined) out.push(post({ to, message: { k: "config", configuration } }));
  }

  get epoch(): number | undefined {
    return this.council.era?.epoch;
  }

  get voters(): string {
    return (this.council.configuration?.voters ?? []).map(({ name }) => name).join();
  }

  remove(id: number, ...peers: string[]): void {
    this.input((now, out) => this.council.remove(id, peers, false, now, out));
  }

  /** The code of a refusal; undefined without an answer, or when it was done. */
  code(id: number): string | undefined {
    const reply = this.replies.get(id);
    return reply === undefined || reply.ok ? undefined : reply.code;
  }
}

const post = (letter: { to: string; message: Message }): Effect => ({
  type: "send",
  conn: 0,
  text: JSON.stringify(letter),
  ack: false,
});

/** Councils that all see each other, but for partitions and what the wire loses. Virtual time. */
export class Net {
  now = 0;
  wire: Wire = () => true;
  readonly hosts = new Map<string, Host>();
  #seed: number;
  #queue: { readonly at: Instant; readonly to: string; readonly from: string; readonly message: Message }[] =
    [];
  /** Parts of a partition: those of one see each other. */
  #parts: readonly (readonly string[])[] | undefined;
  readonly #known = new Map<string, Map<string, PeerRecord>>();
  readonly #away = new Map<string, Map<string, Instant>>();
  readonly #seen = new Map<string, string>();

  constructor(seed = 1) {
    this.#seed = seed;
  }

  /** A seed nobody else has. */
  draw(): number {
    return this.#seed++;
  }

  add(name: string, options: Options = {}): Host {
    const host = new Host(this, name, options);
    this.hosts.set(name, host);
    return host;
  }

  /** All stand for election, and know how many there are. */
  static of(...names: string[]): Net {
    const net = new Net();
    for (const name of names) net.add(name, { targets: names.length - 1 });
    return net;
  }

  host(name: string): Host {
    const host = this.hosts.get(name);
    if (host === undefined) throw new Error(`no host ${name}`);
    return host;
  }

  start(...names: string[]): this {
    for (const name of names.length === 0 ? this.hosts.keys() : names) this.host(name).start();
    this.changed();
    return this;
  }

  kill(...names: string[]): this {
    for (const name of names) this.host(name).kill();
    this.changed();
    return this;
  }

  /** From now on only those of one part see each other; without parts, all do. */
  part(...parts: readonly (readonly string[])[]): this {
    this.#parts = parts.length === 0 ? undefined : parts;
    this.changed();
    return this;
  }

  /** A peer takes back what others know of it. */
  withdraw(name: string): void {
    for (const known of this.#known.values()) known.delete(name);
  }

  reachableFrom(name: string): readonly string[] {
    const part = this.#parts?.find((names) => names.includes(name));
    return [...this.hosts.values()]
      .filter(
        (host) =>
          host.running && host.name !== name && (part?.includes(host.name) ?? this.#parts === undefined),
      )
      .map((host) => host.name);
  }

  records(name: string): ReadonlyMap<string, PeerRecord> {
    return this.#known.get(name) ?? new Map();
  }

  away(name: string): ReadonlyMap<string, Instant> {
    return this.#away.get(name) ?? new Map();
  }

  post(from: Host, { to, message }: { to: string; message: Message }): void {
    if (message.k === "ballot") assertWritten(from, message.body);
    if (!this.wire(from.name, to, message)) return;
    this.#queue.push({ at: this.now + LATENCY_MS, to, from: from.name, message });
  }

  /** Who sees whom, and what they say of themselves, may be different: as gossip would tell. */
  changed(): void {
    for (const host of this.hosts.values()) {
      if (!host.running) continue;
      const reachable = this.reachableFrom(host.name);
      const known = this.#known.get(host.name) ?? new Map<string, PeerRecord>();
      this.#known.set(host.name, known);
      for (const name of [host.name, ...reachable]) known.set(name, recordOf(this.host(name)));
      const away = this.#away.get(host.name) ?? new Map<string, Instant>();
      this.#away.set(host.name, away);
      for (const name of known.keys())
        if (name === host.name || reachable.includes(name)) away.delete(name);
        else if (!away.has(name)) away.set(name, this.now);
      for (const name of away.keys()) if (!known.has(name)) away.delete(name);
      const seen = JSON.stringify([reachable, [...known]]);
      if (this.#seen.get(host.name) === seen) continue;
      this.#seen.set(host.name, seen);
      host.input((now) => host.council.topologyChanged(now));
      this.#compare(host, reachable);
    }
  }

  /** Neighbours that have another configuration exchange them. */
  #compare(host: Host, others: readonly string[]): void {
    const ours = host.council.configuration;
    if (ours === undefined) return;
    for (const to of others) {
      const theirs = this.host(to).council.configuration;
      if (theirs === undefined || canonical(theirs) !== canonical(ours))
        this.post(host, { to, message: { k: "config", configuration: ours } });
    }
  }

  /** Lets so much time pass, or less: until `done`. */
  run(forMs: number, done: () => boolean = () => false): this {
    const until = this.now + forMs;
    for (let steps = 0; !done(); steps++) {
      if (steps > 100_000) throw new Error("it never comes to rest");
      const dues = [...this.hosts.values()].flatMap((h) =>
        h.running ? (h.council.nextDeadline() ?? []) : [],
      );
      const next = Math.min(...dues, ...this.#queue.map(({ at }) => at));
      if (next > until) break;
      this.now = Math.max(this.now, next);
      const due = this.#queue.filter(({ at }) => at <= this.now);
      this.#queue = this.#queue.filter(({ at }) => at > this.now);
      for (const { to, from, message } of due)
        if (this.reachableFrom(from).includes(to)) this.host(to).hear(from, message);
      for (const host of this.hosts.values())
        if ((host.council.nextDeadline() ?? until + 1) <= this.now) host.input(() => {});
      this.changed();
    }
    if (!done()) this.now = until;
    return this;
  }

  /** The clusters of those that run; undefined stands for none. */
  get clusters(): readonly (string | undefined)[] {
    return [...new Set([...this.hosts.values()].filter((h) => h.running).map((h) => h.council.era?.cluster))];
  }
}

const recordOf = (host: Host): PeerRecord => {
  const { joined, candidate } = host.council;
  return {
    nickname: host.name,
    uid: host.name,
    software: "test",
    incarnation: host.incarnation,
    ...(joined === undefined ? {} : { joined }),
    ...(candidate === undefined ? {} : { candidate }),
    underlay: "192.0.2.1",
    port: 6783,
    mtu: 1450,
    links: [],
  };
};

/** R1: nothing is promised or accepted that is not on disk. */
function assertWritten(host: Host, body: BallotBody): void {
  if ((body.k !== "promise" && body.k !== "accepted") || body.higher !== undefined) return;
  const { vote } = readState(host.disk);
  const written = body.k === "promise" ? vote?.promised : vote?.accepted?.round;
  const [number, by] = body.round;
  const isThere =
    vote?.epoch === body.epoch &&
    written !== undefined &&
    (written[0] > number || (written[0] === number && written[1] >= by));
  if (!isThere) throw new Error(`${host.name} says ${body.k} ${body.round.join()}, which is not on its disk`);
}

/** Stands for election among so many. */
export const consensus = (expected: number): Options => ({ init: { kind: "consensus", expected } });

/** Founded by all of them, who have become its voters. */
export function cluster(...names: string[]): Net {
  const net = Net.of(...names).start();
  net.run(FOUNDED_MS);
  if (net.clusters.length !== 1 || net.clusters[0] === undefined) throw new Error("not founded");
  return net;
}

/** What a host has accepted in a ballot, as its disk has it. */
export const acceptedBy = (host: Host): Configuration | undefined =>
  readState(host.disk).vote?.accepted?.value;
