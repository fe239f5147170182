// The sets and maps of the table `inet weave` and what stands in them: the part of the firewall that changes while a
// daemon runs. Pure. Each element is told twice, in nft's words for the load and for people, and as the kernel's bytes.
import {
  type Cidr,
  contains,
  formatAddress,
  formatCidr,
  networkOf,
  parseAddress,
  parseCidr,
} from "../core/address/cidr.ts";
import type { ControlPort, DatapathState, FirewallState, PortMap } from "../core/datapath/state.ts";
import { WeaveError } from "../core/errors.ts";
import { u16be } from "./rtnetlink/attributes.ts";
import { blockElements, type Element } from "./rtnetlink/nft-set.ts";
import { addressText, wireAddress } from "./rtnetlink/wire.ts";

const FAMILIES = [4, 6] as const;
type Family = (typeof FAMILIES)[number];

/** IANA protocol numbers. */
const PROTOCOLS: Readonly<Record<PortMap["protocol"], number>> = { tcp: 6, udp: 17, sctp: 132 };

/** All that the table `inet weave` follows from. */
export interface TableState extends FirewallState {
  readonly bridge: string;
  readonly vxlanPort: number;
  /** Underlay addresses VXLAN is taken from. */
  readonly peers: readonly string[];
  /** Families the bridge has an exposed address of. */
  readonly exposed: readonly Family[];
}

/** The table of a host that knows nobody and has no container. */
export const EMPTY_TABLE: TableState = {
  bridge: "weave",
  vxlanPort: 6784,
  controlPort: 6783,
  controls: [],
  overlay: [],
  masquerade: [],
  exempt: [],
  portMaps: [],
  peers: [],
  exposed: [],
};

/** `kept`: underlay addresses that are let in besides those of the state. */
export function tableStateOf(state: DatapathState, kept: readonly string[] = []): TableState {
  const { bridge, vxlan, flood, firewall } = state;
  const exposed = FAMILIES.filter((family) =>
    bridge.addresses.some((address) => address.includes(":") === (family === 6)),
  );
  return { ...firewall, bridge: bridge.name, vxlanPort: vxlan.port, peers: [...flood, ...kept], exposed };
}

/** A set or map with its elements. */
export interface SetState {
  readonly name: string;
  /** What its elements are called in reports; empty where they come and go with others. */
  readonly word: string;
  readonly kind: "set" | "map";
  /** In nft's words: "ipv4_addr". */
  readonly type: string;
  readonly interval: boolean;
  /** In nft's words -> as the kernel has it, in order. */
  readonly elements: ReadonlyMap<string, readonly Element[]>;
}

/** All of them, in the order they stand in the table. bad-address for what is no CIDR or address. */
export function setsOf(firewall: TableState): readonly SetState[] {
  const sets = FAMILIES.flatMap((family) => {
    const maps = portMapsOf(firewall, family);
    const address = `ipv${family}_addr`;
    const target = `${address} . inet_service`;
    const port = "inet_proto . inet_service";
    const anywhere = maps.filter((map) => map.hostAddress === undefined);
    const somewhere = maps.filter((map) => map.hostAddress !== undefined);
    const set = (name: string, word: string, type: string, elements: SetState["elements"]): SetState => ({
      name: `${name}${family}`,
      word,
      kind: type.includes(":") ? "map" : "set",
      type,
      interval: type === address && name !== "peers",
      elements,
    });
    return [
      set("overlay", "overlay", address, blockSet(firewall.overlay, family)),
      set("masquerade", "masquerade", address, blockSet(firewall.masquerade, family)),
      set("exempt", "exempt", address, blockSet(firewall.exempt, family)),
      set("peers", "", address, addressSet(firewall.peers, family)),
      set("controls", "", `${address} . inet_service`, controlSet(firewall.controls, family)),
      set("ports", "port", `${port} : ${target}`, portSet(anywhere)),
      set("hostports", "port", `${address} . ${port} : ${target}`, portSet(somewhere)),
      set("published", "", `${address} . ${port}`, publishedSet(maps)),
      set("hairpin", "", `${address} . ${address}`, hairpinSet(maps)),
    ];
  });
  return [...sets, exposedSet(firewall.exposed)];
}

/** The CIDRs of one family as disjoint blocks in order: those inside another are left out, host bits cleared. */
export function blocks(cidrs: readonly string[], family: Family): readonly Cidr[] {
  const parsed = cidrs.flatMap((text) => {
    const cidr = parseCidr(text);
    if (cidr === undefined) throw new WeaveError("bad-address", `not a CIDR: ${text}`);
    return cidr.family === family ? [networkOf(cidr)] : [];
  });
  // Sorted by start, larger first, a block can only lie inside the last one kept.
  parsed.sort((a, b) => (a.value === b.value ? a.prefix - b.prefix : a.value < b.value ? -1 : 1));
  const kept: Cidr[] = [];
  for (const cidr of parsed) {
    const last = kept.at(-1);
    if (last === undefined || !contains(last, cidr)) kept.push(cidr);
  }
  return kept;
}

/**
 * The port maps of one family, addresses canonical; "any address" of the host, however it is said, is none. One whose
 * host address is of the other family is left out: nothing could translate it.
 */
export function portMapsOf({ portMaps }: FirewallState, family: Family): readonly PortMap[] {
  return portMaps.flatMap((map) => {
    const { hostAddress: asked, ...rest } = map;
    const address = canonical(map.address, family);
    if (address === undefined) return [];
    if (asked === undefined || asked === "0.0.0.0" || asked === "::") return [{ ...rest, address }];
    const hostAddress = canonical(asked, family);
    return hostAddress === undefined ? [] : [{ ...rest, address, hostAddress }];
  });
}

