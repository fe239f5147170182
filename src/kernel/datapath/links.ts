// The bridge and the VXLAN device: made when missing, adopted when there, corrected setting by setting, so that a
// restarting daemon flaps nothing. Entries in them are entries.ts.

import type { BridgeState, VxlanState } from "../../core/datapath/state.ts";
import { WeaveError } from "../../core/errors.ts";
import type { Host } from "../host.ts";
import { vxlanMac } from "../mac.ts";
import { kernelError } from "../rtnetlink/errors.ts";
import {
  changeLink,
  createLink,
  deleteLink,
  getLink,
  type Link,
  type LinkChange,
} from "../rtnetlink/link.ts";
import { encodeBridge, encodePort, encodeVxlan, encodeVxlanChange } from "../rtnetlink/link-info.ts";
import type { NetlinkSocket } from "../rtnetlink/socket.ts";
import { canonicalAddress } from "../rtnetlink/wire.ts";
import { BRIDGE_SYSCTLS, ensureSysctls, PORT_SYSCTLS } from "../sysctl.ts";
import { ensurePortMtus } from "./port-mtu.ts";
import type { Report } from "./report.ts";

/** Bring the bridge to `state`; returns its index. Throws when there cannot be one. */
export async function ensureBridge(
  host: Host,
  socket: NetlinkSocket,
  state: BridgeState,
  report: Report,
): Promise<number> {
  const info = { stp: false, mcastSnooping: false };
  let link = await getLink(socket, state.name);
  if (link === undefined) {
    await createLink(socket, state.name, { mac: state.mac, info: encodeBridge(info) });
    report.changed(`link add ${state.name} type bridge address ${state.mac} mtu ${state.mtu}`);
    // The MTU is set on the living link: only then does the kernel not lower it to that of the smallest port.
    link = await wanted(socket, state.name);
    await changeLink(socket, link, { mtu: state.mtu });
    link = { ...link, mtu: state.mtu };
  }
  if (link.info.kind !== "bridge") throw wrongKind(link, "bridge");
  if (link.info.stp || link.info.mcastSnooping) {
    await changeLink(socket, link, { info: encodeBridge(info) });
    report.changed(`link set ${state.name} stp off mcast_snooping off`);
  }
  const formerMtu = link.mtu;
  const mac = state.mac.toLowerCase();
  // The MTU before the sysctls: rising above 1280 it brings those of IPv6, with the kernel's defaults.
  await ensureCommon(socket, link, { mac, mtu: state.mtu }, report);
  report.changed(...host.run(() => ensureSysctls(BRIDGE_SYSCTLS, state.name)));
  await ensureCommon(socket, { ...link, mac, mtu: state.mtu }, { up: true }, report);
  await ensurePortMtus(socket, link.index, formerMtu, state.mtu, report);
  return link.index;
}

/** Bring the VXLAN device, as a port of the bridge, to `state`; returns its index. Throws when there cannot be one. */
export async function ensureVxlan(
  host: Host,
  socket: NetlinkSocket,
  state: VxlanState,
  bridge: BridgeState & { readonly index: number },
  report: Report,
): Promise<number> {
  const local = canonicalAddress(state.local);
  let link = await getLink(socket, state.name);
  if (link !== undefined && link.info.kind !== "vxlan") throw wrongKind(link, "vxlan");
  if (link !== undefined && !changeable(link, state, local)) {
    await deleteLink(socket, state.name);
    report.changed(`link del ${state.name}`);
    link = undefined;
  }
  const mac = vxlanMac(bridge.mac.toLowerCase());
  if (link === undefined) {
    const info = encodeVxlan({ vni: state.vni, port: state.port, local, learning: false });
    await createLink(socket, state.name, { mac, mtu: bridge.mtu, info }).catch(portTaken(state));
    report.changed(`link add ${state.name} type vxlan id ${state.vni} local ${local} dstport ${state.port}`);
    link = await wanted(socket, state.name);
  }
  if (link.info.kind === "vxlan" && (link.info.local !== local || link.info.learning)) {
    await changeLink(socket, link, { info: encodeVxlanChange({ local, learning: false }) });
    report.changed(`link set ${state.name} type vxlan local ${local} nolearning`);
  }
  await ensureCommon(socket, link, { mac, mtu: bridge.mtu }, report);
  report.changed(...host.run(() => ensureSysctls(PORT_SYSCTLS, state.name)));
  if (link.master !== bridge.index) {
    await changeLink(socket, link, { master: bridge.index });
    report.changed(`link set ${state.name} master ${bridge.name}`);
    link = await wanted(socket, state.name);
  }
  // Before it goes up: a port that learns, or floods ARP, must not do so for a moment.
  if (link.port === undefined || link.port.learning || !link.port.neighSuppress) {
    await changeLink(socket, link, { info: encodePort({ learning: false, neighSuppress: true }) });
    report.changed(`link set ${state.name} type bridge_slave learning off neigh_suppress on`);
  }
  await ensureCommon(socket, link, { up: true }, report).catch(portTaken(state));
  return link.index;
}

/** The kernel's errno alone tells nobody that two VXLAN devices, or a program, want one UDP port. */
function portTaken({ vni, port }: VxlanState): (error: unknown) => never {
  return (error) => {
    if (!(error instanceof WeaveError) || error.hint !== undefined) throw error;
    const { errno } = error.fields;
    const hint =
      errno === "EEXIST"
        ? `another VXLAN device has VNI ${vni} on UDP port ${port}; find it with: ip -d link show type vxlan`
        : errno === "EADDRINUSE"
          ? `another program uses UDP port ${port}; find it with: weave doctor`
          : undefined;
    throw new WeaveError(error.code, error.message, { hint, cause: error, fields: error.fields });
  };
}

async function ensureCommon(
  socket: NetlinkSocket,
  link: Link,
  want: { readonly mac?: string; readonly mtu?: number; readonly up?: true },
  report: Report,
): Promise<void> {
  const change: LinkChange = {
    ...(want.mac === undefined || want.mac === link.mac ? {} : { mac: want.mac }),
    ...(want.mtu === undefined || want.mtu === link.mtu ? {} : { mtu: want.mtu }),
    ...(want.up === undefined || link.up ? {} : { up: true }),
  };
  if (Object.keys(change).length === 0) return;
  await changeLink(socket, link, change);
  const words = [
    ...(change.mac === undefined ? [] : [`address ${change.mac}`]),
    ...(change.mtu === undefined ? [] : [`mtu ${change.mtu}`]),
    ...(change.up === undefined ? [] : ["up"]),
  ];
  report.changed(`link set ${link.name} ${words.join(" ")}`);
}

/** VNI, port and address family are fixed when the device is made. */
function changeable(link: Link, state: VxlanState, local: string): boolean {
  const { info } = link;
  if (info.kind !== "vxlan" || info.vni !== state.vni || info.port !== state.port) return false;
  return info.local !== undefined && info.local.includes(":") === local.includes(":");
}

async function wanted(socket: NetlinkSocket, name: string): Promise<Link> {
  const link = await getLink(socket, name);
  if (link === undefined) throw kernelError({ operation: "link get", object: name }, "ENODEV");
  return link;
}

function wrongKind(link: Link, kind: string): WeaveError {
  return new WeaveError("kernel", `interface ${link.name} exists and is not a ${kind}`, {
    hint: `remove it: ip link delete ${link.name}`,
    fields: { operation: "link add", object: link.name, errno: "EEXIST" },
  });
}
