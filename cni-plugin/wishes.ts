// What a runtime may ask for one container, from the three places where runtimes put it: CNI_ARGS, args.cni
// and runtimeConfig.
import { formatAddress, formatCidr, parseCidr } from "../src/core/address/cidr.ts";
import { isUnicastMac } from "../src/core/address/mac.ts";
import { CniCode, CniError } from "./errors.ts";

export interface Wishes {
  /** Exactly these addresses, canonical text, with the prefix when one was given. No duplicates. */
  readonly addresses: readonly string[];
  readonly mac?: string;
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

  const mac =
    parseMac(CniCode.badConfig, "runtimeConfig.mac", field(runtimeConfig, "mac")) ??
    parseMac(CniCode.badConfig, "args.cni.mac", field(meta, "mac")) ??
    parseMac(CniCode.badEnvironment, "CNI_ARGS MAC", cniArgs.get("MAC"));
  return { addresses: [...addresses.values()], ...(mac === undefined ? {} : { mac }) };
}

/**
 * A member of an object by name, without regard to case when it is not there exactly: containerd sends the
 * members of runtimeConfig capitalised, and decoders written in Go do not notice. undefined for null and for
 * what is no object.
 */
function field(object: unknown, name: string): unknown {
  if (typeof object !== "object" || object === null || Array.isArray(object)) return undefined;
  const entries = Object.entries(object);
  const found =
    entries.find(([key]) => key === name) ??
    entries.find(([key]) => key.toLowerCase() === name.toLowerCase());
  return found?.[1] ?? undefined;
}

function list(where: string, value: unknown): readonly unknown[] {
  if (value === undefined) return [];
  if (!Array.isArray(value))
    throw new CniError(CniCode.badConfig, `${where}: a list of addresses was expected`);
  return value;
}

function parseMac(code: number, where: string, value: unknown): string | undefined {
  if (value === undefined || value === "") return undefined;
  const mac = typeof value === "string" ? value.trim().toLowerCase().replaceAll("-", ":") : "";
  if (isUnicastMac(mac)) return mac;
  throw new CniError(code, `${where}: ${JSON.stringify(value)} is not the MAC address of a single interface`);
}
