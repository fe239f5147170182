// `weave setup --uninstall`: takes away what setup remembers to have brought, wherever that was, and nothing else.
import { existsSync, realpathSync, rmdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { quote } from "../cni/finding.ts";
import { CONFIGURATION_FILE, MESOS_FILE } from "./contents.ts";
import { TYPES, VERSIONED } from "./executables.ts";
import { contentOf, linkTarget, removeAbandoned, removeFile, systemCode } from "./files.ts";
import { removeMesosAbandoned } from "./mesos.ts";
import { howItDiffers, ownerOf } from "./ownership.ts";
import { Remembered } from "./remembered.ts";
import type { Step } from "./step.ts";

/**
 * Configurations first: without them runtimes call no plugin any more. Then the links, then what they lead to; the
 * memory last. Killed at any moment, another call finishes it. Files that were changed stay, and are told.
 */
export function uninstall(dataDir: string): Step[] {
  const remembered = Remembered.load(dataDir);
  const paths = remembered.paths();
  const configurations = paths.filter(isConfiguration);
  const executables = paths.filter((path) => !isConfiguration(path));
  const directories = [...new Set(executables.map((path) => dirname(path)))];
  const steps = [
    ...configurations.flatMap((path) => removeConfiguration(path, remembered)),
    ...directories.flatMap((directory) => removeLinks(directory, remembered)),
    ...executables.flatMap((path) => removeExecutable(path, remembered)),
    ...[...remembered.directories()].reverse().flatMap(removeMade),
  ];
  remembered.erase();
  if (paths.length > 0 || steps.length > 0) return steps;
  return [
    {
      action: "note",
      what: `nothing that setup brought is left, as far as ${dataDir} remembers`,
      detail: "if setup was run with another --data-dir, name that one",
    },
  ];
}

function isConfiguration(path: string): boolean {
  return [...Object.values(CONFIGURATION_FILE), MESOS_FILE].includes(basename(path));
}

function removeConfiguration(path: string, remembered: Remembered): Step[] {
  const directory = dirname(path);
  if (basename(path) !== MESOS_FILE) removeAbandoned(directory);
  else if (existsSync(directory)) removeMesosAbandoned(realpathSync(directory));
  const owner = ownerOf(path, remembered);
  if (owner === "user") {
    return [
      {
        action: "kept",
        what: path,
        detail: `${howItDiffers(path, remembered)}; its plugin is gone, so runtimes that read it start no container any more`,
        command: `rm ${quote(path)}`,
      },
    ];
  }
  return owner === "setup" ? remove(path, remembered) : [];
}

/** A link is ours when it leads to a file of ours. */
function removeLinks(directory: string, remembered: Remembered): Step[] {
  removeAbandoned(directory);
  return TYPES.map((type) => join(directory, type)).flatMap((path) => {
    const target = linkTarget(path);
    if (target === undefined || !target.startsWith(VERSIONED) || !remembered.has(join(directory, target)))
      return [];
    removeFile(path);
    return [{ action: "removed", what: path }] satisfies Step[];
  });
}

function removeExecutable(path: string, remembered: Remembered): Step[] {
  const content = contentOf(path);
  if (content === undefined) return [];
  if (remembered.wrote(path, content)) return remove(path, remembered);
  return [
    {
      action: "kept",
      what: path,
      detail: "it was changed since setup wrote it",
      command: `rm ${quote(path)}`,
    },
  ];
}

function remove(path: string, remembered: Remembered): Step[] {
  removeFile(path);
  remembered.forget(path);
  return [{ action: "removed", what: path }];
}

/** A directory that setup made, unless somebody has put something into it. */
function removeMade(path: string): Step[] {
  try {
    rmdirSync(path);
    return [{ action: "removed", what: path }];
  } catch (error) {
    if (["ENOENT", "ENOTEMPTY", "EEXIST", "ENOTDIR", "EBUSY"].includes(systemCode(error) ?? "")) return [];
    throw error;
  }
}
