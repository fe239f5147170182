// The result of ADD in the shape of each version of the specification, merged with what earlier plugins of
// the chain returned. Addresses keep their host bits and prefix ("10.32.0.5/12"): every version wants it so.
import type { RouteSpec } from "../src/ports/kernel.ts";
import type { Dns, PrevResult } from "./config.ts";
import { atLeast, type CniVersion } from "./versions.ts";

export interface ResultInterface {
  readonly name: string;
  readonly mac: string;
  /** CNI_NETNS byte for byte; absent for interfaces on the host. */
  readonly sandbox?: string;
  /** Told from 1.1.0 on. */
  readonly mtu?: number;
}

export interface ResultIp {
  readonly address: string;
  readonly gateway?: string;
  /** Index in `interfaces`; absent in the result of address management alone. */
  readonly interface?: number;
}

export interface AddResult {
  readonly interfaces: readonly ResultInterface[];
  readonly ips: readonly ResultIp[];
  readonly routes: readonly RouteSpec[];
  readonly dns?: Dns;
  readonly prevResult?: PrevResult;
}

/** One line of JSON. */
export function renderResult(result: AddResult, version: CniVersion): string {
  const body = atLeast(version, "0.3.0") ? renderLists(result, version) : renderFamilies(result);
  return `${JSON.stringify({ cniVersion: version, ...body })}\n`;
}

/**
 * 0.1.0 and 0.2.0: one address of each family, no interfaces; a route stands with the addresses of its
 * family.
 */
function renderFamilies(result: AddResult): Record<string, unknown> {
  const family = (version: "4" | "6"): Record<string, unknown> => {
    const ip = result.ips.find((one) => familyOf(one.address) === version);
    if (ip === undefined) return {};
    const routes = result.routes.filter((route) => familyOf(route.dst) === version);
    return {
      [`ip${version}`]: {
        ip: ip.address,
        ...(ip.gateway === undefined ? {} : { gateway: ip.gateway }),
        ...(routes.length === 0 ? {} : { routes }),
      },
    };
  };
  return { ...family("4"), ...family("6"), dns: result.dns ?? {} };
}

/** From 0.3.0 on. Earlier plugins' entries come first; ours point at interfaces behind theirs. */
function renderLists(result: AddResult, version: CniVersion): Record<string, unknown> {
  const prev = result.prevResult ?? { interfaces: [], ips: [], routes: [], rest: {} };
  const interfaces = result.interfaces.map(({ mtu, ...link }) =>
    mtu === undefined || !atLeast(version, "1.1.0") ? link : { ...link, mtu },
  );
  const ips = result.ips.map((ip) => ({
    ...(atLeast(version, "1.0.0") ? {} : { version: familyOf(ip.address) }),
    ...ip,
    ...(ip.interface === undefined ? {} : { interface: ip.interface + prev.interfaces.length }),
  }));
  const allInterfaces = [...prev.interfaces, ...interfaces];
  return {
    ...prev.rest,
    cniVersion: version,
    ...(allInterfaces.length === 0 ? {} : { interfaces: allInterfaces }),
    ips: [...prev.ips, ...ips],
    routes: [...prev.routes, ...result.routes],
    dns: result.dns ?? prev.rest["dns"] ?? {},
  };
}

const familyOf = (address: string): "4" | "6" => (address.includes(":") ? "6" : "4");
