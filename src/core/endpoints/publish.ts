// What attachments ask of the host's firewall, out of the book: which ports of the host lead to them, and whose subnets
// are masqueraded or are not. Pure views; the book is the truth.
import { formatAddress, formatCidr, networkOf, parseCidr } from "../address/cidr.ts";
import type { PortMap, PortState } from "../datapath/state.ts";
import type { AllocationRecord } from "../records.ts";
import type { PublishedPort } from "./attachment.ts";

/** The port maps of all committed attachments, one for each family the attachment has an address of. */
export function portMapsOf(records: Iterable<AllocationRecord>): PortMap[] {
  const maps: PortMap[] = [];
  for (const { ports, addresses, committed } of records) {
    if (!committed || ports === undefined) continue;
    const firsts = firstOfEachFamily(addresses);
    for (const published of ports) {
      const { protocol, hostPort, containerPort } = published;
      for (const address of firsts) {
        if (!families(published).includes(familyOf(address))) continue;
        const host = specific(published);
        const hostAddress = host === undefined ? {} : { hostAddress: host };
        maps.push({ protocol, ...hostAddress, hostPort, address, port: containerPort });
      }
    }
  }
  return maps;
}

/** A record that holds one of these ports already, or undefined. Every address of the host includes each of them. */
export function holderOfPort(
  records: Iterable<AllocationRecord>,
  wanted: readonly PublishedPort[],
): { readonly record: AllocationRecord; readonly port: PublishedPort } | undefined {
  if (wanted.length === 0) return undefined;
  for (const record of records)
    for (const held of record.ports ?? [])
      if (wanted.some((port) => collide(port, held))) return { record, port: held };
  return undefined;
}

/** Subnets the attachments' configurations want masqueraded, and those they want left alone. CIDR, no duplicates. */
export function masqueradeOf(records: Iterable<AllocationRecord>): {
  readonly masquerade: readonly string[];
  readonly exempt: readonly string[];
} {
  const subnets = { masquerade: new Set<string>(), exempt: new Set<string>() };
  for (const { masquerade, addresses, committed } of records) {
    if (!committed || masquerade === undefined) continue;
    for (const address of addresses) {
      const cidr = parseCidr(address);
      if (cidr !== undefined) subnets[masquerade ? "masquerade" : "exempt"].add(formatCidr(networkOf(cidr)));
    }
  }
  return { masquerade: [...subnets.masquerade], exempt: [...subnets.exempt] };
}

/** The host ends of all containers, and what may come from them. */
export function portsOf(records: Iterable<AllocationRecord>): PortState[] {
  const all = [...records];
  const byContainer = new Map<string, string[]>();
  const containerOf = ({ netns, containerId }: AllocationRecord): string => netns ?? containerId;
  for (const record of all) {
    const addresses = record.addresses.map((cidr) => cidr.split("/")[0] ?? cidr);
    const key = containerOf(record);
    byContainer.set(key, [...(byContainer.get(key) ?? []), ...addresses]);
  }
  return all.flatMap((record) => {
    const { hostIfname: name, hairpin = true, mac } = record;
    if (name === undefined) return [];
    // A container with several interfaces asks with any of its addresses through any of them (arp_announce 0).
    const addresses = byContainer.get(containerOf(record)) ?? [];
    return [{ name, hairpin, ...(mac === undefined ? {} : { mac }), addresses }];
  });
}

/** Address (without prefix) to MAC of every container, announced or not. */
export function addressesOf(records: Iterable<AllocationRecord>): ReadonlyMap<string, string> {
  const here = new Map<string, string>();
  for (const { addresses, mac } of records)
    if (mac !== undefined) for (const cidr of addresses) here.set(cidr.split("/")[0] ?? cidr, mac);
  return here;
}

/** The gateways other plugins chose for attachments, with prefix, no duplicates. */
export function gatewaysOf(records: Iterable<AllocationRecord>): readonly string[] {
  return [...new Set([...records].flatMap(({ gateways }) => gateways ?? []))];
}

/**
 * Whether bridge or firewall change when this attachment comes or goes: by its ports and gateways always, by its word on
 * masquerade when no other committed one of its subnets says the same.
 */
export function changesHost(record: AllocationRecord, records: Iterable<AllocationRecord>): boolean {
  const { masquerade, ports, gateways } = record;
  if ((ports ?? []).length > 0 || (gateways ?? []).length > 0) return true;
  if (masquerade === undefined) return false;
  const subnets = subnetsOf(record);
  for (const other of records) {
    if (other === record || !other.committed || other.masquerade !== masquerade) continue;
    if (subnetsOf(other) === subnets) return false;
  }
  return true;
}

const subnetsOf = ({ addresses }: AllocationRecord): string =>
  addresses
    .map((address) => parseCidr(address))
    .map((cidr) => cidr && formatCidr(networkOf(cidr)))
    .join();

/** For people: "tcp 8080", "udp 10.0.0.1:53". */
export function portText({ protocol, hostAddress, hostPort }: PublishedPort): string {
  if (hostAddress === undefined) return `${protocol} ${hostPort}`;
  return `${protocol} ${hostAddress.includes(":") ? `[${hostAddress}]` : hostAddress}:${hostPort}`;
}

/** Whether two published ports would have to stand at one place of the host. */
export function collide(a: PublishedPort, b: PublishedPort): boolean {
  if (a.protocol !== b.protocol || a.hostPort !== b.hostPort) return false;
  const common = families(a).some((family) => families(b).includes(family));
  const [one, other] = [specific(a), specific(b)];
  return common && (one === undefined || other === undefined || one === other);
}

const ANY = ["0.0.0.0", "::"];

const families = ({ hostAddress }: PublishedPort): readonly (4 | 6)[] =>
  hostAddress === undefined ? [4, 6] : [familyOf(hostAddress)];

const specific = ({ hostAddress }: PublishedPort): string | undefined =>
  hostAddress === undefined || ANY.includes(hostAddress) ? undefined : hostAddress;

const familyOf = (address: string): 4 | 6 => (address.includes(":") ? 6 : 4);

/** Without prefix. */
function firstOfEachFamily(addresses: readonly string[]): readonly string[] {
  const first = new Map<4 | 6, string>();
  for (const text of addresses) {
    const cidr = parseCidr(text);
    if (cidr !== undefined && !first.has(cidr.family))
      first.set(cidr.family, formatAddress(cidr.family, cidr.value));
  }
  return [...first.values()];
}
