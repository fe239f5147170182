// What the kernel lacks of a state it was brought to, in words for people. Reads only; nothing is mended here.
import type { BridgeState, DatapathState, VxlanState } from "../../core/datapath/state.ts";
import { getLink, type Link } from "../rtnetlink/link.ts";
import type { NetlinkPort, NetlinkSocket } from "../rtnetlink/socket.ts";
import { canonicalAddress } from "../rtnetlink/wire.ts";
import { observe, type PortIndex } from "./entries.ts";
import { type Holding, nothingWanted, plan, type Step } from "./plan.ts";
import { ledElsewhere } from "./routes.ts";

/** Devices first, then what stands in them. What goes with a missing device is not told one by one. */
export async function datapathFaults(
  socket: NetlinkSocket,
  state: DatapathState,
  indexOf: PortIndex,
): Promise<readonly string[]> {
  const [bridge, vxlan] = [await getLink(socket, state.bridge.name), await getLink(socket, state.vxlan.name)];
  const faults = [...bridgeFaults(bridge, state.bridge), ...vxlanFaults(vxlan, bridge, state)];
  if (bridge?.info.kind !== "bridge" || vxlan?.info.kind !== "vxlan") return faults;
  const devices = { bridge: bridge.index, bridgeName: bridge.name, vxlan: vxlan.index };
  // A port that is gone is hostEnds' affair.
  const ports = state.ports.filter(({ name }) => indexOf(name) !== 0);
  const names = ports.map(({ name }) => name);
  const holding = await observe(socket, devices, names, indexOf);
  // A bridge loses its neighbours with its MAC. Network managers write that, and what they may do is no fault.
  const untouched = bridge.mac === state.bridge.mac.toLowerCase();
  const steps = missingSteps(untouched ? { ...state, ports } : { ...state, ports, neighbours: [] }, holding);
  return [...faults, ...describeAll(await withoutElsewhere(socket, devices.bridge, steps), state)];
}

/** What has to be added to `holding`, in words; what it holds beyond the state is no fault. */
export function entryFaults(state: DatapathState, holding: Holding): readonly string[] {
  return describeAll(missingSteps(state, holding), state);
}

/** Of a sysctl by its key under /proc/sys/net; undefined when it is as wanted. */
export function sysctlFault(key: string, held: string, wanted: string): string | undefined {
  return held === wanted ? undefined : `sysctl net.${key.replaceAll("/", ".")} is ${held}, not ${wanted}`;
}

function bridgeFaults(link: Link | undefined, { name, mtu }: BridgeState): string[] {
  if (link === undefined) return [`bridge ${name} is missing`];
  if (link.info.kind !== "bridge") return [`${name} is no bridge`];
  return [
    ...(link.up ? [] : [`bridge ${name} is down`]),
    ...(link.mtu === mtu ? [] : [`bridge ${name} has MTU ${link.mtu}, not ${mtu}`]),
    ...(link.info.stp ? [`bridge ${name} runs STP`] : []),
    ...(link.info.mcastSnooping ? [`bridge ${name} snoops multicast`] : []),
  ];
}

function vxlanFaults(link: Link | undefined, bridge: Link | undefined, state: DatapathState): string[] {
  const { name, vni, port, local }: VxlanState = state.vxlan;
  if (link === undefined) return [`VXLAN device ${name} is missing`];
  if (link.info.kind !== "vxlan") return [`${name} is no VXLAN device`];
  const { info } = link;
  const isPort = bridge !== undefined && link.master === bridge.index;
  const faults: (readonly [boolean, string])[] = [
    [link.up, "is down"],
    [link.mtu === state.bridge.mtu, `has MTU ${link.mtu}, not ${state.bridge.mtu}`],
    [
      info.vni === vni && info.port === port,
      `has VNI ${info.vni} and UDP port ${info.port}, not ${vni} and ${port}`,
    ],
    [info.local === canonicalAddress(local), `sends from ${info.local ?? "any address"}, not from ${local}`],
    [!info.learning, "learns addresses from packets"],
    [isPort, `is no port of the bridge ${state.bridge.name}`],
    [!isPort || link.port?.learning === false, "learns MACs as a port of the bridge"],
    [!isPort || link.port?.neighSuppress === true, "floods ARP and ND to all hosts (neigh_suppress is off)"],
  ];
  return faults.flatMap(([fine, words]) => (fine ? [] : [`VXLAN device ${name} ${words}`]));
}

/** A plan of its own: what this process wanted before stays out of it. */
function missingSteps(state: DatapathState, holding: Holding): readonly Step[] {
  return plan(state, holding, nothingWanted()).adds;
}

/** Routes to what this host reaches otherwise are wanted, and never made. */
async function withoutElsewhere(
  socket: NetlinkPort,
  bridge: number,
  steps: readonly Step[],
): Promise<readonly Step[]> {
  const addresses = steps.flatMap((step) => (step.kind === "route-add" ? [step.address] : []));
  if (addresses.length === 0) return steps;
  const elsewhere = await ledElsewhere(socket, bridge, addresses);
  return steps.filter((step) => step.kind !== "route-add" || !elsewhere.has(step.address));
}

function describeAll(steps: readonly Step[], { bridge, vxlan }: DatapathState): readonly string[] {
  return steps.flatMap((step) => {
    switch (step.kind) {
      case "address-add":
        return [`bridge ${bridge.name} lacks its address ${step.address}`];
      case "flood-add":
        return [`VXLAN device ${vxlan.name} does not flood to ${step.vtep}`];
      case "fdb-set":
        return [`FDB entry of ${step.mac} to ${step.vtep} is missing`];
      case "home-set":
        return [`FDB entry of ${step.mac} at ${step.port} is missing`];
      case "neighbour-set":
        return [`neighbour entry of ${step.address} at ${step.mac} is missing`];
      case "route-add":
        return [`route to ${step.address} over the bridge ${bridge.name} is missing`];
      default:
        return [];
    }
  });
}
