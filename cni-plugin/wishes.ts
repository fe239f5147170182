// What a runtime may ask for one container, from the places where runtimes put it: CNI_ARGS, args.cni, runtimeConfig, and
// Mesos' network_info.
import { formatAddress, formatCidr, parseCidr } from "../src/core/address/cidr.ts";
import { isUnicastMac } from "../src/core/address/mac.ts";
import type { AddressWish, PublishedPort } from "../src/ports/attachments.ts";
import type { Bandwidth } from "../src/ports/kernel.ts";
import { parseBandwidth } from "./bandwidth.ts";
import type { Dns, IpamConfig } from "./config.ts";
import { CniCode, CniError } from "./errors.ts";
import { field, list } from "./fields.ts";
import { parsePorts } from "./port-mappings.ts";

export interface Wishes {
  /** Exactly these addresses, canonical text, with the prefix when one was given. No duplicates. */
  readonly addresses: readonly string[];
  readonly mac?: string;
  /** No two collide. */
  readonly ports: readonly PublishedPort[];
  readonly bandwidth?: Bandwidth;
  /** Members given here replace those of the configuration. */
  readonly dns: Dns;
}

/**
 * Keys of CNI_ARGS we know, those of Kubernetes included though nothing is done with them. Others need
 * IgnoreUnknown.
 */
const KNOWN_ARGS: ReadonlySet<string> = new Set([
  "IgnoreUnknown",
  "IP",
  "MAC",
  "K8S_POD_NAMESPACE",
  "K8S_POD_NAME",
  "K8S_POD_INFRA_CONTAINER_ID",
  "K8S_POD_UID",
]);

/** "K=V;K=V" with exactly one "=" in each pair, as the reference parser has it. Code 4 for anything else. */
export function parseCniArgs(text: string): ReadonlyMap<string, string> {
  const args = new Map<string, string>();
  if (text === "") return args;
  for (const pair of text.split(";")) {
    const [name, value, ...rest] = pair.split("=");
    if (name === undefined || name === "" || value === undefined || rest.length > 0) {
      throw new CniError(CniCode.badEnvironment, `CNI_ARGS: "${pair}" is not of the form KEY=VALUE`, text);
    }
    args.set(name, value);
  }
  const unknown = [...args.keys()].filter((name) => !KNOWN_ARGS.has(name));
  if (unknown.length > 0 && !["1", "true"].includes(args.get("IgnoreUnknown")?.toLowerCase() ?? "")) {
    const names = unknown.join(", ");
    throw new CniError(
      CniCode.badEnvironment,
      `CNI_ARGS: unknown arguments ${names}; add IgnoreUnknown=1 to have them ignored`,
      text,
    );
  }
  return args;
}

/**
 * Addresses of all three places together, as host-local has it; the MAC of runtimeConfig before args.cni
 * before CNI_ARGS. A value that does not parse is an error (4 from CNI_ARGS, 7 from the configuration), never
 * ignored.
 */
export function parseWishes(
  cniArgs: ReadonlyMap<string, string>,
  args: unknown,
  runtimeConfig: unknown,
): Wishes {
  const meta = field(args, "cni");
  const addresses = new Map<string, string>();
  const add = (code: number, where: string, value: unknown): void => {
    const cidr = typeof value === "string" ? parseCidr(value.trim()) : undefined;
    if (typeof value !== "string" || cidr === undefined) {
      throw new CniError(code, `${where}: ${JSON.stringify(value)} is not an IP address`);
    }
    const address = formatAddress(cidr.family, cidr.value);
    if (addresses.has(address) && !value.includes("/")) return;
    addresses.set(address, value.includes("/") ? formatCidr(cidr) : address);
  };
  const ip = cniArgs.get("IP") ?? "";
  if (ip !== "") for (const one of ip.split(",")) add(CniCode.badEnvironment, "CNI_ARGS IP", one);
  for (const one of list("args.cni.ips", field(meta, "ips"))) add(CniCode.badConfig, "args.cni.ips", one);
  for (const one of list("runtimeConfig.ips", field(runtimeConfig, "ips")))
    add(CniCode.badConfig, "runtimeConfig.ips", one);
  const info = field(field(args, "org.apache.mesos"), "network_info");
  for (const one of list("args.org.apache.mesos.network_info.ip_addresses", field(info, "ip_addresses"))) {
    // Without an address it asks for any, which is what happens anyway.
    const address = field(one, "ip_address");
    if (address !== undefined)
      add(CniCode.badConfig, "args.org.apache.mesos.network_info.ip_addresses", address);
  }

  const mac =
    parseMac(CniCode.badConfig, "runtimeConfig.mac", field(runtimeConfig, "mac")) ??
    parseMac(CniCode.badConfig, "args.cni.mac", field(meta, "mac")) ??
    parseMac(CniCode.badEnvironment, "CNI_ARGS MAC", cniArgs.get("MAC"));
  const bandwidth = parseBandwidth(field(runtimeConfig, "bandwidth"));
  return {
    addresses: [...addresses.values()],
    ...(mac === undefined ? {} : { mac }),
    ports: parsePorts(args, runtimeConfig),
    ...(bandwidth === undefined ? {} : { bandwidth }),
    dns: parseDns(field(runtimeConfig, "dns")),
  };
}

/** What is asked of our own ring. The gateway a configuration names belongs to nobody else: code 103 for who wishes it. */
export function addressWish({ subnet, gateway }: IpamConfig, { addresses }: Wishes): AddressWish {
  const wished = addresses.find((address) => address.split("/")[0] === gateway);
  if (wished !== undefined) {
    const message = `${wished} is the gateway of this network (ipam.gateway); choose another address`;
    throw new CniError(CniCode.addressUnavailable, message);
  }
  return {
    ...(subnet === undefined ? {} : { subnet }),
    ...(gateway === undefined ? {} : { avoid: [gateway] }),
    ...(addresses.length === 0 ? {} : { addresses }),
  };
}

/** The capability's members bear other names than those of the configuration's `dns`. */
function parseDns(given: unknown): Dns {
  const members = [
    ["servers", "nameservers"],
    ["searches", "search"],
    ["options", "options"],
  ] as const;
  return Object.fromEntries(
    members.flatMap(([theirs, ours]) => {
      const values = list(`runtimeConfig.dns.${theirs}`, field(given, theirs));
      if (!values.every((value) => typeof value === "string"))
        throw new CniError(CniCode.badConfig, `runtimeConfig.dns.${theirs}: a list of texts was expected`);
      return values.length === 0 ? [] : [[ours, values]];
    }),
  );
}

function parseMac(code: number, where: string, value: unknown): string | undefined {
  if (value === undefined || value === "") return undefined;
  const mac = typeof value === "string" ? value.trim().toLowerCase().replaceAll("-", ":") : "";
  if (isUnicastMac(mac)) return mac;
  throw new CniError(code, `${where}: ${JSON.stringify(value)} is not the MAC address of a single interface`);
}
