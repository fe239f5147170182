// What a firewall of somebody else is to us: something that may drop what is forwarded, and that is asked with its own
// tool to accept traffic of the bridge. The rules are the same everywhere: all that comes from the bridge, and to it the
// answers and what a published port leads there. What else wants to come in is the other firewall's affair.
import { spawn } from "node:child_process";
import { WeaveError } from "../../core/errors.ts";
import type { Host } from "../host.ts";
import { isInstalled } from "../programs.ts";

/** "none": it drops nothing, or is not there. */
export type Standing = "none" | "there" | "missing";

export interface Backend {
  /** In words for people: "iptables (nf_tables), chain FORWARD". */
  readonly where: string;
  /** Reads, starts no process unless it must. */
  look(bridge: string): Promise<Standing>;
  /** Its tables were touched: what was found out with its tool does not hold any more. */
  forget?(): void;
  /** Put the accept in; what was done, in words for people. */
  assert(bridge: string): Promise<readonly string[]>;
  /** What a person would type to put all of it in. Writes nothing. */
  commands(bridge: string): Promise<readonly string[]>;
  /** Take it out; empty when it was not there. */
  withdraw(bridge: string): Promise<readonly string[]>;
}

/** Arguments of iptables and ip6tables, behind "-I CHAIN"; in the order they end up in the chain. */
export function acceptRules(bridge: string): readonly (readonly string[])[] {
  return [
    ["-i", bridge, "-j", "ACCEPT"],
    ["-o", bridge, "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED,DNAT", "-j", "ACCEPT"],
  ];
}

/** Insert those rules of the chain that are missing; what was done. */
export async function insertRules(tool: Tool, chain: string, bridge: string): Promise<readonly string[]> {
  const done: string[] = [];
  for (const rule of [...acceptRules(bridge)].reverse()) {
    if ((await tool(["-w", "2", "-C", chain, ...rule])).ok) continue;
    const inserted = await tool(["-w", "2", "-I", chain, "1", ...rule]);
    if (!inserted.ok) throw inserted.refusal;
    done.push(`${inserted.program} -I ${chain} 1 ${rule.join(" ")}`);
  }
  return done;
}

/** What inserts all of them, for a person to type, with the first of `programs` that is installed. */
export function insertCommands(
  programs: readonly string[],
  chain: string,
  bridge: string,
): readonly string[] {
  const program = programs.find(isInstalled);
  return [
    ...(program === undefined ? ["apt-get install iptables"] : []),
    ...[...acceptRules(bridge)]
      .reverse()
      .map((rule) => `${program ?? programs[0]} -I ${chain} 1 ${rule.join(" ")}`),
  ];
}

/** Delete those rules of the chains that are there; what was done. */
export async function deleteRules(
  tool: Tool,
  chains: readonly string[],
  bridge: string,
): Promise<readonly string[]> {
  const done: string[] = [];
  for (const chain of chains) {
    for (const rule of acceptRules(bridge)) {
      const { ok, program } = await tool(["-w", "2", "-D", chain, ...rule]);
      if (ok) done.push(`${program} -D ${chain} ${rule.join(" ")}`);
    }
  }
  return done;
}

/** What a run of a tool came to. */
export interface Run {
  readonly ok: boolean;
  readonly program: string;
  readonly stdout: string;
  /** To be thrown by who needs it to succeed. */
  readonly refusal: WeaveError;
}

/** Runs a firewall's own tool with these arguments. */
export type Tool = (args: readonly string[]) => Promise<Run>;

/** iptables waits 2 s for its lock; what takes longer than this hangs. Applies wait meanwhile. */
const TIMEOUT_MS = 5_000;

/** The first of `programs` that is installed. Throws feature-missing when none is. */
export function toolOf(host: Host, programs: readonly string[]): Tool {
  return async (args) => {
    for (const program of programs) {
      const run = await start(host, program, args);
      if (run !== undefined) return run;
    }
    throw new WeaveError("feature-missing", `${programs.join(", ")}: command not found`, {
      hint: "let the firewall of this host accept what is forwarded from and to the interface weave",
    });
  };
}

/** Undefined when there is no such program. */
function start(host: Host, program: string, args: readonly string[]): Promise<Run | undefined> {
  return new Promise((resolve) => {
    const child = host.run(() =>
      spawn(program, [...args], { stdio: ["ignore", "pipe", "pipe"], timeout: TIMEOUT_MS }),
    );
    let [stdout, stderr] = ["", ""];
    child.stdout.on("data", (chunk: Buffer) => {
      if (stdout.length < 10_000) stdout += chunk.toString("utf8");
    });
    child.stderr.on("data", (chunk: Buffer) => {
      if (stderr.length < 2_000) stderr += chunk.toString("utf8");
    });
    child.on("error", () => resolve(undefined));
    child.on("close", (code, signal) => {
      const why = stderr.trim() || `ended with ${signal ?? code}`;
      const refusal = new WeaveError("kernel", `${program} ${args.join(" ")}: ${why}`);
      resolve({ ok: code === 0, program, stdout, refusal });
    });
  });
}
