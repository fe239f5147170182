// What every verb works with: the daemon's side, the host's side, and the names a request gives to them.
import { WeaveError } from "../src/core/errors.ts";
import type { AttachmentKey, Attachments, BootMoment } from "../src/ports/attachments.ts";
import type { Kernel, Netns } from "../src/ports/kernel.ts";
import type { Logger } from "../src/ports/logger.ts";
import type { Plugins } from "../src/ports/plugins.ts";
import type { CniRequest } from "./request.ts";

/** What the verbs ask of the kernel. */
export type CniKernel = Pick<
  Kernel,
  | "openNetns"
  | "closeNetns"
  | "attach"
  | "detach"
  | "look"
  | "hostEnds"
  | "deadNetns"
  | "faults"
  | "shapingFaults"
  | "shape"
>;

export interface CniDeps {
  readonly attachments: Attachments;
  readonly kernel: CniKernel;
  readonly plugins: Plugins;
  readonly boot: { moment(): BootMoment };
  readonly log?: Logger;
}

export function keyOf(request: AttachmentKey): AttachmentKey {
  return { network: request.network, containerId: request.containerId, ifname: request.ifname };
}

/** When the call began: as its executable says, else now. */
export function beganOf(request: CniRequest, { boot }: CniDeps): BootMoment {
  const now = boot.moment();
  return request.bootMs === undefined ? now : { bootId: now.bootId, bootMs: request.bootMs };
}

/** netns-missing, netns-invalid, netns-host; also for what the forwarder met when it opened the path. */
export async function openNetns(request: CniRequest, kernel: CniKernel): Promise<Netns> {
  if (!("error" in request.netns)) {
    return kernel.openNetns(request.netns).catch((error: unknown) => {
      // What the kernel saw is a descriptor of the forwarder's; the caller knows the path.
      if (!(error instanceof WeaveError)) throw error;
      throw new WeaveError(error.code, `CNI_NETNS ${request.netnsPath}: ${error.message}`, {
        hint: error.hint,
        cause: error,
      });
    });
  }
  const missing = request.netns.error === "ENOENT" || request.netns.error === "ENOTDIR";
  const reason = missing ? "it does not exist" : request.netns.error;
  const message = `cannot open the network namespace ${request.netnsPath}: ${reason}`;
  throw new WeaveError(missing ? "netns-missing" : "netns-invalid", message);
}
