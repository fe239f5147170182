// Results from one version to another by way of the newest shape. As in the Go library whatever a version's types do
// not name is lost on the way, so a result that passed through here has only what every reader may rely on.
import { isObject, type JsonObject } from "../../kernel/support/namespaces.ts";
import { isAtLeast } from "./version.ts";

interface Result {
  readonly interfaces: readonly JsonObject[];
  readonly ips: readonly JsonObject[];
  readonly routes: readonly JsonObject[];
  readonly dns: JsonObject;
}

/** `result` in `version`; empty means 0.1.0. Throws where it cannot be said in that version. */
export function convertResult(result: JsonObject, version: string): JsonObject {
  const to = version === "" ? "0.1.0" : version;
  const read = parseResult(result);
  // Nothing to convert, hence nothing to fail: loopback answers 0.2.0 without any address.
  if (result["cniVersion"] === to && !isAtLeast(to, "0.3.0")) {
    return { cniVersion: to, ...pick(result, ["ip4", "ip6"]), dns: read.dns };
  }
  return { cniVersion: to, ...(isAtLeast(to, "0.3.0") ? lists(read, to) : families(read)) };
}

function parseResult(result: JsonObject): Result {
  const dns = pick(isObject(result["dns"]) ? result["dns"] : {}, [
    "nameservers",
    "domain",
    "search",
    "options",
  ]);
  if (isAtLeast(String(result["cniVersion"] ?? ""), "0.3.0")) {
    return {
      interfaces: objects(result["interfaces"]),
      ips: objects(result["ips"]),
      routes: objects(result["routes"]),
      dns,
    };
  }
  const both = [result["ip4"], result["ip6"]].filter(isObject);
  return {
    interfaces: [],
    ips: both.map(({ ip, gateway }) => ({ address: ip, ...(gateway === undefined ? {} : { gateway }) })),
    routes: both.flatMap(({ routes }) => objects(routes)),
    dns,
  };
}

function lists(result: Result, version: string): JsonObject {
  const named = isAtLeast(version, "1.0.0");
  const interfaces = result.interfaces.map((link) =>
    pick(link, ["name", "mac", "sandbox", ...(named ? ["mtu", "socketPath", "pciID"] : [])]),
  );
  const ips = result.ips.map((ip) => ({
    ...(named ? {} : { version: isIpv6(ip["address"]) ? "6" : "4" }),
    ...pick(ip, ["interface", "address", "gateway"]),
  }));
  const extras = named ? ["mtu", "advmss", "priority", "table", "scope"] : [];
  const routes = result.routes.map((route) => pick(route, ["dst", "gw", ...extras]));
  return {
    ...(interfaces.length === 0 ? {} : { interfaces }),
    ...(ips.length === 0 ? {} : { ips }),
    ...(routes.length === 0 ? {} : { routes }),
    dns: result.dns,
  };
}

function families(result: Result): JsonObject {
  const family = (key: string, six: boolean): JsonObject => {
    const ip = result.ips.find((one) => isIpv6(one["address"]) === six);
    if (ip === undefined) return {};
    const routes = result.routes
      .filter(({ dst }) => isIpv6(dst) === six)
      .map((route) => pick(route, ["dst", "gw"]));
    return {
      [key]: {
        ip: ip["address"],
        ...pick(ip, ["gateway"]),
        ...(routes.length === 0 ? {} : { routes }),
      },
    };
  };
  const both = { ...family("ip4", false), ...family("ip6", true) };
  if (Object.keys(both).length === 0) throw new Error("cannot convert: no valid IP addresses");
  return { ...both, dns: result.dns };
}

const isIpv6 = (text: unknown): boolean => String(text).includes(":");

const objects = (value: unknown): readonly JsonObject[] =>
  Array.isArray(value) ? value.filter(isObject) : [];

/** These members, where they are there and not empty, as Go's omitempty has it. */
function pick(object: JsonObject, keys: readonly string[]): JsonObject {
  const present = keys.filter(
    (key) => object[key] !== undefined && object[key] !== null && object[key] !== "",
  );
  return Object.fromEntries(present.map((key) => [key, object[key]]));
}
