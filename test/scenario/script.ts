// Reads a scenario: one step per line, as README.md describes. Whatever is not understood is an error that names file and
// line. What the steps are: language.ts; what they do: perform.ts.
import type { Act, Amount, Command, Fact, Result, Script, Step } from "./language.ts";
import {
  ADDRESS,
  CIDR,
  CODE,
  duration,
  expand,
  hostList,
  NAME,
  nothing,
  one,
  optionsOf,
  PEER_NAME,
  quoted,
  split,
  wholeNumber,
  wordsOf,
} from "./words.ts";

const DEFAULT_RANGE = "10.32.0.0/24";
const DEFAULT_SEEDS = [1, 2];

/** Throws with file and line at the first line that is no step. */
export function parseScript(file: string, text: string): Script {
  let range = DEFAULT_RANGE;
  let seeds: readonly number[] = DEFAULT_SEEDS;
  let title = "";
  const steps: Step[] = [];
  for (const [i, raw] of text.split("\n").entries()) {
    const bare = raw.replace(/#.*/, "").trim();
    if (title === "" && raw.startsWith("#")) title = raw.replace(/^#\s*/, "");
    if (bare === "") continue;
    try {
      const words = wordsOf(bare);
      const [first = "", ...rest] = words;
      if (first === "range" || first === "seeds") {
        if (steps.length > 0) throw new Error(`"${first}" stands before the first step`);
        if (first === "range") range = one(rest, CIDR, "a range");
        else seeds = rest.map(wholeNumber);
        continue;
      }
      steps.push({ line: i + 1, text: bare, act: parseAct(words) });
    } catch (error) {
      throw new Error(`${file}:${i + 1}: ${error instanceof Error ? error.message : error}\n    ${bare}`);
    }
  }
  const problem = steps.length === 0 ? "has no steps" : title === "" ? "does not say what it is about" : "";
  if (problem !== "") throw new Error(`${file} ${problem}`);
  const hosts = [...new Set(steps.flatMap(({ act }) => (act.kind === "command" ? act.hosts : [])))];
  for (const { line, act } of steps) {
    const stranger = namedIn(act).find((name) => !hosts.includes(name));
    if (stranger !== undefined) throw new Error(`${file}:${line}: there is no host ${stranger}`);
  }
  return { file, title, range, seeds, hosts, steps };
}

/** Hosts a step speaks of besides those that act. */
function namedIn(act: Act): readonly string[] {
  switch (act.kind) {
    case "command":
      switch (act.command.verb) {
        case "launch":
        case "connect":
        case "forget":
          return act.command.peers;
        default:
          return [];
      }
    case "kill":
    case "lose-disk":
      return act.hosts;
    case "partition":
      return act.groups.flat();
    case "lose-message":
      return [act.from];
    case "expect": {
      const { fact } = act;
      return "hosts" in fact ? [...fact.hosts, ...othersIn(fact)] : [];
    }
    case "heal":
    case "wait":
      return [];
  }
}

/** Hosts of whom something is said to be so on others. */
function othersIn(fact: Fact): readonly string[] {
  switch (fact.kind) {
    case "knows":
    case "lists":
      return [fact.of];
    case "connected":
      return fact.to === "all" ? [] : fact.to;
    case "targets":
      return fact.targets;
    default:
      return [];
  }
}

function parseAct(words: readonly string[]): Act {
  const [first = "", ...rest] = words;
  if (first.endsWith(">")) return parseCommand(hostList([first.slice(0, -1)]), rest);
  switch (first) {
    case "kill":
      return { kind: "kill", hosts: hostList(rest) };
    case "lose": {
      const [what = "", of, ...whom] = rest;
      if (of !== "of") throw new Error('"lose disk of HOST" or "lose next-MESSAGE of HOST"');
      if (what === "disk") return { kind: "lose-disk", hosts: hostList(whom) };
      const message = /^next-(\w+)$/.exec(what)?.[1];
      if (message === undefined) throw new Error(`cannot lose "${what}"`);
      return { kind: "lose-message", message, from: one(whom, NAME, "a host") };
    }
    case "partition": {
      const groups = split(rest, "|").map(hostList);
      if (groups.length < 2) throw new Error("a partition has two sides at least: alice bob | carol");
      return { kind: "partition", groups };
    }
    case "heal":
      nothing(rest);
      return { kind: "heal" };
    case "wait":
      return { kind: "wait", ms: duration(rest[0]) };
    case "within": {
      const [time, expect, ...fact] = rest;
      if (expect !== "expect") throw new Error('"within TIME expect ..."');
      return { kind: "expect", fact: parseFact(fact), withinMs: duration(time) };
    }
    case "expect":
      return { kind: "expect", fact: parseFact(rest), withinMs: 0 };
    default:
      throw new Error(`"${first}" is no step`);
  }
}

function parseCommand(hosts: readonly string[], words: readonly string[]): Act {
  const [typed = [], wanted, ...more] = split(words, "->");
  if (more.length > 0) throw new Error('more than one "->"');
  const [program, ...rest] = typed;
  const command = program === "weave" ? parseWeave(rest) : parseRuntime(program, rest);
  const result = wanted === undefined ? undefined : parseResult(wanted);
  return { kind: "command", hosts, command, ...(result === undefined ? {} : { result }) };
}

function parseWeave([verb, ...rest]: readonly string[]): Command {
  const { plain, options } = optionsOf(rest);
  const only = (...known: string[]): void => {
    const unknown = [...options.keys()].find((option) => !known.includes(option));
    if (unknown !== undefined) throw new Error(`weave ${verb} has no option ${unknown} here`);
  };
  const value = (option: string): string | undefined => options.get(option) || undefined;
  switch (verb) {
    case "launch": {
      const valued = ["--ipalloc-init", "--ipalloc-range", "--name", "--conn-limit"];
      only(...valued, "--no-discovery", "--resume");
      const [init, range, name, connLimit] = valued.map(value);
      const given = {
        ...(init && { init }),
        ...(range && { range }),
        ...(name && { name }),
        ...(connLimit && { connLimit }),
        ...(options.has("--no-discovery") && { discovery: false as const }),
        ...(options.has("--resume") && { resume: true as const }),
      };
      return { verb, peers: plain.length === 0 ? [] : hostList(plain), options: given };
    }
    case "connect":
      only("--replace");
      return { verb, peers: hostList(plain), replace: options.has("--replace") };
    case "forget":
      only();
      return { verb, peers: hostList(plain) };
    case "expose":
      only();
      nothing(plain);
      return { verb };
    case "reset": {
      only("--force", "--join");
      nothing(plain);
      const join = value("--join");
      return { verb, force: options.has("--force"), ...(join === undefined ? {} : { join }) };
    }
    case "rmpeer":
      only("--force");
      return { verb, peers: hostList(plain), force: options.has("--force") };
    default:
      throw new Error(`there is no "weave ${verb}" here`);
  }
}

function parseRuntime(verb: string | undefined, [container = "", ...rest]: readonly string[]): Command {
  const containers = expand(container);
  if (container === "") throw new Error("which container?");
  switch (verb) {
    case "add":
      if (rest.length === 0) return { verb, containers };
      return { verb, containers, address: one(rest, ADDRESS, "an address") };
    case "del":
      nothing(rest);
      return { verb, containers };
    default:
      throw new Error(`"${verb}" is neither weave nor add nor del`);
  }
}

function parseResult(words: readonly string[]): Result {
  const [first = "", ...rest] = words;
  if (words.join(" ") === "at once") return { kind: "at-once" };
  if (words.join(" ") === "one heir") return { kind: "one-heir" };
  if (first === "inside") return { kind: "inside", cidr: one(rest, CIDR, "a subnet") };
  if (first === "heir") return { kind: "heir", name: one(rest, NAME, "a host") };
  if (first === "refused") {
    const [code, ...text] = rest;
    return { kind: "refused", code: one([code ?? ""], CODE, "a code"), ...quoted(text) };
  }
  const atOnce = rest.join(" ") === "at once";
  if (!atOnce) nothing(rest);
  return { kind: "address", address: one([first], ADDRESS, "an address"), atOnce };
}

function parseFact(words: readonly string[]): Fact {
  const said = words.join(" ");
  if (said === "one ring") return { kind: "one-ring" };
  if (said === "agreement") return { kind: "agreement" };
  const most = /^at most (\d+) ring entries per host$/.exec(said)?.[1];
  if (most !== undefined) return { kind: "entries", most: wholeNumber(most) };
  const [whom = "", verb = "", ...rest] = words;
  const hosts = hostList([whom]);
  switch (verb) {
    case "own":
    case "owns":
      return { kind: "owns", hosts, addresses: amount(rest) };
    case "in": {
      const [count, ...noun] = rest;
      if (!/^clusters?$/.test(noun.join(" "))) throw new Error('"in one cluster", "in 2 clusters"');
      return { kind: "clusters", hosts, count: count === "one" ? 1 : wholeNumber(count ?? "") };
    }
    case "without":
      if (rest.join(" ") !== "ring") throw new Error('"without ring"');
      return { kind: "no-ring", hosts };
    case "show":
    case "shows": {
      const [not, ...shown] = rest[0] === "no" ? rest : ["", ...rest];
      const [code = "", ...text] = shown;
      if (code === "problem") return { kind: "shows", hosts, wanted: not === "" };
      return {
        kind: "shows",
        hosts,
        code: one([code], CODE, "a problem"),
        ...quoted(text),
        wanted: not === "",
      };
    }
    case "know":
    case "knows": {
      const [not, ...known] = rest[0] === "no" ? rest : ["", ...rest];
      const [container = "", of, host = ""] = known;
      if (of !== "of") throw new Error('"knows CONTAINER of HOST"');
      return { kind: "knows", hosts, container, of: host, wanted: not === "" };
    }
    case "hold":
    case "holds": {
      const [not, ...held] = rest[0] === "no" ? rest : ["", ...rest];
      const [container = "", at, address] = held;
      if (at === undefined) return { kind: "holds", hosts, container, wanted: not === "" };
      if (at !== "at") throw new Error('"holds CONTAINER at ADDRESS"');
      return {
        kind: "holds",
        hosts,
        container,
        address: one([address ?? ""], ADDRESS, "an address"),
        wanted: not === "",
      };
    }
    case "connected": {
      const [to, ...whom] = rest;
      if (to !== "to") throw new Error('"connected to HOST...", "to all", "to nobody"');
      return { kind: "connected", hosts, to: whom.join(" ") === "all" ? "all" : hostsOrNone(whom, "nobody") };
    }
    case "have":
    case "has": {
      const most = /^at most (\d+) connections$/.exec(rest.join(" "))?.[1];
      if (most === undefined) throw new Error('"have at most 3 connections"');
      return { kind: "connections", hosts, most: wholeNumber(most) };
    }
    case "target":
    case "targets":
      return { kind: "targets", hosts, targets: hostsOrNone(rest, "nobody") };
    case "called":
      return { kind: "called", hosts, name: one(rest, PEER_NAME, "a name") };
    case "exposed":
      if (rest[0] !== "at") throw new Error('"exposed at ADDRESS"');
      return { kind: "exposed", hosts, address: one(rest.slice(1), ADDRESS, "an address") };
    case "epoch":
      return { kind: "epoch", hosts, epoch: wholeNumber(rest[0] ?? "") };
    case "voters":
      return { kind: "voters", hosts, voters: hostList(rest) };
    case "list":
    case "lists": {
      const [of = "", ...text] = rest;
      const said = quoted(text).text;
      if (said === undefined) throw new Error('"lists HOST "TEXT""');
      return { kind: "lists", hosts, of: one([of], NAME, "a host"), text: said };
    }
    case "aside":
      return { kind: "aside", hosts, reason: one(rest, CODE, "a reason") };
    default:
      throw new Error(`"${verb}" cannot be expected of a host`);
  }
}

/** Hosts, or the word for none of them. */
const hostsOrNone = (words: readonly string[], none: string): readonly string[] =>
  words.join(" ") === none ? [] : hostList(words);

function amount(words: readonly string[]): Amount {
  const said = words.join(" ");
  if (said === "nothing") return { least: 0, most: 0 };
  if (said === "something") return { least: 1, most: Number.POSITIVE_INFINITY };
  const match = /^(at least )?(\d+)$/.exec(said);
  if (match === null) throw new Error(`"${said}" is no number of addresses`);
  const least = wholeNumber(match[2] ?? "");
  return { least, most: match[1] === undefined ? least : Number.POSITIVE_INFINITY };
}
