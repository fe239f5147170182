// Kernel settings under /proc/sys/net: which we set on which of our own devices and why, and how they are written.
// The tables here are what docs name; nothing else in the project writes a sysctl.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { kernelError } from "./rtnetlink/errors.ts";

/** One setting: `key` under /proc/sys/net with "/" between its parts and DEV for the device. */
export interface Sysctl {
  readonly key: string;
  readonly value: string;
  readonly why: string;
}

/** The bridge. */
export const BRIDGE_SYSCTLS: readonly Sysctl[] = [
  {
    key: "ipv6/conf/DEV/disable_ipv6",
    value: "0",
    why: "without IPv6 the bridge refuses IPv6 neighbour entries, and ND is flooded to all hosts",
  },
  {
    key: "ipv6/conf/DEV/accept_ra",
    value: "0",
    why: "a container must not become the host's router (CVE-2020-10749)",
  },
  {
    key: "ipv6/conf/DEV/accept_dad",
    value: "0",
    why: "its link-local address comes from a MAC no other host has",
  },
  {
    key: "ipv4/conf/DEV/rp_filter",
    value: "2",
    why: "loose: the kernel takes the maximum of all and device, and strict drops what comes back by another way",
  },
];

/** The VXLAN device and the host ends of veth pairs: ports that carry frames and have no addresses of their own. */
export const PORT_SYSCTLS: readonly Sysctl[] = [
  {
    key: "ipv6/conf/DEV/disable_ipv6",
    value: "1",
    why: "a port would send its own MLD and ND into the overlay",
  },
];

/** A container's interface that gets an IPv6 address. */
export const CONTAINER_IPV6_SYSCTLS: readonly Sysctl[] = [
  { key: "ipv6/conf/DEV/disable_ipv6", value: "0", why: "runtimes switch IPv6 off by default" },
  {
    key: "ipv6/conf/DEV/accept_dad",
    value: "0",
    why: "the ring gives every address once; DAD costs a second",
  },
];

/** Host-wide, only once the bridge has an address of that family: containers then reach the outside through it. */
export const FORWARDING: Readonly<Record<4 | 6, Sysctl>> = {
  4: { key: "ipv4/ip_forward", value: "1", why: "the bridge is the containers' gateway" },
  6: { key: "ipv6/conf/all/forwarding", value: "1", why: "the bridge is the containers' gateway" },
};

/**
 * The bridge, while the host publishes an IPv4 port of a container; 0 again when it does not. Only once the table has the
 * rules that keep containers from what the host serves on 127.0.0.1 (chain guard).
 */
export const LOOPBACK_PORTS: Sysctl = {
  key: "ipv4/conf/DEV/route_localnet",
  value: "1",
  why: "published ports answer on 127.0.0.1, too",
};

/** An uplink that learns its default route from router advertisements: forwarding would end that unless this says 2. */
export const UPLINK_ACCEPT_RA: Sysctl = {
  key: "ipv6/conf/DEV/accept_ra",
  value: "2",
  why: "with forwarding on, 1 means ignore: the host would lose its own default route",
};

const ROOT = "/proc/sys/net";

/** Whether this kernel runs IPv6 at all (it may be built without, or started with ipv6.disable=1). */
export function ipv6Available(): boolean {
  return existsSync(`${ROOT}/ipv6/conf/all/disable_ipv6`);
}

/**
 * Bring the settings of one device to what the table says; returns what was changed, "net.ipv4.conf.weave.rp_filter 2".
 * Keys of IPv6 are passed over where there are none: the kernel runs without IPv6, or the device does, which every device
 * with an MTU below 1280 does (addrconf_notify, IPV6_MIN_MTU). Synchronous: /proc/sys/net shows the namespace of the thread.
 */
export function ensureSysctls(settings: readonly Sysctl[], device = ""): string[] {
  const changes: string[] = [];
  for (const { key, value } of settings) {
    const name = key.replace("DEV", device);
    if (name.startsWith("ipv6/") && !existsSync(dirname(`${ROOT}/${name}`))) continue;
    if (readSysctl(name) === value) continue;
    try {
      writeFileSync(`${ROOT}/${name}`, value);
    } catch (error) {
      throw sysctlError("sysctl write", name, error);
    }
    changes.push(`sysctl net.${name.replaceAll("/", ".")} ${value}`);
  }
  return changes;
}

/** Write the settings of a device that was just made, whatever they are; keys of IPv6 as above. */
export function setSysctls(settings: readonly Sysctl[], device: string): void {
  for (const { key, value } of settings) {
    const name = key.replace("DEV", device);
    try {
      writeFileSync(`${ROOT}/${name}`, value);
    } catch (error) {
      if (name.startsWith("ipv6/") && !existsSync(dirname(`${ROOT}/${name}`))) continue;
      throw sysctlError("sysctl write", name, error);
    }
  }
}

/** Whether there is such a key: those of a device go with it, those of IPv6 with IPv6. */
export function sysctlExists(name: string): boolean {
  return existsSync(`${ROOT}/${name}`);
}

/** The value of one key, without the newline. */
export function readSysctl(name: string): string {
  try {
    return readFileSync(`${ROOT}/${name}`, "utf8").trim();
  } catch (error) {
    throw sysctlError("sysctl read", name, error);
  }
}

/** The same; undefined where there is no such key, or it went with its device. */
export function peekSysctl(name: string): string | undefined {
  try {
    return readFileSync(`${ROOT}/${name}`, "utf8").trim();
  } catch {
    return undefined;
  }
}

function sysctlError(operation: string, name: string, error: unknown): Error {
  const code = error instanceof Error && "code" in error ? String(error.code) : "EIO";
  return kernelError({ operation, object: `net.${name.replaceAll("/", ".")}` }, code, error);
}
