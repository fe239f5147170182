// Network managers that believe a link of weave's is theirs: they give it addresses, take its MAC and MTU, or set it down.
import { BRIDGE, VXLAN } from "../../../../src/daemon/config.ts";
import type { Part } from "../../../../src/kernel/survey/parts.ts";
import { count } from "../../status/names.ts";
import { defineCheck, type Verdict } from "../check.ts";
import { deviceStates, isToldOff } from "../facts/network-manager.ts";
import {
  fileFor,
  type NetworkdLink,
  type NetworkFile,
  networkdLink,
  networkFiles,
} from "../facts/networkd.ts";
import { listProcesses } from "../facts/processes.ts";
import type { Finding } from "../finding.ts";

/** A link of ours, there or to be made. */
interface OwnLink {
  readonly name: string;
  readonly kind: string;
}

export interface ManagerFacts {
  /** Those that are there. */
  readonly links: readonly string[];
  /** Absent: it does not run in this network namespace. */
  readonly networkManager?: {
    readonly states: ReadonlyMap<string, string>;
    readonly toldOff: boolean;
  };
  readonly networkd?: {
    /** State of links that are there, by name. */
    readonly links: ReadonlyMap<string, NetworkdLink>;
    /** What would take the links of ours once they are there, by name. */
    readonly files: ReadonlyMap<string, NetworkFile>;
  };
}

/** A name of each kind of link we make; those of containers have other digits. */
const SAMPLES: readonly OwnLink[] = [
  { name: BRIDGE, kind: "bridge" },
  { name: VXLAN, kind: "vxlan" },
  { name: "vw0123456789ab", kind: "veth" },
  { name: "vi0123456789ab", kind: "ifb" },
];
const OURS = new RegExp(`^(${BRIDGE}|${VXLAN}|v[wi][0-9a-f]{12})$`);
const PATTERNS = [BRIDGE, VXLAN, "vw*", "vi*"];

/** comm has 15 bytes. */
const COMM = { networkd: "systemd-network", networkManager: "NetworkManager" } as const;

export const managers = defineCheck<ManagerFacts>(
  "managers",
  async ({ root, kernel }) => {
    const running = new Set(listProcesses(root).flatMap(({ comm, here }) => (here ? [comm] : [])));
    const links = (await kernel("links")).filter(({ name }) => OURS.test(name));
    return {
      links: links.map(({ name }) => name),
      ...(running.has(COMM.networkManager)
        ? { networkManager: { states: await deviceStates(), toldOff: isToldOff(root, BRIDGE) } }
        : {}),
      ...(running.has(COMM.networkd) ? { networkd: networkdFacts(root, links) } : {}),
    };
  },
  judgeManagers,
);

function networkdFacts(root: string, links: Part<"links">): NonNullable<ManagerFacts["networkd"]> {
  const files = networkFiles(root);
  return {
    links: new Map(
      links.flatMap(({ name, index }) => {
        const found = networkdLink(root, index);
        return found === undefined ? [] : [[name, found]];
      }),
    ),
    files: new Map(
      SAMPLES.flatMap((link) => {
        const file = fileFor(files, link);
        return file === undefined ? [] : [[link.name, file]];
      }),
    ),
  };
}

export function judgeManagers({ links, networkManager, networkd }: ManagerFacts): Verdict {
  const findings: Finding[] = [];
  const notes: Finding[] = [];
  const running: string[] = [];
  if (networkManager !== undefined) {
    running.push("NetworkManager");
    const { states, toldOff } = networkManager;
    const managed = links.filter((link) => isManaged(states.get(link)));
    if (managed.length > 0) {
      const told = managed.map((link) => `${link} is ${states.get(link)}`).join(", ");
      findings.push(managedLink(managed, `NetworkManager manages links of weave: ${told}`, TO_TELL_OFF));
    } else if (!toldOff) {
      notes.push({
        code: "manager-unaware",
        object: "NetworkManager",
        message: "NetworkManager runs here and is not told to leave the links of weave alone",
        command: TO_TELL_OFF,
      });
    }
  }
  if (networkd !== undefined) {
    running.push("systemd-networkd");
    const managed = links.filter((link) => isConfigured(networkd.links.get(link)));
    const taking = [...networkd.files].filter(([, { leaves }]) => !leaves);
    if (managed.length > 0) {
      const told = managed.map((link) => describe(link, networkd.links.get(link))).join(", ");
      findings.push(managedLink(managed, `systemd-networkd manages links of weave: ${told}`, TO_LEAVE));
    } else if (taking.length > 0) {
      const told = taking.map(([link, { path }]) => `${path} takes ${sample(link)}`).join(", ");
      const message = `systemd-networkd would manage links of weave: ${told}`;
      findings.push(
        managedLink(
          taking.map(([link]) => sample(link)),
          message,
          TO_LEAVE,
        ),
      );
    }
  }
  const saw = running.length === 0 ? "none runs" : running.join(", ");
  return {
    findings,
    notes,
    saw: `${saw}; ${links.length === 0 ? "no link of weave's yet" : count(links.length, "link")}`,
  };
}

/** "connected (externally)" is NetworkManager looking on; old ones say "connected" of that, too, which nobody can tell apart. */
function isManaged(state: string | undefined): boolean {
  return state !== undefined && !/^(unmanaged|unavailable|connected \(externally\))$/.test(state);
}

function isConfigured(link: NetworkdLink | undefined): boolean {
  return (
    link !== undefined && !["unmanaged", "pending", "initialized", "unknown", "linger"].includes(link.state)
  );
}

function describe(link: string, state: NetworkdLink | undefined): string {
  return `${link} is ${state?.state}${state?.file === undefined ? "" : ` by ${state.file}`}`;
}

/** Names with made-up digits, as a pattern. */
const sample = (link: string): string => link.replace(/0123456789ab$/, "*");

function managedLink(links: readonly string[], message: string, command: string): Finding {
  return { code: "managed-link", object: links.join(", "), message, command };
}

const NM_FILE = "/etc/NetworkManager/conf.d/00-weave.conf";
const TO_TELL_OFF = [
  "printf '%s\\n' '[keyfile]'",
  ...PATTERNS.map((name) => `'unmanaged-devices+=interface-name:${name}'`),
  `> ${NM_FILE} && nmcli general reload`,
].join(" ");

/** Before every other file, whatever matches there. */
const NETWORKD_FILE = "/etc/systemd/network/00-weave.network";
const TO_LEAVE = `printf '%s\\n' '[Match]' 'Name=${PATTERNS.join(" ")}' '[Link]' 'Unmanaged=yes' > ${NETWORKD_FILE} && networkctl reload`;
