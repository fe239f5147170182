// DEL and GC: removing attachments. The link goes before the address, so that an address given to another is
// configured nowhere else. Neither looks into the namespace: deleting the host end of a veth pair deletes
// both.
import { z } from "zod";
import type { AttachmentKey } from "../src/ports/attachments.ts";
import { type CniDeps, keyOf } from "./deps.ts";
import { CniCode, CniError } from "./errors.ts";
import { hostIfname } from "./host-ifname.ts";
import type { CniRequest } from "./request.ts";
import type { AttachmentTurns } from "./turns.ts";

/** Succeeds when there is nothing to remove; fails only when the kernel or the disk does. */
export async function del(request: CniRequest, deps: CniDeps): Promise<string> {
  await remove(request, keyOf(request), deps);
  return "";
}

/** What still exists, as the runtime says. The tagged 1.1.0 text has the second name, libcni sends both. */
const GC_KEYS = ["cni.dev/valid-attachments", "cni.dev/attachments"] as const;
/** A Go runtime without containers sends null for the empty list. */
const validSchema = z.array(z.looseObject({ containerID: z.string(), ifname: z.string() })).nullable();

/**
 * Removes the attachments of this network that the runtime did not list; what fails is told at the end, the
 * rest is removed. Without a list nothing is removed: "everything is invalid" must be said, not implied. An
 * attachment with a call under way is left.
 */
export async function gc(request: CniRequest, deps: CniDeps, turns: AttachmentTurns): Promise<string> {
  const given = GC_KEYS.map((key) => request.config[key]).find((value) => value !== undefined);
  if (given === undefined) return "";
  const parsed = validSchema.safeParse(given);
  if (!parsed.success) {
    throw new CniError(CniCode.badConfig, `${GC_KEYS[0]}: a list of {"containerID","ifname"} was expected`);
  }
  const idOf = (containerId: string, ifname: string): string => `${containerId}/${ifname}`;
  const valid = new Set((parsed.data ?? []).map((one) => idOf(one.containerID, one.ifname)));
  const failures: string[] = [];
  for (const attachment of deps.attachments.list(request.network)) {
    if (valid.has(idOf(attachment.containerId, attachment.ifname)) || turns.busy(attachment)) continue;
    try {
      await turns.remove(attachment, () => remove(request, attachment, deps));
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      failures.push(`${attachment.containerId} ${attachment.ifname}: ${reason}`);
    }
  }
  if (failures.length === 0) return "";
  throw new CniError(
    CniCode.kernel,
    `GC could not remove ${failures.length} attachments: ${failures.join("; ")}`,
  );
}

async function remove(request: CniRequest, key: AttachmentKey, deps: CniDeps): Promise<void> {
  if (request.program === "weave-net") await deps.kernel.detach(hostIfname(key));
  await deps.attachments.release(key);
}
