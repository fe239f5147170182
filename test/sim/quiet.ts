// What must hold when nothing is on its way any more: everybody knows the same, nothing is lost, nothing is kept for nobody.
//
//   rings equal, in memory and on disk     every position owned by a peer there is
//   everything known everywhere            every address free or held for a container

import type { Host } from "./host.ts";
import { piecesOf, ringText } from "./ring-text.ts";

/** The world as far as this looks at it. */
interface QuietWorld {
  readonly hosts: readonly Host[];
  fail(what: string): never;
}

/** Hosts whose view of all endpoints is compared one by one; of more, that all fingerprints are equal says the rest. */
const LOOKED_AT = 30;

export function checkQuiet(world: QuietWorld): void {
  const { hosts } = world;
  checkRings(world);
  for (const host of hosts) checkFree(world, host);
  checkEndpoints(world);
  const [first] = hosts;
  const sums = hosts.length > LOOKED_AT ? first?.lastSums : undefined;
  for (const host of hosts)
    if (sums !== undefined && host.lastSums !== sums)
      world.fail(`${host.name} says ${host.lastSums}, ${first?.name} says ${sums}`);
}

function checkRings(world: QuietWorld): void {
  const names = new Set(world.hosts.map((h) => h.name));
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
    if (differs(own)) world.fail(`ring of ${host.name} differs: ${ringText(own)} / ${ringText(ranges)}`);
    if (differs(pieces)) world.fail(`ring on the disk of ${host.name} differs from its memory`);
  }
  const owned = ranges.reduce((sum, r) => sum + r.end - r.start, 0);
  if (owned !== size) world.fail(`${owned} of ${size} offsets have an owner`);
  for (const { owner, start, end } of ranges)
    if (!names.has(owner)) world.fail(`${start}-${end} belongs to ${owner}, which is no peer`);
}

/** What the pools hold is what the containers have: all the rest can be allocated. */
function checkFree(world: QuietWorld, host: Host): void {
  const { node } = host;
  if (node === undefined) return;
  for (const { containerId } of node.attachments())
    if (!host.containers.has(containerId))
      world.fail(`an address of ${host.name} is held for no container: ${containerId} is gone`);
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
      world.fail(`${pool?.universe.addressAt(offset)} on ${host.name} is held for no container`);
}

function checkEndpoints(world: QuietWorld): void {
  const committed = new Set<string>();
  const running = new Set<string>();
  for (const host of world.hosts) {
    for (const cidr of host.containers.values()) running.add(`${cidr.split("/")[0]}@${host.name}`);
    for (const { mac, addresses } of host.node?.attachments() ?? [])
      for (const cidr of mac === undefined ? [] : addresses)
        committed.add(`${cidr.split("/")[0]}@${host.name}`);
  }
  const step = Math.max(1, Math.floor(world.hosts.length / LOOKED_AT));
  for (const host of world.hosts.filter((_, i) => i % step === 0)) {
    const seen = new Set<string>();
    for (const [address, endpoint] of host.node?.endpoints().byAddress ?? [])
      seen.add(`${address}@${endpoint.peer}`);
    const missing = [...running].filter((place) => !seen.has(place) && committed.has(place));
    const extra = [...seen].filter((place) => !running.has(place));
    if (missing.length + extra.length > 0)
      world.fail(`${host.name} lacks ${missing.join()} and invents ${extra.join()}`);
  }
}
