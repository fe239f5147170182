// What operators do to a simulated cluster: remove hosts that are gone, and some that are not; set hosts up anew that lost
// their disks; let hosts leave. And what they do for it: a look each minute, at which they connect who reaches hardly
// anybody, bring islands together, and force what no quorum can decide any more.
import type { Reply, Request } from "../../src/core/requests.ts";
import type { Host } from "./host.ts";
import { addressOf, type World } from "./world.ts";

const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;
/** Rounds of mending after which something does not come to an end. */
const MAX_ROUNDS = 12;
/** Names in one removal. */
const MAX_REMOVED = 64;
/** After a cluster was continued by force it is not done again for so long: others are to hear of the first time. */
const FORCE_PAUSE_MS = 5 * MINUTE_MS;

/** Acts when told to, by chance drawn from the world's seed. */
export class Operators {
  readonly #world: World;
  /** What they have in mind, and when. */
  #plans: { readonly at: number; readonly act: () => void }[] = [];
  #nextLook = 0;
  /** Cluster -> when somebody continued it by force. One does it for all. */
  readonly #forced = new Map<string, number>();

  constructor(world: World) {
    this.#world = world;
  }

  /** Do what is due. */
  act(): void {
    const now = this.#world.schedule.now();
    if (now >= this.#nextLook) {
      this.#nextLook = now + MINUTE_MS;
      this.#look();
    }
    if (this.#plans.length === 0) return;
    const due = this.#plans.filter(({ at }) => at <= now);
    this.#plans = this.#plans.filter(({ at }) => at > now);
    for (const { act } of due) act();
  }

  /** `weave rmpeer` of one or two hosts, on up to three others at once. Some are down, and some are not. */
  remove(): void {
    const { random, hosts } = this.#world;
    const gone = [this.#world.pick(hosts), ...(random.below(4) === 0 ? [this.#world.pick(hosts)] : [])];
    if (random.below(2) === 0) for (const host of gone) if (host.isUp) this.#world.crash(host);
    const wait = (1 + random.below(30)) * SECOND_MS;
    this.#later(wait, () => this.#removeNow([...new Set(gone.map(({ peerName }) => peerName))]));
  }

  /** A host burns, is set up again, and its former self is removed: soon, or when at last somebody thinks of it. */
  burn(): void {
    const { random, hosts, measures } = this.#world;
    const host = this.#world.pick(hosts);
    measures.diskLosses++;
    const { peerName } = host;
    host.loseDisk(this.#nextName(host), this.#someTargets(host));
    const soon = random.below(3) > 0;
    const wait = soon ? (5 + random.below(60)) * SECOND_MS : (5 + random.below(10)) * MINUTE_MS;
    this.#later(wait, () => this.#bury(peerName));
  }

  /** The containers of a host are deleted, then `weave reset`, and the host comes back with an empty disk. */
  leave(): void {
    const host = this.#world.pick(this.#world.hosts);
    const { runner } = host;
    if (runner === undefined) return;
    for (const container of host.containers.keys()) this.#world.remove(host, container);
    if (runner.node.attachments().length > 0) return; // as weave reset refuses it
    this.#ask(host, { kind: "leave" }, (reply) => {
      if (!reply.ok || host.runner !== runner) return;
      this.#world.measures.leavings++;
      const { peerName } = host;
      host.loseDisk(this.#nextName(host), this.#someTargets(host));
      if (reply.left?.voter === "still-counted") this.#later(MINUTE_MS, () => this.#bury(peerName));
    });
  }

  /** Everything is connected and runs: remove who is gone for good, and move islands over. */
  async mend(): Promise<void> {
    const world = this.#world;
    this.#plans = [];
    for (let round = 0; ; round++) {
      for (const host of world.hosts) if (!host.isUp) await host.start(); // who was leaving has left
      const islands = this.#islands();
      const main = islands[0] ?? [];
      const orphans = this.#orphans(main);
      if (islands.length <= 1 && orphans.length === 0) return;
      if (round > MAX_ROUNDS)
        world.fail(
          `not mended: ${islands.map((island) => island.map(({ id }) => id).join(" ")).join(" | ")}; gone: ${orphans.join(" ")}`,
        );
      if (round === 0)
        this.#connect(main); // what mends itself is not theirs to mend
      else {
        this.#look();
        if (orphans.length > 0) this.#removeBy(main.slice(0, 1), orphans.slice(0, MAX_REMOVED));
      }
      await world.run(MINUTE_MS);
    }
  }

  /** What `weave status` tells, on the hosts that are up. */
  #look(): void {
    const islands = this.#islands();
    const [main = []] = islands;
    this.#connect(main);
    for (const island of islands.slice(1)) this.#moveOver(island, main);
    for (const host of main) this.#forceIfHopeless(host);
  }

  /** Whoever was dialled by hosts that were set up anew since may have no connection left. */
  #connect(main: readonly Host[]): void {
    const up = this.#world.hosts.filter(({ node }) => node !== undefined);
    for (const host of up) {
      const reachable = host.node?.reachable();
      const strangers = up.filter((other) => other !== host && reachable?.has(other.peerName) !== true);
      if (strangers.length * 2 < up.length) continue;
      const stranger = main.find((other) => strangers.includes(other)) ?? strangers[0];
      if (stranger !== undefined) host.connect(stranger.options.address).catch(this.#world.broken);
    }
  }

  /** Hosts that are up by cluster, the largest first. */
  #islands(): readonly (readonly Host[])[] {
    const clusters = new Map<string, Host[]>();
    for (const host of this.#world.hosts) {
      if (host.node === undefined) continue;
      const cluster = host.node.cluster ?? "none";
      clusters.set(cluster, [...(clusters.get(cluster) ?? []), host]);
    }
    return [...clusters.values()].sort(
      (a, b) => b.length - a.length || (clusterOf(a) < clusterOf(b) ? -1 : 1),
    );
  }

