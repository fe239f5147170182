// The plugin in the directory of a container runtime:
//
//   weave-plugin-0.1.0            the forwarder
//   weave-plugin-0.1.0.socket     the control socket it talks to; runtimes pass no variable of ours
//   weave-net, weave-ipam         symbolic links to it, moved in one step
import { statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { WeaveError } from "../../../src/core/errors.ts";
import { contentOf, linkTarget, removeAbandoned, removeFile, replaceFile, replaceLink } from "./files.ts";
import type { Remembered } from "./remembered.ts";
import type { Step } from "./step.ts";

/** The CNI types; the program tells by its name which one it is called as. */
export const TYPES = ["weave-net", "weave-ipam"];
/** Begins the names of the files that the links lead to. */
export const VERSIONED = "weave-plugin-";

export interface Executables {
  /** Directory of the built programs. */
  readonly programs: string;
  readonly version: string;
  readonly socket: string;
  /** Directory to install into. */
  readonly bin: string;
  readonly remembered: Remembered;
}

/** What the links point to is complete before they do; older versions of ours go last. */
export function installExecutables({ programs, version, socket, bin, remembered }: Executables): Step[] {
  removeAbandoned(bin);
  const plugin = join(bin, `${VERSIONED}${version}`);
  const steps = [
    installFile(`${plugin}.socket`, Buffer.from(`${socket}\n`), 0o644, remembered),
    installFile(plugin, builtPlugin(programs), 0o755, remembered),
    ...TYPES.map((type) => installLink(join(bin, type), basename(plugin))),
  ];
  return [...steps, ...removeOlder(plugin, remembered)];
}

function builtPlugin(programs: string): Buffer {
  const path = join(programs, "weave-net");
  const content = contentOf(path);
  if (content !== undefined) return content;
  throw new WeaveError("feature-missing", `${path} does not exist`, {
    hint: "weave and weave-net belong into one directory; build both with: npm run build",
  });
}

function installFile(path: string, content: Buffer, mode: number, remembered: Remembered): Step {
  const before = contentOf(path);
  const same = before?.equals(content) === true && (statSync(path).mode & 0o777) === mode;
  if (same) remembered.confirm(path, content);
  else remembered.whileWriting(path, content, () => replaceFile(path, content, mode));
  return { action: same ? "unchanged" : before === undefined ? "installed" : "updated", what: path };
}

function installLink(path: string, target: string): Step {
  const before = linkTarget(path);
  if (before !== target) replaceLink(path, target);
  const action = before === target ? "unchanged" : before === undefined ? "installed" : "updated";
  return { action, what: `${path} -> ${target}` };
}

/** Only what setup wrote and nobody changed: Weave Net has files of the same pattern. */
function removeOlder(plugin: string, remembered: Remembered): Step[] {
  const current = [plugin, `${plugin}.socket`];
  const steps: Step[] = [];
  for (const path of remembered.paths()) {
    const ours = dirname(path) === dirname(plugin) && basename(path).startsWith(VERSIONED);
    if (!ours || current.includes(path)) continue;
    const content = contentOf(path);
    if (content !== undefined && remembered.wrote(path, content)) {
      removeFile(path);
      steps.push({ action: "removed", what: path });
    }
    remembered.forget(path);
  }
  return steps;
}
