// One consistent picture of a node for people and scripts. Pure: the daemon adds what only it knows (pid, kernel
// failures) and the API gives it to whoever asks. What is wrong is told by problems.ts.
import type { Instant } from "./effects.ts";
import { quorum } from "./ipam/configuration.ts";
import type { Pool } from "./ipam/pool.ts";
import type { OwnedRange } from "./ipam/ring.ts";
import type { Target } from "./mesh/dialler.ts";
import type { Node } from "./node.ts";

/** The whole picture at this moment; instants as the core counts them. */
export function view(node: Node, now: Instant) {
  const { mesh, pools, startedAt, underlay } = node.facts();
  const { config } = node;
  const { bridge, vxlan } = node.datapath();
  return {
    since: startedAt,
    name: config.name,
    nickname: config.nickname,
    ...(node.cluster === undefined ? {} : { cluster: node.cluster }),
    ...configuration(node),
    lost: node.facts().lost.map(({ address, holder, by }) => ({ address, holder, by })),
    underlay,
    bridge,
    vxlan,
    agreed: node.agreedMtu(),
    paths: paths(node),
    exposed: node.exposed().map((e) => ({ ...e })),
    connections: connections(node, mesh, now),
    targets: mesh.targets().map((target) => targetOf(node, target)),
    discovery: config.discovery === true,
    connLimit: mesh.limit,
    peers: peers(node),
    ipam: pools.map((pool, index) => ipam(node, pool, index)),
    endpoints: [...node.endpoints().byAddress]
      .map(([address, { mac, peer, label }]) => ({
        address,
        mac,
        peer,
        nickname: node.peers().get(peer)?.nickname ?? peer,
        label,
        local: peer === config.name,
      }))
      .sort((a, b) => a.address.localeCompare(b.address, "en", { numeric: true })),
  };
}

function paths(node: Node) {
  const label = (name: string): string => node.peers().get(name)?.nickname ?? name;
  return node.paths().map(({ peer, underlay, mtu }) => {
    const via = node.via(peer);
    return {
      peer,
      nickname: label(peer),
      underlay,
      mtu,
      ...(via === undefined ? {} : { gossip: via === peer ? "direct" : `by ${label(via)}` }),
    };
  });
}

function connections(node: Node, mesh: ReturnType<Node["facts"]>["mesh"], now: Instant) {
  const links = mesh.links().map((link) => ({
    direction: link.target === undefined ? ("in" as const) : ("out" as const),
    address: link.target?.address ?? link.remoteAddress,
    state: "established" as const,
    peer: link.peer.name,
    nickname: link.peer.nickname,
    ...(link.rttMs === undefined ? {} : { rttMs: Math.round(link.rttMs * 100) / 100 }),
    nextTry: undefined,
    since: link.since,
  }));
  const shown = new Set(links.map((l) => l.address));
  const waiting = [...mesh.targets(), ...mesh.found().filter(isTold)].flatMap((target) => {
    const met = target.peer !== undefined && mesh.linkTo(target.peer) !== undefined;
    if (shown.has(target.address) || met || target.state === "connected") return [];
    if (target.state !== "self" && !mesh.isDialled(target)) return []; // no room, and no need
    shown.add(target.address); // given and found
    return [{ direction: "out" as const, ...targetOf(node, target) }];
  });
  const refused = mesh
    .refusals(now)
    .filter(({ inbound }) => inbound)
    .map(({ address, name, code, message, since }) => ({
      direction: "in" as const,
      address,
      state: "refused" as const,
      ...(name === undefined ? {} : { peer: name, nickname: node.peers().get(name)?.nickname ?? name }),
      failure: message,
      failureCode: code,
      since,
      nextTry: undefined,
    }));
  return [...links, ...waiting, ...refused];
}

/** Of found peers those that are missing, not those that are merely not connected. */
const isTold = ({ urgent, wanted, state }: Target): boolean => (wanted && urgent) || state === "dialing";

function targetOf(node: Node, target: Target) {
  const { address, state, peer, failure, nextDial } = target;
  const { mesh } = node.facts();
  const isLinked = peer !== undefined && mesh.linkTo(peer) !== undefined;
  const isIndirect = !isLinked && state !== "self" && !mesh.isDialled(target);
  const shown =
    state === "self"
      ? ("self" as const)
      : isLinked
        ? ("established" as const)
        : isIndirect
          ? ("indirect" as const)
          : state === "dialing"
            ? ("connecting" as const)
            : ("retrying" as const);
  return {
    address,
    state: shown,
    ...(peer === undefined ? {} : { peer, nickname: node.peers().get(peer)?.nickname ?? peer }),
    ...(failure === undefined || isLinked || isIndirect
      ? {}
      : { failure: failure.message, failureCode: failure.code, since: failure.since }),
    ...(shown === "retrying" ? { nextTry: nextDial } : {}),
  };
}

