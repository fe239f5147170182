// The network configuration of kubelet, containerd, CRI-O and podman: 10-weave.conf or 10-weave.conflist, never both.
// A file is the user's as soon as the user has changed it.
import { appendFileSync, closeSync, fsyncSync, openSync, statSync } from "node:fs";
import { join } from "node:path";
import { quote } from "../cni/finding.ts";
import { readDropIns } from "../cni/network-files.ts";
import { probeVersions } from "../cni/plugin-probe.ts";
import { sortVersions } from "../cni/versions.ts";
import {
  CONFIGURATION_FILE,
  FORMATS,
  type Format,
  listConfiguration,
  NETWORK,
  singleConfiguration,
} from "./contents.ts";
import { contentOf, removeAbandoned, removeFile, replaceFile } from "./files.ts";
import { howItDiffers, type Owner, ownerOf } from "./ownership.ts";
import type { Remembered } from "./remembered.ts";
import type { Step } from "./step.ts";

/** What is to be done in a directory. */
export interface ConfigurationPlan {
  readonly directory: string;
  readonly format: Format;
  /** Of the file in that format. */
  readonly owner: Owner;
  /** Ours in the other format: to be removed when the wanted one is there. */
  readonly obsolete: string | undefined;
}

/**
 * Decides and changes nothing. `wanted` is what the user asked for; without it the format that is there stays, and with
 * neither there it is "conf". A Step instead of a plan: why it cannot be done.
 */
export function planConfiguration(
  directory: string,
  wanted: Format | undefined,
  remembered: Remembered,
): ConfigurationPlan | Step {
  const pathOf = (format: Format): string => join(directory, CONFIGURATION_FILE[format]);
  const owners = {
    conf: ownerOf(pathOf("conf"), remembered),
    conflist: ownerOf(pathOf("conflist"), remembered),
  };
  const format = wanted ?? present(owners, pathOf, remembered);
  const other = format === "conf" ? "conflist" : "conf";
  const path = pathOf(other);
  if (wanted !== undefined && owners[other] === "user") {
    return {
      action: "kept",
      what: path,
      detail: `${howItDiffers(path, remembered)}, and ${CONFIGURATION_FILE[format]} must not stand beside it, since runtimes would use one or the other; carry over what you need, move it away, and run setup again`,
      command: toMoveAway(path),
    };
  }
  // Without an order in so many words, nothing that some runtime may be using goes away beside a file of the user's.
  const swap = owners[other] === "setup" && (wanted !== undefined || owners[format] === "setup");
  return { directory, format, owner: owners[format], obsolete: swap ? path : undefined };
}

/** Both are there and ours when a setup was killed while it exchanged them: the one written last was wanted. */
function present(
  owners: Readonly<Record<Format, Owner>>,
  pathOf: (format: Format) => string,
  remembered: Remembered,
): Format {
  if (owners.conf === "setup" && owners.conflist === "setup") {
    const order = remembered.paths();
    return order.indexOf(pathOf("conflist")) > order.indexOf(pathOf("conf")) ? "conflist" : "conf";
  }
  const ours = FORMATS.find((format) => owners[format] === "setup");
  return ours ?? FORMATS.find((format) => owners[format] === "user") ?? "conf";
}

/**
 * The new file is whole before the old one goes. While both are there kubelet and containerd use 10-weave.conf, which
 * sorts first, podman uses the list, and both name the same network and plugin: each runtime attaches, and releases what
 * it attached, at every moment. In the other order there would be a moment without a network, in which containerd
 * refuses even to stop pods.
 *
 * `plugins` are directories to look for the chain's executables in.
 */
export function installConfiguration(
  plan: ConfigurationPlan,
  plugins: readonly string[],
  remembered: Remembered,
): Step[] {
  const { directory, format, owner, obsolete } = plan;
  removeAbandoned(directory);
  const path = join(directory, CONFIGURATION_FILE[format]);
  const steps: Step[] = [];
  if (owner === "user") {
    const detail = `${howItDiffers(path, remembered)}; to have it written anew, move it away first`;
    steps.push({ action: "kept", what: path, detail, command: toMoveAway(path) });
  } else {
    const content = format === "conf" ? singleConfiguration() : listConfiguration(spoken(directory, plugins));
    steps.push({ action: write(path, content, remembered), what: path });
  }
  if (obsolete !== undefined) {
    removeFile(obsolete);
    remembered.forget(obsolete);
    steps.push({ action: "removed", what: obsolete });
  }
  return steps;
}

/** A name that no runtime reads. */
function toMoveAway(path: string): string {
  return `mv ${quote(path)} ${quote(`${path}.off`)}`;
}

function write(path: string, content: string, remembered: Remembered): Step["action"] {
  const before = contentOf(path);
  if (before?.toString("utf8") === content) {
    // One that stood there before any setup remembered it stays when this one is taken away.
    if (remembered.has(path)) remembered.confirm(path, content);
    return "unchanged";
  }
  remembered.whileWriting(path, content, () => replaceNoticed(path, content));
  return before === undefined ? "installed" : "updated";
}

/**
 * The rename puts all of it there at once. Then the last byte is appended, since some watchers (containerd 1.7) take
 * no notice of a rename but do of a write. What they read is valid at each moment.
 */
function replaceNoticed(path: string, content: string): void {
  replaceFile(path, content.slice(0, -1), 0o644);
  const fd = openSync(path, "a");
  try {
    appendFileSync(fd, content.slice(-1));
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/**
 * Versions that every plugin of our list speaks: ours, and those that an operator has put in the directory `weave`
 * beside it. A plugin that is not there yet or does not answer speaks none.
 */
function spoken(directory: string, plugins: readonly string[]): string[] {
  const chain = new Set(["weave-net", ...added(directory)]);
  const answers = [...chain].map((type) => {
    const path = plugins.map((each) => join(each, type)).find((each) => isFile(each));
    const probe = path === undefined ? undefined : probeVersions(path);
    return probe !== undefined && "versions" in probe ? probe.versions : [];
  });
  const [first = [], ...others] = answers;
  return sortVersions(first.filter((version) => others.every((each) => each.includes(version))));
}

function added(directory: string): string[] {
  try {
    return readDropIns(directory, NETWORK).map(({ type }) => type);
  } catch {
    return []; // whether they can be read is for `weave status cni` to tell
  }
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}
