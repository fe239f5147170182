// CHECK and STATUS: questions that change nothing, except that CHECK learns a MAC another plugin gave the container, and
// has what it found missing on the host put back once it has answered.
//
// CHECK compares what ADD made with what there is: the reservation, prevResult, the interface inside the namespace with its
// addresses and routes, the host end and its limits, and what all containers of the host need. Plugins behind us in the
// chain may have added to it, and may have changed the MAC. The MACs of bridge and host end are not compared:
// NetworkManager and systemd rewrite them.

import { formatCidr, networkOf, parseCidr } from "../src/core/address/cidr.ts";
import type { Attachment } from "../src/ports/attachments.ts";
import type { ContainerLink, RouteSpec } from "../src/ports/kernel.ts";
import type { Call } from "./call.ts";
import { type PrevResult, parseIpamConfig, parseNetworkConfig } from "./config.ts";
import { delegated } from "./delegate.ts";
import { keyOf, openNetns } from "./deps.ts";
import { CniCode, CniError } from "./errors.ts";
import { isInside } from "./gateway.ts";
import { followMac } from "./reconcile.ts";

/** As many as fit a line that people read. */
const MAX_FAULTS = 4;

/** Succeeds when ADD would be served: code 50 when not, 51 when existing containers may be cut off too. */
export async function status(call: Call): Promise<string> {
  const { request, deps } = call;
  const ipam =
    request.program === "weave-net"
      ? parseNetworkConfig(request.config).ipam
      : parseIpamConfig(request.config);
  const readiness = deps.attachments.readiness(ipam.subnet);
  if (!readiness.ready) {
    throw new CniError(
      readiness.degraded ? CniCode.degraded : CniCode.notAvailable,
      `${readiness.message}; ${readiness.hint}`,
    );
  }
  if (ipam.delegate !== undefined) await delegated(call, ipam.delegate);
  return "";
}

/** Code 105 says what is not as ADD left it. `restoreShaping` never rejects. */
export async function check(
  call: Call,
  restoreShaping: (attachment: Attachment) => Promise<void>,
): Promise<string> {
  const { request, deps } = call;
  const attachment = deps.attachments.find(keyOf(request));
  const who = `${request.ifname} of container ${request.containerId} on network ${request.network}`;
  if (attachment === undefined) throw failed(`no address is reserved for ${who}`);
  if (!attachment.committed) throw failed(`ADD of ${who} has not finished`);
  if (request.program === "weave-ipam") return "";

  const { prevResult, ipam } = parseNetworkConfig(request.config);
  if (prevResult === undefined)
    throw new CniError(CniCode.badConfig, "CHECK needs prevResult, the result of ADD");
  checkResult(call, attachment, prevResult);
  const link = await lookInside(call, attachment);
  for (const address of attachment.addresses)
    if (!link.addresses.includes(canonical(address)))
      throw failed(`${request.ifname} has no address ${address}`);
  const routes = new Set(link.routes.map(({ dst }) => dst));
  for (const { dst } of ownRoutesIn(prevResult, attachment))
    if (!routes.has(dst)) throw failed(`there is no route to ${dst} over ${request.ifname}`);
  const readiness = deps.attachments.readiness();
  if (!readiness.ready && readiness.degraded) throw failed(`${readiness.message}; ${readiness.hint}`);
  const faults = [
    ...(await hostEndFaults(call, attachment)),
    ...(await shapingFaults(call, attachment)),
    ...(await deps.kernel.faults()),
  ];
  if (faults.length > 0) {
    deps.attachments.repair();
    setImmediate(() => void restoreShaping(attachment)); // not before the answer is on its way
    throw failed(summary(faults));
  }
  await followMac(call, attachment, link.mac);
  if (ipam.delegate !== undefined) await delegated(call, ipam.delegate);
  return "";
}

