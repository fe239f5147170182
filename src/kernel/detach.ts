// Deletes host ends of veth pairs, and what shapes their traffic. Each deletion waits some 15 ms for the kernel's grace period, whatever it deletes, so
// those asked for while one is running are put into a link group and deleted together.
import { errnoOf } from "./rtnetlink/errors.ts";
import { deleteGroup, deleteLink, groupLink } from "./rtnetlink/link.ts";
import type { NetlinkPort } from "./rtnetlink/socket.ts";
import { ifbName } from "./shaping.ts";

interface Waiting {
  readonly name: string;
  readonly resolve: (deleted: boolean) => void;
  readonly reject: (error: unknown) => void;
}

/** First of our group numbers. Any will do that nobody else uses; `ip link` shows them, so this spells "wv". */
const FIRST_GROUP = 0x77760000;
/** Groups are used in turn; two batches are never under way at once. */
const GROUPS = 0x10000;

export class Detacher {
  readonly #socket: NetlinkPort;
  #waiting: Waiting[] = [];
  #running = false;
  #batches = 0;

  constructor(socket: NetlinkPort) {
    this.#socket = socket;
  }

  /** Delete by name; false when there was nothing. A host end that is gone may have left its shaping device behind. */
  detach(name: string): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ name, resolve, reject });
      if (this.#running) return;
      this.#running = true;
      // After this turn of the loop: calls that arrived together are one batch.
      setImmediate(() => void this.#run());
    });
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      const [only] = batch;
      if (batch.length === 1 && only !== undefined) await this.#alone(only);
      else await this.#together(batch);
    }
    this.#running = false;
  }

  /** Most containers have one link, which needs no group. */
  async #alone(one: Waiting): Promise<void> {
    const ifb = ifbName(one.name);
    const group = this.#nextGroup();
    try {
      if (ifb === undefined || !(await this.#join(ifb, group))) {
        return await settle(one, deleteLink(this.#socket, one.name));
      }
      await this.#join(one.name, group);
    } catch (error) {
      return one.reject(error);
    }
    await settle(one, deleteGroup(this.#socket, group));
  }

  async #together(batch: readonly Waiting[]): Promise<void> {
    const group = this.#nextGroup();
    const grouped: Waiting[] = [];
    for (const one of batch) {
      const ifb = ifbName(one.name);
      try {
        const shaped = ifb !== undefined && (await this.#join(ifb, group));
        const there = await this.#join(one.name, group);
        if (there || shaped) grouped.push(one);
        else one.resolve(false);
      } catch (error) {
        one.reject(error);
      }
    }
    if (grouped.length === 0) return;
    const deleted = deleteGroup(this.#socket, group);
    await Promise.all(grouped.map((one) => settle(one, deleted)));
  }

  /** Put a link into a group; false when there is none of that name. */
  async #join(name: string, group: number): Promise<boolean> {
    try {
      await groupLink(this.#socket, name, group);
      return true;
    } catch (error) {
      if (errnoOf(error) === "ENODEV") return false;
      throw error;
    }
  }

  #nextGroup(): number {
    return FIRST_GROUP + (this.#batches++ % GROUPS);
  }
}

async function settle(one: Waiting, outcome: Promise<boolean>): Promise<void> {
  try {
    one.resolve(await outcome);
  } catch (error) {
    one.reject(error);
  }
}
