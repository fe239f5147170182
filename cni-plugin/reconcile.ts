// Reconciliation: what no runtime will ever ask to remove. Attachments whose ADD was cut short, whose boot or namespace
// ended, are removed; an attachment whose container changed its MAC (the plugin "tuning" does) is published anew; limits
// that somebody removed are put back.
//
// On positive evidence only: an interface that is gone proves nothing about its container, a namespace that cannot be
// looked at may be alive.
import type { Attachment, AttachmentKey } from "../src/ports/attachments.ts";
import type { Call } from "./call.ts";
import { remove } from "./del.ts";
import { type CniDeps, keyOf } from "./deps.ts";
import type { AttachmentTurns } from "./turns.ts";

/** Looks through all attachments once. Nothing is thrown: what fails is logged, and met again the next time. */
export async function reconcile(deps: CniDeps, turns: AttachmentTurns): Promise<void> {
  const warn = (line: string): void => deps.log?.warn("reconciliation", { line });
  const attempt = async (attachment: Attachment, work: () => Promise<unknown>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      deps.log?.warn("reconciliation failed", { ...keyOf(attachment), error: String(error) });
    }
  };
  try {
    const ends = await deps.kernel.hostEnds();
    const { bootId } = deps.boot.moment();
    const idle = deps.attachments.all().filter((one) => !turns.busy(one));
    const over = idle.filter((one) => !one.committed || one.moment.bootId !== bootId);
    const current = idle.filter((one) => !over.includes(one));
    const suspects = current.filter(({ hostIfname }) => hostIfname === undefined || !ends.has(hostIfname));
    const namespaces = suspects.flatMap(({ netns }) => netns ?? []);
    const dead = namespaces.length === 0 ? new Set<string>() : await deps.kernel.deadNetns(namespaces);
    over.push(...suspects.filter(({ netns }) => netns !== undefined && dead.has(netns)));
    await Promise.all(
      over
        .filter((one) => !turns.busy(one)) // a call may have come while the namespaces were looked for
        .map((one) =>
          attempt(one, () =>
            turns.remove(one, undefined, async () => {
              if (!isStill(one, deps)) return;
              deps.log?.info("attachment left behind is removed", { ...keyOf(one) });
              await remove({ deps, warn }, one);
            }),
          ),
        ),
    );
    for (const one of current) {
      const mac = ends.get(one.hostIfname ?? "")?.containerMac;
      if (mac !== undefined) await attempt(one, () => followMac({ deps }, one, mac));
      await restoreShaping(deps, turns, one);
    }
  } catch (error) {
    deps.log?.warn("reconciliation failed", { error: String(error) });
  }
}

/**
 * Puts back limits that somebody took from a container's host end: nobody else looks at them. Never throws: what fails is
 * logged, and met again the next time.
 */
export async function restoreShaping(
  deps: CniDeps,
  turns: AttachmentTurns,
  { hostIfname, bandwidth, moment, ...attachment }: Attachment,
): Promise<void> {
  if (hostIfname === undefined || bandwidth === undefined) return;
  const key = keyOf(attachment);
  try {
    if ((await deps.kernel.shapingFaults(hostIfname, bandwidth)).length === 0) return;
    // A DEL waits, or what is made here would be left behind by it.
    await turns.add(key, moment, new AbortController().signal, async () => {
      if (!isStill({ ...key, moment }, deps)) return;
      if (await deps.kernel.shape(hostIfname, bandwidth))
        deps.log?.info("the limits of a container are back", { ...key, hostIfname });
    });
  } catch (error) {
    deps.log?.warn("the limits of a container could not be put back", { ...key, error: String(error) });
  }
}

/** Whether the key is still this attachment's: it may have been removed, and used again, while something was waited for. */
function isStill(one: AttachmentKey & Pick<Attachment, "moment">, { attachments }: CniDeps): boolean {
  const moment = attachments.find(one)?.moment;
  return moment?.bootMs === one.moment.bootMs && moment.bootId === one.moment.bootId;
}

/** Publishes the MAC the container has now, when it is not the one that is known. */
export async function followMac(
  { deps }: Pick<Call, "deps">,
  attachment: Attachment,
  mac: string,
): Promise<void> {
  const { netns, hostIfname, hairpin = true } = attachment;
  const held = deps.attachments.find(attachment);
  if (hostIfname === undefined || held?.mac === undefined || held.mac === mac) return;
  if (!isStill(attachment, deps)) return;
  deps.log?.info("a container changed its MAC", { ...keyOf(attachment), from: held.mac, to: mac });
  await deps.attachments.commit(keyOf(attachment), {
    ...(netns === undefined ? {} : { netns }),
    link: { mac, hostIfname, hairpin },
  });
}