function peers(node: Node) {
  const { unreachable } = node.facts();
  const reachable = node.reachable();
  const counts = new Map<string, number>();
  const macs = new Set<string>();
  for (const { peer, mac, label } of node.endpoints().byAddress.values()) {
    if (label === "expose" || macs.has(`${peer} ${mac}`)) continue;
    macs.add(`${peer} ${mac}`);
    counts.set(peer, (counts.get(peer) ?? 0) + 1);
  }
  return [...node.peers()]
    .map(([name, record]) => {
      const self = name === node.config.name;
      const since = unreachable.get(name);
      return {
        name,
        nickname: record.nickname,
        self,
        reachable: self || reachable.has(name),
        ...(since === undefined ? {} : { unreachableSince: since }),
        underlay: record.underlay,
        mtu: record.mtu,
        software: record.software,
        connections: [...record.links],
        containers: counts.get(name) ?? 0,
      };
    })
    .sort((a, b) => Number(b.self) - Number(a.self) || a.nickname.localeCompare(b.nickname));
}

/** Rings as an operator sees them: who owns and uses how much, what is wrong with it, which command mends it. */
function ipam(node: Node, pool: Pool, index: number) {
  const { taking } = node.facts();
  const ranges = pool.ring?.ranges ?? [];
  const byOwner = new Map<string, OwnedRange[]>();
  for (const range of ranges) {
    const list = byOwner.get(range.owner) ?? [];
    byOwner.set(range.owner, list);
    list.push(range);
  }
  const used = usedBy(node, pool);
  const owners = [...byOwner].map(([name, own]) => owner(node, pool, name, own, used.get(name) ?? 0));
  owners.sort((a, b) => Number(b.self) - Number(a.self) || a.nickname.localeCompare(b.nickname));
  const waits = taking(index);
  return {
    range: pool.universe.text,
    defaultSubnet: node.config.defaultSubnets[index] ?? pool.universe.text,
    state: pool.ring === undefined ? ("waiting" as const) : ("ready" as const),
    size: pool.universe.size,
    owned: sizeOf(pool.owned),
    used: pool.space.usedIn(pool.owned),
    owners,
    ...(waits === undefined
      ? {}
      : { taking: { ...waits, of: [...waits.of], waitingFor: [...waits.waitingFor] } }),
  };
}

function owner(node: Node, pool: Pool, name: string, own: readonly OwnedRange[], used: number) {
  const { unreachable, council, callName } = node.facts();
  const self = name === node.config.name;
  const nickname = node.peers().get(name)?.nickname ?? name;
  const since = unreachable.get(name);
  const removed = own.some(council.isStale);
  const reachable = self || node.reachable().has(name);
  const addresses = sizeOf(own);
  const wrong = removed
    ? { problem: "removed; its addresses wait for the heir", command: "weave status ipam" }
    : !reachable
      ? {
          problem: "not reachable: its free addresses cannot be used",
          command: `weave rmpeer ${callName(name)}`,
        }
      : {};
  return {
    name,
    nickname,
    self,
    reachable,
    addresses,
    used: self ? pool.space.usedIn(pool.owned) : used,
    ranges: own.map((r) => `${pool.universe.addressAt(r.start)}-${pool.universe.addressAt(r.end - 1)}`),
    ...(since === undefined ? {} : { unreachableSince: since }),
    ...(removed ? { removed: true as const } : {}),
    ...wrong,
  };
}

/** Addresses of the range that each peer has announced. */
function usedBy(node: Node, pool: Pool): ReadonlyMap<string, number> {
  const used = new Map<string, number>();
  for (const [address, { peer }] of node.endpoints().byAddress)
    if (pool.universe.offsetOf(address) !== undefined) used.set(peer, (used.get(peer) ?? 0) + 1);
  return used;
}

function configuration(node: Node) {
  const c = node.facts().council.configuration;
  if (c === undefined) return {};
  const reachable = node.reachable();
  const nickname = (name: string): string => node.peers().get(name)?.nickname ?? name;
  const { remaining } = c;
  return {
    configuration: {
      epoch: c.epoch,
      voters: c.voters.map(({ name }) => ({
        name,
        nickname: nickname(name),
        reachable: name === node.config.name || reachable.has(name),
      })),
      quorum: quorum(c.voters.length),
      ...(remaining === undefined
        ? {}
        : { remaining: { since: remaining.since, heir: remaining.heir, names: remaining.names.length } }),
      lineage: (c.lineage ?? []).map((l) => ({ ...l, removed: [...l.removed] })),
    },
  };
}

const sizeOf = (ranges: readonly { readonly start: number; readonly end: number }[]): number =>
  ranges.reduce((sum, { start, end }) => sum + end - start, 0);
