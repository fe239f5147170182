// From what the operator said, what the disk holds and what the host is, to what this daemon will be. Refuses with a
// reason before anything is changed.
import { contains, isShared, overlaps, parseAddress, parseCidr } from "../core/address/cidr.ts";
import { Universe } from "../core/address/universe.ts";
import type { Anew } from "../core/aside.ts";
import type { Init, NodeConfig } from "../core/config.ts";
import { VXLAN_OVERHEAD } from "../core/datapath/plan.ts";
import { WeaveError } from "../core/errors.ts";
import { MAX_ESTABLISHED } from "../core/mesh/constants.ts";
import { MIN_MTU } from "../core/mesh/peer-record.ts";
import type { StoredState } from "../core/records.ts";
import type { HostFacts } from "../ports/kernel.ts";
import { DEFAULT_RANGE, type LaunchOptions } from "./options.ts";
import { preferredUnderlay } from "./underlay.ts";

/** Weave Net's names. */
export const BRIDGE = "weave";
/** Weave Net's port, the same on every host whatever --port says: peers send to it. */
const VXLAN_PORT = 6784;
/** Name of the device. */
export const VXLAN = `vxlan-${VXLAN_PORT}`;
/** "wvv" in ASCII as the 24-bit number a VNI is: one overlay, one VNI, unlikely to be another tool's. */
const VNI = 0x777676;

/** This network, loopback, link-local, multicast and reserved addresses (RFC 6890). */
const NEVER_HOSTS = {
  4: ["0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3"],
  6: ["::/8", "ff00::/8", "fe80::/10"],
} as const;

/** What a configuration is made from, beside the options. */
export interface Surroundings {
  readonly stored: StoredState;
  /** What the disk says of having begun anew. */
  readonly anew: Anew;
  readonly facts: HostFacts;
  readonly hostname: string;
  readonly software: string;
  /** What the operator would type to stop and launch again with the same options. */
  readonly again: { readonly stop: string; readonly launch: string };
  /** Random: identity of this process, of a new data directory, and the name of a new peer. */
  readonly uid: string;
  readonly incarnation: string;
  readonly freshName: string;
}

/** The configuration, and what the user should know of how it came about. */
export interface Resolved {
  readonly config: NodeConfig;
  readonly warnings: readonly string[];
  /** The range of the ring on disk, where another is wanted: that state is to be set aside before the start. */
  readonly otherRange?: string;
}

/** Throws WeaveError: bad-request, bad-address, range-overlap, feature-missing, state-mismatch, mtu-invalid. */
export function resolveConfig(options: LaunchOptions, around: Surroundings): Resolved {
  const { stored, facts } = around;
  const [lack] = facts.missing;
  if (lack !== undefined) {
    const all = facts.missing.map(({ what, brings }) => `${what} (${brings})`).join("; ");
    throw new WeaveError("feature-missing", `this host lacks: ${all}`, {
      hint: `install or enable it, then launch again: ${lack.brings}`,
    });
  }
  const warnings: string[] = [];
  const name = peerName(options, around);
  const { universes, otherRange } = chooseRanges(options, stored);
  for (const universe of universes) checkOverlap(universe, options, around, warnings);
  const defaultSubnets = chooseDefaultSubnets(options, universes);
  const underlay = chooseUnderlay(options, facts, warnings);
  if (stored.rings.size === 0) warnings.push(...doubtsAbout(options, name, stored));
  if (options.name !== undefined && options.name !== name)
    warnings.push(
      `this host is ${name} since it began anew; ${options.name} is its former self to the others (weave status peers)`,
    );
  const mtu = chooseMtu(options, underlay.mtu, underlay.address);
  for (const peer of options.peers ?? []) checkTarget(peer);
  return {
    warnings,
    ...(otherRange === undefined ? {} : { otherRange }),
    config: {
      name,
      nickname: options.nickname ?? stored.nickname ?? around.hostname,
      software: around.software,
      uid: around.uid,
      universes,
      defaultSubnets,
      incarnation: stored.incarnation ?? around.incarnation,
      init: chooseInit(options, around),
      ...(around.anew.expect === undefined ? {} : { expect: around.anew.expect }),
      ...(options.peers === undefined ? {} : { targets: options.peers }),
      foundCommand: `${around.again.stop} && ${around.again.launch} --ipalloc-init seed=${name}`,
      port: options.port,
      discovery: options.discovery,
      connLimit: options.connLimit === 0 ? MAX_ESTABLISHED : options.connLimit,
      vni: VNI,
      vxlanPort: VXLAN_PORT,
      bridgeName: BRIDGE,
      vxlanName: VXLAN,
      underlay: { address: underlay.address, pinned: underlay.pinned },
      mtu,
    },
  };
}

