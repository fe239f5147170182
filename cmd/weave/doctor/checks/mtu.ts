// Whether containers' full packets fit the way to each peer: by the MTU both underlays say they have, and by what the daemon
// has found out by sending them.
import { z } from "zod";
import type { Status } from "../../../../src/api/status.ts";
import { VXLAN_OVERHEAD } from "../../../../src/core/datapath/plan.ts";
import { VXLAN } from "../../../../src/daemon/config.ts";
import type { Part } from "../../../../src/kernel/survey/parts.ts";
import { defineCheck, statusOf, type Verdict } from "../check.ts";
import type { Finding } from "../finding.ts";

export interface MtuFacts {
  readonly status: Pick<Status, "datapath" | "underlay" | "peers" | "connections"> | undefined;
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

/** What the daemon tells of the way to a peer; absent from one that does not probe. */
const probed = z.object({ mtu: z.int().optional(), verified: z.boolean().optional() });

export function judgeMtu(facts: MtuFacts): Verdict {
  return facts.status === undefined ? judgeLeftBehind(facts) : judgeRunning(facts.status, facts.addresses);
}

function judgeRunning(
  { datapath, underlay, peers, connections }: NonNullable<MtuFacts["status"]>,
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
  for (const connection of connections) {
    const { mtu: passing, verified } = probed.safeParse(connection).data ?? {};
    const isSmall = passing !== undefined && passing < datapath.mtu;
    if (connection.state !== "established" || !(verified === false && isSmall)) continue;
    findings.push({
      code: "path-drops-large",
      object: connection.nickname ?? connection.address,
      message: `packets of ${datapath.mtu} bytes do not arrive at ${connection.nickname ?? connection.address} (${connection.address}), packets of ${passing} do`,
      command: `weave stop && weave launch --mtu ${passing}`,
    });
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
