// Plays a scenario: each step on the stage, each expectation looked up there. Ends at the first step that goes otherwise
// than written, with file, line, what was seen, and how to repeat it.
import { Universe } from "../../src/core/address/universe.ts";
import { WeaveError } from "../../src/core/errors.ts";
import type { Reply, Request } from "../../src/core/requests.ts";
import type { Act, Command, Fact, Result, Script, Step } from "./language.ts";
import { Stage } from "./stage.ts";

/** How long is waited before a fact is looked at again. */
const LOOK_EVERY_MS = 50;

/** Throws where the scenario is not what happens. */
export async function perform(script: Script, seed: number): Promise<Stage> {
  const { range, hosts } = script;
  const stage = new Stage({ seed, range, hosts });
  for (const step of script.steps) {
    try {
      const seen = await act(stage, step.act);
      if (seen !== undefined) throw new Error(seen);
    } catch (error) {
      throw new Error(report(script, step, seed, stage, error instanceof Error ? error.message : `${error}`));
    }
  }
  return stage;
}

function report({ file, title }: Script, step: Step, seed: number, stage: Stage, seen: string): string {
  return [
    `${file}:${step.line}: ${step.text}`,
    `    seen: ${seen.replaceAll("\n", "\n          ")}`,
    `    in: ${title}`,
    `    repeat: WEAVE_SEED=${seed} npm run test:scenario -- -t ${file.replace(/\.txt$/, "")}`,
    ...stage.log.map((line) => `    ${line}`),
  ].join("\n");
}

/** What was seen instead; undefined when all is as written. */
async function act(stage: Stage, step: Act): Promise<string | undefined> {
  switch (step.kind) {
    case "command":
      return command(stage, step.hosts, step.command, step.result);
    case "kill":
      for (const name of step.hosts) stage.kill(name);
      return undefined;
    case "lose-disk":
      for (const name of step.hosts) stage.loseDisk(name);
      return undefined;
    case "partition":
      stage.partition(step.groups);
      return undefined;
    case "heal":
      stage.heal();
      return undefined;
    case "wait":
      await stage.run(step.ms);
      return undefined;
    case "lose-message":
      stage.loseNext(step.message, step.from);
      return undefined;
    case "expect": {
      const until = stage.schedule.now() + step.withinMs;
      for (;;) {
        const seen = unmetOrAway(stage, step.fact);
        if (seen === undefined || stage.schedule.now() >= until) return seen;
        await stage.run(LOOK_EVERY_MS);
      }
    }
  }
}

/** One host's answer to a command. */
interface Answer {
  readonly host: string;
  readonly address?: string;
  readonly heir?: string;
  readonly code?: string;
  readonly message?: string;
}

async function command(
  stage: Stage,
  hosts: readonly string[],
  typed: Command,
  result: Result | undefined,
): Promise<string | undefined> {
  const asked = stage.schedule.now();
  const answers = (await Promise.all(hosts.map((host) => answersOf(stage, host, typed)))).flat();
  const took = stage.schedule.now() - asked;
  const seen = answers.map((answer) => wrong(answer, result, took));
  if (result?.kind === "one-heir") {
    const heirs = new Set(answers.map(({ heir }) => heir));
    if (heirs.size !== 1) seen.push(`heirs ${[...heirs].join(", ")}`);
  }
  const told = seen.filter((text) => text !== undefined);
  return told.length === 0 ? undefined : told.join("\n");
}

