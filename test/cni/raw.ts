// The installed plugin started as odd runtimes start it: through a shell that arranges descriptors, directory and
// mask. For what neither libcni nor the tests' Container would do.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { isObject } from "../kernel/support/namespaces.ts";
import type { PluginAnswer } from "../support/container.ts";
import type { Host } from "../support/host.ts";

export interface RawCall {
  /** The whole environment. */
  readonly env: Readonly<Record<string, string>>;
  /** Written to a pipe, piece by piece with a pause between; absent: the pipe stays open and empty. */
  readonly stdin?: readonly string[];
  /** Shell before the plugin; `$0` is its path. */
  readonly script?: string;
}

/** Run weave-net on a host. */
export async function runRaw(
  host: Host,
  { env, stdin, script = 'exec "$0"' }: RawCall,
): Promise<PluginAnswer> {
  const argv = [`--net=${host.namespace.path}`, "/bin/sh", "-c", script, join(host.cniBinDir, "weave-net")];
  const child = spawn("/usr/bin/nsenter", argv, { cwd: "/", env, stdio: ["pipe", "pipe", "pipe"] });
  const [out, err]: [Buffer[], Buffer[]] = [[], []];
  child.stdout.on("data", (chunk: Buffer) => out.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => err.push(chunk));
  child.stdin.on("error", () => {}); // VERSION reads nothing
  const closed = new Promise<number>((resolve) => child.once("close", (code) => resolve(code ?? -1)));
  for (const piece of stdin ?? []) {
    child.stdin.write(piece);
    await delay(1); // so that the reader sees pieces
  }
  if (stdin !== undefined) child.stdin.end();
  const exit = await closed;
  child.stdin.destroy();
  const stdout = Buffer.concat(out).toString("utf8");
  return { exit, stdout, stderr: Buffer.concat(err).toString("utf8"), json: parse(stdout) };
}

function parse(stdout: string): PluginAnswer["json"] {
  try {
    const parsed: unknown = JSON.parse(stdout);
    return isObject(parsed) ? parsed : {};
  } catch {
    return {};
  }
}
