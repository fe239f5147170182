// Whether containers' full packets fit the way to each peer: by the MTU both underlays say they have, and by what the daemon
// has found out by sending them.
import type { Status } from "../../../../src/api/status.ts";
import { VXLAN_OVERHEAD } from "../../../../src/core/datapath/plan.ts";
import { VXLAN } from "../../../../src/daemon/config.ts";
import type { Part } from "../../../../src/kernel/survey/parts.ts";
import { defineCheck, statusOf, type Verdict } from "../check.ts";
import type { Finding } from "../finding.ts";

/** A problem of the daemon's, whatever its version. */
interface Told extends Omit<Finding, "code"> {
  readonly code: string;
}

export interface MtuFacts {
  readonly status:
    | (Pick<Status, "datapath" | "underlay" | "peers"> & { readonly problems: readonly Told[] })
    | undefined;
  readonly addresses: Part<"host">["addresses"];
  readonly links: Part<"links">;
}

export const mtu = defineCheck<MtuFacts>(
  "mtu",
  async (around) => ({
    status: await statusOf(around),
    addresses: (await around.kernel("host")).addresses,
    links: await around.kernel("links"),
  }),
  judgeMtu,
);

/** What the daemon finds out by sending full packets to every peer, by the code it tells it with. */
const ABOUT_PATHS = ["path-mtu", "path-down"] as const;

/** Whether a problem of the daemon's is told by this check. */
export const isAboutPath = (code: string): boolean => ABOUT_PATHS.some((each) => each === code);

export function judgeMtu(facts: MtuFacts): Verdict {
  return facts.status === undefined ? judgeLeftBehind(facts) : judgeRunning(facts.status, facts.addresses);
}

function judgeRunning(
  { datapath, underlay, peers, problems }: NonNullable<MtuFacts["status"]>,
  addresses: MtuFacts["addresses"],
): Verdict {
  const findings: Finding[] = [];
  const uplink = addresses.find(({ address }) => address === underlay);
  const others = peers.filter(({ self }) => !self);
  if (uplink !== undefined && datapath.mtu + overheadOf(underlay) > uplink.mtu)
    findings.push(tooLarge(uplink.dev, datapath.mtu, underlay, uplink.mtu));
  for (const peer of others) {
    if (datapath.mtu <= peer.mtu) continue;
    findings.push({
      code: "mtu-too-large",
      object: shown(peer),
      message: `containers have an MTU of ${datapath.mtu}, and the underlay of ${shown(peer)} leaves ${peer.mtu}: full packets are lost`,
      command: `weave stop && weave launch --mtu ${peer.mtu}`,
    });
  }
  for (const { code: told, object, message, command } of problems) {
    const code = ABOUT_PATHS.find((each) => each === told);
    if (code !== undefined) findings.push({ code, object, message, command: toMend(message) ?? command });
  }
  const possible = uplink === undefined ? datapath.mtu : uplink.mtu - overheadOf(underlay);
  const lowering = others.filter((peer) => peer.mtu === datapath.mtu && peer.mtu < possible);
  return {
    findings,
    notes: lowering.map((peer) => ({
      code: "mtu-lowered",
      object: shown(peer),
      message: `all containers have an MTU of ${peer.mtu} because of ${shown(peer)} (${peer.underlay}); this host's underlay would leave ${possible}`,
      command: "weave status peers",
    })),
    saw: `containers have ${datapath.mtu}, this underlay leaves ${possible}, peers' ${leastToMost(others.map((peer) => peer.mtu))}`,
  };
}

const shown = ({ name, nickname }: Status["peers"][number]): string => nickname || name;

/** The least MTU with IPv6 (RFC 8200, 5): while the daemon still searches for one that passes, it tells smaller ones. */
const LEAST_MTU = 1280;

/** The daemon's own command shows the fault; the MTU it has found mends it. */
function toMend(message: string): string | undefined {
  const mtu = Number(/--mtu (\d+)$/.exec(message)?.[1] ?? 0);
  return mtu < LEAST_MTU ? undefined : `weave stop && weave launch --mtu ${mtu}`;
}

function leastToMost(mtus: readonly number[]): string {
  const [least, most] = [Math.min(...mtus), Math.max(...mtus)];
  if (mtus.length === 0) return "none";
  return least === most ? String(least) : `${least} to ${most}`;
}

/** Without a daemon: the devices of the last one, if there are any. */
function judgeLeftBehind({ addresses, links }: MtuFacts): Verdict {
  const device = links.find(({ name, kind }) => name === VXLAN && kind === "vxlan");
  const uplink = addresses.find(({ address }) => address === device?.local);
  if (device?.local === undefined || uplink === undefined)
    return { findings: [], saw: "no containers' MTU yet" };
  const findings =
    device.mtu + overheadOf(device.local) > uplink.mtu
      ? [tooLarge(uplink.dev, device.mtu, device.local, uplink.mtu)]
      : [];
  return { findings, saw: `containers have ${device.mtu}, the underlay ${uplink.mtu}` };
}

const overheadOf = (address: string): number => VXLAN_OVERHEAD[address.includes(":") ? 6 : 4];

function tooLarge(object: string, containers: number, address: string, underlay: number): Finding {
  const overhead = overheadOf(address);
  return {
    code: "mtu-too-large",
    object,
    message: `containers have an MTU of ${containers}, with ${overhead} for VXLAN that is more than the ${underlay} of the underlay of ${object}: full packets are lost`,
    command: `weave stop && weave launch --mtu ${underlay - overhead}`,
  };
}
