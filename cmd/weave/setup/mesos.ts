// The configuration that Mesos and DC/OS read: weave.conf. Mesos parses every regular file of its directory, whatever
// its name, so no temporary file is ever in there.
import { mkdirSync, realpathSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { MESOS_FILE, mesosConfiguration } from "./contents.ts";
import { contentOf, removeAbandoned, replaceFile, systemCode, temporaryName } from "./files.ts";
import { howItDiffers, ownerOf } from "./ownership.ts";
import type { Remembered } from "./remembered.ts";
import type { Step } from "./step.ts";

/** Where DC/OS has its agent's directories. */
export const MESOS_ROOT = "/opt/mesosphere";
/** A directory of links to packages, made anew when DC/OS is upgraded. */
export const MESOS_BIN_DIR = `${MESOS_ROOT}/active/cni`;
export const MESOS_CONF_DIR = `${MESOS_ROOT}/etc/dcos/network/cni`;

export function installMesosConfiguration(directory: string, remembered: Remembered): Step[] {
  const real = realpathSync(directory);
  removeMesosAbandoned(real);
  const path = join(directory, MESOS_FILE);
  const owner = ownerOf(path, remembered);
  if (owner === "user") {
    const detail = `${howItDiffers(path, remembered)}; to have it written anew, move it out of the directory first`;
    return [{ action: "kept", what: path, detail }];
  }
  const content = mesosConfiguration();
  if (contentOf(path)?.toString("utf8") === content) {
    remembered.confirm(path, content);
    return [{ action: "unchanged", what: path }];
  }
  remembered.whileWriting(path, content, () => replaceUnseen(join(real, MESOS_FILE), content));
  return [{ action: owner === "nobody" ? "installed" : "updated", what: path }];
}

/** What a killed setup left in or beside a configuration directory. */
export function removeMesosAbandoned(directory: string): void {
  removeAbandoned(directory);
  removeAbandoned(dirname(directory));
}

/** The temporary file is beside the directory: in its parent, which is nearly always the same file system. */
function replaceUnseen(path: string, content: string): void {
  const directory = dirname(path);
  try {
    replaceFile(path, content, 0o644, dirname(directory));
  } catch (error) {
    if (!["EXDEV", "EROFS", "EACCES", "EPERM"].includes(systemCode(error) ?? "")) throw error;
    // The directory is mounted, or its parent may not be written: then in a directory inside, which Mesos passes over.
    const staging = temporaryName(path, directory);
    mkdirSync(staging, { recursive: true });
    try {
      replaceFile(path, content, 0o644, staging);
    } finally {
      rmSync(staging, { recursive: true, force: true });
    }
  }
}
