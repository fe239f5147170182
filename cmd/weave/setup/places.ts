// Which directories setup works on: those the user named, and defaults that exist.
import { statSync } from "node:fs";
import { resolve } from "node:path";
import { WeaveError } from "../../../src/core/errors.ts";
import { MESOS_BIN_DIR, MESOS_CONF_DIR, MESOS_ROOT } from "./mesos.ts";
import type { Place, Places } from "./step.ts";

/** Where kubelet, containerd and CRI-O look unless they are told otherwise. */
export const DEFAULT_BIN_DIR = "/opt/cni/bin";
export const DEFAULT_CONF_DIR = "/etc/cni/net.d";

export function kubeletPlaces(bin: string | undefined, conf: string | undefined): Places {
  return {
    bin: find("--cni-bin-dir", bin, DEFAULT_BIN_DIR),
    conf: find("--cni-conf-dir", conf, DEFAULT_CONF_DIR),
  };
}

/**
 * `named`: the values of --mesos. Without them those of DC/OS where DC/OS is installed; they need not exist, since where
 * they belong is certain.
 */
export function mesosPlaces(named: readonly string[] | undefined, kubelet: Places): Places | undefined {
  const places = named === undefined ? dcosPlaces() : namedPlaces(named);
  if (places !== undefined && kubelet.conf.exists && kubelet.conf.path === places.conf.path) {
    throw new WeaveError("bad-request", `--cni-conf-dir ${places.conf.path} is the directory of Mesos`, {
      hint: "Mesos needs a configuration of its own and parses every file of its directory; name it with --mesos only",
    });
  }
  return places;
}

function dcosPlaces(): Places | undefined {
  if (!isDirectory(MESOS_ROOT)) return undefined;
  return { bin: look(MESOS_BIN_DIR), conf: look(MESOS_CONF_DIR) };
}

function namedPlaces(named: readonly string[]): Places {
  const [bin, conf, ...more] = named;
  if (bin !== undefined && conf !== undefined && more.length === 0) {
    return { bin: find("--mesos", bin, bin), conf: find("--mesos", conf, conf) };
  }
  throw new WeaveError("bad-request", `--mesos takes two directories, not ${named.length}`, {
    hint: `the agent's --network_cni_plugins_dir and --network_cni_config_dir, for example: --mesos ${MESOS_BIN_DIR} ${MESOS_CONF_DIR}`,
  });
}

/** A named directory must exist, or a typing error would look like success. */
function find(option: string, named: string | undefined, otherwise: string): Place {
  const place = look(resolve(named || otherwise));
  const found = statSync(place.path, { throwIfNoEntry: false });
  if (place.exists || (!named && found === undefined)) return place;
  throw new WeaveError(
    "bad-request",
    `${option} ${place.path} ${found === undefined ? "does not exist" : "is not a directory"}`,
    {
      hint:
        found === undefined
          ? `create it with: mkdir -p ${place.path}`
          : "name the directory that your container runtime reads",
    },
  );
}

function look(path: string): Place {
  return { path, exists: isDirectory(path) };
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
