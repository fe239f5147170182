// DEL and GC: removing attachments. The link goes before the address, so that an address given to another is
// configured nowhere else. Neither looks into the namespace: deleting the host end of a veth pair deletes
// both.

import { z } from "zod";
import { isBefore } from "../src/core/boot-moment.ts";
import type { Attachment, AttachmentKey, BootMoment } from "../src/ports/attachments.ts";
import type { Call } from "./call.ts";
import { foreignIpam } from "./config.ts";
import { delegated, delegatedDel, delegatedEnd } from "./delegate.ts";
import { beganOf, keyOf } from "./deps.ts";
import { CniCode, CniError } from "./errors.ts";
import { hostIfname } from "./host-ifname.ts";
import type { AttachmentTurns } from "./turns.ts";

/** Succeeds when there is nothing to remove; fails only when the kernel, the disk or another plugin does. */
export async function del(call: Call): Promise<string> {
  const { request, deps } = call;
  const key = keyOf(request);
  const held = deps.attachments.find(key);
  const began = beganOf(request, deps);
  // A DEL that was held up, and the key was used again meanwhile: it is not about this container.
  if (held !== undefined && isBefore(began, held.moment)) return "";
  if (request.program === "weave-net") await deps.kernel.detach(hostIfname(key));
  await deps.attachments.release(key, began);
  // What ADD did counts, whatever the configuration says by now.
  const type = request.program === "weave-net" ? foreignIpam(request.config) : undefined;
  const same = held === undefined || held.delegate?.type === type;
  if (type !== undefined && same && request.cniPath !== "") await delegatedDel(call, type);
  else if (held !== undefined) await delegatedEnd(call, held);
  return "";
}

/** What a runtime has not asked for, or asked for while nobody was here to do it. */
export async function remove(
  call: Pick<Call, "deps" | "warn">,
  attachment: Attachment,
  before?: BootMoment,
): Promise<void> {
  const { kernel, attachments } = call.deps;
  if (before !== undefined && isBefore(before, attachment.moment)) return;
  if (attachment.hostIfname !== undefined || !attachment.committed)
    await kernel.detach(hostIfname(attachment));
  await attachments.release(keyOf(attachment), before);
  await delegatedEnd(call, attachment);
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
export async function gc(call: Call, turns: AttachmentTurns): Promise<string> {
  const { request, deps } = call;
  const valid = validOf(request.config);
  const failures: string[] = [];
  const attempt = async (what: string, work: () => Promise<unknown>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      failures.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  const invalid = deps.attachments
    .all()
    .filter((one) => one.network === request.network && valid?.has(idOf(one)) === false && !turns.busy(one));
  await Promise.all(
    invalid.map((one) =>
      attempt(`${one.containerId} ${one.ifname}`, () =>
        turns.remove(one, undefined, () => remove(call, one)),
      ),
    ),
  );
  const type = foreignIpam(request.config);
  if (type !== undefined)
    await attempt(type, async () => {
      await delegated(call, type);
    });
  if (failures.length === 0) return "";
  throw new CniError(
    CniCode.kernel,
    `GC could not remove ${failures.length} of what is left behind: ${failures.join("; ")}`,
  );
}

/** undefined when the runtime said nothing. */
function validOf(config: Readonly<Record<string, unknown>>): ReadonlySet<string> | undefined {
  const given = GC_KEYS.map((key) => config[key]).find((value) => value !== undefined);
  if (given === undefined) return undefined;
  const parsed = validSchema.safeParse(given);
  if (!parsed.success) {
    throw new CniError(CniCode.badConfig, `${GC_KEYS[0]}: a list of {"containerID","ifname"} was expected`);
  }
  return new Set(
    (parsed.data ?? []).map(({ containerID, ifname }) => idOf({ containerId: containerID, ifname })),
  );
}

const idOf = ({ containerId, ifname }: Pick<AttachmentKey, "containerId" | "ifname">): string =>
  `${containerId}/${ifname}`;
