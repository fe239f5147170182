// The real forwarder for tests: compiled into a directory of its own, called as a runtime calls it, with or
// without a stand-in daemon.
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { linkSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
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
export function respond(response: ServerResponse, exit: number, stdout: string): void {
  response.writeHead(200, { "weave-exit": String(exit), "content-length": Buffer.byteLength(stdout) });
  response.end(stdout);
}
