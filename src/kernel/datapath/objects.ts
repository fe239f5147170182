// What somebody else damaged and the daemon put back, by name: the same words when it is found and when it is mended, so
// that the one who decides how soon can tell a thing that is damaged again and again.
import type { Repair } from "../../ports/kernel.ts";
import type { Holding, Step } from "./plan.ts";

/** Interface indices: a device made again has another. */
interface Devices {
  readonly bridge: number;
  readonly vxlan: number;
}

/** More of a kind than these, found or mended at once, are told as one. */
const MAX_OF_A_KIND = 8;

/** Names of everything that can be damaged and mended. */
export const NAME = {
  bridge: (name: string) => `bridge ${name}`,
  vxlan: (name: string) => `VXLAN device ${name}`,
  port: (name: string) => `port ${name}`,
  address: (cidr: string) => `address ${cidr}`,
  flood: (vtep: string) => `flood entry ${vtep}`,
  fdb: (mac: string) => `FDB entry ${mac}`,
  neighbour: (address: string) => `neighbour ${address}`,
  route: (dst: string) => `route ${dst}`,
  underlay: (address: string) => `underlay ${address}`,
  table: (name: string) => `nftables table ${name}`,
  sysctl: (key: string) => `sysctl net.${key.replaceAll("/", ".")}`,
  accept: (where: string) => `accept in ${where}`,
  /** Notifications were lost: nobody knows what it is. */
  anything: () => "kernel",
} as const;

/** The thing a step makes; undefined for steps that take away. */
export function nameOf(step: Step): string | undefined {
  switch (step.kind) {
    case "address-add":
      return NAME.address(step.address);
    case "flood-add":
      return NAME.flood(step.vtep);
    case "fdb-set":
    case "home-set":
      return NAME.fdb(step.mac);
    case "neighbour-set":
      return NAME.neighbour(step.address);
    case "route-add":
      return NAME.route(step.address);
    default:
      return undefined;
  }
}

/** Whether `former` had exactly what the step makes, in devices that are still the same: then somebody took it away. */
export function wasHeld(
  step: Step,
  former: { readonly devices: Devices; readonly holding: Holding },
  devices: Devices,
): boolean {
  const { holding } = former;
  const sameBridge = former.devices.bridge === devices.bridge;
  const sameVxlan = former.devices.vxlan === devices.vxlan;
  switch (step.kind) {
    case "address-add":
      return sameBridge && holding.addresses.has(step.address);
    case "flood-add":
      return sameVxlan && holding.flood.has(step.vtep);
    case "fdb-set":
      return sameVxlan && sameBridge && holding.self.get(step.mac) === step.vtep;
    case "home-set":
      return sameBridge && holding.homes.get(step.mac) === step.port;
    case "neighbour-set":
      return sameBridge && holding.neighbours.get(step.address) === step.mac;
    case "route-add":
      return sameBridge && holding.routes.has(step.address);
    default:
      return false;
  }
}

/** Names as they are told: many of a kind as one, "neighbour (many)". */
export function gather(names: Iterable<string>): readonly string[] {
  return gatherRepairs([...names].map((object) => ({ object, message: "" }))).map(({ object }) => object);
}

/** Repairs as they are told: of each object one. */
export function gatherRepairs(repairs: readonly Repair[]): readonly Repair[] {
  const byName = new Map<string, string>();
  for (const { object, message } of repairs) {
    const former = byName.get(object);
    byName.set(object, former === undefined || former === message ? message : `${former}; ${message}`);
  }
  const kinds = new Map<string, Repair[]>();
  for (const [object, message] of byName) {
    const kind = object.slice(0, object.lastIndexOf(" ") + 1);
    const list = kinds.get(kind) ?? [];
    kinds.set(kind, list);
    list.push({ object, message });
  }
  return [...kinds].flatMap(([kind, list]) =>
    list.length <= MAX_OF_A_KIND
      ? list
      : [{ object: `${kind}(many)`, message: `${list.length} at once, such as: ${list[0]?.object ?? ""}` }],
  );
}