/** One set and what to add to it and remove from it, in nft's words and the kernel's. */
interface Difference {
  readonly state: SetState;
  readonly add: readonly (readonly [string, readonly Element[]])[];
  readonly remove: readonly (readonly [string, readonly Element[]])[];
}

/** `setsOf` gives the same sets in the same order whatever is in them. */
export function differences(former: readonly SetState[], wanted: readonly SetState[]): readonly Difference[] {
  return wanted.flatMap((state, i) => {
    const held = former[i]?.elements ?? new Map<string, readonly Element[]>();
    const add = [...state.elements].filter(([text]) => !held.has(text));
    const remove = [...held].filter(([text]) => !state.elements.has(text));
    return add.length + remove.length === 0 ? [] : [{ state, add, remove }];
  });
}

/** Changes in the words of a report. */
export function describeChanges(changes: readonly Difference[]): string[] {
  return changes.flatMap(({ state, add, remove }) =>
    state.word === ""
      ? []
      : [
          ...remove.map(([text]) => `nft ${state.word} del ${text}`),
          ...add.map(([text]) => `nft ${state.word} add ${text}`),
        ],
  );
}

/** The port map an element of `ports` or `hostports` stands for; undefined when it cannot be one. */
export function portMapFrom({ key, data }: Element, family: Family): PortMap | undefined {
  const width = family === 4 ? 4 : 16;
  if (data?.length !== width + 4 || (key.length !== 8 && key.length !== width + 8)) return undefined;
  const at = key.length - 8;
  const protocol = (["tcp", "udp", "sctp"] as const).find((name) => PROTOCOLS[name] === key[at]);
  const address = addressText(data.subarray(0, width));
  const hostAddress = addressText(key.subarray(0, at));
  if (protocol === undefined || address === undefined) return undefined;
  return {
    protocol,
    hostPort: key.readUInt16BE(at + 4),
    address,
    port: data.readUInt16BE(width),
    ...(hostAddress === undefined ? {} : { hostAddress }),
  };
}

function blockSet(cidrs: readonly string[], family: Family): SetState["elements"] {
  return new Map(blocks(cidrs, family).map((cidr) => [formatCidr(cidr), blockElements(cidr)]));
}

/** Addresses without prefix. What is none is left out: its flood entry fails, and is told. */
function addressSet(texts: readonly string[], family: Family): SetState["elements"] {
  return new Map(
    texts.flatMap((text) => {
      const address = parseAddress(text);
      if (address?.family !== family) return [];
      const canonicalText = formatAddress(family, address.value);
      return [[canonicalText, [{ key: wireAddress(canonicalText).bytes }]] as const];
    }),
  );
}

function controlSet(controls: readonly ControlPort[], family: Family): SetState["elements"] {
  return new Map(
    controls.flatMap(({ address: text, port }) => {
      const [address] = addressSet([text], family).keys();
      if (address === undefined) return [];
      return [
        [
          `${address} . ${port}`,
          [{ key: Buffer.concat([wireAddress(address).bytes, portField(port)]) }],
        ] as const,
      ];
    }),
  );
}

/** Elements are NFPROTO_* (linux/netfilter.h), one byte. */
function exposedSet(families: readonly Family[]): SetState {
  const elements = families.map(
    (family) => [`ipv${family}`, [{ key: Buffer.of(family === 4 ? 2 : 10) }]] as const,
  );
  return {
    name: "exposed",
    word: "",
    kind: "set",
    type: "nf_proto",
    interval: false,
    elements: new Map(elements),
  };
}

function portSet(maps: readonly PortMap[]): SetState["elements"] {
  return new Map(
    maps.map(({ protocol, hostAddress, hostPort, address, port }) => {
      const at = hostAddress === undefined ? "" : `${hostAddress} . `;
      const bytes = [protocolField(protocol), portField(hostPort)];
      if (hostAddress !== undefined) bytes.unshift(wireAddress(hostAddress).bytes);
      const data = Buffer.concat([wireAddress(address).bytes, portField(port)]);
      return [`${at}${protocol} . ${hostPort} : ${address} . ${port}`, [{ key: Buffer.concat(bytes), data }]];
    }),
  );
}

/** Where published ports lead to; two ports may lead to one place. */
function publishedSet(maps: readonly PortMap[]): SetState["elements"] {
  return new Map(
    maps.map(({ protocol, address, port }) => [
      `${address} . ${protocol} . ${port}`,
      [{ key: Buffer.concat([wireAddress(address).bytes, protocolField(protocol), portField(port)]) }],
    ]),
  );
}

/** A container that asks for its own published port: from its address to its address. */
function hairpinSet(maps: readonly PortMap[]): SetState["elements"] {
  return new Map(
    maps.map(({ address }) => {
      const { bytes } = wireAddress(address);
      return [`${address} . ${address}`, [{ key: Buffer.concat([bytes, bytes]) }]];
    }),
  );
}

/** inet_proto as a field of a concatenation. */
function protocolField(protocol: PortMap["protocol"]): Buffer {
  return Buffer.of(PROTOCOLS[protocol], 0, 0, 0);
}

/** inet_service as a field of a concatenation. */
function portField(port: number): Buffer {
  return Buffer.concat([u16be(port), Buffer.alloc(2)]);
}

/** undefined for the other family. */
function canonical(text: string, family: Family): string | undefined {
  // Told by its colons, and not parsed twice: every change of a port asks this of all of them.
  if (text.includes(":") !== (family === 6)) return undefined;
  const address = parseAddress(text);
  if (address === undefined) throw new WeaveError("bad-address", `not an address: ${text}`);
  return formatAddress(family, address.value);
}
