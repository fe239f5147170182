// What is wrong, each with the command that mends it. Pure; the daemon adds what only it knows.
import type { Instant } from "./effects.ts";
import type { NodeFacts } from "./facts.ts";
import type { Target } from "./mesh/dialler.ts";
import { PASSWORD_CODES } from "./mesh/password.ts";
import type { Node } from "./node.ts";

/** What a user must act on; codes as in src/api/status.ts. */
export type ProblemCode =
  | "waiting-for-peers"
  | "founding"
  | "clone"
  | "split"
  | "foreign-cluster"
  | "address-lost"
  | "address-conflict"
  | "datapath"
  | "range-exhausted"
  | "no-quorum"
  | "taking"
  | "peer-unreachable"
  | "target-unreachable"
  | "refused"
  | "path-mtu"
  | "path-down";

/** A person may have to act on it; `command` is what to run next. */
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
const REFUSALS: ReadonlySet<string> = new Set([
  "clone",
  "name-taken",
  "protocol",
  "range-mismatch",
  "overlay-mismatch",
]);

/** What the parts look at. */
interface Scene {
  readonly node: Node;
  readonly now: Instant;
  readonly facts: NodeFacts;
  readonly settlingIn: boolean;
  readonly label: (name: string) => string;
}

/** All of them; who shows them puts the most severe first. Nothing is remembered: a problem ends when its cause does. */
export function problemsOf(node: Node, now: Instant): readonly Problem[] {
  const facts = node.facts();
  const settlingIn = now - facts.startedAt < STARTUP_GRACE_MS;
  const label = (name: string): string => node.peers().get(name)?.nickname ?? name;
  const scene: Scene = { node, now, facts, settlingIn, label };
  return [
    ...ofCluster(scene),
    ...ofAddresses(scene),
    ...ofDecisions(scene),
    ...ofPeers(scene),
    ...ofTargets(scene),
    ...ofRefusals(scene),
  ];
}

function* ofCluster({ node, now, facts }: Scene): Generator<Problem> {
  const { mesh, startedAt, foreign, whyNoRing, cloneSince, council } = facts;
  const { name, universes } = node.config;
  if (node.cluster === undefined) {
    const { message, hint } = whyNoRing();
    yield {
      code: mesh.links().length === 0 ? "waiting-for-peers" : "founding",
      object: universes.map((u) => u.text).join(),
      since: startedAt,
      message: `${message}; ${hint}`,
      command: "weave status connections",
    };
  }
  const cloned = cloneSince(now);
  if (cloned !== undefined) {
    const who = facts.clone === undefined ? "" : `: ${facts.clone}`;
    const message = `another host speaks as ${name}${who} (a copied data directory?); launch one with another --data-dir`;
    yield { code: "clone", object: name, since: cloned, message, command: "weave status peers" };
  }
  if (council.split !== undefined) {
    const { epoch, since } = council.split;
    const message = `epoch ${epoch} was decided twice (was a data directory set back to an older copy?); removals are not safe`;
    yield { code: "split", object: `epoch ${epoch}`, since, message, command: "weave status ipam" };
  }
  for (const [peer, { cluster, nickname, since }] of foreign) {
    const message = `${nickname} belongs to cluster ${cluster}, this host to ${node.cluster ?? "none"}; both allocate from one range`;
    yield {
      code: "foreign-cluster",
      object: peer,
      since,
      message,
      command: `weave reset --join ${cluster}`,
    };
  }
}

function* ofAddresses({ node, now, facts, label }: Scene): Generator<Problem> {
  for (const { address, holder, by, since } of facts.contested(now)) {
    const message = `${address} of ${holder} is in use on ${label(by)} as well, from before that host began anew; one of the two must start again`;
    yield { code: "address-conflict", object: address, since, message, command: "weave status endpoints" };
  }
  for (const { address, holder, by } of facts.lost) {
    const message = `${address} of ${holder} is held by ${label(by)} since this host began anew; start that container again`;
    yield {
      code: "address-lost",
      object: address,
      since: facts.startedAt,
      message,
      command: "weave status endpoints",
    };
  }
  for (const { address, peers } of node.endpoints().conflicts) {
    yield {
      code: "address-conflict",
      object: address,
      since: facts.startedAt,
      message: `${address} is held on ${peers.map(label).join(" and ")}; delete one of the containers`,
      command: "weave status endpoints",
    };
  }
  const full = facts.fullSince(now);
  if (full !== undefined)
    yield {
      code: "range-exhausted",
      object: node.config.defaultSubnets.join(),
      since: full,
      message: "no free address is left for this host",
      command: "weave status ipam",
    };
}

