// ADD: addresses, a veth pair, an endpoint; all of it or nothing. The order matters: what can be refused without a change
// is refused first, the addresses are reserved before the link exists, and the endpoint is published only when the link
// carries it.

import { macForAddress } from "../src/core/address/mac.ts";
import { WeaveError } from "../src/core/errors.ts";
import type { AddressWish, Attachment, AttachmentTerms } from "../src/ports/attachments.ts";
import type { Attached, Netns } from "../src/ports/kernel.ts";
import { type Addresses, delegatedAddresses, ownAddresses } from "./addresses.ts";
import type { Call } from "./call.ts";
import { type Dns, type NetworkConfig, parseIpamConfig, parseNetworkConfig } from "./config.ts";
import { delegateOf } from "./delegate.ts";
import { beganOf, keyOf, openNetns } from "./deps.ts";
import { CniCode, CniError } from "./errors.ts";
import { gatewayFor, routesFor } from "./gateway.ts";
import { hostIfname } from "./host-ifname.ts";
import { type AddResult, renderResult } from "./render.ts";
import { type Undo, undoOnFailure } from "./undo.ts";
import { addressWish, parseCniArgs, parseWishes, type Wishes } from "./wishes.ts";

/** ADD of weave-net. Returns stdout. */
export async function addToNetwork(call: Call): Promise<string> {
  const { request, deps } = call;
  // The kernel thread opens the namespace while this one reads the configuration.
  const opening = openNetns(request, deps.kernel);
  try {
    const { config, wishes } = read(call);
    refuseSecond(call);
    const bridge = bridgeFor(call, config);
    const mtu = mtuFor(call, config);
    const netns = await opening;
    return await undoOnFailure(call, (undo) => attach(call, { config, wishes, bridge, mtu, netns }, undo));
  } finally {
    await close(call, opening);
  }
}

/** What the configuration and the runtime ask for; what can be refused by looking at it alone is refused. */
function read(call: Call): { config: NetworkConfig; wishes: Wishes } {
  const { request } = call;
  const config = parseNetworkConfig(request.config);
  const wishes = wishesOf(call);
  if (config.ipam.delegate === undefined || request.cniPath !== "") return { config, wishes };
  const message = `required env variables [CNI_PATH] missing: ipam.type names the plugin ${config.ipam.delegate}`;
  throw new CniError(CniCode.badEnvironment, message);
}

async function close({ request, deps }: Call, opening: Promise<Netns>): Promise<void> {
  const netns = await opening.catch(() => undefined); // its error has been thrown, or a worse one
  if (netns === undefined) return;
  await deps.kernel.closeNetns(netns).catch((error: unknown) => {
    deps.log?.error("cannot close a network namespace", { ...keyOf(request), error: String(error) });
  });
}