async function answersOf(stage: Stage, host: string, typed: Command): Promise<readonly Answer[]> {
  const asked = async (request: Request) => [answerOf(stage, host, await stage.request(host, request))];
  switch (typed.verb) {
    case "launch":
      try {
        await stage.launch(host, typed.peers, typed.options);
      } catch (error) {
        if (!(error instanceof WeaveError)) throw error;
        return [{ host, code: error.code, message: error.message }];
      }
      return [{ host }];
    case "connect": {
      const targets = typed.peers.map((peer) => stage.machine(peer).address);
      return asked({ kind: "connect", targets, replace: typed.replace });
    }
    case "forget":
      return asked({ kind: "forget", targets: typed.peers.map((peer) => stage.machine(peer).address) });
    case "expose":
      return asked({ kind: "expose", addresses: [], masquerade: true });
    case "reset": {
      if (typed.join === undefined) return [answerOf(stage, host, await stage.reset(host))];
      const cluster = stage.node(typed.join).cluster ?? typed.join;
      return asked({ kind: "join-cluster", cluster, ...(typed.force ? { alone: true } : {}) });
    }
    case "rmpeer":
      return asked({ kind: "remove", peers: typed.peers, ...(typed.force ? { force: true } : {}) });
    case "add": {
      const answers: Answer[] = [];
      const wish = typed.address === undefined ? [] : [typed.address];
      for (const container of typed.containers)
        answers.push(answerOf(stage, host, await stage.add(host, container, wish)));
      return answers;
    }
    case "del":
      for (const container of typed.containers) await stage.del(host, container);
      return [{ host }];
  }
}

function answerOf(stage: Stage, host: string, reply: Reply): Answer {
  if (!reply.ok) return { host, code: reply.code, message: reply.message };
  const address = (reply.attachment?.addresses ?? reply.addresses)?.[0]?.split("/")[0];
  const heir = reply.decision?.heir ?? reply.left?.heir;
  return {
    host,
    ...(address === undefined ? {} : { address }),
    ...(heir === undefined ? {} : { heir: stage.hostOf(heir) }),
  };
}

/** What is wrong with an answer, or undefined. */
function wrong(answer: Answer, result: Result | undefined, took: number): string | undefined {
  const { host, code, address, message = "" } = answer;
  const said = `${host}: ${code === undefined ? (address ?? "done") : `refused ${code}: ${message}`}`;
  if (result?.kind === "refused")
    return code === result.code && message.includes(result.text ?? "") ? undefined : said;
  if (code !== undefined) return said;
  const atOnce = result?.kind === "at-once" || (result?.kind === "address" && result.atOnce);
  // Anything asked of another host takes a round trip.
  if (atOnce && took > 0) return `${said}, after ${took} ms`;
  switch (result?.kind) {
    case "address":
      return address === result.address ? undefined : said;
    case "inside": {
      const subnet = Universe.parse(result.cidr);
      if (typeof subnet === "string") return subnet;
      return address !== undefined && subnet.offsetOf(address) !== undefined ? undefined : said;
    }
    case "heir":
      return answer.heir === result.name ? undefined : `${host}: the heir is ${answer.heir}`;
    case "one-heir":
      return answer.heir === undefined ? `${host}: no heir` : undefined;
    default:
      return undefined;
  }
}

/** A host that is away for a moment, as while it begins anew, may be looked at again. */
function unmetOrAway(stage: Stage, fact: Fact): string | undefined {
  try {
    return unmet(stage, fact);
  } catch (error) {
    return error instanceof Error ? error.message : `${error}`;
  }
}

/** What is so instead of the fact; undefined when it is so. */
function unmet(stage: Stage, fact: Fact): string | undefined {
  switch (fact.kind) {
    case "one-ring": {
      const rings = new Map(stage.running.map((name) => [stage.ring(name), name]));
      if (rings.size <= 1 && !rings.has("none")) return undefined;
      return [...rings].map(([ring, name]) => `${name}: ${ring}`).join("\n");
    }
    case "agreement":
      return stage.disagreement();
    case "clusters": {
      const clusters = new Map(fact.hosts.map((name) => [name, stage.node(name).cluster ?? "none"]));
      if (new Set(clusters.values()).size === fact.count && ![...clusters.values()].includes("none"))
        return undefined;
      return [...clusters].map(([name, cluster]) => `${name} in ${cluster}`).join(", ");
    }
    case "entries": {
      const name = stage.running[0] ?? "";
      const ranges = stage.ranges(name) ?? [];
      const owners = new Set(ranges.map(({ owner }) => owner)).size;
      return ranges.length <= fact.most * owners ? undefined : `${ranges.length} entries of ${owners} owners`;
    }
    default: {
      const seen = fact.hosts.flatMap((name) => {
        const instead = unmetOn(stage, name, fact);
        return instead === undefined ? [] : [`${name}: ${instead}`];
      });
      return seen.length === 0 ? undefined : seen.join("\n");
    }
  }
}

