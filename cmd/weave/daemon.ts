// The daemon of a run directory, as the verbs reach it.
import { join } from "node:path";
import { type Client, createClient } from "../../src/api/client.ts";
import type { WeaveError } from "../../src/core/errors.ts";
import { SOCKET_FILE } from "../../src/daemon/options.ts";
import { readDirectories } from "../launch-options.ts";

export interface Daemon {
  readonly runDir: string;
  readonly socket: string;
  readonly client: Client;
}

/** `options` are commander's, with --run-dir. Nothing is called yet. */
export function daemonOf(options: unknown, timeoutMs?: number): Daemon {
  const { runDir } = readDirectories(options);
  const socket = join(runDir, SOCKET_FILE);
  return { runDir, socket, client: createClient(socket, timeoutMs === undefined ? {} : { timeoutMs }) };
}

/** Whether a "not-running" only says that this user may not use the socket. */
export function isDenied(error: WeaveError): boolean {
  const { cause } = error;
  return cause instanceof Error && "code" in cause && (cause.code === "EACCES" || cause.code === "EPERM");
}
