// Asks an executable of a plugin directory what it is: which versions of the CNI specification it speaks, and, for our
// own, which weave it belongs to. Runs the program, as every runtime does, with a bound on time and output.
import { spawnSync } from "node:child_process";
import { z } from "zod";
import { sortVersions } from "./versions.ts";

/** A plugin answers VERSION in milliseconds; one on a loaded machine in some hundred. */
const PATIENCE_MS = 2000;
const MAX_OUTPUT_BYTES = 64 * 1024;

/** What a plugin answered to VERSION, ascending; or why there is no answer. */
export type Probe = { readonly versions: readonly string[] } | { readonly silent: string };

const answer = z.object({ cniVersion: z.string(), supportedVersions: z.array(z.string()).max(64).nullish() });
const failure = z.object({ msg: z.string() });

/** Never throws. The variables and the input are those of libcni. */
export function probeVersions(path: string, timeoutMs = PATIENCE_MS): Probe {
  const dummies = { CNI_CONTAINERID: "", CNI_NETNS: "dummy", CNI_IFNAME: "dummy", CNI_PATH: "dummy" };
  const run = call(path, { CNI_COMMAND: "VERSION", ...dummies }, '{"cniVersion":"1.1.0"}', timeoutMs);
  if ("silent" in run) return run;
  const parsed = parse(run.stdout);
  if (run.exit !== 0) {
    const { msg } = failure.safeParse(parsed).data ?? { msg: run.stderr.trim().split("\n")[0] ?? "" };
    // Plugins older than the verb (0.1.0) are known by this refusal.
    if (/unknown CNI_COMMAND/i.test(msg)) return { versions: ["0.1.0"] };
    return {
      silent: `VERSION failed with exit code ${run.exit}${msg === "" ? "" : `: ${msg.slice(0, 200)}`}`,
    };
  }
  const told = answer.safeParse(parsed).data;
  if (told === undefined) return { silent: "its answer to VERSION is not one of a CNI plugin" };
  if (told.supportedVersions?.length) return { versions: sortVersions(new Set(told.supportedVersions)) };
  return told.cniVersion === "0.2.0"
    ? { versions: ["0.1.0", "0.2.0"] }
    : { silent: "its answer to VERSION has no supportedVersions" };
}

/** The version of weave that an executable weave-net was built with; undefined: it is not one of this weave's. */
export function forwarderVersion(path: string, timeoutMs = PATIENCE_MS): string | undefined {
  const run = call(path, {}, "", timeoutMs);
  if ("silent" in run || run.exit !== 0) return undefined;
  return /^weave-(?:net|ipam) (\S{1,64}): /.exec(run.stdout + run.stderr)?.[1];
}

function call(
  path: string,
  variables: Record<string, string>,
  input: string,
  timeoutMs: number,
): { exit: number | null; stdout: string; stderr: string } | { silent: string } {
  const run = spawnSync(path, [], {
    cwd: "/",
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", ...variables },
    input,
    encoding: "utf8",
    timeout: timeoutMs,
    killSignal: "SIGKILL",
    maxBuffer: MAX_OUTPUT_BYTES,
  });
  const code = run.error !== undefined && "code" in run.error ? run.error.code : undefined;
  if (code === "ETIMEDOUT") return { silent: `it does not answer within ${timeoutMs / 1000} s` };
  // A program that ends without reading its input is none the worse for it.
  if (run.error !== undefined && code !== "EPIPE")
    return { silent: `it cannot be run: ${run.error.message}` };
  return { exit: run.status, stdout: run.stdout, stderr: run.stderr };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