type FactOfHost = Exclude<Fact, { kind: "one-ring" | "agreement" | "clusters" | "entries" }>;

function unmetOn(stage: Stage, name: string, fact: FactOfHost): string | undefined {
  switch (fact.kind) {
    case "owns": {
      const owned = (stage.node(name).facts().pools[0]?.owned ?? []).reduce(
        (sum, { start, end }) => sum + end - start,
        0,
      );
      const { least, most } = fact.addresses;
      return owned >= least && owned <= most ? undefined : `owns ${owned}`;
    }
    case "no-ring": {
      const { cluster } = stage.node(name);
      return cluster === undefined ? undefined : `in cluster ${cluster}`;
    }
    case "shows": {
      const problems = stage.problems(name);
      const found = problems.some(
        ({ code, message }) =>
          (fact.code === undefined || code === fact.code) &&
          (fact.text === undefined || message.includes(fact.text)),
      );
      if (found === fact.wanted) return undefined;
      return problems.map(({ code, message }) => `${code}: ${message}`).join("\n") || "shows no problem";
    }
    case "knows": {
      const address = stage.machine(fact.of).containers.get(fact.container);
      const known = address === undefined ? undefined : stage.node(name).endpoints().byAddress.get(address);
      const right = known?.peer === stage.peerName(fact.of);
      if (right === fact.wanted) return undefined;
      return `${address ?? "no such container"} is ${known === undefined ? "unknown" : `of ${known.peer}`}`;
    }
    case "holds": {
      const address = stage.machine(name).containers.get(fact.container);
      const right = address !== undefined && (fact.address === undefined || fact.address === address);
      return right === fact.wanted ? undefined : (address ?? "no such container");
    }
    case "connected": {
      const linked = stage.connectedTo(name);
      const wanted = fact.to === "all" ? stage.running.filter((other) => other !== name) : fact.to;
      return sameNames(linked, wanted) ? undefined : `connected to ${linked.join(", ") || "nobody"}`;
    }
    case "connections": {
      const linked = stage.connectedTo(name);
      return linked.length <= fact.most ? undefined : `connected to ${linked.join(", ")}`;
    }
    case "targets": {
      const targets = stage.targetsOf(name);
      return sameNames(targets, fact.targets) ? undefined : `targets ${targets.join(", ") || "nobody"}`;
    }
    case "called": {
      const called = stage.peerName(name);
      return called === fact.name ? undefined : `called ${called}`;
    }
    case "exposed": {
      const exposed = stage.node(name).exposed();
      const right = exposed.some(({ cidr }) => cidr.split("/")[0] === fact.address);
      return right ? undefined : `exposed at ${exposed.map(({ cidr }) => cidr).join(", ") || "nothing"}`;
    }
    case "epoch": {
      const epoch = stage.node(name).facts().council.configuration?.epoch;
      return epoch === fact.epoch ? undefined : `epoch ${epoch}`;
    }
    case "voters": {
      const voters = stage.node(name).facts().council.configuration?.voters ?? [];
      const names = voters.map((voter) => stage.hostOf(voter.name));
      return sameNames(names, fact.voters) ? undefined : `voters ${names.join()}`;
    }
    case "lists": {
      const line = stage.ownerLine(name, fact.of);
      return line?.includes(fact.text) === true ? undefined : (line ?? `does not list ${fact.of}`);
    }
    case "aside": {
      const { asides } = stage.machine(name);
      return asides.at(-1) === fact.reason ? undefined : `set aside ${asides.join(", then ") || "nothing"}`;
    }
  }
}

/** In whatever order. */
const sameNames = (some: readonly string[], others: readonly string[]): boolean =>
  [...some].sort().join() === [...others].sort().join();
