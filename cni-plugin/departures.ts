// Remembers which attachments were removed when, so that an ADD which began before is refused: its process was held up
// (paging, a frozen cgroup) while the runtime gave up on it and sent DEL. Nobody would remove what it leaves.
import { isBefore } from "../src/core/boot-moment.ts";
import { WeaveError } from "../src/core/errors.ts";
import type { AttachmentKey, BootMoment } from "../src/ports/attachments.ts";

/** Ten times the time a forwarder gives an ADD in all. */
const MEMORY_MS = 600_000;
/** A storm of removals must not be remembered without bound. */
const MOST = 10_000;

export class Departures {
  /** In order of noting. */
  readonly #last = new Map<string, BootMoment>();

  note(key: AttachmentKey, began: BootMoment): void {
    const id = idOf(key);
    const known = this.#last.get(id);
    this.#last.delete(id);
    this.#last.set(id, known !== undefined && isBefore(began, known) ? known : began);
    for (const [old, moment] of this.#last) {
      if (this.#last.size <= MOST && began.bootMs - moment.bootMs <= MEMORY_MS) break;
      this.#last.delete(old);
    }
  }

  /** cancelled: a removal of this attachment began later than the call. */
  refuseEarlier(key: AttachmentKey, began: BootMoment): void {
    const last = this.#last.get(idOf(key));
    if (last === undefined || !isBefore(began, last)) return;
    throw new WeaveError(
      "cancelled",
      "this ADD began before the last DEL of its container and comes too late",
    );
  }
}

/** No part of a key contains a slash: the specification forbids it in all three. */
const idOf = (key: AttachmentKey): string => `${key.network}/${key.containerId}/${key.ifname}`;
