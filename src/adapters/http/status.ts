// The core's picture as the API shows it: instants as ISO text, and what only this process knows added.
import type { Status } from "../../api/status.ts";
import type { Node } from "../../core/node.ts";
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
  const problems = [...problemsOf(node, now), ...kernel];
  const { bridge, vxlan, since, connections, targets, peers, configuration, ipam, ...rest } = view(node, now);
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
      settled: facts.settled,
    },
    repairs: (facts.repairs ?? []).map(({ first, time, notBefore, ...repair }) => ({
      ...repair,
      time: iso(time),
      first: iso(first),
      ...(notBefore === undefined ? {} : { notBefore: iso(notBefore) }),
    })),
    connections: connections.map(withTimes),
    targets: targets.map(withTimes),
    peers: peers.map(withInstant),
    ipam: ipam.map(({ owners, ...range }) => ({ ...range, owners: owners.map(withInstant) })),
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
