// The real forwarder for tests: compiled into a directory of its own, called as a runtime calls it, with or
// without a stand-in daemon.
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { linkSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";

const SOURCES = new URL("../forwarder/", import.meta.url).pathname;

export interface Forwarder {
  /** weave-net and weave-ipam are in here, and whatever a test puts beside them. */
  readonly dir: string;
  remove(): void;
}

export function buildForwarder(): Forwarder {
  const dir = mkdtempSync(join(tmpdir(), "weave-forwarder-"));
  const remove = (): void => rmSync(dir, { recursive: true, force: true });
  const sources = readdirSync(SOURCES).filter((name) => name.endsWith(".c"));
  const flags = ["-std=c11", "-O2", "-static", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE"];
  try {
    const files = sources.map((name) => join(SOURCES, name));
    execFileSync("gcc", [...flags, "-o", join(dir, "weave-net"), ...files]);
    linkSync(join(dir, "weave-net"), join(dir, "weave-ipam"));
  } catch (error) {
    remove();
    throw error;
  }
  return { dir, remove };
}

/** What Mesos passes and no more, with good values. */
export const ENVIRONMENT = {
  CNI_COMMAND: "ADD",
  CNI_CONTAINERID: "c-1",
  CNI_IFNAME: "eth0",
  CNI_NETNS: "/dev/null",
  CNI_PATH: "/opt/cni/bin",
  PATH: "/usr/bin:/bin",
};

export const CONFIG = '{"cniVersion":"1.1.0","name":"net1","type":"weave-net"}';

export interface Run {
  readonly exit: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** stdout decoded; {} when it is not a JSON object. */
  readonly json: Record<string, unknown>;
  readonly ms: number;
}

export type Stdin = string | Buffer | readonly string[] | null;

/**
 * Runs `command` (a path and its arguments) with exactly `env`. A list as stdin is written piece by piece;
 * null leaves it open.
 */
export async function run(
  command: readonly string[],
  env: Record<string, string | undefined>,
  stdin: Stdin = CONFIG,
): Promise<Run> {
  const [file = "", ...args] = command;
  const started = performance.now();
  const child = spawn(file, args, { env });
  // A program that does not read its stdin is no failure of ours.
  child.stdin.on("error", () => undefined);
  const [stdout, stderr, [exit]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, "close"),
    feed(child.stdin, stdin),
  ]);
  return { exit, stdout, stderr, json: decode(stdout), ms: performance.now() - started };
}

async function feed(to: NodeJS.WritableStream, stdin: Stdin): Promise<void> {
  if (stdin === null) return;
  if (typeof stdin === "string" || Buffer.isBuffer(stdin)) {
    to.end(stdin);
    return;
  }
  for (const piece of stdin) {
    to.write(piece);
    // Lets the reader see each piece alone; nothing depends on it doing so.
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  to.end();
}

/** CLOCK_BOOTTIME in whole milliseconds, at most 10 late. */
export function bootMs(): number {
  return Math.round(Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]) * 1000);
}

/**
 * Runs `plugin` and lets it wait for its configuration. `waitingAt`: a moment (bootMs) at which it had been seen waiting,
 * at least 100 ms before the configuration came.
 */
export async function runDelayed(
  plugin: string,
  env: Record<string, string>,
): Promise<{ exit: number | null; waitingAt: number }> {
  const child = spawn(plugin, { env });
  child.stdout.resume();
  const closed = once(child, "close");
  await until(() => isWaiting(child.pid, plugin));
  const waitingAt = bootMs() + CLOCK_STEP_MS;
  await until(() => bootMs() > waitingAt + 100);
  child.stdin.end(CONFIG);
  const [exit] = await closed;
  return { exit, waitingAt };
}

/** Steps of /proc/uptime. */
const CLOCK_STEP_MS = 10;

/** Whether the process has become `plugin` and sleeps: then it has nothing to read. */
function isWaiting(pid: number | undefined, plugin: string): boolean {
  return readlinkSync(`/proc/${pid}/exe`) === plugin && / S /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
}

async function until(fact: () => boolean): Promise<void> {
  for (const deadline = performance.now() + 10_000; !fact(); ) {
    if (performance.now() > deadline) throw new Error(`not within 10 s: ${fact}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function decode(stdout: string): Record<string, unknown> {
  try {
    return Object.fromEntries(Object.entries(Object(JSON.parse(stdout))));
  } catch {
    return {};
  }
}

export interface StandInDaemon {
  readonly socket: string;
  /** Bodies received. */
  readonly requests: Record<string, unknown>[];
  close(): Promise<void>;
}

/** An HTTP server on a unix socket that answers every request with `answer`. */
export async function standInDaemon(
  dir: string,
  answer: (
    response: ServerResponse,
    request: IncomingMessage,
    body: Record<string, unknown>,
  ) => void | Promise<void>,
): Promise<StandInDaemon> {
  const socket = join(dir, `${process.pid}-${Math.floor(performance.now() * 1000)}.sock`);
  const requests: Record<string, unknown>[] = [];
  const server = createServer(async (request, response) => {
    const body = decode(await text(request));
    requests.push(body);
    await answer(response, request, body);
  });
  server.listen(socket);
  await once(server, "listening");
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    server.close();
    await once(server, "close");
  };
  return { socket, requests, close };
}

/** The daemon's good answer. */
export function respond(response: ServerResponse, exit: number, stdout: string, stderr = ""): void {
  const warnings = stderr === "" ? {} : { "weave-warnings": Buffer.byteLength(stderr) };
  const body = stderr + stdout;
  response.writeHead(200, { "weave-exit": exit, "content-length": Buffer.byteLength(body), ...warnings });
  response.end(body);
}