function* ofDecisions({ node, facts, settlingIn, label }: Scene): Generator<Problem> {
  const { council, unreachable, startedAt, pools, taking } = facts;
  const reachable = node.reachable();
  const missing = council.roster.missingVoters();
  if (!settlingIn && council.configuration !== undefined && !council.roster.hasQuorum()) {
    const { epoch, voters } = council.configuration;
    const names = missing.map(label);
    yield {
      code: "no-quorum",
      object: `epoch ${epoch}`,
      since: Math.max(...missing.map((name) => unreachable.get(name) ?? startedAt)),
      message: `${missing.length} of ${voters.length} voters do not answer: ${names.join(", ")}; nobody can be removed meanwhile, addresses are given out as ever. Only when they are gone for good: weave rmpeer --force`,
      command: "weave status ipam",
    };
  }
  for (const [index] of pools.entries()) {
    const { addresses = 0, of = [], waitingFor = [] } = taking(index) ?? {};
    const away = waitingFor.filter((name) => !reachable.has(name));
    if (away.length === 0 || settlingIn) continue; // it is under way
    yield {
      code: "taking",
      object: of.join(),
      since: Math.max(...away.map((name) => unreachable.get(name) ?? startedAt)),
      message: `${addresses} addresses of removed peers wait until ${away.map(label).join(", ")} can be asked`,
      command: `weave rmpeer ${away.map(facts.callName).join(" ")}`,
    };
  }
}

function* ofPeers({ facts, settlingIn, label }: Scene): Generator<Problem> {
  for (const [name, since] of settlingIn ? [] : facts.unreachable)
    yield {
      code: "peer-unreachable",
      object: label(name),
      since,
      message: `${label(name)} cannot be reached; its containers' entries are kept`,
      command: "weave status peers",
    };
}

function* ofTargets({ node, facts, settlingIn }: Scene): Generator<Problem> {
  const { mesh, unreachable, council } = facts;
  const wasRemoved = (peer: string): boolean => !node.peers().has(peer) && !council.roster.isMember(peer, 0);
  const given = new Set(mesh.targets().map(({ address }) => address));
  const found = mesh.found().filter(({ address }) => !given.has(address));
  for (const target of [...mesh.targets(), ...found]) {
    if (target.failure === undefined || target.state === "connected" || target.state === "self") continue;
    if (target.failure.code === "full" || !mesh.isDialled(target)) continue; // there is a path to it
    if (REFUSALS.has(target.failure.code)) {
      yield ofTarget(target, "refused", `turned this host away: ${target.failure.message}`);
      continue;
    }
    if (PASSWORD_CODES.has(target.failure.code)) {
      yield ofTarget(target, "refused", `and this host refuse each other: ${target.failure.message}`);
      continue;
    }
    if (!target.given || (settlingIn && node.cluster !== undefined)) continue;
    if (target.peer !== undefined && (mesh.linkTo(target.peer) !== undefined || unreachable.has(target.peer)))
      continue; // told above
    if (target.peer !== undefined && wasRemoved(target.peer)) continue; // dialled still: it may live, and must hear of it
    yield ofTarget(target, "target-unreachable", `does not answer: ${target.failure.message}`);
  }
}

const ofTarget = ({ address, failure }: Target, code: ProblemCode, what: string): Problem => ({
  code,
  object: address,
  since: failure?.since ?? 0,
  message: `${address} ${what}`,
  command: "weave status connections",
});

function* ofRefusals({ now, facts }: Scene): Generator<Problem> {
  for (const { name, address, message, since } of facts.mesh.refusals(now))
    yield {
      code: "refused",
      object: name ?? address,
      since,
      message: `${name === undefined ? "" : `${name} at `}${address} was turned away: ${message}`,
      command: "weave status connections",
    };
}
