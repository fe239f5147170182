// The hosts of a scenario: the simulator's hosts (real core, real effect runner) by the names the scenario gives them,
// with what an operator or a runtime does to them. The simulator's witness looks on: an address held twice or an offset
// owned twice ends the scenario. Knows nothing of the language; perform.ts translates.
import { createMemoryDisk } from "../../src/adapters/store-memory.ts";
import {
  createMemoryNetwork,
  type MemoryEndpoint,
  type MemoryNetwork,
} from "../../src/adapters/transport-memory.ts";
import { decodeFrame } from "../../src/core/gossip/frames.ts";
import type { Node } from "../../src/core/node.ts";
import { type Problem, problemsOf } from "../../src/core/problems.ts";
import { seededRandom } from "../../src/core/random.ts";
import type { Reply, Request } from "../../src/core/requests.ts";
import type { AddressWish } from "../../src/ports/attachments.ts";
import { HostClock, NO_LINE_FAULTS } from "../sim/faults.ts";
import { FrameReader } from "../sim/frames.ts";
import { Host, type Surroundings } from "../sim/host.ts";
import { Measures } from "../sim/measures.ts";
import { piecesOf, ringText } from "../sim/ring-text.ts";
import { Schedule } from "../sim/schedule.ts";
import { Witness } from "../sim/witness.ts";
import type { LaunchOptions } from "./language.ts";

/** Everything is answered before the CNI forwarder gives up (docs/wire.md, ASK_PATIENCE_MS), or is a defect. */
const ANSWER_WITHIN_MS = 10_000;
/** How finely time passes while something is waited for. */
const SLICE_MS = 10;
/** Turns of the microtask queue in which what needs no time is answered. */
const TURNS = 50;
const LATENCY_MS = { min: 1, max: 20 };
/** Events kept for the report of a failure. */
const REMEMBERED = 20;

/** A machine: what stays when its daemon or its disk goes. */
interface Machine {
  readonly address: string;
  host: Host | undefined;
  /** Disks it has had. */
  disks: number;
  /** What containers it lost while the daemon was away: the CNI forwarder notes it in the journal. */
  readonly journal: string[];
}

export class Stage {
  readonly schedule = new Schedule();
  readonly #network: MemoryNetwork;
  readonly #surroundings: Surroundings;
  readonly #range: string;
  readonly #machines: ReadonlyMap<string, Machine>;
  readonly #lose: { readonly message: string; readonly from: string }[] = [];
  readonly #log: string[] = [];
  /** What the witness saw; kept until time passes, since it may be seen where the core would swallow it. */
  #broken: unknown;

  constructor(options: { readonly seed: number; readonly range: string; readonly hosts: readonly string[] }) {
    this.#range = options.range;
    const network = createMemoryNetwork({
      scheduler: this.schedule,
      random: seededRandom(options.seed + 1),
      link: { latencyMs: LATENCY_MS, lossProbability: 0 },
    });
    this.#network = { ...bound(network), endpoint: (address) => this.#lossy(network.endpoint(address)) };
    this.#surroundings = this.#around(options.seed);
    const machine = (i: number): Machine => ({
      address: `10.0.0.${i + 1}`,
      host: undefined,
      disks: 1,
      journal: [],
    });
    this.#machines = new Map(options.hosts.map((name, i) => [name, machine(i)]));
  }

  /** What happened last, for people. */
  get log(): readonly string[] {
    return this.#log;
  }