/** host, host:port or [v6]:port; throws bad-request. */
export function checkTarget(text: string): void {
  if (parseAddress(text) !== undefined) return;
  const match = /^(?:\[([^\]]+)\]|([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?))(?::(\d{1,5}))?$/.exec(text);
  const badV6 = match?.[1] !== undefined && parseAddress(match[1]) === undefined;
  const badV4 = match?.[2] !== undefined && /^[\d.]+$/.test(match[2]) && parseAddress(match[2]) === undefined;
  const port = Number(match?.[4] ?? 1);
  if (match === null || badV6 || badV4 || port < 1 || port > 65535) {
    throw new WeaveError("bad-request", `"${text}" is not a peer address`, {
      hint: "write HOST, HOST:PORT or [IPV6]:PORT",
    });
  }
}

/** One form for a target with the port that is meant where none stands, and for the same one without it. */
export function plainTarget(text: string, port: number): string {
  const [, v6, v4, given] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(text) ?? [];
  const isMeant = given === undefined || Number(given) === port;
  return (isMeant ? (v6 ?? v4 ?? text) : text).toLowerCase();
}

/**
 * Whether the bridge may get this address, given by an operator. Inside the range the core decides who holds it; outside
 * nobody vouches for it, but it must at least be possible and not be somebody else's on this host. Throws bad-address and
 * range-overlap.
 */
export function checkExposed(text: string, ranges: readonly Universe[], facts: HostFacts): void {
  const refuse = (why: string): never => {
    throw new WeaveError("bad-address", `cannot expose ${text}: ${why}`, {
      hint: `give an address of the range ${rangeText(ranges)}, or none to get one`,
    });
  };
  const cidr = parseCidr(text) ?? refuse("it is not an address or CIDR");
  const bits = cidr.family === 4 ? 32 : 128;
  const address = { ...cidr, prefix: bits };
  const range = ranges.find(({ network }) => contains(network, address));
  if (!text.includes("/")) {
    if (range === undefined) refuse("outside the range it needs a prefix, for example /24");
    return;
  }
  if (cidr.prefix > bits - 2) refuse("its prefix leaves no room for containers");
  if (range !== undefined) {
    if (cidr.prefix < range.network.prefix) refuse("its prefix is larger than the range");
    return;
  }
  const never = NEVER_HOSTS[cidr.family].find((one) => overlaps(parseCidr(one) ?? cidr, cidr));
  if (never !== undefined) refuse(`it overlaps ${never}, which no host can use`);
  if (ranges.some(({ network }) => overlaps(cidr, network)))
    refuse("its network contains the range, its address is not of it");
  const route = facts.routes.find(({ dst, dev }) => {
    const other = parseCidr(dst);
    return dev !== BRIDGE && other !== undefined && other.prefix > 0 && overlaps(other, cidr);
  });
  if (route === undefined) return;
  throw new WeaveError(
    "range-overlap",
    `cannot expose ${text}: it overlaps the route ${route.dst} dev ${route.dev} of this host`,
    {
      hint: "choose a network this host does not reach elsewhere",
    },
  );
}

/**
 * Whether a container may have this address, which another IPAM plugin chose: the host must be able to reach it here, and
 * nobody of the underlay may lose his. Throws bad-address and range-overlap.
 */
export function checkChosen(
  text: string,
  ranges: readonly Universe[],
  facts: HostFacts,
  underlays: readonly string[],
): void {
  const [address = ""] = text.split("/");
  const cidr = parseAddress(address);
  if (cidr === undefined || !isShared(address)) {
    throw new WeaveError("bad-address", `${text} is not an address a container can have`, {
      hint: "choose another; if a plugin did (ipam.type), change what it is told",
    });
  }
  if (ranges.some(({ network }) => contains(network, cidr))) return; // the ring decides who has it
  const same = (one: string): boolean => {
    const other = parseAddress(one);
    return other?.family === cidr.family && other.value === cidr.value;
  };
  const hint = "choose a subnet that no host reaches elsewhere, also for the plugin of ipam.type";
  if (underlays.some(same))
    throw new WeaveError("range-overlap", `${address} is the address of a host of this network`, { hint });
  const route = facts.routes.find(({ dst, dev }) => {
    const other = parseCidr(dst);
    return dev !== BRIDGE && other !== undefined && other.prefix > 0 && contains(other, cidr);
  });
  if (route === undefined) return;
  throw new WeaveError(
    "range-overlap",
    `${address} lies in the route ${route.dst} dev ${route.dev} of this host`,
    { hint },
  );
}

