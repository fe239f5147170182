// What must hold when nothing is on its way any more: everybody knows the same, nothing is lost, nothing is kept for nobody.
//
//   one cluster, one configuration         rings equal, in memory and on disk
//   every position owned by a peer there is, and by none that is out
//   everything known everywhere            every address free or held for a container
//   whoever lost an address by beginning anew, lost it to somebody

import { fingerprintOf } from "../../src/core/ipam/configuration.ts";
import type { Host } from "./host.ts";
import { piecesOf, ringText } from "./ring-text.ts";
import type { Witness } from "./witness.ts";

/** The world as far as this looks at it. */
interface QuietWorld {
  readonly hosts: readonly Host[];
  readonly witness: Witness;
  fail(what: string): never;
}

/** Hosts whose view of all endpoints is compared one by one; of more, that all fingerprints are equal says the rest. */
const LOOKED_AT = 30;

export function checkQuiet(world: QuietWorld): void {
  const { hosts } = world;
  checkDecisions(world);
  checkRings(world);
  for (const host of hosts) {
    checkFree(world, host);
    checkFormers(world, host);
  }
  checkEndpoints(world);
  const [first] = hosts;
  const sums = hosts.length > LOOKED_AT ? first?.lastSums : undefined;
  for (const host of hosts)
    if (sums !== undefined && host.lastSums !== sums)
      world.fail(`${host.id} says ${host.lastSums}, ${first?.id} says ${sums}`);
}

function checkDecisions(world: QuietWorld): void {
  const [first] = world.hosts;
  const said = ({ node }: Host): string => {
    const configuration = node?.facts().council.configuration;
    if (configuration === undefined) return "nothing";
    return `epoch ${configuration.epoch} of ${configuration.cluster} (${fingerprintOf(configuration)})`;
  };
  for (const host of world.hosts)
    if (first !== undefined && said(host) !== said(first))
      world.fail(`${host.id} is of ${said(host)}, ${first.id} of ${said(first)}`);
}

/** Everything that is free has come back. */
function checkFormers(world: QuietWorld, host: Host): void {
  const cluster = host.node?.cluster ?? "none";
  for (const container of host.formers) {
    const address = host.containers.get(container) ?? "";
    if (world.witness.holdersOf(cluster, address).length === 0)
      world.fail(`${address} of ${container} on ${host.id} is free, and was not given back to it`);
  }
}

function checkRings(world: QuietWorld): void {
  const names = new Set(world.hosts.map((h) => h.peerName));
  const [first] = world.hosts;
  const size = first?.node?.config.universes[0]?.size;
  const ranges = first?.node?.facts().pools[0]?.ring?.ranges ?? [];
  for (const host of world.hosts) {
    const own = host.node?.facts().pools[0]?.ring?.ranges ?? [];
    const { pieces = [] } = piecesOf(host.disk.record("ring/0")) ?? {};
    const differs = (other: readonly { start: number; end: number; owner: string; version: number }[]) =>
      other.length !== ranges.length ||
      other.some((r, i) => {
        const like = ranges[i];
        return (
          r.start !== like?.start ||
          r.end !== like.end ||
          r.owner !== like.owner ||
          r.version !== like.version
        );
      });
    if (differs(own)) world.fail(`ring of ${host.id} differs: ${ringText(own)} / ${ringText(ranges)}`);
    if (differs(pieces)) world.fail(`ring on the disk of ${host.id} differs from its memory`);
  }
  const owned = ranges.reduce((sum, r) => sum + r.end - r.start, 0);
  if (owned !== size) world.fail(`${owned} of ${size} offsets have an owner`);
  for (const { owner, start, end } of ranges)
    if (!names.has(owner))
      world.fail(`${start}-${end} belongs to ${owner}, which is no peer${whyStale(world.hosts)}`);
}

/** Whom the heir waits for. */
function whyStale(hosts: readonly Host[]): string {
  const taking = hosts.flatMap(({ id, node }) => {
    const one = node?.facts().taking(0);
    return one !== undefined && one.heir === node?.config.name ? [{ id, ...one }] : [];
  });
  return taking.map(({ id, waitingFor }) => `; ${id} is heir and waits for ${waitingFor.join()}`).join("");
}

/** What the pools hold is what the containers have: all the rest can be allocated. */
function checkFree(world: QuietWorld, host: Host): void {
  const { node } = host;
  if (node === undefined) return;
  for (const { containerId } of node.attachments())
    if (!host.containers.has(containerId))
      world.fail(`an address of ${host.id} is held for no container: ${containerId} is gone`);
  const [pool] = node.facts().pools;
  const held = new Set<number>(pool?.space.heldOffsets());
  const attached = new Set<number>();
  const inUse = [
    ...node.attachments().flatMap(({ addresses }) => addresses),
    ...node.exposed().map(({ cidr }) => cidr),
  ];
  for (const cidr of inUse) {
    const offset = pool?.universe.offsetOf(cidr.split("/")[0] ?? "");
    if (offset !== undefined) attached.add(offset);
  }
  for (const offset of held)
    if (!attached.has(offset))
      world.fail(`${pool?.universe.addressAt(offset)} on ${host.id} is held for no container`);
}

function checkEndpoints(world: QuietWorld): void {
  const committed = new Set<string>();
  const running = new Set<string>();
  for (const host of world.hosts) {
    const { formers } = host;
    for (const [container, cidr] of host.containers)
      if (!formers.has(container)) running.add(`${cidr.split("/")[0]}@${host.peerName}`);
    for (const { mac, addresses } of host.node?.attachments() ?? [])
      for (const cidr of mac === undefined ? [] : addresses)
        committed.add(`${cidr.split("/")[0]}@${host.peerName}`);
  }
  const step = Math.max(1, Math.floor(world.hosts.length / LOOKED_AT));
  for (const host of world.hosts.filter((_, i) => i % step === 0)) {
    const seen = new Set<string>();
    for (const [address, endpoint] of host.node?.endpoints().byAddress ?? [])
      seen.add(`${address}@${endpoint.peer}`);
    const missing = [...running].filter((place) => !seen.has(place) && committed.has(place));
    const extra = [...seen].filter((place) => !running.has(place));
    if (missing.length + extra.length > 0)
      world.fail(`${host.id} lacks ${missing.join()} and invents ${extra.join()}`);
  }
}
