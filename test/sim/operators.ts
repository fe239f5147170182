// What operators do to a simulated cluster: remove hosts that are gone, and some that are not; set hosts up anew that lost
// their disks; let hosts leave; and, when everything is connected again, bring together what is apart.
import type { Reply, Request } from "../../src/core/requests.ts";
import type { Host } from "./host.ts";
import { addressOf, type World } from "./world.ts";

const SECOND_MS = 1_000;
/** Rounds of mending after which something does not come to an end. */
const MAX_ROUNDS = 12;

export class Operators {
  readonly #world: World;
  /** What they have in mind, and when. */
  #plans: { readonly at: number; readonly act: () => void }[] = [];

  constructor(world: World) {
    this.#world = world;
  }

  /** Do what is due. */
  act(): void {
    const now = this.#world.schedule.now();
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

  /** A host burns, is set up again, and its former self is removed: some time later, or only when all is mended. */
  burn(): void {
    const { random, hosts, measures } = this.#world;
    const host = this.#world.pick(hosts);
    measures.diskLosses++;
    const { peerName } = host;
    host.loseDisk(this.#nextName(host), this.#someTargets(host));
    if (random.below(3) > 0)
      this.#later((5 + random.below(60)) * SECOND_MS, () => this.#removeNow([peerName], host));
  }

  /** `weave reset`, and the host comes back with an empty disk. */
  leave(): void {
    const host = this.#world.pick(this.#world.hosts);
    const { runner } = host;
    if (runner === undefined) return;
    this.#ask(host, { kind: "leave" }, (reply) => {
      if (!reply.ok || host.runner !== runner) return;
      this.#world.measures.leavings++;
      host.loseDisk(this.#nextName(host), this.#someTargets(host));
    });
  }

  /** Everything is connected and runs: remove who is gone for good, and move islands over. */
  async mend(): Promise<void> {
    const world = this.#world;
    this.#plans = [];
    for (let round = 0; ; round++) {
      for (const host of world.hosts) if (!host.isUp) await host.start(); // who was leaving has left
      await this.#connectAll();
      const islands = this.#islands();
      const main = islands[0] ?? [];
      const orphans = this.#orphans(main);
      if (islands.length <= 1 && orphans.length === 0) return;
      if (round === 0) {
        await world.run(60 * SECOND_MS); // what mends itself is not theirs to mend
        continue;
      }
      if (round > MAX_ROUNDS)
        world.fail(
          `not mended: ${islands.map((island) => island.map(({ id }) => id).join(" ")).join(" | ")}; gone: ${orphans.join(" ")}`,
        );
      await this.#bringTogether(islands);
      await this.#bury(main, orphans);
      await world.run(60 * SECOND_MS);
    }
  }

  /** Whoever was dialled by hosts that were set up anew since may have no connection left. */
  async #connectAll(): Promise<void> {
    const [first, ...others] = this.#world.hosts;
    const reachable = first?.node?.reachable();
    for (const host of others)
      if (reachable?.has(host.peerName) !== true) await host.connect(first?.options.address ?? "");
  }

  /** Hosts by cluster, the largest first. */
  #islands(): readonly (readonly Host[])[] {
    const clusters = new Map<string, Host[]>();
    for (const host of this.#world.hosts) {
      const cluster = host.node?.cluster ?? "none";
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

  async #bringTogether([main = [], ...islands]: readonly (readonly Host[])[]): Promise<void> {
    const world = this.#world;
    const cluster = clusterOf(main);
    for (const island of islands) {
      if (clusterOf(island) === "none") continue;
      const [first] = island;
      const met = island.find(({ node }) =>
        [...(node?.facts().foreign.values() ?? [])].some((foreign) => foreign.cluster === cluster),
      );
      if (met === undefined) {
        await first?.connect(main[0]?.options.address ?? "");
        continue;
      }
      const reply = await this.#answer(met, { kind: "join-cluster", cluster });
      if (reply?.ok === false) {
        world.note(`operator: ${met.id} does not join: ${reply.code} ${reply.message}`);
        // Its own cluster can decide nothing any more: one by one, then.
        if (reply.code === "no-quorum")
          for (const host of island) await this.#answer(host, { kind: "join-cluster", cluster, alone: true });
      }
      await world.run(10 * SECOND_MS);
    }
  }

  async #bury(main: readonly Host[], orphans: readonly string[]): Promise<void> {
    const [host] = main;
    if (host === undefined || orphans.length === 0) return;
    const peers = orphans.slice(0, 64);
    const reply = await this.#answer(host, { kind: "remove", peers });
    if (reply?.ok !== false) return;
    this.#world.note(`operator: ${reply.code} ${reply.message}`);
    if (reply.code === "no-quorum") await this.#answer(host, { kind: "remove", peers, force: true });
  }

  #removeNow(names: readonly string[], not?: Host): void {
    const { random, hosts, measures } = this.#world;
    const hands = hosts.filter((host) => host !== not && host.runner && !names.includes(host.peerName));
    for (let i = 0; i <= random.below(3) && hands.length > 0; i++)
      this.#ask(this.#world.pick(hands), { kind: "remove", peers: names }, (reply) => {
        if (reply.ok && reply.decision !== undefined && reply.decision.removed.length > 0)
          measures.removals++;
      });
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

  async #answer(host: Host, request: Request): Promise<Reply | undefined> {
    this.#world.note(`operator on ${host.id}: ${JSON.stringify(request)}`);
    const asked = host.runner?.request(request);
    return asked && this.#world.answer(asked);
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
