// What setup sees and does not change, but what keeps containers from starting or from using this network.
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Finding } from "../cni/finding.ts";
import { survey } from "../cni/survey.ts";
import { MESOS_FILE, NETWORK } from "./contents.ts";
import { MESOS_BIN_DIR } from "./mesos.ts";
import type { Places, Step } from "./step.ts";

/** For kubelet and its like: what `weave status cni` would find wrong. A directory that is missing has been told. */
export function notes({ bin, conf }: Places): Step[] {
  const { problems, notes: others } = survey({
    confDir: conf.path,
    binDirs: [bin.path],
    together: true,
    fromSetup: () => false, // what setup could mend by writing is mended
  });
  return [...problems, ...others]
    .filter(({ code }) => conf.exists || code !== "no-directory")
    .filter(({ code }) => bin.exists || code !== "plugin-missing")
    .map(toStep);
}

function toStep({ message, command }: Finding): Step {
  return { action: "note", what: message, command };
}

export function mesosNotes({ bin, conf }: Places): Step[] {
  const steps: Step[] = [];
  const twins = readdirSync(conf.path).filter(
    (name) => name !== MESOS_FILE && namesWeave(join(conf.path, name)),
  );
  if (twins.length > 0) {
    steps.push({
      action: "note",
      what: `${twins.join(", ")} in ${conf.path} names a network ${NETWORK}, too`,
      detail: "Mesos uses one of them and skips the others; rename the network or move the file away",
    });
  }
  if (bin.path === MESOS_BIN_DIR) {
    steps.push({
      action: "note",
      what: "an upgrade of DC/OS makes its directory active/ anew",
      detail: "run weave setup again after it",
    });
  }
  return steps;
}

function namesWeave(path: string): boolean {
  try {
    if (!statSync(path).isFile()) return false;
    const parsed: unknown = JSON.parse(readFileSync(path, "utf8"));
    return typeof parsed === "object" && parsed !== null && "name" in parsed && parsed.name === NETWORK;
  } catch {
    return false; // Mesos skips what it cannot parse
  }
}
