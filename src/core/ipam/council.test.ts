import { describe, expect, it } from "vitest";
import type { Init } from "../config.ts";
import type { Effect, Instant, RejoinReason } from "../effects.ts";
import type { PeerRecord } from "../mesh/peer-record.ts";
import { seededRandom } from "../random.ts";
import { configurationOps, readState } from "../records.ts";
import type { Reply } from "../requests.ts";
import { type BallotBody, LINGER_MS, PHASE_MS } from "./ballot.ts";
import { type Configuration, canonical, type Voter } from "./configuration.ts";
import { Council, DECISION_PATIENCE_MS, MOVE_PATIENCE_MS, VOTERS_SETTLE_MS } from "./council.ts";
import { FOUND_SETTLE_MS } from "./founding.ts";

const LATENCY_MS = 10;
const MINUTE_MS = 60_000;

type Message =
  | { readonly k: "ballot"; readonly body: BallotBody; readonly cluster: string | undefined }
  | { readonly k: "config"; readonly configuration: Configuration };

interface Options {
  readonly init?: Init;
  /** How many others it was told of. */
  readonly targets?: number;
  readonly expect?: string;
  readonly incarnation?: string;
}

/** Whether a message is lost, and what else happens as it leaves. */
type Wire = (from: string, to: string, message: Message) => boolean;

/** A host with nothing but a council: a disk, which outlives it, and effects that are run one by one. */
class Host {
  readonly name: string;
  readonly incarnation: string;
  readonly options: Options;
  readonly disk = new Map<string, unknown>();
  readonly replies = new Map<number, Reply>();
  readonly events: string[] = [];
  targets: number;
  council: Council;
  running = false;
  /** What its ring would be founded upon. */
  founders: readonly string[] | undefined;
  rejoined: { readonly reason: RejoinReason; readonly expect: string | undefined } | undefined;
  /** Kills it when as many effects have been run. */
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
class Net {
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

