// Where the bench happens: two network namespaces as hosts, one for each side, namespaces as containers, and a directory.
// Everything bears the bench's process id, so that a later bench can remove what a killed one left.

import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { must, mustEnd } from "./commands.mjs";

const PREFIX = "weave-bench-";
/** The name `ip netns` knows a namespace of this bench by. */
export const netnsName = (name) => `${PREFIX}${process.pid}-${name}`;

/** The path a runtime would pass as CNI_NETNS. */
export const netnsPath = (name) => `/run/netns/${netnsName(name)}`;

/** A directory for everything the bench keeps. */
export function makeDirectory() {
  return mkdtempSync(join(tmpdir(), `${PREFIX}${process.pid}.`));
}

/** A host with one uplink. Its wire ends at the host itself: what crosses it is not what is measured. */
export async function makeHost(name) {
  await batch([
    `netns add ${netnsName(name)}`,
    `-n ${netnsName(name)} link set lo up`,
    `-n ${netnsName(name)} link add eth0 type veth peer name wire`,
    `-n ${netnsName(name)} link set wire up`,
    `-n ${netnsName(name)} address add 192.168.77.1/24 dev eth0`,
    `-n ${netnsName(name)} link set eth0 up`,
  ]);
}

/** Namespaces for containers, by their paths. */
export async function makeContainers(side, count) {
  const names = Array.from({ length: count }, (_, index) => `${side}-${index}`);
  await must("ip", ["-batch", "-"], {
    input: names.map((name) => `netns add ${netnsName(name)}\n`).join(""),
  });
  return names.map(netnsPath);
}

/** `ip` commands one by one: a batch cannot change its namespace. */
export async function batch(lines) {
  for (const line of lines) await must("ip", line.split(" "));
}

/** Names of the links in a namespace. */
export async function linksOf(path) {
  const output = await must("nsenter", [`--net=${path}`, "ip", "-json", "link"]);
  return JSON.parse(output).map(({ ifname }) => ifname);
}

/** Removes daemons, namespaces and directories: this bench's, and those of benches that are no more. */
export async function removeEverything() {
  const removable = (name) => {
    const pid = new RegExp(`^${PREFIX}(\\d+)[-.]`).exec(name)?.[1];
    return pid !== undefined && (pid === String(process.pid) || !existsSync(`/proc/${pid}`));
  };
  for (const name of readdirSync(tmpdir()).filter(removable)) {
    const directory = join(tmpdir(), name);
    await endDaemon(directory);
    rmSync(directory, { recursive: true, force: true });
  }
  const names = existsSync("/run/netns") ? readdirSync("/run/netns").filter(removable) : [];
  if (names.length === 0) return;
  await mustEnd("ip", ["-force", "-batch", "-"], {
    input: names.map((name) => `netns del ${name}\n`).join(""),
  });
}

/** By pid, if the pid is still the daemon of that directory. */
async function endDaemon(directory) {
  const pidFile = join(directory, "run/weaver.pid");
  if (!existsSync(pidFile)) return;
  const pid = Number(readFileSync(pidFile, "utf8"));
  const isOurs = () => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(directory);
    } catch {
      return false;
    }
  };
  if (isOurs()) process.kill(pid, "SIGKILL");
  for (const deadline = Date.now() + 5_000; isOurs() && Date.now() < deadline; ) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
