// The network configuration as far as ADD, CHECK and STATUS need it. Unknown keys are ignored; keys of the
// reference bridge plugin that ask for something this plugin does not do are refused by name, so that nobody
// believes they work.
import { z } from "zod";
import {
  type Cidr,
  formatAddress,
  formatCidr,
  isShared,
  networkOf,
  parseAddress,
  parseCidr,
} from "../src/core/address/cidr.ts";
import type { RouteSpec } from "../src/ports/kernel.ts";
import { CniCode, CniError, unsupported } from "./errors.ts";

/**
 * Address management of our own needs no other executable; this is its name where a configuration must give
 * one (Mesos).
 */
const OWN_IPAM = "weave-ipam";
/** It would call itself for ever. */
const OWN_TYPE = "weave-net";

const dnsSchema = z.looseObject({
  nameservers: z.array(z.string()).nullish(),
  domain: z.string().nullish(),
  search: z.array(z.string()).nullish(),
  options: z.array(z.string()).nullish(),
});

/** What a foreign plugin wants in its own part is its own affair. */
const ipamTypeSchema = z.looseObject({ type: z.string().nullish() });

const ipamSchema = ipamTypeSchema.extend({
  subnet: z.string().nullish(),
  gateway: z.string().nullish(),
  routes: z.array(z.looseObject({ dst: z.string(), gw: z.string().nullish() })).nullish(),
});

const listed = z.array(z.looseObject({})).nullish();
const configSchema = z.looseObject({
  bridge: z.string().nullish(),
  isGateway: z.boolean().nullish(),
  isDefaultGateway: z.boolean().nullish(),
  ipMasq: z.boolean().nullish(),
  /** Either asks for what our own table does. */
  ipMasqBackend: z.enum(["", "iptables", "nftables"]).nullish(),
  hairpinMode: z.boolean().nullish(),
  mtu: z.int().nullish(),
  ipam: z.looseObject({}).nullish(),
  dns: dnsSchema.nullish(),
  prevResult: z
    .looseObject({ interfaces: listed, ips: listed, routes: listed, dns: dnsSchema.nullish() })
    .nullish(),
});

/** The configuration's `dns`, members that are null left out. */
export type Dns = Readonly<Record<string, unknown>>;

/** Result of the plugins before us in the chain; members we do not know are kept. */
export interface PrevResult {
  readonly interfaces: readonly Readonly<Record<string, unknown>>[];
  readonly ips: readonly Readonly<Record<string, unknown>>[];
  readonly routes: readonly Readonly<Record<string, unknown>>[];
  readonly rest: Readonly<Record<string, unknown>>;
}

export interface IpamConfig {
  /** Another plugin's name: it chooses the addresses, and the members below are its own. */
  readonly delegate?: string;
  /** Allocate inside this CIDR; absent: the default subnet. */
  readonly subnet?: string;
  /** Without prefix. */
  readonly gateway?: string;
  /** Absent: a default route. Empty: none. */
  readonly routes?: readonly RouteSpec[];
}

export interface NetworkConfig {
  readonly bridge?: string;
  /** The host must have an address on the bridge even if no route needs one. */
  readonly isGateway: boolean;
  readonly isDefaultGateway: boolean;
  /** Absent: as the bridge's exposure has it; for addresses another plugin chose, no masquerade. */
  readonly ipMasq?: boolean;
  readonly hairpin: boolean;
  /** Absent: the overlay's. */
  readonly mtu?: number;
  readonly ipam: IpamConfig;
  readonly dns?: Dns;
  readonly prevResult?: PrevResult;
}

/** Keys whose given value, when it is not one of "off", asks for what the bridge does not do. */
const REFUSED_KEYS = [
  "vlan",
  "vlanTrunk",
  "promiscMode",
  "macspoofchk",
  "disableContainerInterface",
  "portIsolation",
  "forceAddress",
];
/** The same inside `ipam`: what host-local and static understand and we do not. */
const REFUSED_IPAM_KEYS = ["ranges", "rangeStart", "rangeEnd", "addresses", "resolvConf"];

const isOff = (value: unknown): boolean =>
  value === undefined ||
  value === null ||
  value === false ||
  value === 0 ||
  value === "" ||
  (Array.isArray(value) && value.length === 0);

/** Top level and ipam, for weave-net. Codes 2 and 7. */
export function parseNetworkConfig(config: Readonly<Record<string, unknown>>): NetworkConfig {
  for (const key of REFUSED_KEYS) if (!isOff(config[key])) throw unsupported(key, config[key]);
  const parsed = check(configSchema, config);
  const mtu = parsed.mtu ?? 0;
  if (mtu !== 0 && mtu < 68)
    throw new CniError(CniCode.badConfig, `mtu ${mtu} is below 68, the least IPv4 allows`);
  const dns = withoutNulls(parsed.dns ?? {});
  return {
    ...(parsed.bridge ? { bridge: parsed.bridge } : {}),
    isGateway: parsed.isGateway ?? false,
    isDefaultGateway: parsed.isDefaultGateway ?? false,
    ...(typeof parsed.ipMasq === "boolean" ? { ipMasq: parsed.ipMasq } : {}),
    hairpin: parsed.hairpinMode ?? true,
    ...(mtu === 0 ? {} : { mtu }),
    ipam: parseIpam(parsed.ipam ?? {}),
    ...(Object.keys(dns).length === 0 ? {} : { dns }),
    ...(parsed.prevResult ? { prevResult: parsePrevResult(parsed.prevResult) } : {}),
  };
}

