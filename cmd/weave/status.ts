// `weave status`: the first line is the verdict, OK or PROBLEM, and the exit code says the same. Then a summary, or
// the table of one section.
import { statSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { z } from "zod";
import type { Status } from "../../src/api/status.ts";
import { WeaveError } from "../../src/core/errors.ts";
import { LOG_FILE, PID_FILE } from "../../src/daemon/options.ts";
import { EXIT } from "../exit-code.ts";
import { runDirOption } from "../launch-options.ts";
import type { Context } from "./context.ts";
import { type Daemon, daemonOf, isDenied } from "./daemon.ts";
import { addStatusCni } from "./status/cni.ts";
import { connectionsTable } from "./status/connections.ts";
import { endpointsTable } from "./status/endpoints.ts";
import { ipamTables } from "./status/ipam.ts";
import { peersTable } from "./status/peers.ts";
import { bySeverity, type Finding, problemLine } from "./status/problems.ts";
import { summary } from "./status/summary.ts";
import { targetsTable } from "./status/targets.ts";
import { json } from "./text.ts";

export const SECTIONS = ["connections", "targets", "peers", "ipam", "endpoints"] as const;
type Section = (typeof SECTIONS)[number];

const PATIENCE_MS = 10_000;

const EXAMPLES = `
The first line is "OK", or "PROBLEM: CODE OBJECT since TIME; run COMMAND" with the most severe
problem; further problems follow in the same form. Exit code 0 when it is OK, 1 when there is a
problem or no daemon.

Examples:
  weave status
  weave status connections               hosts dialled and connected, and why not; whether
                                         packets of full size reach them
  weave status targets                   addresses given to launch and connect
  weave status ipam                      who owns which addresses
  weave status peers --json              {ok, problems, peers}
  weave status --json | jq .repairs      what others changed in the kernel, and was put back
  weave status cni                       what kubelet sees; works without a daemon
  weave status > /dev/null || alert      in a script`;

const flags = z.object({ json: z.boolean().optional() });

export function addStatus(program: Command, context: Context): Command {
  const status = program
    .command("status")
    .description("Show whether all is well, and the state of the network")
    .argument("[SECTION]", `show this in full: ${SECTIONS.join(", ")}`)
    .option("--json", "print all of it, or {ok, problems, SECTION}, as JSON")
    .addOption(runDirOption())
    .addHelpText("after", EXAMPLES)
    .action(async (wanted: string | undefined, options: unknown) => {
      const section = readSection(wanted);
      const asJson = flags.parse(options).json ?? false;
      const daemon = daemonOf(options, PATIENCE_MS);
      const found = await ask(daemon);
      context.print(asJson ? json(select(found, section)) : render(found, section));
      context.setExitCode(found.ok ? EXIT.ok : EXIT.failed);
    });
  addStatusCni(status, context);
  return status;
}

function readSection(text: string | undefined): Section | undefined {
  const section = SECTIONS.find((name) => name === text);
  if (section !== undefined || text === undefined) return section;
  throw new WeaveError("bad-request", `status has no section "${text}"`, {
    hint: `it has: ${SECTIONS.join(", ")}, cni`,
  });
}

/** A daemon that cannot be asked is a problem in the same form as those it tells itself. */
interface Silence {
  readonly ok: false;
  readonly problems: readonly Finding[];
}

async function ask(daemon: Daemon): Promise<Status | Silence> {
  try {
    const status = await daemon.client.status();
    return { ...status, problems: bySeverity(status.problems) };
  } catch (error) {
    if (!(error instanceof WeaveError)) throw error;
    return { ok: false, problems: [silence(error, daemon)] };
  }
}

function silence(error: WeaveError, { runDir, socket }: Daemon): Finding {
  const command = wayOut(error, runDir);
  return {
    code: error.code,
    object: socket,
    since: lastSign(runDir),
    message: error.message,
    command,
  };
}

function wayOut(error: WeaveError, runDir: string): string {
  if (error.code === "not-running") return isDenied(error) ? "sudo weave status" : "weave launch";
  // A daemon that hangs does not hear "stop" either; containers keep their network without it.
  return error.code === "timeout" ? `kill -9 $(cat ${join(runDir, PID_FILE)}) && weave launch` : "weave stop";
}

/** The last trace of a daemon that cannot be asked: it wrote to its log or began. Without any, all we know is now. */
function lastSign(runDir: string): string {
  const times = [LOG_FILE, PID_FILE].flatMap((file) => readTime(join(runDir, file)));
  return new Date(times.length === 0 ? Date.now() : Math.max(...times)).toISOString();
}

function readTime(path: string): number[] {
  try {
    return [statSync(path).mtimeMs];
  } catch {
    return [];
  }
}

function select(found: Status | Silence, section: Section | undefined): unknown {
  if (section === undefined) return found;
  const { ok, problems } = found;
  return { ok, problems, ...("pid" in found ? { [section]: found[section] } : {}) };
}

/** The whole text, without the last newline. */
export function render(found: Status | Silence, section: Section | undefined): string {
  const verdict = found.ok ? ["OK"] : found.problems.map(problemLine);
  if (!("pid" in found)) return verdict.join("\n");
  return `${verdict.join("\n")}\n\n${section === undefined ? summary(found) : tableOf(found, section)}`;
}

function tableOf(status: Status, section: Section): string {
  switch (section) {
    case "connections":
      return connectionsTable(status);
    case "targets":
      return targetsTable(status);
    case "peers":
      return peersTable(status);
    case "ipam":
      return ipamTables(status);
    case "endpoints":
      return endpointsTable(status);
  }
}