  /** Until then, or until `done`. */
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

const voter = (name: string, incarnation = `${name}-disk`): Voter => ({ name, incarnation });
const consensus = (expected: number): Options => ({ init: { kind: "consensus", expected } });

/** Founded by all of them, who have become its voters. */
function cluster(...names: string[]): Net {
  const net = Net.of(...names).start();
  net.run(2 * MINUTE_MS);
  expect(net.clusters).toEqual([expect.any(String)]);
  return net;
}

describe("founding", () => {
  it("by more than half of N; fewer wait, and say for how many", () => {
    const net = new Net();
    for (const name of ["alice", "bob", "carol"]) net.add(name, consensus(3));
    net.start("carol").run(60 * MINUTE_MS);
    expect(net.clusters).toEqual([undefined]);
    expect(net.host("carol").council.founding()).toEqual({ there: ["carol"], expected: 3, needed: 2 });
    net.start("bob").run(FOUND_SETTLE_MS + 500);
    expect(net.clusters).toEqual([expect.any(String)]);
    expect(net.host("carol").council.configuration).toMatchObject({ epoch: 1, founders: ["bob", "carol"] });
    net.start("alice").run(5_000);
    expect(net.clusters).toHaveLength(1);
  });

  it("goes without observers, who take what the others found", () => {
    const net = new Net();
    const asked: string[] = [];
    net.wire = (_from, to, message) => {
      if (message.k === "ballot") asked.push(to);
      return true;
    };
    net.add("alice", { init: { kind: "observer" } });
    for (const name of ["bob", "carol", "dave"]) net.add(name, consensus(3));
    net.start("alice", "bob").run(MINUTE_MS);
    expect(net.clusters).toEqual([undefined]);
    net.start("carol").run(1_000);
    expect(net.host("alice").council.configuration?.founders).toEqual(["bob", "carol"]);
    expect(asked).not.toContain("alice");
  });

  it("counts the greatest number that anybody expects", () => {
    const net = new Net();
    net.add("alice", consensus(2));
    net.add("bob", consensus(5));
    net.add("carol", consensus(2));
    net.start("alice", "bob").run(10 * MINUTE_MS);
    expect(net.clusters).toEqual([undefined]);
    net.start("carol").run(MINUTE_MS);
    expect(net.clusters).toEqual([expect.any(String)]);
  });

  it.each([
    ["at once", 0],
    ["after it was tried in vain", 60_000],
  ])("expects one less when a target turns out to be the host itself: %s", (_, afterMs) => {
    const net = Net.of("alice", "bob", "carol");
    for (const host of net.hosts.values()) host.targets++; // each was given its own name, too
    const early = afterMs === 0;
    net.start("alice", "bob");
    if (!early) net.start("carol");
    net.wire = (_from, _to, message) => early || message.k !== "ballot";
    net.run(afterMs);
    if (!early) net.kill("carol");
    net.run(MINUTE_MS);
    expect(net.clusters).toEqual([undefined]);
    net.wire = () => true;
    for (const name of ["alice", "bob"]) net.host(name).targets--;
    for (const name of ["alice", "bob"]) net.host(name).input(() => {});
    net.changed();
    net.run(MINUTE_MS);
    expect(net.clusters).toEqual([expect.any(String)]);
  });

  it("a host whose only target is itself is its own quorum", () => {
    const net = Net.of("alice");
    const alice = net.host("alice");
    alice.targets = 1;
    net.start().run(1_000);
    expect(net.clusters).toEqual([undefined]);
    alice.targets = 0;
    alice.input(() => {}); // the connection to itself is closed; nothing else ever happens
    net.run(MINUTE_MS);
    expect(net.clusters).toEqual([expect.any(String)]);
  });

  it.each(["accept", "accepted"] as const)("another finishes it when the proposer dies after %s", (k) => {
    const net = Net.of("alice", "bob", "carol");
    net.wire = (from, _to, message) => {
      const isIt = message.k === "ballot" && message.body.k === k && (k === "accept" || from !== "alice");
      if (isIt && k === "accepted") net.kill("alice");
      return true;
    };
    net.start();
    if (k === "accept") {
      net.run(MINUTE_MS, () => net.host("bob").disk.has("vote") && acceptedBy(net.host("bob")) !== undefined);
      net.kill("alice");
    }
    const value = (): string | undefined => acceptedBy(net.host("bob"))?.cluster;
    net.run(5_000, () => value() !== undefined);
    const proposed = value();
    expect(proposed).toBeDefined();
    net.wire = () => true;
    net.run(LINGER_MS + 2 * PHASE_MS + 10_000);
    expect(net.clusters).toEqual([proposed]);
    net.start("alice").run(30_000);
    expect(net.clusters).toEqual([proposed]);
  });

  it("whoever hears of a cluster while it stands for election belongs to that", () => {
    const net = cluster("alice", "bob", "carol");
    const [there] = net.clusters;
    net.add("dave", consensus(4));
    net.add("erin", consensus(4));
    net.part(["alice", "bob", "carol"], ["dave", "erin"]).start("dave", "erin");
    net.run(MINUTE_MS);
    expect(net.host("dave").council.configuration).toBeUndefined();
    net.part().run(MINUTE_MS);
    expect(net.clusters).toEqual([there]);
    for (const name of ["dave", "erin"]) expect(net.host(name).rejoined).toBeUndefined();
  });
});

const acceptedBy = (host: Host): Configuration | undefined => readState(host.disk).vote?.accepted?.value;

describe("voters", () => {
  it("of a host that founded alone: two, when a second joins", () => {
    const net = Net.of("alice");
    net.start().run(MINUTE_MS);
    expect(net.host("alice").voters).toBe("alice");
    net.add("bob", { targets: 1 });
    net.start("bob").run(VOTERS_SETTLE_MS + 2_000);
    for (const name of ["alice", "bob"]) expect(net.host(name).voters).toBe("alice,bob");
  });

  it("that are away are replaced after ten minutes, and not after nine", () => {
    const net = cluster("alice", "bob", "carol", "dave");
    expect(net.host("alice").voters).toBe("alice,bob,carol");
    net.kill("carol").run(9 * MINUTE_MS);
    expect(net.host("alice").voters).toBe("alice,bob,carol");
    net.run(MINUTE_MS + 5_000);
    for (const name of ["alice", "bob", "dave"]) expect(net.host(name).voters).toBe("alice,bob,dave");
  });

  it("that left without a decision, and took back what is known of them, too", () => {
    const net = cluster("alice", "bob", "carol", "dave");
    net.kill("carol");
    net.withdraw("carol");
    net.changed();
    net.run(9 * MINUTE_MS);
    expect(net.host("alice").voters).toBe("alice,bob,carol");
    net.run(2 * MINUTE_MS);
    expect(net.host("alice").voters).toBe("alice,bob,dave");
  });

  it("who is away does not hold up that free seats are filled", () => {
    const net = cluster("alice", "bob", "carol", "dave");
    net.kill("carol").run(MINUTE_MS);
    net.add("erin", { targets: 1 });
    net.start("erin").run(VOTERS_SETTLE_MS + 5_000);
    expect(net.host("alice").voters).toBe("alice,bob,carol,dave,erin");
  });

  it("are counted by their disks: one that was lost does not vote", () => {
    const net = cluster("alice", "bob", "carol");
    net.kill("bob", "carol");
    const carol = net.add("carol", { init: { kind: "observer" }, incarnation: "carol-second-disk" });
    // The same configuration on another disk: what a careless copy would make of it.
    for (const [key, value] of net.host("alice").disk)
      if (key === "configuration") carol.disk.set(key, value);
    net.start("carol").run(1_000);
    net.host("alice").remove(1, "bob");
    net.run(DECISION_PATIENCE_MS + 1_000);
    expect(net.host("alice").epoch).toBe(1);
    expect(net.host("alice").code(1)).toBe("no-quorum");
  });

  it("of a configuration nobody can have decided: told, and kept", () => {
    const net = cluster("alice", "bob", "carol");
    const alice = net.host("alice");
    const ours = alice.council.configuration;
    if (ours === undefined) throw new Error("founded");
    expect(alice.council.split).toBeUndefined();
    alice.hear("bob", { k: "config", configuration: { ...ours, voters: [voter("mallory")] } });
    expect(alice.events.filter((kind) => kind === "split")).toHaveLength(1);
    expect(alice.council.split).toMatchObject({ epoch: 1 });
    expect(alice.voters).toBe("alice,bob,carol");
  });
});

describe("a decision", () => {
  it.each(["alice", "bob", "dave"])("to remove somebody, asked for on %s", (where) => {
    const net = cluster("alice", "bob", "carol", "dave");
    net.kill("carol").run(1_000);
    net.host(where).remove(1, "carol");
    net.run(2_000);
    expect(net.host(where).replies.get(1)).toMatchObject({
      ok: true,
      decision: { epoch: 2, heir: where, removed: ["carol"], already: [] },
    });
    for (const name of ["alice", "bob", "dave"]) {
      expect(net.host(name).council.configuration?.remaining).toMatchObject({ heir: where, since: 2 });
      expect(net.host(name).voters).toBe("alice,bob,dave");
    }
  });

  it("asked for on all hosts at once has one heir, and the others tell who", () => {
    const net = cluster("alice", "bob", "carol", "dave", "erin");
    net.kill("erin").run(1_000);
    const names = ["alice", "bob", "carol", "dave"];
    for (const name of names) net.host(name).remove(1, "erin");
    net.run(DECISION_PATIENCE_MS);
    const heirs = new Set(names.map((name) => net.host(name).council.configuration?.remaining?.heir));
    expect(heirs.size).toBe(1);
    const [heir] = heirs;
    for (const name of names) {
      const done = name === heir ? { removed: ["erin"] } : { already: ["erin"] };
      expect(net.host(name).replies.get(1)).toMatchObject({
        ok: true,
        decision: { heir, epoch: 2, ...done },
      });
    }
  });

  it("is not made in a partition without a quorum", () => {
    const net = cluster("alice", "bob");
    net.part(["alice"], ["bob"]).run(1_000);
    net.host("alice").remove(1, "bob");
    net.host("bob").remove(1, "alice");
    net.run(MINUTE_MS);
    for (const name of ["alice", "bob"]) expect(net.host(name).code(1)).toBe("no-quorum");
    net.part().run(MINUTE_MS);
    for (const name of ["alice", "bob"]) expect(net.host(name).epoch).toBe(1);
  });

  it("that another one removed finds it done, and who was removed begins anew", () => {
    const net = cluster("alice", "bob", "carol");
    net.part(["alice", "bob"], ["carol"]).run(1_000);
    net.host("alice").remove(1, "carol");
    net.run(2_000);
    net.part().run(2_000);
    expect(net.host("carol").rejoined).toEqual({ reason: "removed", expect: undefined });
    net.host("bob").remove(1, "carol");
    net.run(1_000);
    expect(net.host("bob").replies.get(1)).toMatchObject({ ok: true, decision: { already: ["carol"] } });
  });

  it("reaches who was away for ten of them", () => {
    const net = cluster("alice", "bob", "carol", "dave");
    net.kill("dave").run(1_000);
    for (let epoch = 2; epoch <= 11; epoch++) {
      const name = `guest${epoch}`;
      net.add(name, { init: { kind: "observer" } });
      net.start(name).run(500);
      net.kill(name);
      net.host("bob").remove(epoch, name);
      net.run(500);
    }
    expect(net.host("alice").epoch).toBeGreaterThanOrEqual(11);
    net.start("dave").run(2_000);
    expect(net.host("dave").rejoined).toBeUndefined();
    expect(net.host("dave").epoch).toBe(net.host("alice").epoch);
  });

  it("is finished by another voter when who proposed it dies after it was accepted", () => {
    const net = cluster("alice", "bob", "carol", "dave");
    net.kill("dave").run(1_000);
    net.wire = (_from, to, message) =>
      !(message.k === "ballot" && message.body.k === "accepted" && to === "alice");
    net.host("alice").remove(1, "dave");
    net.run(1_000);
    net.kill("alice");
    net.wire = () => true;
    net.run(LINGER_MS + 2 * PHASE_MS + 10_000);
    for (const name of ["bob", "carol"])
      expect(net.host(name).council.configuration?.remaining).toMatchObject({ heir: "alice", since: 2 });
  });

  it("is of this cluster and the next epoch: who speaks of an earlier one is told, other values are not heard", () => {
    const net = cluster("alice", "bob", "carol");
    const alice = net.host("alice");
    const { era, configuration } = alice.council;
    if (era === undefined || configuration === undefined) throw new Error("founded");
    const head = { round: [7, "bob-disk"] as const, incarnation: "bob-disk" };
    const said = (body: BallotBody): boolean => alice.council.message("bob", body, era.cluster, net.now, []);
    expect(said({ k: "prepare", epoch: 1, ...head })).toBe(false);
    const foreign = { ...configuration, cluster: "another", epoch: 2 };
    alice.input((now, out) =>
      alice.council.message("bob", { k: "accept", epoch: 2, ...head, value: foreign }, era.cluster, now, out),
    );
    expect(acceptedBy(alice)).toBeUndefined();
  });

  it("comes out the same wherever a host of it dies between two effects", () => {
    for (const mortal of ["alice", "bob", "carol"])
      for (let fuse = 0; fuse < 12; fuse++) {
        const net = cluster("alice", "bob", "carol", "dave");
        net.kill("dave").run(1_000);
        net.host(mortal).fuse = fuse;
        net.host("alice").remove(1, "dave");
        net.host("bob").remove(1, "dave");
        net.run(DECISION_PATIENCE_MS);
        if (!net.host(mortal).running) net.start(mortal);
        net.host(mortal).fuse = Number.POSITIVE_INFINITY;
        net.run(MINUTE_MS);
        const decided = ["alice", "bob", "carol"].map((name) => net.host(name).council.configuration);
        expect(new Set(decided.map((c) => c && canonical(c))).size).toBe(1);
        expect(decided[0]?.remaining?.names).toEqual(["alice", "bob", "carol"]);
      }
  });
});

describe("a name", () => {
  it.each([
    ["a voter", "carol"],
    ["a founder", "erin"],
  ])("of %s is not taken over by an empty disk", (_, name) => {
    const names = ["alice", "bob", "carol", "dave", "eric", "erin"];
    const net = cluster(...names);
    net.kill(name).run(1_000);
    net.add(name, { init: { kind: "observer" }, incarnation: "second" });
    net.start(name).run(2_000);
    expect(net.host(name).rejoined?.reason).toBe("name-taken");
  });

  it.each([
    ["a voter", "carol"],
    ["a founder", "erin"],
  ])("of %s is not taken over by an empty disk that stands for election elsewhere", (_, name) => {
    const net = cluster("alice", "bob", "carol", "dave", "eric", "erin");
    net.kill(name).run(1_000);
    net.add(name, { ...consensus(3), incarnation: "second" });
    net.add("aaron", consensus(3)); // the least name proposes
    net.part(
      ["alice", "bob", "carol", "dave", "eric", "erin"].filter((one) => one !== name),
      [name, "aaron"],
    );
    net.wire = (_from, _to, message) => message.k !== "ballot" || message.body.k !== "accept";
    net.start(name, "aaron").run(2_000);
    expect(readState(net.host(name).disk).vote).toMatchObject({ epoch: 1, promised: [1, "aaron-disk"] });
    expect(acceptedBy(net.host(name))).toBeUndefined();
    net.wire = () => true;
    net.part().run(5_000);
    expect(net.host(name).rejoined?.reason).toBe("name-taken");
  });

  it("of a voter is not that of a host which founded by the same list on an empty disk", () => {
    const seeds: Options = { init: { kind: "seed", names: ["alice", "bob", "carol"] } };
    const net = new Net();
    for (const name of ["alice", "bob", "carol"]) net.add(name, seeds);
    net.add("dave", { init: { kind: "observer" } });
    net.start().run(MINUTE_MS);
    net.kill("dave").run(1_000);
    net.host("alice").remove(1, "dave");
    net.run(2_000);
    expect(net.host("alice").epoch).toBe(2);
    net.kill("carol");
    net.add("carol", { ...seeds, incarnation: "second" });
    net.start("carol").run(5_000);
    expect(net.host("carol").rejoined?.reason).toBe("name-taken");
  });

  it("stays with a founder that hears of its founding an epoch late", () => {
    const net = Net.of("alice", "bob", "carol");
    net.wire = (_from, to, message) => to !== "carol" || message.k === "ballot";
    net.start().run(5_000, () => net.host("alice").council.configuration !== undefined);
    expect(net.host("alice").council.configuration?.founders).toContain("carol");
    net.part(["alice", "bob", "dave", "erin"], ["carol"]);
    for (const name of ["dave", "erin"]) net.add(name, { init: { kind: "observer" } });
    net.start("dave", "erin").run(5_000);
    expect(net.host("alice").epoch).toBeGreaterThan(1);
    net.wire = () => true;
    net.part().run(5_000);
    expect(net.host("carol").rejoined).toBeUndefined();
    expect(net.host("carol").epoch).toBe(net.host("alice").epoch);
    expect(net.host("carol").founders).toEqual(["alice", "bob", "carol"]);
  });

  it("does not stay with a founder that was removed before it heard of its founding", () => {
    const net = Net.of("alice", "bob", "carol");
    net.wire = (_from, to, message) => to !== "carol" || message.k === "ballot";
    net.start().run(5_000, () => net.host("alice").council.configuration !== undefined);
    net.part(["alice", "bob"], ["carol"]).run(1_000);
    net.host("alice").remove(1, "carol");
    net.run(2_000);
    expect(net.host("alice").epoch).toBe(2);
    net.wire = () => true;
    net.part().run(5_000);
    expect(net.host("carol").rejoined?.reason).toBe("removed");
  });

  it.each([
    ["who has no cluster yet", { init: { kind: "observer" } }, "theirs", "name-taken"],
    [
      "who has founded by a list on an empty disk",
      { init: { kind: "seed", names: ["alice", "bob"] } },
      "ours",
      "name-taken",
    ],
    [
      "who has founded by a list, by another cluster",
      { init: { kind: "seed", names: ["alice", "bob"] } },
      "theirs",
      undefined,
    ],
    ["who uses what it founded", {}, "theirs", undefined],
  ] as const)("is another's, says a neighbour: believed by a host %s or not", (_, options, whose, reason) => {
    const net = new Net();
    const alice = net.add("alice", options);
    net.start().run(1_000);
    const cluster = whose === "ours" ? alice.council.era?.cluster : "theirs";
    alice.input((_now, out) => alice.council.nameRefused(cluster, out));
    expect(alice.rejoined?.reason).toBe(reason);
  });

  it("is another's, says a neighbour: not believed after a restart", () => {
    const net = new Net();
    const alice = net.add("alice", { init: { kind: "seed", names: ["alice", "bob"] } });
    net.start().run(1_000);
    net.kill("alice").start("alice").run(1_000);
    alice.input((_now, out) => alice.council.nameRefused(alice.council.era?.cluster, out));
    expect(alice.rejoined).toBeUndefined();
  });
});

describe("a list of seeds", () => {
  it("that does not name a host founds nothing for it", () => {
    const seeds: Options = { init: { kind: "seed", names: ["alice", "bob"] } };
    const net = new Net();
    for (const name of ["alice", "bob", "carol", "dave"]) net.add(name, seeds);
    net.start("alice", "bob", "dave").run(MINUTE_MS);
    net.kill("dave").run(1_000);
    net.host("alice").remove(1, "dave");
    net.run(2_000);
    net.start("carol").run(5_000);
    expect(net.host("carol").rejoined).toBeUndefined();
    expect(net.clusters).toHaveLength(1);
  });

  it("founds with votes bound to the first disks that are heard of", () => {
    const net = new Net();
    for (const name of ["alice", "bob", "carol"])
      net.add(name, { init: { kind: "seed", names: ["alice", "bob", "carol"] } });
    net.start().run(MINUTE_MS);
    expect(net.clusters).toHaveLength(1);
    net.kill("carol").run(1_000);
    net.host("alice").remove(1, "carol");
    net.run(2_000);
    expect(net.host("bob").council.configuration?.voters).toEqual([voter("alice"), voter("bob")]);
  });
});

describe("a cluster to join", () => {
  it("is the only one, and may have been continued by force", () => {
    const net = cluster("alice", "bob");
    const [old] = net.clusters;
    if (old === undefined) throw new Error("founded");
    net.kill("bob").run(1_000);
    const alice = net.host("alice");
    alice.input((now, out) => alice.council.remove(1, ["bob"], true, now, out));
    expect(alice.replies.get(1)).toMatchObject({ ok: true });
    net.add("carol", { expect: old });
    net.add("dave", { expect: "another" });
    net.start("carol", "dave").run(MOVE_PATIENCE_MS - 1_000);
    expect(net.host("carol").council.era?.cluster).toBe(alice.council.era?.cluster);
    expect(net.host("dave").council.era).toBeUndefined();
  });

  it("is given up for lost after a minute: then any other will do, or a new one", () => {
    const net = cluster("alice");
    net.add("dave", { expect: "another" });
    net.start("dave").run(MOVE_PATIENCE_MS + 30_000);
    expect(net.host("dave").council.isStranded).toBe(true);
    expect(net.host("dave").council.era).toBeDefined();
  });
});
