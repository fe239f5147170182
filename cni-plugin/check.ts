// CHECK and STATUS: questions that change nothing.
//
// CHECK looks at what the daemon knows and at the bridge: reservation, sandbox, prevResult's addresses, the
// host end being a port. It does not yet look at links, addresses and routes inside the namespace.

import { type PrevResult, parseIpamConfig, parseNetworkConfig } from "./config.ts";
import { type CniDeps, keyOf, openNetns } from "./deps.ts";
import { CniCode, CniError } from "./errors.ts";
import type { CniRequest } from "./request.ts";

/** Succeeds when ADD would be served: code 50 when not, 51 when existing containers may be cut off too. */
export function status(request: CniRequest, deps: CniDeps): string {
  if (request.program === "weave-net") parseNetworkConfig(request.config);
  else parseIpamConfig(request.config);
  const readiness = deps.attachments.readiness();
  if (readiness.ready) return "";
  throw new CniError(
    readiness.degraded ? CniCode.degraded : CniCode.notAvailable,
    `${readiness.message}; ${readiness.hint}`,
  );
}

/** Code 105 says what is not as ADD left it. */
export async function check(request: CniRequest, deps: CniDeps): Promise<string> {
  const attachment = deps.attachments.find(keyOf(request));
  const who = `${request.ifname} of container ${request.containerId} on network ${request.network}`;
  if (attachment === undefined) throw failed(`no address is reserved for ${who}`);
  if (request.program === "weave-ipam") return "";

  const { prevResult } = parseNetworkConfig(request.config);
  if (prevResult === undefined)
    throw new CniError(CniCode.badConfig, "CHECK needs prevResult, the result of ADD");
  checkResult(request, attachment.addresses, prevResult);
  await deps.kernel.closeNetns(await openNetns(request, deps.kernel));
  const bridge = deps.attachments.bridge();
  const port = attachment.hostIfname;
  if (port === undefined) throw failed(`ADD of ${who} has not finished`);
  if (!(await deps.kernel.ports(bridge)).includes(port))
    throw failed(`${port}, the host end of ${who}, is no port of the bridge ${bridge}`);
  return "";
}

/** Only what we made: plugins behind us in the chain may have added to it. */
function checkResult(request: CniRequest, addresses: readonly string[], prevResult: PrevResult): void {
  const link = prevResult.interfaces.find((one) => one["name"] === request.ifname && Boolean(one["sandbox"]));
  if (link === undefined) throw failed(`prevResult has no interface ${request.ifname} in a namespace`);
  if (link["sandbox"] !== request.netnsPath) {
    throw failed(
      `prevResult has ${request.ifname} in ${String(link["sandbox"])}, CNI_NETNS is ${request.netnsPath}`,
    );
  }
  const told = new Set(prevResult.ips.map((ip) => ip["address"]));
  for (const address of addresses)
    if (!told.has(address)) throw failed(`${address} is reserved but not in prevResult`);
}

const failed = (message: string): CniError => new CniError(CniCode.checkFailed, message);