  /** Names of disks that are lost, as far as they belong to the cluster. */
  #orphans(island: readonly Host[]): readonly string[] {
    const living = new Set(this.#world.hosts.map(({ peerName }) => peerName));
    const lost = new Set(this.#world.hosts.flatMap(({ lostNames }) => lostNames));
    const members = new Set(island.flatMap(({ node }) => node?.facts().council.others() ?? []));
    return [...members].filter((name) => lost.has(name) && !living.has(name)).sort();
  }

  /** `weave reset --join` on a host that has met the other cluster. */
  #moveOver(island: readonly Host[], main: readonly Host[]): void {
    const cluster = clusterOf(main);
    if (clusterOf(island) === "none" || cluster === "none") return;
    const met = island.find(({ node }) =>
      [...(node?.facts().foreign.values() ?? [])].some((foreign) => foreign.cluster === cluster),
    );
    if (met === undefined) {
      const address = main[0]?.options.address ?? "";
      for (const host of island.slice(0, 1)) host.connect(address).catch(this.#world.broken);
      return;
    }
    this.#ask(met, { kind: "join-cluster", cluster }, (reply) => {
      if (reply.ok || reply.code !== "no-quorum") return;
      // Its own cluster can decide nothing any more: one by one, then.
      for (const host of island) this.#ask(host, { kind: "join-cluster", cluster, alone: true }, () => {});
    });
  }

  /**
   * `weave rmpeer --force`, when so many voters are gone with their disks that there will never be a quorum again. Without
   * it a cluster of few goes to ruin: nobody can be removed any more, and each burnt disk takes its share of the range along.
   */
  #forceIfHopeless(host: Host): void {
    const { schedule } = this.#world;
    const council = host.node?.facts().council;
    const configuration = council?.configuration;
    if (configuration === undefined) return;
    const { cluster, voters } = configuration;
    const living = voters.filter((voter) => this.#isThere(voter));
    if (living.length * 2 > voters.length) return;
    const peers = this.#orphans([host]).slice(0, MAX_REMOVED);
    if (peers.length === 0) return;
    if (schedule.now() - (this.#forced.get(cluster) ?? Number.NEGATIVE_INFINITY) < FORCE_PAUSE_MS) return;
    this.#forced.set(cluster, schedule.now());
    this.#ask(host, { kind: "remove", peers, force: true }, (reply) => this.#removed(reply));
  }

  /** Its disk is somewhere. */
  #isThere({ name, incarnation }: { readonly name: string; readonly incarnation: string }): boolean {
    return this.#world.hosts.some(
      (host) => host.peerName === name && (incarnation === "" || host.incarnation === incarnation),
    );
  }

  /** Have a name removed whose disk is lost; again and again, while any host that is up counts it among its own. */
  #bury(name: string): void {
    const { hosts } = this.#world;
    const hands = hosts.filter(({ node }) => node?.facts().council.others().includes(name));
    if (hands.length === 0) return;
    // Set up with the name it had: it will hear that this is taken, or nobody knew it and the name is its own.
    if (!hosts.some(({ peerName }) => peerName === name)) this.#removeBy(hands, [name]);
    this.#later(MINUTE_MS, () => this.#bury(name));
  }

  #removeNow(names: readonly string[]): void {
    this.#removeBy(
      this.#world.hosts.filter((host) => host.runner !== undefined && !names.includes(host.peerName)),
      names,
    );
  }

  /** By up to three of these hosts at once: one of them wins. */
  #removeBy(hands: readonly Host[], peers: readonly string[]): void {
    const { random } = this.#world;
    for (let i = 0; i <= random.below(3) && hands.length > 0; i++)
      this.#ask(this.#world.pick(hands), { kind: "remove", peers }, (reply) => this.#removed(reply));
  }

  #removed(reply: Reply): void {
    if (reply.ok && (reply.decision?.removed.length ?? 0) > 0) this.#world.measures.removals++;
  }

  #ask(host: Host, request: Request, then: (reply: Reply) => void): void {
    this.#world.note(`operator on ${host.id}: ${JSON.stringify(request)}`);
    host.runner
      ?.request(request)
      .then((reply) => {
        this.#world.note(`operator on ${host.id} is told: ${JSON.stringify(reply)}`);
        then(reply);
      })
      .catch(this.#world.broken);
  }

  #later(ms: number, act: () => void): void {
    this.#plans.push({ at: this.#world.schedule.now() + ms, act });
  }

  /** The name it is launched with again: its own, or another. */
  #nextName(host: Host): string {
    return this.#world.random.below(2) === 0 ? host.id : `${host.id}.${host.lostNames.length + 2}`;
  }

  #someTargets(host: Host): readonly string[] {
    const { hosts } = this.#world;
    const others = [0, 1, 2].map(() => this.#world.random.below(hosts.length));
    return [...new Set(others.map(addressOf))].filter((address) => address !== host.options.address);
  }
}

const clusterOf = (island: readonly Host[]): string => island[0]?.node?.cluster ?? "none";
