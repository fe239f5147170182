// Kernel settings: those of our own devices and of forwarding, as docs/sysctls.md lists them.
import { accessSync, constants } from "node:fs";
import type { Status } from "../../../../src/api/status.ts";
import { BRIDGE } from "../../../../src/daemon/config.ts";
import type { Part } from "../../../../src/kernel/survey/parts.ts";
import {
  BRIDGE_SYSCTLS,
  FORWARDING,
  PORT_SYSCTLS,
  peekSysctl,
  type Sysctl,
  UPLINK_ACCEPT_RA,
} from "../../../../src/kernel/sysctl.ts";
import { count } from "../../status/names.ts";
import { defineCheck, statusOf, type Verdict } from "../check.ts";
import type { Finding } from "../finding.ts";

/** One setting as it is and as it must be. */
export interface Setting extends Sysctl {
  /** `key` with the device in the place of DEV. */
  readonly name: string;
  readonly actual: string;
}

export interface SysctlFacts {
  readonly settings: readonly Setting[];
  /** net.ipv4.conf.all.rp_filter: the kernel takes the maximum of this and the device's. */
  readonly reversePathOfAll: string | undefined;
  readonly readOnly: boolean;
}

export const sysctls = defineCheck<SysctlFacts>(
  "sysctls",
  async (around) => {
    const wanted = wantedSettings(
      await around.kernel("links"),
      (await around.kernel("host")).addresses,
      await statusOf(around),
    );
    return {
      settings: wanted.flatMap(({ setting, device }) => {
        const name = setting.key.replace("DEV", device);
        const actual = peekSysctl(name);
        return actual === undefined ? [] : [{ ...setting, name, actual }];
      }),
      reversePathOfAll: peekSysctl("ipv4/conf/all/rp_filter"),
      readOnly: isReadOnly("/proc/sys/net/ipv4/ip_forward"),
    };
  },
  judgeSysctls,
);

/** Which settings matter on a host with these links and addresses. */
export function wantedSettings(
  links: Part<"links">,
  addresses: Part<"host">["addresses"],
  status: Pick<Status, "exposed"> | undefined,
): { setting: Sysctl; device: string }[] {
  const wanted: { setting: Sysctl; device: string }[] = [];
  const add = (settings: readonly Sysctl[], device: string): void => {
    wanted.push(...settings.map((setting) => ({ setting, device })));
  };
  for (const { name, kind } of links) {
    if (name === BRIDGE && kind === "bridge") add(BRIDGE_SYSCTLS, name);
    if (isPort(name)) add(PORT_SYSCTLS, name);
  }
  const ofBridge = addresses.filter(({ dev }) => dev === BRIDGE).map(({ address }) => address);
  const exposed = [...ofBridge, ...(status?.exposed ?? []).map(({ cidr }) => cidr)];
  if (exposed.some((address) => !address.includes(":"))) add([FORWARDING[4]], "");
  if (exposed.some((address) => address.includes(":"))) {
    add([FORWARDING[6]], "");
    for (const { name, advertised } of links) if (advertised) add([UPLINK_ACCEPT_RA], name);
  }
  return wanted;
}

/** The VXLAN device, the host ends of containers, and what shapes them. */
function isPort(name: string): boolean {
  return name === "vxlan-6784" || /^v[wi][0-9a-f]{12}$/.test(name);
}

export function judgeSysctls({ settings, reversePathOfAll, readOnly }: SysctlFacts): Verdict {
  const findings = settings
    .filter((setting) => !isRight(setting, reversePathOfAll))
    .map(
      ({ name, actual, value, why }): Finding => ({
        code: "sysctl",
        object: dotted(name),
        message: `${dotted(name)} is ${actual} and must be ${value}: ${why}`,
        command: `sysctl -w ${dotted(name)}=${value}`,
      }),
    );
  if (readOnly) {
    findings.push({
      code: "sysctl-read-only",
      object: "/proc/sys",
      message: "/proc/sys cannot be written, so weaver cannot set what its devices need",
      command: "mount -o remount,rw /proc/sys",
    });
  }
  return {
    findings,
    saw: settings.length === 0 ? "nothing of weave's yet" : count(settings.length, "setting"),
  };
}

function isRight({ key, actual, value }: Setting, reversePathOfAll: string | undefined): boolean {
  if (!key.endsWith("/rp_filter"))
    return key.endsWith("/accept_ra") && value === "2" ? actual !== "1" : actual === value;
  // 1 is strict; 0 checks nothing, which is as good as loose.
  return Math.max(Number(actual), Number(reversePathOfAll ?? 0)) !== 1;
}

/** As sysctl(8) wants it: a device with a dot in its name needs the form with slashes. */
function dotted(name: string): string {
  const path = `net/${name}`;
  return path.includes(".") ? path : path.replaceAll("/", ".");
}

function isReadOnly(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return false;
  } catch {
    return process.getuid?.() === 0;
  }
}
