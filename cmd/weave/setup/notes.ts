// What setup sees and does not change, but what keeps containers from starting or from using this network.
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { CONFIGURATION_FILE } from "./configuration.ts";
import type { Place, Step } from "./step.ts";

export function notes(bin: Place, conf: Place): Step[] {
  const steps: Step[] = [];
  if (bin.exists && !existsSync(join(bin.path, "loopback"))) {
    steps.push({
      action: "note",
      what: `there is no plugin "loopback" in ${bin.path}`,
      detail:
        "kubelet and containerd need it; Debian's package containernetworking-plugins has it in /usr/lib/cni, others unpack a release of containernetworking/plugins there",
    });
  }
  const earlier = conf.exists ? readByRuntimes(conf.path).filter((name) => name < CONFIGURATION_FILE) : [];
  if (earlier.length > 0) {
    steps.push({
      action: "note",
      what: `${earlier.join(", ")} in ${conf.path} sorts before ${CONFIGURATION_FILE}`,
      detail: "kubelet and containerd use the first file; rename it if containers shall use weave",
    });
  }
  return steps;
}

/** Names as libcni picks them. */
function readByRuntimes(directory: string): string[] {
  return readdirSync(directory)
    .filter((name) => /\.(conf|conflist|json)$/.test(name))
    .sort();
}
