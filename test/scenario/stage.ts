// The machines of a scenario by the names it gives them, the network between them, and the time. Ends the scenario when an
// address is held twice or an offset has two owners, among the members of the newest epoch of one cluster.
// Knows nothing of the language; perform.ts translates.
import {
  createMemoryNetwork,
  type MemoryEndpoint,
  type MemoryNetwork,
} from "../../src/adapters/transport-memory.ts";
import { decodeFrame } from "../../src/core/gossip/frames.ts";
import { type Configuration, isMember } from "../../src/core/ipam/configuration.ts";
import type { OwnedRange } from "../../src/core/ipam/ring.ts";
import type { Node } from "../../src/core/node.ts";
import { type Problem, problemsOf } from "../../src/core/problems.ts";
import { seededRandom } from "../../src/core/random.ts";
import type { Reply, Request } from "../../src/core/requests.ts";
import { view } from "../../src/core/status.ts";

import { Schedule } from "../sim/schedule.ts";
import type { LaunchOptions } from "./language.ts";
import { Machine } from "./machine.ts";

/** Everything is answered before the CNI forwarder gives up (docs/wire.md, ASK_PATIENCE_MS), or is a defect. */
const ANSWER_WITHIN_MS = 10_000;
/** How finely time passes while something is waited for; after each slice it is looked for what must not be. */
const SLICE_MS = 10;
/** Turns of the microtask queue in which what needs no time is answered. */
const TURNS = 100;
const LATENCY_MS = { min: 1, max: 20 };
/** Events kept for the report of a failure. */
const REMEMBERED = 25;
const BEGINNING_MS = 1_000_000;

/** The world of one story, in simulated time. */
export class Stage {
  readonly schedule = new Schedule();
  readonly #network: MemoryNetwork;
  readonly #range: string;
  readonly #machines: ReadonlyMap<string, Machine>;
  readonly #lose: { readonly message: string; readonly from: string }[] = [];
  readonly #log: string[] = [];
  #broken: unknown;

  constructor(options: { readonly seed: number; readonly range: string; readonly hosts: readonly string[] }) {
    this.#range = options.range;
    const network = createMemoryNetwork({
      scheduler: this.schedule,
      random: seededRandom(options.seed + 1),
      link: { latencyMs: LATENCY_MS, lossProbability: 0 },
    });
    this.#network = network;
    const world = {
      network: { ...bound(network), endpoint: (address: string) => this.#lossy(network.endpoint(address)) },
      schedule: this.schedule,
      random: seededRandom(options.seed),
      note: (text: string) => this.#note(text),
      broken: (error: unknown) => {
        this.#broken ??= error;
      },
    };
    this.#machines = new Map(
      options.hosts.map((name, i) => [name, new Machine(name, `10.0.0.${i + 1}`, world)]),
    );
  }

  /** What happened last, for people. */
  get log(): readonly string[] {
    return this.#log;
  }

