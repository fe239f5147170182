// Where an ADD's addresses come from: our own ring, or the plugin `ipam.type` names.
import { formatAddress, networkOf, parseCidr } from "../src/core/address/cidr.ts";
import type { AddressWish, Attachment, AttachmentTerms } from "../src/ports/attachments.ts";
import type { Call } from "./call.ts";
import type { Dns, NetworkConfig } from "./config.ts";
import { delegatedAdd, delegatedDel } from "./delegate.ts";
import { CniCode, CniError } from "./errors.ts";
import { gatewayFor, isInside, needsBridgeGateway, ownRoutes, type RouteWish } from "./gateway.ts";
import type { Undo } from "./undo.ts";
import { addressWish, type Wishes } from "./wishes.ts";

export interface Addresses {
  /** With prefix. */
  readonly ips: readonly { readonly address: string; readonly gateway?: string }[];
  readonly routes: RouteWish;
  readonly dns?: Dns;
}

type Reserve = (wish: AddressWish, more?: Pick<AttachmentTerms, "gateways">) => Promise<Attachment>;

/** The gateway is the bridge's address there, which is exposed first when a route or a port of the host needs it. */
export async function ownAddresses(
  { request, deps, signal }: Call,
  config: NetworkConfig,
  wishes: Wishes,
  reserve: Reserve,
): Promise<Addresses> {
  const wish = request.manual === undefined ? addressWish(config.ipam, wishes) : { chosen: request.manual };
  const { subnet } = config.ipam;
  const bridgeAddresses =
    needsBridgeGateway(config) || wishes.ports.length > 0
      ? await deps.attachments.gateways(subnet, signal)
      : [];
  const { addresses } = await reserve(wish);
  const ips = addresses.map((address) => {
    const gateway = gatewayFor(address, config.ipam, bridgeAddresses);
    return { address, ...(gateway === undefined ? {} : { gateway }) };
  });
  const { gateway } = config.ipam;
  if (gateway !== undefined && !ips.some((ip) => ip.gateway === gateway)) {
    const message = `ipam.gateway: ${gateway} is of another family than ${addresses.join(" and ")}`;
    throw new CniError(CniCode.badConfig, message);
  }
  return { ips, routes: ownRoutes(config) };
}

/** Another plugin's choice, held and published like our own; its gateway becomes the bridge's if that was asked for. */
export async function delegatedAddresses(
  call: Call,
  config: NetworkConfig,
  type: string,
  wishes: Wishes,
  reserve: Reserve,
  undo: Undo,
): Promise<Addresses> {
  // Told of the end also when ADD itself failed: the specification asks for it.
  undo(`call DEL of ${type}`, () => delegatedDel(call, type));
  const { ips: chosen, routes, dns } = await delegatedAdd(call, type);
  const isGateway = config.isGateway || config.isDefaultGateway;
  const ips = isGateway
    ? chosen.map(({ address, gateway }) => ({ address, gateway: gateway ?? firstOf(address) }))
    : chosen;
  if (!isGateway) refuseUnreachablePorts(call, wishes, ips);
  const gateways = isGateway
    ? ips.map(({ address, gateway }) => `${gateway}/${address.split("/")[1] ?? ""}`)
    : [];
  await reserve(
    { chosen: ips.map(({ address }) => address) },
    gateways.length === 0 ? {} : { gateways: [...new Set(gateways)] },
  );
  return {
    ips,
    routes: { routes, byDefault: config.isDefaultGateway },
    ...(dns === undefined ? {} : { dns }),
  };
}

/** A port of the host leads nowhere unless the host can send to the container, and the container back. */
function refuseUnreachablePorts({ deps }: Call, { ports }: Wishes, ips: Addresses["ips"]): void {
  const bridge = deps.attachments.exposed();
  const unreachable = ips.find(({ address }) => !bridge.some((cidr) => isInside(address, cidr)));
  if (ports.length === 0 || unreachable === undefined) return;
  throw new CniError(
    CniCode.badConfig,
    `ports of the host cannot lead to ${unreachable.address}: the bridge has no address there; set isGateway`,
  );
}

/** The first address of a subnet, which the reference bridge takes for the gateway when nobody names one. */
function firstOf(address: string): string {
  const cidr = parseCidr(address);
  if (cidr === undefined) throw new Error(`not a CIDR: ${address}`);
  return formatAddress(cidr.family, networkOf(cidr).value + 1n);
}
