// The core's picture as the API shows it: instants as ISO text, and what only this process knows added.
import type { Status } from "../../api/status.ts";
import type { PathState } from "../../core/datapath/paths.ts";
import type { Node } from "../../core/node.ts";
import { pathProblems, pathReason } from "../../core/path-problems.ts";
import { type Problem, problemsOf } from "../../core/problems.ts";
import { view } from "../../core/status.ts";

/** What of a status only the daemon knows. */
export interface ProcessFacts {
  readonly version: string;
  readonly pid: number;
  readonly listen: { readonly host: string; readonly port: number };
  readonly access?: Status["access"];
  readonly settled: boolean;
  /** The newest state that was set aside. */
  readonly setAside?: { readonly file: string; readonly reason: string; readonly at: number };
  /** What was put back in the kernel, as in the follower's ledger. */
  readonly repairs?: readonly {
    readonly object: string;
    readonly message: string;
    readonly count: number;
    readonly first: number;
    readonly time: number;
    readonly notBefore?: number;
  }[];
  /** By peer. */
  readonly paths?: ReadonlyMap<string, PathState>;
  readonly mtuChange?: { readonly from: number; readonly to: number; readonly at: number } | undefined;
  readonly failures: readonly { readonly object: string; readonly message: string; readonly since: number }[];
}

/** The answer to `/v1/status`: the core's view, and what only the daemon knows. */
export function statusAnswer(node: Node, facts: ProcessFacts, now: number): Status {
  const kernel: readonly Problem[] = facts.failures.map(({ object, message, since }) => ({
    code: "datapath",
    object,
    since,
    message,
    command: "weave doctor",
  }));
  const known = ofNow(facts.paths, node.overlayMtu(), now);
  const problems = [...problemsOf(node, now), ...kernel, ...pathProblems(node, known)];
  const { bridge, vxlan, agreed, since, connections, targets, peers, configuration, ipam, ...others } = view(
    node,
    now,
  );
  const { paths, ...rest } = others;
  const { mtuChange } = facts;
  return {
    ok: problems.length === 0,
    problems: problems.map((p) => ({ ...p, since: iso(p.since) })),
    version: facts.version,
    pid: facts.pid,
    since: iso(since),
    ...rest,
    ...(configuration === undefined
      ? {}
      : {
          configuration: {
            ...configuration,
            lineage: configuration.lineage.map(({ at, ...forced }) => ({ ...forced, at: iso(at) })),
          },
        }),
    ...(facts.setAside === undefined ? {} : { setAside: { ...facts.setAside, at: iso(facts.setAside.at) } }),
    listen: { ...facts.listen },
    ...(facts.access === undefined ? {} : { access: facts.access }),
    datapath: {
      bridge: bridge.name,
      vxlan: vxlan.name,
      vni: vxlan.vni,
      port: vxlan.port,
      mtu: bridge.mtu,
      ownMtu: agreed.own,
      ...(agreed.by === undefined ? {} : { mtuOf: node.peers().get(agreed.by)?.nickname ?? agreed.by }),
      ...(mtuChange === undefined ? {} : { mtuChange: { ...mtuChange, at: iso(mtuChange.at) } }),
      settled: facts.settled,
    },
    repairs: (facts.repairs ?? []).map(({ first, time, notBefore, ...repair }) => ({
      ...repair,
      time: iso(time),
      first: iso(first),
      ...(notBefore === undefined ? {} : { notBefore: iso(notBefore) }),
    })),
    connections: connections.map((connection) => {
      const { peer, state } = connection;
      const path = state === "established" && peer !== undefined ? known.get(peer) : undefined;
      return { ...withTimes(connection), ...(path === undefined ? {} : { path: "vxlan", ...found(path) }) };
    }),
    paths: paths.map((path) => ({ ...path, ...found(known.get(path.peer)) })),
    targets: targets.map(withTimes),
    peers: peers.map(withInstant),
    ipam: ipam.map(({ owners, ...range }) => ({ ...range, owners: owners.map(withInstant) })),
  };
}

/** The verdicts; those of another MTU than that of now are none. */
function ofNow(paths: ProcessFacts["paths"], mtu: number, since: number): ReadonlyMap<string, PathState> {
  const fresh: PathState = { verified: "unverified", since, mtu, reason: "the MTU has just changed" };
  return new Map([...(paths ?? [])].map(([peer, state]) => [peer, state.mtu === mtu ? state : fresh]));
}

/** What was found out about a path. */
function found(state: PathState | undefined) {
  if (state === undefined) return { verified: "unverified" as const };
  const { mtu, verified, since, rttMs } = state;
  const reason = pathReason(state);
  return {
    ...{ mtu, verified, verifiedSince: iso(since) },
    ...(reason === undefined ? {} : { reason }),
    ...(rttMs === undefined ? {} : { pathRttMs: Math.round(rttMs * 100) / 100 }),
  };
}

function withTimes<T extends { readonly since?: number; readonly nextTry?: number | undefined }>({
  since,
  nextTry,
  ...rest
}: T) {
  return {
    ...rest,
    ...(since === undefined ? {} : { since: iso(since) }),
    ...(nextTry === undefined ? {} : { nextTry: iso(nextTry) }),
  };
}

function withInstant<T extends { readonly unreachableSince?: number }>({ unreachableSince, ...rest }: T) {
  return { ...rest, ...(unreachableSince === undefined ? {} : { unreachableSince: iso(unreachableSince) }) };
}

const iso = (at: number): string => new Date(at).toISOString();
