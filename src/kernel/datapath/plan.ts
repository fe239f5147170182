// What has to change so that the kernel holds the desired entries: addresses, flood list, FDB, neighbours.
// Pure, and shared by the Linux kernel and the memory one: they differ in how a step is carried out, never in which.
import { formatAddress, formatCidr, parseCidr } from "../../core/address/cidr.ts";
import type { DatapathState } from "../../core/datapath/state.ts";

/** What the kernel is known to hold, by key. Mutated as steps succeed. */
export interface Holding {
  /** Addresses of the bridge, canonical with prefix; those of other tools included. */
  readonly addresses: Set<string>;
  /** VTEPs of the flood list. */
  readonly flood: Set<string>;
  /** MAC -> VTEP on the VXLAN device. */
  readonly self: Map<string, string>;
  /** Static MACs of the bridge at the VXLAN port, and whether they are sticky. */
  readonly master: Map<string, { readonly sticky: boolean }>;
  /** Static MACs of the bridge at our containers' ports: MAC -> name of the port. What goes with a port is still in here. */
  readonly homes: Map<string, string>;
  /** Permanent neighbour entries of the bridge, address -> MAC. */
  readonly neighbours: Map<string, string>;
  /** Addresses in the table of routes for what comes from the bridge. */
  readonly routes: Set<string>;
}

/**
 * Keys this process wanted at some time: those it may delete without `prune`. What was found and never wanted stays
 * until gossip has told everything. Mutated by planning (wanted) and by whoever carries a deletion out.
 */
export interface Wanted {
  readonly addresses: Set<string>;
  readonly flood: Set<string>;
  readonly macs: Set<string>;
  readonly neighbours: Set<string>;
  readonly routes: Set<string>;
}

export function nothingWanted(): Wanted {
  return {
    addresses: new Set(),
    flood: new Set(),
    macs: new Set(),
    neighbours: new Set(),
    routes: new Set(),
  };
}

/** One change. `previous` is what the entry said before, when it moves. */
export type Step =
  | { readonly kind: "address-add"; readonly address: string }
  | { readonly kind: "flood-add"; readonly vtep: string }
  | {
      readonly kind: "fdb-set";
      readonly mac: string;
      readonly vtep: string;
      readonly previous: string | undefined;
    }
  | { readonly kind: "home-set"; readonly mac: string; readonly port: string }
  | { readonly kind: "home-del"; readonly mac: string; readonly port: string }
  | {
      readonly kind: "neighbour-set";
      readonly address: string;
      readonly mac: string;
      readonly previous: string | undefined;
    }
  | { readonly kind: "route-add"; readonly address: string }
  | { readonly kind: "route-del"; readonly address: string }
  | { readonly kind: "neighbour-del"; readonly address: string }
  | { readonly kind: "fdb-del"; readonly mac: string; readonly self: boolean; readonly master: boolean }
  | { readonly kind: "flood-del"; readonly vtep: string }
  | { readonly kind: "address-del"; readonly address: string };

/** Steps in the order they are carried out: everything in `adds` before anything in `deletes`. */
export interface Plan {
  readonly adds: readonly Step[];
  readonly deletes: readonly Step[];
}

/** Compare desired and held. Of entries given twice the last counts. */
export function plan(state: DatapathState, holding: Holding, wanted: Wanted): Plan {
  const adds: Step[] = [];
  const deletes: Step[] = [];

  const addresses = new Set(state.bridge.addresses.map(canonicalCidr));
  for (const address of addresses) {
    wanted.addresses.add(address);
    if (!holding.addresses.has(address)) adds.push({ kind: "address-add", address });
  }

  const flood = new Set(state.flood.map(canonical));
  for (const vtep of flood) {
    wanted.flood.add(vtep);
    if (!holding.flood.has(vtep)) adds.push({ kind: "flood-add", vtep });
  }

  const forwarding = new Map(
    state.forwarding.map((entry) => [entry.mac.toLowerCase(), canonical(entry.vtep)]),
  );
  for (const [mac, vtep] of forwarding) {
    wanted.macs.add(mac);
    const previous = holding.self.get(mac);
    if (previous !== vtep || holding.master.get(mac)?.sticky !== true) {
      adds.push({ kind: "fdb-set", mac, vtep, previous });
    }
  }

  const homes = homesOf(state);
  for (const [mac, port] of homes) {
    if (holding.homes.get(mac) !== port) adds.push({ kind: "home-set", mac, port });
  }

  const neighbours = new Map(
    state.neighbours.map((entry) => [canonical(entry.address), entry.mac.toLowerCase()]),
  );
  for (const [address, mac] of neighbours) {
    wanted.neighbours.add(address);
    const previous = holding.neighbours.get(address);
    if (previous !== mac) adds.push({ kind: "neighbour-set", address, mac, previous });
  }

  const routes = new Set(state.routes.map(canonical));
  for (const address of routes) {
    wanted.routes.add(address);
    if (!holding.routes.has(address)) adds.push({ kind: "route-add", address });
  }

  // The deletes. An address goes first: the kernel then drops neighbour entries, which the caller puts back.
  // Addresses of other tools on the bridge are never ours to delete, `prune` or not.
  for (const address of holding.addresses) {
    if (!addresses.has(address) && wanted.addresses.has(address))
      deletes.push({ kind: "address-del", address });
  }
  for (const address of holding.routes) {
    if (!routes.has(address) && (state.prune || wanted.routes.has(address)))
      deletes.push({ kind: "route-del", address });
  }
  for (const address of holding.neighbours.keys()) {
    if (!neighbours.has(address) && (state.prune || wanted.neighbours.has(address))) {
      deletes.push({ kind: "neighbour-del", address });
    }
  }
  // An endpoint with a neighbour entry and no VTEP is a container of this host: a sticky entry left from when its MAC
  // was elsewhere would send its frames away, so that goes without waiting for `prune`.
  const here = new Set([...neighbours.values()].filter((mac) => !forwarding.has(mac)));
  for (const mac of new Set([...holding.self.keys(), ...holding.master.keys()])) {
    if (!forwarding.has(mac) && (state.prune || wanted.macs.has(mac) || here.has(mac))) {
      deletes.push({ kind: "fdb-del", mac, self: holding.self.has(mac), master: holding.master.has(mac) });
    }
  }
  // Of ports that are not asked for, or whose MAC is not known, nothing is deleted: it goes with them.
  const settled = new Set(state.ports.flatMap(({ name, mac }) => (mac === undefined ? [] : [name])));
  for (const [mac, port] of holding.homes) {
    if (!homes.has(mac) && settled.has(port)) deletes.push({ kind: "home-del", mac, port });
  }
  for (const vtep of holding.flood) {
    if (!flood.has(vtep) && (state.prune || wanted.flood.has(vtep)))
      deletes.push({ kind: "flood-del", vtep });
  }
  return { adds, deletes };
}