  /** Names of the machines whose daemon runs. */
  get running(): readonly string[] {
    return [...this.#machines].flatMap(([name, { host }]) => (host?.runner === undefined ? [] : [name]));
  }

  // --- daemons ---

  /** `weave launch`: anew with these peers, or on with what the disk says. */
  async launch(name: string, peers: readonly string[], options: LaunchOptions): Promise<void> {
    const machine = this.#machine(name);
    if (machine.host?.runner !== undefined) throw new Error(`${name} runs already`);
    const targets = peers.map((peer) => this.#machine(peer).address);
    const { host } = machine;
    if (host === undefined) {
      machine.host = this.#newHost(name, machine, targets, options);
    } else if (options.range !== undefined || options.init !== undefined) {
      throw new Error("a launch with other options is not played yet");
    }
    await this.#hostOf(name).start();
    if (host !== undefined && targets.length > 0) await host.connect(...targets);
    for (const container of machine.journal.splice(0))
      await this.answer(this.#hostOf(name).remove(container));
  }

  kill(name: string): void {
    const host = this.#hostOf(name);
    if (host.runner === undefined) throw new Error(`${name} does not run`);
    host.kill();
  }

  /** The machine burns, with its containers; another disk is in it when it is launched again. */
  loseDisk(name: string): void {
    const machine = this.#machine(name);
    this.#hostOf(name).powerLoss();
    this.#surroundings.witness.diskLost(this.peerName(name));
    machine.host = undefined;
    machine.disks++;
    this.#note(`${name} lost its disk`);
  }

  async connect(name: string, peers: readonly string[]): Promise<void> {
    await this.answer(this.#hostOf(name).connect(...peers.map((peer) => this.#machine(peer).address)));
  }

  // --- containers ---

  /** ADD. The address, or why not. */
  async add(
    name: string,
    container: string,
    wish: AddressWish,
  ): Promise<{ address: string } | { code: string }> {
    const host = this.#hostOf(name);
    const code = await this.answer(host.add(container, wish));
    if (code !== undefined) return { code };
    return { address: withoutPrefix(host.containers.get(container) ?? "") };
  }

  /** What the message of such an ADD says, which `add` does not tell: it is asked again. */
  async whyRefused(name: string, container: string, wish: AddressWish): Promise<string> {
    const key = { network: "weave", containerId: container, ifname: "eth0" };
    const moment = { bootId: name, bootMs: this.schedule.now() };
    const reply = await this.request(name, { kind: "allocate", key, moment, terms: {}, ...wish });
    return reply.ok ? "asked again, it was granted" : reply.message;
  }

  /** DEL; with the daemon away as the CNI forwarder does it. */
  async del(name: string, container: string): Promise<void> {
    const machine = this.#machine(name);
    const host = this.#hostOf(name);
    if (host.runner !== undefined) {
      await this.answer(host.remove(container));
      return;
    }
    const [address, cluster] = [host.containers.get(container), host.clusters.get(container)];
    host.containers.delete(container);
    machine.journal.push(container);
    if (address === undefined || cluster === undefined)
      throw new Error(`there is no ${container} on ${name}`);
    this.#surroundings.witness.released(cluster, address, { host: host.name, container });
  }

  /** Any other request to the daemon of that host. */
  async request(name: string, request: Request): Promise<Reply> {
    const { runner } = this.#hostOf(name);
    if (runner === undefined) throw new Error(`${name} does not run`);
    return this.answer(runner.request(request));
  }

  // --- the world ---

  partition(groups: readonly (readonly string[])[]): void {
    this.#network.partition(groups.map((group) => group.map((name) => this.#machine(name).address)));
    this.#note(`partition ${groups.map((group) => group.join(" ")).join(" | ")}`);
  }

  heal(): void {
    this.#network.heal();
    this.#note("heal");
  }

  /** The next message with a body of that kind which `from` sends never arrives. */
  loseNext(message: string, from: string): void {
    this.#lose.push({ message, from: this.peerName(from) });
  }

  /** Let time pass. */
  async run(forMs: number): Promise<void> {
    const until = this.schedule.now() + forMs;
    while (this.schedule.step(until)) {
      await Promise.resolve(); // answers of requests arrive between events
      if (this.#broken !== undefined) throw this.#broken;
    }
  }

  /** Let time pass until the answer is there. */
  async answer<T>(asked: Promise<T>): Promise<T> {
    let done = false;
    const finished = asked.finally(() => (done = true));
    const until = this.schedule.now() + ANSWER_WITHIN_MS;
    for (let turn = 0; turn < TURNS && !done; turn++) await Promise.resolve();
    while (!done) {
      if (this.schedule.now() >= until) throw new Error(`no answer within ${ANSWER_WITHIN_MS / 1000} s`);
      await this.run(SLICE_MS);
    }
    return finished;
  }

  // --- looking ---

  /** The running node. */
  node(name: string): Node {
    const { node } = this.#hostOf(name);
    if (node === undefined) throw new Error(`${name} does not run`);
    return node;
  }

  /** What its peers call it. */
  peerName(name: string): string {
    return this.#hostOf(name).options.name;
  }

  problems(name: string): readonly Problem[] {
    return problemsOf(this.node(name), this.schedule.now());
  }

  /** Container -> its address, whether or not the daemon runs. */
  containers(name: string): ReadonlyMap<string, string> {
    return new Map([...this.#hostOf(name).containers].map(([id, cidr]) => [id, withoutPrefix(cidr)]));
  }

  ring(name: string): string {
    return ringText(this.node(name).facts().pools[0]?.ring?.ranges);
  }

  /** Why the running hosts do not agree with each other, with their disks and with what runs; undefined when they do. */
  disagreement(): string | undefined {
    const [first, ...others] = this.running;
    if (first === undefined) return "nobody runs";
    const ring = this.ring(first);
    for (const name of others) {
      if (this.ring(name) !== ring) return `ring of ${first}: ${ring}\nring of ${name}: ${this.ring(name)}`;
    }
    const pool = this.node(first).facts().pools[0];
    const ranges = pool?.ring?.ranges ?? [];
    const owned = ranges.reduce((sum, { start, end }) => sum + end - start, 0);
    if (owned !== pool?.universe.size) return `${owned} of ${pool?.universe.size} addresses have an owner`;
    const truth = this.#published();
    for (const name of this.running) {
      const stored = piecesOf(this.#hostOf(name).disk.record("ring/0"))?.pieces;
      if (ringText(stored) !== ring) return `the disk of ${name} has another ring`;
      const seen = [...this.node(name).endpoints().byAddress]
        .filter(([, { label }]) => label !== "expose")
        .map(([address, { peer }]) => `${address} of ${peer}`)
        .sort()
        .join(", ");
      if (seen !== truth) return `${name} knows ${seen || "nothing"}; there is ${truth || "nothing"}`;
    }
    return undefined;
  }

  #published(): string {
    return [...this.#machines.values()]
      .flatMap(({ host }) =>
        host === undefined
          ? []
          : [...host.containers.values()].map((cidr) => `${withoutPrefix(cidr)} of ${host.options.name}`),
      )
      .sort()
      .join(", ");
  }

  #around(seed: number): Surroundings {
    const { schedule } = this;
    return {
      network: this.#network,
      schedule,
      random: seededRandom(seed),
      witness: new Witness((what) => {
        throw new Error(what);
      }),
      measures: new Measures(),
      reader: new FrameReader(),
      lineFaults: NO_LINE_FAULTS,
      clock: () => new HostClock(schedule, { rate: 1, offset: 0 }),
      bugOf: () => undefined,
      running: () => this.running,
      note: (text) => this.#note(text),
      broken: (error) => {
        this.#broken ??= error;
      },
      onFrame: () => {},
    };
  }

  #newHost(name: string, machine: Machine, targets: readonly string[], options: LaunchOptions): Host {
    const { init, range } = options;
    const seed = init?.startsWith("seed=") ? init.slice("seed=".length).split(",") : undefined;
    if (init !== undefined && seed === undefined) throw new Error(`--ipalloc-init ${init} is not played yet`);
    // A random name, in the product; the nickname is the host's.
    const chosen = options.name ?? (machine.disks === 1 ? name : `${name}.${machine.disks}`);
    return new Host(
      {
        name: chosen,
        address: machine.address,
        universe: range ?? this.#range,
        targets,
        ...(seed === undefined ? {} : { seed }),
      },
      createMemoryDisk(),
      this.#surroundings,
    );
  }

  /** What is to be lost is taken off before it leaves. */
  #lossy(inner: MemoryEndpoint): MemoryEndpoint {
    return {
      address: inner.address,
      onEvent: (listener) => inner.onEvent(listener),
      dial: (dial, target) => inner.dial(dial, target),
      send: (conn, text, options) => {
        if (!this.#isLost(text)) inner.send(conn, text, options);
      },
      close: (conn, reason) => inner.close(conn, reason),
      shutdown: () => inner.shutdown(),
      crash: () => inner.crash(),
    };
  }

  #isLost(text: string): boolean {
    if (this.#lose.length === 0) return false;
    const frame = decodeFrame(text);
    if (frame === "unknown" || "refused" in frame || frame.t !== "to") return false;
    const { body, from } = frame;
    const k = typeof body === "object" && body !== null && "k" in body ? body.k : undefined;
    const index = this.#lose.findIndex((lost) => lost.message === k && lost.from === from);
    if (index < 0) return false;
    this.#lose.splice(index, 1);
    this.#note(`${k} of ${from} is lost`);
    return true;
  }

  #machine(name: string): Machine {
    const machine = this.#machines.get(name);
    if (machine === undefined) throw new Error(`there is no host ${name}`);
    return machine;
  }

  #hostOf(name: string): Host {
    const { host } = this.#machine(name);
    if (host === undefined) throw new Error(`${name} was not launched`);
    return host;
  }

  #note(text: string): void {
    this.#log.push(`${((this.schedule.now() - 1_000_000) / 1000).toFixed(3)} s  ${text}`);
    if (this.#log.length > REMEMBERED) this.#log.shift();
  }
}

const withoutPrefix = (cidr: string): string => cidr.split("/")[0] ?? cidr;

/** The methods of a network, to be spread. */
const bound = (network: MemoryNetwork): MemoryNetwork => ({
  endpoint: (address) => network.endpoint(address),
  setLink: (one, other, link) => network.setLink(one, other, link),
  partition: (groups) => network.partition(groups),
  heal: () => network.heal(),
});
