// Carries out the steps of a plan on the bridge and the VXLAN device, and observes what they hold.
import type { Host } from "../host.ts";
import { announcement, sendFrames } from "../packet.ts";
import { addAddress, deleteAddress, listAddresses } from "../rtnetlink/address.ts";
import { errnoOf } from "../rtnetlink/errors.ts";
import { addFlood, deleteFdb, deleteFlood, listFdb, setFdb, setHome } from "../rtnetlink/fdb.ts";
import { deleteNeighbour, listNeighbours, setNeighbour } from "../rtnetlink/neighbour.ts";
import type { NetlinkSocket } from "../rtnetlink/socket.ts";
import { describe, type Holding, movesIn, record, type Step, type Wanted } from "./plan.ts";
import type { Report } from "./report.ts";
import { addBridgeRoute, deleteBridgeRoute, observeBridgeRoutes } from "./routes.ts";

/** Interface indices of our two devices. */
export interface Devices {
  readonly bridge: number;
  readonly bridgeName: string;
  readonly vxlan: number;
}

/** Index of an interface of the host, 0 when there is none of that name. */
export type PortIndex = (name: string) => number;

/** Everything held, from a few dumps; of the bridge's ports those named. */
export async function observe(
  socket: NetlinkSocket,
  devices: Devices,
  ports: readonly string[],
  indexOf: PortIndex,
): Promise<Holding> {
  const addresses = (await listAddresses(socket)).filter((entry) => entry.index === devices.bridge);
  const fdb = await listFdb(socket, devices);
  const names = new Map(ports.map((name) => [indexOf(name), name]));
  const homes = [...fdb.homes].flatMap(([mac, index]) => {
    const name = names.get(index);
    return name === undefined ? [] : [[mac, name] as const];
  });
  return {
    addresses: new Set(addresses.map((entry) => `${entry.address}/${entry.prefix}`)),
    flood: new Set(fdb.flood),
    self: new Map(fdb.self),
    master: new Map(fdb.master),
    homes: new Map(homes),
    neighbours: await observeNeighbours(socket, devices.bridge),
    routes: await observeBridgeRoutes(socket, devices),
  };
}

/** The permanent entries of the bridge; what the host itself resolved is not ours. */
export async function observeNeighbours(socket: NetlinkSocket, bridge: number): Promise<Map<string, string>> {
  const entries = (await listNeighbours(socket, bridge)).filter((entry) => entry.permanent);
  return new Map(entries.map((entry) => [entry.address, entry.mac]));
}

/** Carry out steps one by one; false when a device was gone and the rest made no sense. */
export async function carryOut(
  socket: NetlinkSocket,
  devices: Devices,
  indexOf: PortIndex,
  steps: readonly Step[],
  holding: Holding,
  wanted: Wanted,
  report: Report,
): Promise<boolean> {
  for (const step of steps) {
    try {
      if (step.kind === "home-set" || step.kind === "home-del") {
        // One that is to be made yet, or went with its container.
        const port = indexOf(step.port);
        if (port === 0) continue;
        await executeAtPort(socket, port, step);
      } else await execute(socket, devices, step);
      record(step, holding, wanted);
      report.changed(describe(step));
    } catch (error) {
      report.failed(describe(step), error);
      if (errnoOf(error) === "ENODEV") return false;
    }
  }
  return true;
}

/**
 * Tell the containers of this host that addresses have new MACs. Their own announcements do not cross hosts (ARP
 * suppression eats them), and ours, sent on the bridge, does not either.
 */
export function announceMoves(
  host: Host,
  devices: Devices,
  bridgeMac: string,
  steps: readonly Step[],
  told: Map<string, string>,
  report: Report,
): void {
  const moves = movesIn(steps, told);
  if (moves.length === 0) return;
  try {
    const frames = moves.map((move) => announcement(move.address, move.mac, bridgeMac));
    host.run(() => sendFrames(devices.bridge, frames));
    report.changed(...moves.map((move) => `announce ${move.address} ${move.mac}`));
  } catch (error) {
    report.failed("announce", error);
  }
}

type PortStep = Step & { readonly kind: "home-set" | "home-del" };

async function executeAtPort(socket: NetlinkSocket, port: number, step: PortStep): Promise<void> {
  try {
    if (step.kind === "home-set") await setHome(socket, port, step.mac);
    else await deleteFdb(socket, port, step.mac, "master");
  } catch (error) {
    // It went, or left the bridge, in between: what puts it back reads the kernel again.
    if (!["ENODEV", "EINVAL", "EOPNOTSUPP"].includes(errnoOf(error) ?? "")) throw error;
  }
}

async function execute(
  socket: NetlinkSocket,
  devices: Devices,
  step: Exclude<Step, PortStep>,
): Promise<unknown> {
  switch (step.kind) {
    case "address-add":
      return addAddress(socket, devices.bridge, step.address);
    case "address-del":
      return deleteAddress(socket, devices.bridge, step.address);
    case "flood-add":
      return addFlood(socket, devices.vxlan, step.vtep);
    case "flood-del":
      return deleteFlood(socket, devices.vxlan, step.vtep);
    case "fdb-set":
      return setFdb(socket, devices.vxlan, step.mac, step.vtep);
    case "fdb-del":
      if (step.master) await deleteFdb(socket, devices.vxlan, step.mac, "master");
      if (step.self) await deleteFdb(socket, devices.vxlan, step.mac, "self");
      return undefined;
    case "neighbour-set":
      return setNeighbour(socket, devices.bridge, step.address, step.mac);
    case "route-add":
      return addBridgeRoute(socket, devices, step.address);
    case "route-del":
      return deleteBridgeRoute(socket, devices, step.address);
    case "neighbour-del":
      return deleteNeighbour(socket, devices.bridge, step.address);
  }
}
