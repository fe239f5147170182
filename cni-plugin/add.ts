// ADD: an address, a veth pair, an endpoint; all of it or nothing. The order matters: what can be refused
// without a change is refused first, the address is reserved before the link exists, and the endpoint is
// published only when the link carries it.

import { macForAddress } from "../src/core/address/mac.ts";
import { WeaveError } from "../src/core/errors.ts";
import type { Attachment, Attachments } from "../src/ports/attachments.ts";
import type { Attached, Netns } from "../src/ports/kernel.ts";
import { type NetworkConfig, parseIpamConfig, parseNetworkConfig, unsupported } from "./config.ts";
import { type CniDeps, keyOf, openNetns } from "./deps.ts";
import { CniCode, CniError } from "./errors.ts";
import { gatewayFor, needsBridgeGateway, routesFor } from "./gateway.ts";
import { hostIfname } from "./host-ifname.ts";
import { type AddResult, renderResult } from "./render.ts";
import type { CniRequest } from "./request.ts";
import { parseCniArgs, parseWishes, type Wishes } from "./wishes.ts";

/** ADD of weave-net. Returns stdout. */
export async function addToNetwork(request: CniRequest, deps: CniDeps, signal: AbortSignal): Promise<string> {
  const config = parseNetworkConfig(request.config);
  const wishes = wishesOf(request);
  const bridge = deps.attachments.bridge();
  if (config.bridge !== undefined && config.bridge !== bridge) throw unsupported("bridge", config.bridge);
  const mtu = mtuFor(config, deps.attachments.mtu());
  const netns = await openNetns(request, deps.kernel);
  try {
    return await addInside(request, { config, wishes, bridge, mtu, netns }, deps, signal);
  } finally {
    await logged(deps, "cannot close a network namespace", request, deps.kernel.closeNetns(netns));
  }
}

/** ADD of weave-ipam: an address for whatever plugin called it. Touches no interface. */
export async function addAddress(request: CniRequest, deps: CniDeps, signal: AbortSignal): Promise<string> {
  const ipam = parseIpamConfig(request.config);
  refuseSecond(request, deps.attachments);
  const allocated = await allocate(request, ipam.subnet, wishesOf(request), deps, signal);
  const ips = allocated.addresses.map((address) => ({
    address,
    ...gatewayMember(gatewayFor(address, ipam, [])),
  }));
  return keepOrUndo(request, deps, signal, async () => {
    await deps.attachments.commit(keyOf(request), undefined);
    return renderResult({ interfaces: [], ips, routes: ipam.routes ?? [] }, request.version);
  });
}

interface Plan {
  readonly config: NetworkConfig;
  readonly wishes: Wishes;
  readonly bridge: string;
  readonly mtu: number;
  readonly netns: Netns;
}

async function addInside(
  request: CniRequest,
  plan: Plan,
  deps: CniDeps,
  signal: AbortSignal,
): Promise<string> {
  const { config, wishes, bridge, mtu, netns } = plan;
  const { attachments, kernel } = deps;
  refuseSecond(request, attachments);
  const bridgeAddresses = needsBridgeGateway(config)
    ? await attachments.gateways(config.ipam.subnet, signal)
    : [];
  const allocated = await allocate(request, config.ipam.subnet, wishes, deps, signal);
  return keepOrUndo(request, deps, signal, async (made) => {
    const ips = allocated.addresses.map((address) => ({
      address,
      ...gatewayMember(gatewayFor(address, config.ipam, bridgeAddresses)),
    }));
    const routes = routesFor(config, ips);
    const link = {
      ifname: request.ifname,
      hostIfname: hostIfname(keyOf(request)),
      mac: wishes.mac ?? defaultMac(allocated.addresses),
      mtu,
    };
    signal.throwIfAborted();
    const attached = await kernel.attach({
      ...link,
      netns,
      bridge,
      addresses: allocated.addresses,
      routes,
      hairpin: config.hairpin,
    });
    made.link = link.hostIfname;
    signal.throwIfAborted();
    await attachments.commit(keyOf(request), { mac: link.mac, netns: netns.id, hostIfname: link.hostIfname });
    const result: AddResult = {
      interfaces: interfacesOf(request, bridge, link, attached),
      ips: ips.map((ip) => ({ ...ip, interface: CONTAINER_INTERFACE })),
      routes,
      ...(config.dns === undefined ? {} : { dns: config.dns }),
      ...(config.prevResult === undefined ? {} : { prevResult: config.prevResult }),
    };
    return renderResult(result, request.version);
  });
}

