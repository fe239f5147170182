// Finds a plugin, runs it in the runtime's namespace, and reads what it says.
import { spawn } from "node:child_process";
import { statSync } from "node:fs";
import { join } from "node:path";
import { isObject, type JsonObject } from "../../kernel/support/namespaces.ts";

export type PluginCommand = "ADD" | "DEL" | "CHECK" | "GC" | "STATUS" | "VERSION";

/** One interface of one container, and what its runtime wants for it. */
export interface Attachment {
  readonly containerId: string;
  /** CNI_NETNS; empty when the namespace is gone. */
  readonly netns: string;
  readonly ifname: string;
  /** CNI_ARGS, in this order. */
  readonly args?: readonly (readonly [string, string])[];
  /** By capability; plugins get what they declare. */
  readonly capabilityArgs?: Readonly<Record<string, unknown>>;
}

export interface PluginRun {
  readonly command: PluginCommand;
  readonly type: string;
  readonly stdin: string;
  /** -1: killed. */
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
  /** stdout parsed; empty when it is no object. */
  readonly json: JsonObject;
  readonly ms: number;
}

/** A plugin that failed, with what it said; `code` is absent when it did not say it in JSON. */
export class PluginFailure extends Error {
  override readonly name = "PluginFailure";
  readonly run: PluginRun;
  readonly code: number | undefined;
  readonly msg: string;

  constructor(run: PluginRun) {
    const { code, msg, details } = run.json;
    const said = typeof msg === "string" ? msg : run.stdout === "" ? run.stderr : `not JSON: ${run.stdout}`;
    super(`plugin ${run.type} ${run.command}: ${typeof code === "number" ? `code ${code}: ` : ""}${said}`);
    this.run = run;
    this.code = typeof code === "number" ? code : undefined;
    this.msg = typeof details === "string" ? `${said}; ${details}` : said;
  }
}

export interface Surroundings {
  readonly netns: string;
  readonly binDirs: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * Run one plugin to its end. `ran` is told of every run, failed ones too. All six variables are set, empty where the
 * verb has no use for them. Throws PluginFailure when it exits other than 0.
 */
export async function runPlugin(
  call: {
    readonly command: PluginCommand;
    readonly type: string;
    readonly stdin: string;
    readonly attachment?: Attachment;
  },
  { netns, binDirs, env = { PATH } }: Surroundings,
  ran: (run: PluginRun) => void,
  signal?: AbortSignal,
): Promise<PluginRun> {
  const { command, type, stdin, attachment } = call;
  const variables = {
    ...env,
    CNI_COMMAND: command,
    CNI_CONTAINERID: attachment?.containerId ?? "",
    CNI_NETNS: attachment?.netns ?? "",
    CNI_ARGS: (attachment?.args ?? []).map(([key, value]) => `${key}=${value}`).join(";"),
    CNI_IFNAME: attachment?.ifname ?? "",
    CNI_PATH: command === "VERSION" ? "dummy" : binDirs.join(":"),
  };
  const started = performance.now();
  const ended = await execute([`--net=${netns}`, findPlugin(type, binDirs)], variables, stdin, signal);
  const ms = performance.now() - started;
  const run: PluginRun = { command, type, stdin, ...ended, json: parse(ended.stdout), ms };
  ran(run);
  if (run.exit !== 0) throw new PluginFailure(run);
  return run;
}

/** The first regular file of that name; nobody looks at its mode. */
function findPlugin(type: string, binDirs: readonly string[]): string {
  if (type === "" || type.includes("/")) throw new Error(`invalid plugin name: "${type}"`);
  const paths = binDirs.map((dir) => join(dir, type));
  const found = paths.find((path) => statSync(path, { throwIfNoEntry: false })?.isFile() === true);
  if (found === undefined) throw new Error(`failed to find plugin "${type}" in path ${binDirs.join(":")}`);
  return found;
}

function execute(
  argv: readonly string[],
  env: Readonly<Record<string, string>>,
  stdin: string,
  signal?: AbortSignal,
): Promise<{ exit: number; stdout: string; stderr: string }> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    // nsenter becomes the plugin: same process, so a kill reaches it.
    const child = spawn("/usr/bin/nsenter", argv, { cwd: "/", env, stdio: ["pipe", "pipe", "pipe"] });
    const kill = (): void => void child.kill("SIGKILL");
    signal?.addEventListener("abort", kill);
    const [out, err]: [Buffer[], Buffer[]] = [[], []];
    child.stdout.on("data", (chunk: Buffer) => out.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => err.push(chunk));
    child.stdin.on("error", () => {}); // it may end without reading
    child.stdin.end(stdin);
    child.once("error", reject);
    child.once("close", (exit) => {
      signal?.removeEventListener("abort", kill);
      const text = (chunks: readonly Buffer[]): string => Buffer.concat(chunks).toString("utf8");
      resolve({ exit: exit ?? -1, stdout: text(out), stderr: text(err) });
    });
  });
}

function parse(stdout: string): JsonObject {
  try {
    const parsed: unknown = JSON.parse(stdout);
    return isObject(parsed) ? parsed : {};
  } catch {
    return {};
  }
}