/** ipam alone, for weave-ipam: the rest of the configuration belongs to the plugin that called it. */
export function parseIpamConfig(config: Readonly<Record<string, unknown>>): IpamConfig {
  const ipam = parseIpam(check(z.looseObject({ ipam: z.looseObject({}).nullish() }), config).ipam ?? {});
  if (ipam.delegate !== undefined) throw unsupported("ipam.type", ipam.delegate);
  return ipam;
}

/**
 * The other plugin's name, if any, in a configuration of whatever quality: DEL and GC must not fail on what ADD would
 * refuse.
 */
export function foreignIpam(config: Readonly<Record<string, unknown>>): string | undefined {
  const type = z.looseObject({ ipam: ipamTypeSchema }).safeParse(config).data?.ipam.type;
  return type && type !== OWN_IPAM && type !== OWN_TYPE && !type.includes("/") ? type : undefined;
}

function parseIpam(given: Readonly<Record<string, unknown>>): IpamConfig {
  const { type } = check(ipamTypeSchema, given, "ipam.");
  if (type === OWN_TYPE || type?.includes("/") === true)
    throw new CniError(CniCode.badConfig, `ipam.type: "${type}" is not the name of an IPAM plugin`);
  if (type && type !== OWN_IPAM) {
    return { delegate: type };
  }
  for (const key of REFUSED_IPAM_KEYS) if (!isOff(given[key])) throw unsupported(`ipam.${key}`, given[key]);
  const ipam = check(ipamSchema, given, "ipam.");
  const subnet = ipam.subnet ? parseSubnet(ipam.subnet) : undefined;
  const gateway = ipam.gateway ? unicast("ipam.gateway", ipam.gateway) : undefined;
  const routes = ipam.routes?.map((route, index) => parseRoute(`ipam.routes[${index}]`, route));
  return {
    ...(subnet === undefined ? {} : { subnet }),
    ...(gateway === undefined ? {} : { gateway: formatAddress(gateway.family, gateway.value) }),
    ...(routes === undefined ? {} : { routes }),
  };
}

function parseRoute(
  where: string,
  route: { dst: string; gw?: string | null | undefined } & Record<string, unknown>,
): RouteSpec {
  for (const key of ["mtu", "advmss", "priority", "table", "scope"]) {
    if (!isOff(route[key])) throw unsupported(`${where}.${key}`, route[key]);
  }
  const dst = cidr(`${where}.dst`, route.dst);
  if (!route.gw) return { dst: formatCidr(networkOf(dst)) };
  const gw = unicast(`${where}.gw`, route.gw);
  if (gw.family !== dst.family)
    throw new CniError(CniCode.badConfig, `${where}: dst and gw are of different families`);
  return { dst: formatCidr(networkOf(dst)), gw: formatAddress(gw.family, gw.value) };
}

function parsePrevResult(prev: NonNullable<z.infer<typeof configSchema>["prevResult"]>): PrevResult {
  const { interfaces, ips, routes, ...rest } = prev;
  return { interfaces: interfaces ?? [], ips: ips ?? [], routes: routes ?? [], rest: withoutNulls(rest) };
}

function check<T>(schema: z.ZodType<T>, value: unknown, where = ""): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new CniError(
    CniCode.badConfig,
    `invalid network configuration: ${where}${issue?.path.join(".") ?? ""}: ${issue?.message ?? ""}`,
  );
}

function cidr(where: string, text: string): Cidr {
  const parsed = text.includes("/") ? parseCidr(text) : undefined;
  if (parsed === undefined)
    throw new CniError(CniCode.badConfig, `${where}: "${text}" is not a CIDR such as 10.32.0.0/12`);
  return parsed;
}

/** Canonical. */
function parseSubnet(text: string): string {
  const subnet = networkOf(cidr("ipam.subnet", text));
  if (subnet.prefix <= (subnet.family === 4 ? 30 : 126)) return formatCidr(subnet);
  throw new CniError(CniCode.badConfig, `ipam.subnet: ${text} leaves no room for a bridge and a container`);
}

/** An address some host can have. */
function unicast(where: string, text: string): Cidr {
  const parsed = parseAddress(text);
  if (parsed === undefined || !isShared(text))
    throw new CniError(CniCode.badConfig, `${where}: "${text}" is not an address a host can have`);
  return parsed;
}

function withoutNulls(object: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(object).filter(([, value]) => value !== null && value !== undefined),
  );
}