/** ADD of weave-ipam: an address for whatever plugin called it. Touches no interface. */
export async function addAddress(call: Call): Promise<string> {
  const { request, deps } = call;
  const ipam = parseIpamConfig(request.config);
  const wishes = wishesOf(call);
  refuseSecond(call);
  return undoOnFailure(call, async (undo) => {
    const allocated = await reserve(call, addressWish(ipam, wishes), {}, undo);
    const ips = allocated.addresses.map((address) => {
      const gateway = gatewayFor(address, ipam, []);
      return { address, ...(gateway === undefined ? {} : { gateway }) };
    });
    await deps.attachments.commit(keyOf(request), await namespaceOf(call));
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

async function attach(call: Call, plan: Plan, undo: Undo): Promise<string> {
  const { config, wishes, bridge, mtu, netns } = plan;
  const { request, deps, signal } = call;
  const { delegate } = config.ipam;
  const terms: AttachmentTerms = {
    ...(wishes.ports.length === 0 ? {} : { ports: wishes.ports }),
    ...(wishes.bandwidth === undefined ? {} : { bandwidth: wishes.bandwidth }),
    ...(config.ipMasq === undefined ? {} : { masquerade: config.ipMasq }),
    ...(delegate === undefined ? {} : { delegate: delegateOf(call, delegate) }),
  };
  const given: Addresses =
    delegate === undefined
      ? await ownAddresses(call, config, wishes, (wish) => reserve(call, wish, terms, undo))
      : await delegatedAddresses(
          call,
          config,
          delegate,
          wishes,
          (wish, more) => reserve(call, wish, { ...terms, ...more }, undo),
          undo,
        );
  warnOfLostPorts(call, wishes, given.ips);
  const routes = routesFor(given.routes, given.ips);
  const link = {
    ifname: request.ifname,
    hostIfname: hostIfname(keyOf(request)),
    mac: wishes.mac ?? defaultMac(given.ips),
    mtu,
  };
  signal.throwIfAborted();
  const attached = await deps.kernel.attach({
    ...link,
    netns,
    bridge,
    addresses: given.ips.map(({ address }) => address),
    routes,
    hairpin: config.hairpin,
    ...(wishes.bandwidth === undefined ? {} : { bandwidth: wishes.bandwidth }),
  });
  undo("remove the interface", () => deps.kernel.detach(link.hostIfname));
  signal.throwIfAborted();
  const { mac, hostIfname: name } = link;
  await deps.attachments.commit(keyOf(request), {
    netns: netns.id,
    link: { mac, hostIfname: name, hairpin: config.hairpin },
  });
  const dns = dnsFor(config, wishes, given.dns);
  const result: AddResult = {
    interfaces: interfacesOf(call, bridge, link, attached),
    ips: given.ips.map((ip) => ({ ...ip, interface: CONTAINER_INTERFACE })),
    routes: attached.routes,
    ...(dns === undefined ? {} : { dns }),
    ...(config.prevResult === undefined ? {} : { prevResult: config.prevResult }),
  };
  return renderResult(result, request.version);
}

/** Place of the container's interface in interfacesOf. */
const CONTAINER_INTERFACE = 2;

function interfacesOf(
  { request }: Call,
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

async function reserve(
  { request, deps, signal }: Call,
  wish: AddressWish,
  terms: AttachmentTerms,
  undo: Undo,
): Promise<Attachment> {
  const key = keyOf(request);
  const attachment = await deps.attachments.allocate(key, wish, terms, beganOf(request, deps), signal);
  undo("release the addresses", () => deps.attachments.release(key));
  return attachment;
}

/** The namespace of a container that another plugin connects: known to be gone, its address is free. */
async function namespaceOf({ request, deps }: Call): Promise<{ netns?: string }> {
  try {
    const netns = await openNetns(request, deps.kernel);
    await deps.kernel.closeNetns(netns);
    return { netns: netns.id };
  } catch (error) {
    if (error instanceof WeaveError) return {};
    throw error;
  }
}

function refuseSecond({ request, deps }: Call): void {
  if (deps.attachments.find(keyOf(request)) === undefined) return;
  const { containerId, ifname, network } = request;
  throw new CniError(
    CniCode.ifnameExists,
    `container ${containerId} has ${ifname} on network ${network} already; DEL it first`,
  );
}

function wishesOf({ request }: Call): Wishes {
  return parseWishes(parseCniArgs(request.cniArgs), request.config["args"], request.config["runtimeConfig"]);
}

/** Derived from the IPv4 address where there is one. */
function defaultMac(ips: Addresses["ips"]): string {
  const ip = ips.find(({ address }) => !address.includes(":")) ?? ips[0];
  if (ip === undefined) throw new WeaveError("internal", "an allocation without addresses");
  return macForAddress(ip.address);
}

/** As the reference plugin has it, a host address of a family the container lacks publishes nothing. But it is said. */
function warnOfLostPorts({ warn }: Call, { ports }: Wishes, ips: Addresses["ips"]): void {
  const has = new Set(ips.map(({ address }) => address.includes(":")));
  for (const { hostAddress, hostPort } of ports) {
    if (hostAddress === undefined || has.has(hostAddress.includes(":"))) continue;
    const family = hostAddress.includes(":") ? "IPv6" : "IPv4";
    warn(`port ${hostPort} of ${hostAddress} leads nowhere: the container has no ${family} address`);
  }
}

/** There is one bridge, whatever name a configuration made for another plugin has for it. */
function bridgeFor({ deps, warn }: Call, config: NetworkConfig): string {
  const bridge = deps.attachments.bridge();
  if (config.bridge !== undefined && config.bridge !== bridge)
    warn(`bridge "${config.bridge}": containers join the overlay's bridge ${bridge}; no other is made`);
  return bridge;
}

function mtuFor({ deps, warn }: Call, config: NetworkConfig): number {
  const overlay = deps.attachments.mtu();
  if (config.mtu === undefined || config.mtu <= overlay) return config.mtu ?? overlay;
  warn(`mtu ${config.mtu} is more than the overlay carries and was lowered to ${overlay}`);
  return overlay;
}

/** The configuration's members replace those of the other plugin as a whole, the runtime's replace single ones. */
function dnsFor(config: NetworkConfig, wishes: Wishes, delegated: Dns | undefined): Dns | undefined {
  const dns = { ...(config.dns ?? delegated), ...wishes.dns };
  return Object.keys(dns).length === 0 ? undefined : dns;
}
