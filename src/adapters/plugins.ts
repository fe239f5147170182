// Runs CNI plugins of others: found in the caller's CNI_PATH, started in the host's network namespace with the CNI
// variables and nothing else of the daemon's environment but PATH.
import { execFile } from "node:child_process";
import { statSync } from "node:fs";
import { delimiter, isAbsolute, join } from "node:path";
import { WeaveError } from "../core/errors.ts";
import type { PluginCall, PluginOutcome, Plugins } from "../ports/plugins.ts";

/** Below the patience of the forwarder; an IPAM plugin takes milliseconds, the DHCP one some seconds. */
const TIMEOUT_MS = 30_000;
/** More than any result of address management. */
const MAX_OUTPUT_BYTES = 1024 * 1024;

export function createPlugins(): Plugins {
  return {
    run: (call, signal) =>
      new Promise((resolve, reject) => {
        const executable = find(call);
        const env = { ...call.env, CNI_PATH: call.path, PATH: process.env["PATH"] };
        const limits = { timeout: TIMEOUT_MS, killSignal: "SIGKILL", maxBuffer: MAX_OUTPUT_BYTES } as const;
        const child = execFile(
          executable,
          { env, cwd: "/", ...limits, ...(signal === undefined ? {} : { signal }) },
          (error, stdout, stderr) => {
            const outcome = outcomeOf(error, stdout, stderr);
            if (outcome !== undefined) resolve(outcome);
            else reject(failure(call.type, error));
          },
        );
        child.stdin?.on("error", () => {}); // a plugin need not read what it is told
        child.stdin?.end(call.stdin);
      }),
  };
}

/** undefined when it did not come to an exit code. */
function outcomeOf(error: unknown, stdout: string, stderr: string): PluginOutcome | undefined {
  if (error === null) return { exit: 0, stdout, stderr };
  const exit = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof exit === "number" ? { exit, stdout, stderr } : undefined;
}

function failure(type: string, error: unknown): WeaveError {
  if (error instanceof Error && error.name === "AbortError")
    return new WeaveError("cancelled", `the plugin ${type} was ended because its caller went away`);
  if (error instanceof Error && "killed" in error && error.killed === true)
    return new WeaveError("timeout", `the plugin ${type} did not end within ${TIMEOUT_MS / 1000} s`);
  const message = error instanceof Error ? error.message : String(error);
  return new WeaveError("kernel", `the plugin ${type} could not be run: ${message}`, { cause: error });
}

/** The first regular file of that name, links followed, as libcni looks for it. */
function find({ type, path }: PluginCall): string {
  for (const directory of path.split(delimiter)) {
    if (!isAbsolute(directory)) continue;
    const candidate = join(directory, type);
    if (statSync(candidate, { throwIfNoEntry: false })?.isFile()) return candidate;
  }
  throw new WeaveError("feature-missing", `there is no plugin ${type} in CNI_PATH ${path}`, {
    hint: "install it there; Debian's package containernetworking-plugins has the usual ones in /usr/lib/cni",
  });
}