  /** Names of the machines whose daemon runs. */
  get running(): readonly string[] {
    return [...this.#machines].flatMap(([name, { isRunning }]) => (isRunning ? [name] : []));
  }

  // --- what is done ---

  /** `weave launch`: anew with these peers, or on with what the disk says. */
  async launch(
    name: string,
    peers: readonly string[],
    { init, range, name: called, connLimit, discovery, resume }: LaunchOptions,
  ): Promise<void> {
    const machine = this.machine(name);
    const ipallocRange = range ?? (machine.peerName === undefined ? this.#range : undefined);
    const given = {
      ...(init && { ipallocInit: init }),
      ...(ipallocRange && { ipallocRange }),
      ...(called && { name: called }),
      ...(connLimit && { connLimit }),
      ...(discovery === false && { discovery }),
      ...(resume && { resume }),
    };
    const targets = peers.map((peer) => this.machine(peer).address);
    await this.answer(machine.launch(targets, given));
  }

  kill(name: string): void {
    this.machine(name).kill();
  }

  loseDisk(name: string): void {
    this.machine(name).burn();
    this.#note(`${name} lost its disk`);
  }

  async add(name: string, container: string, addresses: readonly string[]): Promise<Reply> {
    return this.answer(this.machine(name).add(container, addresses.length === 0 ? {} : { addresses }));
  }

  async del(name: string, container: string): Promise<void> {
    await this.answer(this.machine(name).del(container));
  }

  /** `weave reset`: when the daemon has handed everything over, all that weave brought to the host goes. */
  async reset(name: string): Promise<Reply> {
    const reply = await this.request(name, { kind: "leave" });
    if (reply.ok) this.loseDisk(name);
    return reply;
  }

  async request(name: string, request: Request): Promise<Reply> {
    const machine = this.machine(name);
    if (!machine.isRunning) throw new Error(`${name} does not run`);
    return this.answer(machine.request(request));
  }

  partition(groups: readonly (readonly string[])[]): void {
    this.#network.partition(groups.map((group) => group.map((name) => this.machine(name).address)));
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
    while (this.schedule.now() < until) {
      let moved = false;
      const slice = Math.min(until, this.schedule.now() + SLICE_MS);
      while (this.schedule.step(slice)) {
        moved = true;
        await Promise.resolve(); // answers of requests arrive between events
      }
      if (this.#broken !== undefined) throw this.#broken;
      if (moved) this.#check();
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

  // --- what is seen ---

  machine(name: string): Machine {
    const machine = this.#machines.get(name);
    if (machine === undefined) throw new Error(`there is no host ${name}`);
    return machine;
  }

  /** The running node. */
  node(name: string): Node {
    const { node } = this.machine(name);
    if (node === undefined) throw new Error(`${name} does not run`);
    return node;
  }

  /** What its peers call it. */
  peerName(name: string): string {
    return this.machine(name).peerName ?? name;
  }

  /** The address of a target or the name of a peer, as the scenario calls it. */
  hostOf(peer: string): string {
    return [...this.#machines.keys()].find((name) => this.machine(name).peerName === peer) ?? peer;
  }

  /** Whom a host is connected to, itself: in the words of the scenario. */
  connectedTo(name: string): readonly string[] {
    const links = this.node(name).facts().mesh.links();
    return links.map(({ peer }) => this.hostOf(peer.name)).sort();
  }

  /** Whom it was told to dial. */
  targetsOf(name: string): readonly string[] {
    const hostAt = new Map([...this.#machines].map(([host, { address }]) => [address, host]));
    const targets = this.node(name).facts().mesh.targets();
    return targets.map(({ address }) => hostAt.get(address) ?? address).sort();
  }

  problems(name: string): readonly Problem[] {
    return problemsOf(this.node(name), this.schedule.now());
  }

  /** What `weave status ipam` says of an owner; undefined when it has no line. */
  ownerLine(name: string, of: string): string | undefined {
    const owners = view(this.node(name), this.schedule.now()).ipam[0]?.owners ?? [];
    const owner = owners.find((one) => one.name === this.peerName(of));
    if (owner === undefined) return undefined;
    const { addresses, used, unreachableSince: since, problem, command } = owner;
    const away =
      since === undefined ? "" : `, unreachable for ${Math.round((this.schedule.now() - since) / 1000)} s`;
    const wrong = problem === undefined ? "" : `: ${problem}; run ${command}`;
    return `${addresses} addresses, ${used} used${away}${wrong}`;
  }

  ranges(name: string): readonly OwnedRange[] | undefined {
    return this.node(name).facts().pools[0]?.ring?.ranges;
  }

  ring(name: string): string {
    return ringText(this.ranges(name));
  }

  /** Why the running hosts do not agree with each other, with their disks and with what runs; undefined when they do. */
  disagreement(): string | undefined {
    const [first, ...others] = this.running;
    if (first === undefined) return "nobody runs";
    const ring = this.ring(first);
    const other = others.find((name) => this.ring(name) !== ring);
    if (other !== undefined) return `ring of ${first}: ${ring}\nring of ${other}: ${this.ring(other)}`;
    const names = new Set([...this.#machines.values()].map(({ peerName }) => peerName));
    const ranges = this.ranges(first) ?? [];
    const stranger = ranges.find(({ owner }) => !names.has(owner));
    if (stranger !== undefined) return `${ringText([stranger])} belongs to nobody there is`;
    const owned = ranges.reduce((sum, { start, end }) => sum + end - start, 0);
    const size = this.node(first).config.universes[0]?.size;
    if (owned !== size) return `${owned} of ${size} addresses have an owner`;
    const truth = this.#published();
    for (const name of this.running) {
      const stored = this.machine(name).record("ring/0");
      if (!isDeepText(stored, ranges))
        return `the disk of ${name} has another ring: ${JSON.stringify(stored)}`;
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
    const machines = [...this.#machines.values()].filter((machine) => this.#belongs(machine));
    const all = machines.flatMap(({ holders, peerName }) =>
      [...holders.values()].map((address) => `${address} of ${peerName}`),
    );
    return all.sort().join(", ");
  }

  /** Whether a machine is a member of the newest epoch of its cluster, running or not. */
  #belongs({ peerName, membership }: Machine): boolean {
    if (peerName === undefined || membership === undefined) return false;
    const newest = this.#newest().get(membership.configuration.cluster);
    return newest === undefined || isMember(newest, peerName, membership.joined);
  }

  #newest(): ReadonlyMap<string, Configuration> {
    const newest = new Map<string, Configuration>();
    for (const { membership } of this.#machines.values()) {
      const c = membership?.configuration;
      if (c !== undefined && c.epoch > (newest.get(c.cluster)?.epoch ?? 0)) newest.set(c.cluster, c);
    }
    // A cluster continued by force: who stayed behind is a member of nothing any more.
    for (const c of newest.values())
      for (const { cluster, epoch } of c.lineage ?? [])
        if ((newest.get(cluster)?.epoch ?? Number.POSITIVE_INFINITY) <= epoch) newest.set(cluster, c);
    return newest;
  }

  /** No address twice, no offset with two owners. */
  #check(): void {
    const holders = new Map<string, string>();
    const owned: { cluster: string; start: number; end: number; name: string }[] = [];
    const newest = this.#newest();
    for (const [name, machine] of this.#machines) {
      const { peerName, membership } = machine;
      if (peerName === undefined || membership === undefined) continue;
      const c = newest.get(membership.configuration.cluster);
      if (c === undefined || !isMember(c, peerName, membership.joined)) continue;
      const { cluster } = c;
      for (const [container, address] of machine.holders) {
        const place = `${address} in cluster ${cluster}`;
        const other = holders.get(place);
        if (other !== undefined)
          throw new Error(`${place} is held by ${other} and by ${container} on ${name}`);
        holders.set(place, `${container} on ${name}`);
      }
      for (const { start, end } of machine.node?.facts().pools[0]?.owned ?? [])
        owned.push({ cluster, start, end, name });
    }
    owned.sort((a, b) => (a.cluster === b.cluster ? a.start - b.start : a.cluster < b.cluster ? -1 : 1));
    for (const [i, range] of owned.entries()) {
      const next = owned[i + 1];
      if (next?.cluster === range.cluster && next.start < range.end)
        throw new Error(`${range.name} and ${next.name} both own offset ${next.start}`);
    }
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
    const index = this.#lose.findIndex((lost) => lost.message === body.k && lost.from === from);
    if (index < 0) return false;
    this.#lose.splice(index, 1);
    this.#note(`${body.k} of ${from} is lost`);
    return true;
  }

  #note(text: string): void {
    this.#log.push(`${((this.schedule.now() - BEGINNING_MS) / 1000).toFixed(3)} s  ${text}`);
    if (this.#log.length > REMEMBERED) this.#log.shift();
  }
}

const ringText = (ranges: readonly OwnedRange[] | undefined): string =>
  ranges
    ?.map((r) => `${r.start}-${r.end}:${r.owner}@${r.made === 1 ? "" : `${r.made}.`}${r.version}`)
    .join(" ") ?? "none";

/** Whether a ring's record says the same as these ranges. */
function isDeepText(record: unknown, ranges: readonly OwnedRange[]): boolean {
  const stored =
    typeof record === "object" && record !== null && "ranges" in record ? record.ranges : undefined;
  return (
    JSON.stringify(stored) === JSON.stringify(ranges.map((r) => [r.start, r.end, r.version, r.owner, r.made]))
  );
}

/** The methods of a network, to be spread. */
const bound = (network: MemoryNetwork): MemoryNetwork => ({
  endpoint: (address) => network.endpoint(address),
  setLink: (one, other, link) => network.setLink(one, other, link),
  partition: (groups) => network.partition(groups),
  heal: () => network.heal(),
});
