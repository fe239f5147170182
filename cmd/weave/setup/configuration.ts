// The network configuration 10-weave.conf. It is the user's as soon as the user has changed it.
import { appendFileSync, closeSync, fsyncSync, lstatSync, openSync } from "node:fs";
import { join } from "node:path";
import { contentOf, removeAbandoned, replaceFile, sha256 } from "./files.ts";
import type { Remembered } from "./remembered.ts";
import type { Step } from "./step.ts";

export const CONFIGURATION_FILE = "10-weave.conf";

/**
 * 0.4.0: kubelets before 1.24 (--network-plugin=cni) refuse 1.0.0. hairpinMode is our default and written out as Weave Net
 * did. No `ipam`: our own is the default, and Mesos skips a network whose `ipam` has no `type`.
 */
const CONFIGURATION = { cniVersion: "0.4.0", name: "weave", type: "weave-net", hairpinMode: true };

/** Valid JSON already without its last byte, a newline. */
const CONTENT = `${JSON.stringify(CONFIGURATION, null, 2)}\n`;

export function installConfiguration(directory: string, remembered: Remembered): Step[] {
  removeAbandoned(directory);
  const path = join(directory, CONFIGURATION_FILE);
  const state = stateOf(path, remembered);
  if (state === "foreign") {
    const difference =
      remembered.hashOf(path) === undefined ? "is not from this setup" : "was changed since setup wrote it";
    return [
      { action: "kept", what: path, detail: `it ${difference}; to have it written anew, move it away first` },
    ];
  }
  if (state !== "current") write(path);
  remembered.set(path, sha256(CONTENT));
  return [
    { action: state === "absent" ? "installed" : state === "current" ? "unchanged" : "updated", what: path },
  ];
}

/** "outdated": as an earlier setup wrote it; "unfinished": setup was killed before the last byte. */
function stateOf(
  path: string,
  remembered: Remembered,
): "absent" | "current" | "outdated" | "unfinished" | "foreign" {
  const entry = lstatSync(path, { throwIfNoEntry: false });
  if (entry === undefined) return "absent";
  if (!entry.isFile()) return "foreign"; // a link or directory is the user's own arrangement
  const content = contentOf(path)?.toString("utf8");
  if (content === CONTENT) return "current";
  if (content !== undefined && `${content}\n` === CONTENT) return "unfinished";
  return content !== undefined && sha256(content) === remembered.hashOf(path) ? "outdated" : "foreign";
}

/**
 * The rename puts all of it there at once. Then the last byte is appended, since some watchers (containerd 1.7) take
 * no notice of a rename but do of a write. What they read is valid at each moment.
 */
function write(path: string): void {
  replaceFile(path, CONTENT.slice(0, -1), 0o644);
  const fd = openSync(path, "a");
  try {
    appendFileSync(fd, CONTENT.slice(-1));
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