/** A host that began anew joins what there is: founding again what it was removed from would come to nothing. */
function chooseInit({ init = { kind: "consensus" } }: LaunchOptions, { stored, anew }: Surroundings): Init {
  return anew.newcomer && stored.configuration === undefined ? { kind: "observer" } : init;
}

/** What may go otherwise than meant, for a host without a ring. */
function doubtsAbout({ init, ...options }: LaunchOptions, name: string, stored: StoredState): string[] {
  if (init?.kind === "seed" && !init.names.includes(name)) {
    return [
      `--ipalloc-init seed=${init.names.join()} does not name this host (${name}); it will ask those for addresses`,
    ];
  }
  const peers = options.peers ?? stored.targets ?? [];
  if (init?.kind === "observer" && peers.length === 0) {
    return [
      "--ipalloc-init observer, and no peer is named: there are no addresses until one connects to this host",
    ];
  }
  return [];
}

/** The disk's word goes first; `--name` may also say what the host was called before it began anew. */
function peerName(options: LaunchOptions, { stored, anew, freshName }: Surroundings): string {
  const isOther = options.name !== stored.name && options.name !== anew.base;
  if (stored.name !== undefined && options.name !== undefined && isOther) {
    throw new WeaveError(
      "state-mismatch",
      `the data directory ${options.dataDir} belongs to peer ${stored.name}, not to ${options.name}`,
      {
        hint: "launch without --name, or with another --data-dir; to give its ranges to the others first: weave reset",
      },
    );
  }
  return stored.name ?? options.name ?? freshName;
}

/** At most one of each family: a container gets an address of every range. */
function chooseRanges(
  options: LaunchOptions,
  stored: StoredState,
): { readonly universes: readonly Universe[]; readonly otherRange?: string } {
  const kept = stored.ranges ?? [];
  const texts = options.range?.split(",") ?? (kept.length > 0 ? kept : [DEFAULT_RANGE]);
  // In one order on every host, whatever order they were given in.
  const universes = texts.map(parseRange).sort((a, b) => a.network.family - b.network.family);
  const [first, second, ...more] = universes;
  if (more.length > 0 || (second !== undefined && first?.network.family === second.network.family)) {
    throw new WeaveError("bad-address", `--ipalloc-range ${texts.join()}: one range of each family at most`, {
      hint: `for example --ipalloc-range ${DEFAULT_RANGE},fd00:77::/80`,
    });
  }
  const before = kept.join();
  return before === "" || before === rangeText(universes) ? { universes } : { universes, otherRange: before };
}

const rangeText = (universes: readonly Universe[]): string => universes.map(({ text }) => text).join();

function parseRange(text: string): Universe {
  const universe = Universe.parse(text);
  if (typeof universe === "string") {
    const why = {
      "not-a-cidr": "is not a CIDR like 10.32.0.0/12",
      "host-bits": "has host bits set; its first address must be a network address",
      "too-small": "is too small: 4 addresses at least",
      "too-large": "is too large: 2^48 addresses at most (an IPv6 /80)",
    }[universe];
    throw new WeaveError("bad-address", `--ipalloc-range ${text} ${why}`, {
      hint: `for example --ipalloc-range ${DEFAULT_RANGE}`,
    });
  }
  const { family } = universe.network;
  const reserved = NEVER_HOSTS[family].find((never) =>
    overlaps(parseCidr(never) ?? universe.network, universe.network),
  );
  if (reserved === undefined) return universe;
  throw new WeaveError(
    "bad-address",
    `--ipalloc-range ${text} overlaps ${reserved}, which no container can use`,
    {
      hint: `for example --ipalloc-range ${family === 4 ? DEFAULT_RANGE : "fd00:77::/80"}`,
    },
  );
}

