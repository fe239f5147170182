// One consistent picture of a node for people and scripts, and what is wrong with it. Pure: the daemon adds what only it
// knows (pid, kernel failures) and the API gives it to whoever asks.
import type { Instant } from "./effects.ts";
import type { Pool } from "./ipam/pool.ts";
import type { Node } from "./node.ts";

/** What a user must act on; codes as in src/api/status.ts. In order of importance. */
export type ProblemCode =
  | "no-founder"
  | "waiting-for-peers"
  | "clone"
  | "foreign-cluster"
  | "address-conflict"
  | "datapath"
  | "range-exhausted"
  | "peer-unreachable"
  | "target-unreachable"
  | "refused";

export interface Problem {
  readonly code: ProblemCode;
  readonly object: string;
  readonly since: Instant;
  readonly message: string;
  readonly command: string;
}

/** A daemon that has just been launched is still dialling: silence proves nothing yet. */
const STARTUP_GRACE_MS = 5_000;

/** Reasons of src/core/mesh/hello.ts for which one side turns the other away. */
const REFUSALS: ReadonlySet<string> = new Set(["clone", "protocol", "range-mismatch", "overlay-mismatch"]);

export function problemsOf(node: Node, now: Instant): readonly Problem[] {
  const { mesh, startedAt, unreachable, foreign, whyNoRing, fullSince, cloneSince } = node.facts();
  const problems: Problem[] = [];
  const label = (name: string): string => node.peers().get(name)?.nickname ?? name;
  if (node.cluster === undefined) {
    const { message, hint } = whyNoRing();
    const code = mesh.links().length === 0 ? "waiting-for-peers" : "no-founder";
    const command = code === "no-founder" ? node.config.foundCommand : "weave status connections";
    problems.push({
      code,
      object: node.config.universes.map((u) => u.text).join(),
      since: startedAt,
      message: `${message}; ${hint}`,
      command,
    });
  }
  const cloned = cloneSince(now);
  if (cloned !== undefined) {
    const message = `another host speaks as ${node.config.name} (a copied data directory?); give one of them a new one`;
    problems.push({
      code: "clone",
      object: node.config.name,
      since: cloned,
      message,
      command: "weave status peers",
    });
  }
  for (const [name, { cluster, since }] of foreign) {
    const message = `${label(name)} belongs to cluster ${cluster}, this host to ${node.cluster ?? "none"}; both allocate from one range`;
    problems.push({
      code: "foreign-cluster",
      object: name,
      since,
      message,
      command: "weave status connections",
    });
  }
  for (const { address, peers } of node.endpoints().conflicts) {
    const message = `${address} is held on ${peers.map(label).join(" and ")}; delete one of the containers`;
    problems.push({
      code: "address-conflict",
      object: address,
      since: startedAt,
      message,
      command: "weave status endpoints",
    });
  }
  const full = fullSince(now);
  if (full !== undefined) {
    const object = node.config.defaultSubnets.join();
    problems.push({
      code: "range-exhausted",
      object,
      since: full,
      message: "no free address is left for this host",
      command: "weave status ipam",
    });
  }
  const settlingIn = now - startedAt < STARTUP_GRACE_MS;
  for (const [name, since] of settlingIn ? [] : unreachable) {
    const message = `${label(name)} cannot be reached; its containers' entries are kept`;
    problems.push({
      code: "peer-unreachable",
      object: label(name),
      since,
      message,
      command: "weave status peers",
    });
  }
  for (const target of mesh.targets()) {
    if (target.failure === undefined || target.state === "connected" || target.state === "self") continue;
    if (REFUSALS.has(target.failure.code)) {
      const message = `${target.address} turned this host away: ${target.failure.message}`;
      problems.push({
        code: "refused",
        object: target.address,
        since: target.failure.since,
        message,
        command: "weave status connections",
      });
      continue;
    }
    if (settlingIn && node.cluster !== undefined) continue;
    if (target.peer !== undefined && (mesh.linkTo(target.peer) !== undefined || unreachable.has(target.peer)))
      continue; // told above
    const message = `${target.address} does not answer: ${target.failure.message}`;
    problems.push({
      code: "target-unreachable",
      object: target.address,
      since: target.failure.since,
      message,
      command: "weave status connections",
    });
  }
  for (const refusal of mesh.refusals(now)) {
    const message = `${refusal.name} at ${refusal.address} was turned away: ${refusal.message}`;
    problems.push({
      code: "refused",
      object: refusal.name,
      since: refusal.since,
      message,
      command: "weave status connections",
    });
  }
  return problems;
}

export function view(node: Node) {
  const { mesh, pools, startedAt, underlay, council } = node.facts();
  const { config } = node;
  const { bridge, vxlan } = node.datapath();
  return {
    since: startedAt,
    name: config.name,
    nickname: config.nickname,
    ...(node.cluster === undefined ? {} : { cluster: node.cluster }),
    founders: [...(council.configuration?.founders ?? [])],
    underlay,
    bridge,
    vxlan,
    exposed: node.exposed().map((e) => ({ ...e })),
    connections: connections(node, mesh),
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

function connections(node: Node, mesh: ReturnType<Node["facts"]>["mesh"]) {
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
  const waiting = mesh.targets().flatMap((target) => {
    const met = target.peer !== undefined && mesh.linkTo(target.peer) !== undefined;
    if (shown.has(target.address) || met || target.state === "connected") return [];
    const state =
      target.state === "self"
        ? ("self" as const)
        : target.state === "dialing"
          ? ("connecting" as const)
          : ("retrying" as const);
    return [
      {
        direction: "out" as const,
        address: target.address,
        state,
        ...(target.peer === undefined
          ? {}
          : { peer: target.peer, nickname: node.peers().get(target.peer)?.nickname ?? target.peer }),
        ...(target.failure === undefined
          ? {}
          : { failure: target.failure.message, since: target.failure.since }),
        ...(state === "retrying" ? { nextTry: target.nextDial } : {}),
      },
    ];
  });
  return [...links, ...waiting];
}

function peers(node: Node) {
  const { unreachable } = node.facts();
  const { reachable } = node.topology();
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

function ipam(node: Node, pool: Pool, index: number) {
  const { reachable } = node.topology();
  const ranges = pool.ring?.ranges ?? [];
  const owners = [...new Set(ranges.map((r) => r.owner))].map((name) => {
    const own = ranges.filter((r) => r.owner === name);
    const self = name === node.config.name;
    return {
      name,
      nickname: node.peers().get(name)?.nickname ?? name,
      self,
      reachable: self || reachable.has(name),
      addresses: own.reduce((sum, r) => sum + r.end - r.start, 0),
      ranges: own.map((r) => `${pool.universe.addressAt(r.start)}-${pool.universe.addressAt(r.end - 1)}`),
    };
  });
  owners.sort((a, b) => Number(b.self) - Number(a.self) || a.nickname.localeCompare(b.nickname));
  return {
    range: pool.universe.text,
    defaultSubnet: node.config.defaultSubnets[index] ?? pool.universe.text,
    state: pool.ring === undefined ? ("waiting" as const) : ("ready" as const),
    size: pool.universe.size,
    owned: pool.owned.reduce((sum, r) => sum + r.end - r.start, 0),
    used: pool.space.usedIn(pool.owned),
    owners,
  };
}
