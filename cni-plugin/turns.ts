// Takes turns per attachment: the specification forbids parallel calls for one attachment, and runtimes make
// them all the same (DEL after their own timeout while ADD still runs). Different attachments never wait for
// each other.
import { isBefore } from "../src/core/boot-moment.ts";
import { WeaveError } from "../src/core/errors.ts";
import type { AttachmentKey, BootMoment } from "../src/ports/attachments.ts";

interface Turn {
  readonly done: Promise<unknown>;
  /** Present while an ADD can still be told to give up. */
  readonly adding?: { readonly began: BootMoment; readonly cancel: AbortController };
}

export class AttachmentTurns {
  readonly #turns = new Map<string, Set<Turn>>();

  /**
   * Runs `add` after every earlier call for the key. Its signal fires with `signal`, or when a removal comes that did not
   * begin before it.
   */
  async add<T>(
    key: AttachmentKey,
    began: BootMoment,
    signal: AbortSignal,
    add: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const cancel = new AbortController();
    const either = AbortSignal.any([signal, cancel.signal]);
    const unlessCancelled = async (): Promise<T> => {
      if (either.aborted) throw new WeaveError("cancelled", "the call was given up before its turn came");
      return add(either);
    };
    return this.#enter(key, unlessCancelled, { began, cancel });
  }

  /**
   * Runs `remove` after every earlier call for the key; an ADD under way is told to give up first, unless it began later.
   * `began` is absent for removals that are not about any one call.
   */
  async remove<T>(key: AttachmentKey, began: BootMoment | undefined, remove: () => Promise<T>): Promise<T> {
    for (const { adding } of this.#turns.get(idOf(key)) ?? [])
      if (adding !== undefined && (began === undefined || !isBefore(began, adding.began)))
        adding.cancel.abort();
    return this.#enter(key, remove);
  }

  /** Whether a call for the key is under way. */
  busy(key: AttachmentKey): boolean {
    return this.#turns.has(idOf(key));
  }

  async #enter<T>(key: AttachmentKey, work: () => Promise<T>, adding?: Turn["adding"]): Promise<T> {
    const id = idOf(key);
    const turns = this.#turns.get(id) ?? new Set();
    this.#turns.set(id, turns);
    const earlier = [...turns].map((turn) => turn.done);
    const result = Promise.allSettled(earlier).then(work);
    const turn: Turn = { done: result, ...(adding === undefined ? {} : { adding }) };
    turns.add(turn);
    try {
      return await result;
    } finally {
      turns.delete(turn);
      if (turns.size === 0) this.#turns.delete(id);
    }
  }
}

/** No part of a key contains a slash: the specification forbids it in all three. */
const idOf = (key: AttachmentKey): string => `${key.network}/${key.containerId}/${key.ifname}`;