/** One for each range, in their order; the whole range where none is named. */
function chooseDefaultSubnets(options: LaunchOptions, universes: readonly Universe[]): readonly string[] {
  const subnets = (options.defaultSubnet?.split(",") ?? []).map((text) => {
    const subnet = text.includes("/") ? parseCidr(text) : undefined;
    const index = universes.findIndex(({ network }) => subnet !== undefined && overlaps(subnet, network));
    return { text, index };
  });
  const stray = subnets.find(
    ({ index }, i) => index < 0 || subnets.some((s, j) => j < i && s.index === index),
  );
  if (stray !== undefined) {
    const why = stray.index < 0 ? "does not overlap the range" : "is the second of the range";
    const range = rangeText(stray.index < 0 ? universes : universes.slice(stray.index, stray.index + 1));
    throw new WeaveError("bad-address", `--ipalloc-default-subnet ${stray.text} ${why} ${range}`, {
      hint: "choose a subnet of --ipalloc-range, one for each family",
    });
  }
  return universes.map(({ text }, i) => subnets.find(({ index }) => index === i)?.text ?? text);
}

/** A container address that a route of the host leads elsewhere can never be reached from it. */
function checkOverlap(
  universe: Universe,
  options: LaunchOptions,
  { stored, facts }: Surroundings,
  warnings: string[],
): void {
  for (const { dst, dev } of facts.routes) {
    const route = parseCidr(dst);
    if (dev === BRIDGE || route === undefined || route.prefix === 0 || !overlaps(route, universe.network))
      continue;
    const what = `the address range ${universe.text} overlaps the route ${dst}${dev === "" ? "" : ` dev ${dev}`} of this host`;
    // A range already in use, or chosen knowingly, is not refused.
    if (options.range === undefined && stored.rings.size === 0) {
      throw new WeaveError("range-overlap", what, {
        hint: "choose a free one, the same on all hosts: --ipalloc-range CIDR",
      });
    }
    warnings.push(`${what}; containers with such addresses are not reachable from here`);
  }
}

function chooseUnderlay(
  options: LaunchOptions,
  facts: HostFacts,
  warnings: string[],
): { address: string; mtu: number; pinned: boolean } {
  if (options.host !== undefined) {
    const given = parseAddress(options.host);
    if (given === undefined)
      throw new WeaveError("bad-address", `--host ${options.host} is not an IP address`, {
        hint: "give an address of this host",
      });
    if (given.value !== 0n) {
      const found = facts.addresses.find(({ address }) => {
        const own = parseAddress(address);
        return own?.family === given.family && own.value === given.value;
      });
      const loopback = contains({ family: 4, value: 0x7f000000n, prefix: 8 }, given);
      if (found === undefined && !loopback) {
        const have = facts.addresses.map((a) => a.address).join(", ") || "none";
        throw new WeaveError("bad-address", `--host ${options.host} is not an address of this host`, {
          hint: `it has: ${have}`,
        });
      }
      if (loopback)
        warnings.push(`--host ${options.host} is a loopback address: no other host can reach this one`);
      return { address: options.host, mtu: found?.mtu ?? 65535, pinned: true };
    }
  }
  const chosen = preferredUnderlay(facts, BRIDGE);
  if (chosen === undefined) {
    warnings.push(
      "this host has no network address yet; the first connection to a peer will tell which to use",
    );
    return { address: "127.0.0.1", mtu: 1500, pinned: false };
  }
  return { address: chosen.address, mtu: chosen.mtu, pinned: false };
}

function chooseMtu(options: LaunchOptions, underlayMtu: number, address: string): number {
  const overhead = overheadAt(address);
  const possible = underlayMtu - overhead;
  if (options.mtu !== undefined && options.mtu > possible) {
    throw new WeaveError(
      "mtu-invalid",
      `--mtu ${options.mtu} is more than the underlay carries: ${underlayMtu} less ${overhead} for VXLAN is ${possible}`,
      {
        hint: `use --mtu ${possible} or leave it out`,
      },
    );
  }
  if (possible < MIN_MTU) {
    throw new WeaveError(
      "mtu-invalid",
      `the underlay at ${address} carries ${underlayMtu}, which leaves containers ${possible}`,
      {
        hint: `${MIN_MTU} is the least; raise the MTU of that interface, or choose another with --host`,
      },
    );
  }
  return options.mtu ?? possible;
}

/**
 * What an underlay whose MTU changed under the running daemon leaves for containers; never more than `asked` (--mtu), and
 * never less than MIN_MTU: one that carries less cannot be followed.
 */
export function containerMtu(asked: number | undefined, underlayMtu: number, address: string): number {
  return Math.max(MIN_MTU, Math.min(asked ?? underlayMtu, underlayMtu - overheadAt(address)));
}

const overheadAt = (address: string): number => VXLAN_OVERHEAD[parseAddress(address)?.family ?? 4];