/** Place of the container's interface in interfacesOf. */
const CONTAINER_INTERFACE = 2;

function interfacesOf(
  request: CniRequest,
  bridge: string,
  link: { ifname: string; hostIfname: string; mac: string; mtu: number },
  attached: Attached,
): AddResult["interfaces"] {
  return [
    { name: bridge, mac: attached.bridgeMac },
    { name: link.hostIfname, mac: attached.hostMac },
    { name: link.ifname, mac: link.mac, sandbox: request.netnsPath, mtu: link.mtu },
  ];
}

/**
 * Runs `work` with an address reserved. When it fails, or the caller is gone at its end, link and address go
 * again.
 */
async function keepOrUndo(
  request: CniRequest,
  deps: CniDeps,
  signal: AbortSignal,
  work: (made: { link?: string }) => Promise<string>,
): Promise<string> {
  const made: { link?: string } = {};
  try {
    const stdout = await work(made);
    signal.throwIfAborted();
    return stdout;
  } catch (error) {
    // Only a link this call made: one that was there before belongs to somebody else.
    if (made.link !== undefined)
      await logged(
        deps,
        "cannot remove the interface of a failed ADD",
        request,
        deps.kernel.detach(made.link),
      );
    await logged(
      deps,
      "cannot release the address of a failed ADD",
      request,
      deps.attachments.release(keyOf(request)),
    );
    throw cancelled(signal) ?? error;
  }
}

async function allocate(
  request: CniRequest,
  subnet: string | undefined,
  wishes: Wishes,
  deps: CniDeps,
  signal: AbortSignal,
): Promise<Attachment> {
  const wish = {
    ...(subnet === undefined ? {} : { subnet }),
    ...(wishes.addresses.length === 0 ? {} : { addresses: wishes.addresses }),
  };
  return deps.attachments.allocate(keyOf(request), wish, signal);
}

function refuseSecond(request: CniRequest, attachments: Attachments): void {
  if (attachments.find(keyOf(request)) === undefined) return;
  const { containerId, ifname, network } = request;
  throw new CniError(
    CniCode.ifnameExists,
    `container ${containerId} has ${ifname} on network ${network} already; DEL it first`,
  );
}

function wishesOf(request: CniRequest): Wishes {
  return parseWishes(parseCniArgs(request.cniArgs), request.config["args"], request.config["runtimeConfig"]);
}

/** Derived from the IPv4 address where there is one. */
function defaultMac(addresses: readonly string[]): string {
  const address = addresses.find((one) => !one.includes(":")) ?? addresses[0];
  if (address === undefined) throw new WeaveError("internal", "an allocation without addresses");
  return macForAddress(address);
}

function mtuFor(config: NetworkConfig, overlay: number): number {
  if (config.mtu === undefined) return overlay;
  if (config.mtu > overlay) {
    throw new CniError(
      CniCode.badConfig,
      `mtu ${config.mtu} is more than the overlay carries: at most ${overlay}; leave mtu out to follow it`,
    );
  }
  return config.mtu;
}

const gatewayMember = (gateway: string | undefined): { gateway?: string } =>
  gateway === undefined ? {} : { gateway };

const cancelled = (signal: AbortSignal): WeaveError | undefined =>
  signal.aborted ? new WeaveError("cancelled", "the call was given up before it was finished") : undefined;

async function logged(
  deps: CniDeps,
  message: string,
  request: CniRequest,
  undo: Promise<unknown>,
): Promise<void> {
  try {
    await undo;
  } catch (error) {
    deps.log?.error(message, { ...keyOf(request), error: String(error) });
  }
}
