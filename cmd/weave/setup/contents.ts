// What the configuration files of setup say, and whether a text is one of them. Where they go and when is not here.
import { z } from "zod";

/** A single plugin, which every runtime but podman reads; or a list, which every runtime but Mesos reads. */
export const FORMATS = ["conf", "conflist"] as const;
export type Format = (typeof FORMATS)[number];

/** Their network's name: part of an attachment's identity, so the same in all forms. */
export const NETWORK = "weave";

export const CONFIGURATION_FILE: Readonly<Record<Format, string>> = {
  conf: "10-weave.conf",
  conflist: "10-weave.conflist",
};

export const MESOS_FILE = "weave.conf";

/** The plugin does these itself; runtimes give runtimeConfig only for what is declared here. */
const CAPABILITIES = { portMappings: true, bandwidth: true, ips: true, mac: true, dns: true };

/** hairpinMode is our default and written out as Weave Net did. */
const PLUGIN = { type: "weave-net", hairpinMode: true };

/** What a list offers of the specification, as far as its whole chain speaks it. A new libcni takes the highest. */
const OFFERED = ["0.4.0", "1.0.0", "1.1.0"];
/** A libcni below 1.2 looks at `cniVersion` only, and does not understand this one. */
const TOO_NEW_FOR_SOME = "1.1.0";

/**
 * cniVersion 0.4.0: kubelets before 1.24 (--network-plugin=cni) refuse 1.0.0. No `ipam`: our own is the default.
 */
export function singleConfiguration(): string {
  return render({ cniVersion: "0.4.0", name: NETWORK, ...PLUGIN, capabilities: CAPABILITIES });
}

/** `spoken`: versions that every plugin of the chain answers VERSION with, ascending; none: nothing is offered. */
export function listConfiguration(spoken: readonly string[]): string {
  const cniVersions = OFFERED.filter((version) => spoken.includes(version));
  const forAll = spoken.filter((version) => version !== TOO_NEW_FOR_SOME).at(-1);
  const cniVersion = forAll ?? spoken.at(-1) ?? "0.4.0";
  return render({
    cniVersion,
    ...(cniVersions.length === 0 ? {} : { cniVersions }),
    name: NETWORK,
    plugins: [{ ...PLUGIN, capabilities: CAPABILITIES }],
  });
}

/**
 * Mesos understands results of 0.1.0 and 0.2.0 only, and skips a network whose `ipam` has no `type`. Its isolator adds
 * args."org.apache.mesos" itself and refuses a file that has it.
 */
export function mesosConfiguration(): string {
  return render({
    cniVersion: "0.2.0",
    name: NETWORK,
    type: PLUGIN.type,
    ipam: { type: "weave-ipam" },
    hairpinMode: true,
  });
}

/** Whether this weave writes such a text, be it without its last byte because setup was killed before that. */
export function isOurText(file: string, text: string): boolean {
  const whole = text.endsWith("\n") ? text : `${text}\n`;
  if (file === CONFIGURATION_FILE.conf) return whole === singleConfiguration();
  if (file === MESOS_FILE) return whole === mesosConfiguration();
  if (file !== CONFIGURATION_FILE.conflist) return false;
  return whole === listConfiguration(versionsIn(text)) || whole === listConfiguration([]);
}

const versioned = z.object({ cniVersion: z.string(), cniVersions: z.array(z.string()).default([]) });

function versionsIn(text: string): string[] {
  try {
    const { cniVersion, cniVersions } = versioned.parse(JSON.parse(text));
    return cniVersions.length === 0 ? [cniVersion] : cniVersions;
  } catch {
    return [];
  }
}

/** The last byte is a newline, and the text is valid JSON without it. */
function render(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