/** Only what we made: plugins behind us in the chain may have added to it. */
function checkResult({ request }: Call, { addresses }: Attachment, prevResult: PrevResult): void {
  const link = prevResult.interfaces.find((one) => one["name"] === request.ifname && Boolean(one["sandbox"]));
  if (link === undefined) throw failed(`prevResult has no interface ${request.ifname} in a namespace`);
  if (link["sandbox"] !== request.netnsPath) {
    throw failed(
      `prevResult has ${request.ifname} in ${String(link["sandbox"])}, CNI_NETNS is ${request.netnsPath}`,
    );
  }
  const told = new Set(prevResult.ips.map((ip) => canonical(String(ip["address"]))));
  for (const address of addresses)
    if (!told.has(canonical(address))) throw failed(`${address} is reserved but not in prevResult`);
}

async function lookInside({ request, deps }: Call, attachment: Attachment): Promise<ContainerLink> {
  const { ifname } = request;
  const netns = await openNetns(request, deps.kernel);
  try {
    if (attachment.netns !== undefined && attachment.netns !== netns.id)
      throw failed(`${request.netnsPath} is not the namespace that ADD attached`);
    const link = await deps.kernel.look(netns, ifname);
    if (link === undefined) throw failed(`there is no interface ${ifname} in ${request.netnsPath}`);
    if (!link.up) throw failed(`${ifname} in ${request.netnsPath} is down`);
    if (link.hostIfname !== attachment.hostIfname) {
      throw failed(
        `${ifname} in ${request.netnsPath} is not the other end of ${attachment.hostIfname ?? "any pair of ours"}`,
      );
    }
    return link;
  } finally {
    await deps.kernel.closeNetns(netns);
  }
}

async function hostEndFaults(
  { deps }: Call,
  { hostIfname: name = "", hairpin = true }: Attachment,
): Promise<readonly string[]> {
  const end = (await deps.kernel.hostEnds()).get(name);
  const bridge = deps.attachments.bridge();
  if (end === undefined) throw failed(`there is no interface ${name} on the host`);
  const onBridge = end.bridge === bridge;
  return [
    ...(onBridge ? [] : [`${name}, the host end, is no port of the bridge ${bridge}`]),
    ...(end.up ? [] : [`${name}, the host end, is down`]),
    ...(onBridge && end.hairpin !== hairpin
      ? [`${name}, the host end, has hairpin mode ${hairpin ? "off" : "on"}`]
      : []),
  ];
}

async function shapingFaults(
  { deps }: Call,
  { hostIfname = "", bandwidth }: Attachment,
): Promise<readonly string[]> {
  return bandwidth === undefined ? [] : deps.kernel.shapingFaults(hostIfname, bandwidth);
}

/** A host without its bridge lacks all that stood on it: the first few say what happened. */
function summary(faults: readonly string[]): string {
  const told = faults.slice(0, MAX_FAULTS).join("; ");
  const left = faults.length - MAX_FAULTS;
  return left > 0 ? `${told}; and ${left} more` : told;
}

/** Routes that lead over our interface: their gateway is in a subnet of it, or was ours. */
function ownRoutesIn(prevResult: PrevResult, { addresses }: Attachment): readonly RouteSpec[] {
  const gateways = new Set(prevResult.ips.map((ip) => ip["gateway"]));
  return prevResult.routes.flatMap(({ dst, gw }) => {
    const cidr = parseCidr(String(dst));
    if (cidr === undefined || typeof gw !== "string") return [];
    const ours = gateways.has(gw) || addresses.some((address) => isInside(address, gw));
    return ours ? [{ dst: formatCidr(networkOf(cidr)), gw }] : [];
  });
}

/** As the kernel layer writes it; what does not parse stays and matches nothing. */
function canonical(text: string): string {
  const cidr = parseCidr(text);
  return cidr === undefined ? text : formatCidr(cidr);
}

const failed = (message: string): CniError => new CniError(CniCode.checkFailed, message);