/** MAC -> the port of this host it is bound to; one that is elsewhere, too, is bound to none. */
export function homesOf({ ports, forwarding }: DatapathState): Map<string, string> {
  const homes = new Map(
    ports.flatMap(({ name, mac }) => (mac === undefined ? [] : [[mac.toLowerCase(), name] as const])),
  );
  for (const { mac } of forwarding) homes.delete(mac.toLowerCase());
  return homes;
}

/** Write a step that succeeded into what is held. */
export function record(step: Step, holding: Holding, wanted: Wanted): void {
  switch (step.kind) {
    case "address-add":
      holding.addresses.add(step.address);
      return;
    case "flood-add":
      holding.flood.add(step.vtep);
      return;
    case "fdb-set":
      holding.self.set(step.mac, step.vtep);
      holding.master.set(step.mac, { sticky: true });
      holding.homes.delete(step.mac);
      return;
    case "home-set":
      holding.homes.set(step.mac, step.port);
      // One MAC has one entry in the bridge: it moved.
      holding.master.delete(step.mac);
      return;
    case "home-del":
      holding.homes.delete(step.mac);
      return;
    case "neighbour-set":
      holding.neighbours.set(step.address, step.mac);
      return;
    case "route-add":
      holding.routes.add(step.address);
      return;
    case "route-del":
      holding.routes.delete(step.address);
      wanted.routes.delete(step.address);
      return;
    case "neighbour-del":
      holding.neighbours.delete(step.address);
      wanted.neighbours.delete(step.address);
      return;
    case "fdb-del":
      holding.self.delete(step.mac);
      holding.master.delete(step.mac);
      wanted.macs.delete(step.mac);
      return;
    case "flood-del":
      holding.flood.delete(step.vtep);
      wanted.flood.delete(step.vtep);
      return;
    case "address-del":
      holding.addresses.delete(step.address);
      wanted.addresses.delete(step.address);
      return;
  }
}

/** The step in the words of a report. */
export function describe(step: Step): string {
  switch (step.kind) {
    case "address-add":
      return `address add ${step.address}`;
    case "address-del":
      return `address del ${step.address}`;
    case "flood-add":
      return `flood add ${step.vtep}`;
    case "flood-del":
      return `flood del ${step.vtep}`;
    case "fdb-set":
      return `fdb ${step.previous === undefined ? "add" : "set"} ${step.mac} dst ${step.vtep}`;
    case "fdb-del":
      return `fdb del ${step.mac}`;
    case "home-set":
      return `fdb add ${step.mac} dev ${step.port}`;
    case "home-del":
      return `fdb del ${step.mac} dev ${step.port}`;
    case "neighbour-set":
      return `neighbour ${step.previous === undefined ? "add" : "set"} ${step.address} ${step.mac}`;
    case "neighbour-del":
      return `neighbour del ${step.address}`;
    case "route-add":
      return `route add ${step.address}`;
    case "route-del":
      return `route del ${step.address}`;
  }
}

/** How many addresses are remembered with their last MAC; the oldest are forgotten first. */
const MAX_TOLD = 65_536;

/**
 * Addresses whose MAC is another than the one told before, also when the address was gone in between: containers may still
 * have the former in their caches. `told` is brought up to date.
 */
export function movesIn(
  steps: readonly Step[],
  told: Map<string, string>,
): readonly { readonly address: string; readonly mac: string }[] {
  return steps.flatMap((step) => {
    if (step.kind !== "neighbour-set") return [];
    const { address, mac } = step;
    const former = step.previous ?? told.get(address);
    told.delete(address);
    told.set(address, mac);
    for (const oldest of told.keys()) {
      if (told.size <= MAX_TOLD) break;
      told.delete(oldest);
    }
    return former === undefined || former === mac ? [] : [{ address, mac }];
  });
}

/** Text that is no address stays as it is: the step about it then fails, and is reported, alone. */
export function canonical(address: string): string {
  if (!address.includes(":")) return address;
  const cidr = parseCidr(address);
  return cidr === undefined ? address : formatAddress(cidr.family, cidr.value);
}

/** The same for an address with prefix. */
export function canonicalCidr(text: string): string {
  const cidr = parseCidr(text);
  return cidr === undefined ? text : formatCidr(cidr);
}
