// Whether weave-net, as a runtime starts it, is the one of this weave, and leads to a daemon that runs.
import { readFileSync, realpathSync } from "node:fs";
import { dirname } from "node:path";
import { createClient } from "../../../../src/api/client.ts";
import { WeaveError } from "../../../../src/core/errors.ts";
import { DEFAULT_RUN_DIR, SOCKET_FILE } from "../../../../src/daemon/options.ts";
import { type Finding, quote } from "../../cni/finding.ts";
import { forwarderVersion } from "../../cni/plugin-probe.ts";
import { isDenied } from "../../daemon.ts";
import type { CniReport } from "./report.ts";

/** Long enough for a busy host, short enough for a person. */
const PATIENCE_MS = 3000;

type Forwarder = NonNullable<CniReport["forwarder"]>;

export interface ForwarderRequest {
  /** Of weave-net in a plugin directory. */
  readonly path: string;
  /** Of this weave. */
  readonly version: string;
  /** Socket of the daemon the user is talking about, with --run-dir or by default. */
  readonly expected: string;
}

export async function examineForwarder(
  request: ForwarderRequest,
): Promise<{ forwarder: Forwarder; problems: Finding[] }> {
  const { path, version, expected } = request;
  const found = forwarderVersion(path);
  const socket = socketOf(path);
  const problems: Finding[] = [];
  const setup = `weave setup --cni-bin-dir ${quote(dirname(path))}`;
  if (found !== version) {
    const it = found === undefined ? "is not from this weave" : `is of weave ${found}, this is ${version}`;
    problems.push({ code: "forwarder", object: path, message: `${path} ${it}`, command: setup });
  }
  const daemon = await ask(socket);
  const forwarder = { path, socket, ...(found === undefined ? {} : { version: found }) };
  if (!(daemon instanceof WeaveError)) return { forwarder: { ...forwarder, daemon }, problems };
  const elsewhere = socket !== expected && !((await ask(expected)) instanceof WeaveError);
  problems.push({
    code: "daemon",
    object: socket,
    message: elsewhere
      ? `${path} asks ${socket}, where nobody answers; the daemon is at ${expected}`
      : `no daemon answers weave-net: ${daemon.message}`,
    command: elsewhere ? `${setup} --run-dir ${quote(dirname(expected))}` : wayOut(daemon, socket),
  });
  return { forwarder, problems };
}

/** As the forwarder finds it without a variable, which runtimes do not pass (docs/cni.md). */
function socketOf(path: string): string {
  try {
    const [line = ""] = readFileSync(`${realpathSync(path)}.socket`, "utf8").split("\n");
    if (line !== "") return line;
  } catch {
    // then it is the default, for the forwarder, too
  }
  return `${DEFAULT_RUN_DIR}/${SOCKET_FILE}`;
}

async function ask(socket: string): Promise<{ version: string; pid: number } | WeaveError> {
  try {
    const { version, pid } = await createClient(socket, { timeoutMs: PATIENCE_MS }).status();
    return { version, pid };
  } catch (error) {
    if (error instanceof WeaveError) return error;
    throw error;
  }
}

function wayOut(error: WeaveError, socket: string): string {
  const runDir = dirname(socket);
  const where = runDir === DEFAULT_RUN_DIR ? "" : ` --run-dir ${quote(runDir)}`;
  if (error.code !== "not-running") return `weave status${where}`;
  return isDenied(error) ? "sudo weave status cni" : `weave launch${where}`;
}
