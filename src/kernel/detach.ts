// Deletes host ends of veth pairs, and what shapes their traffic. A deletion holds its caller for some 15 ms, whatever it
// deletes, of which the first two or three make the links disappear; the rest waits for the kernel's grace period to free
// memory. So links are deleted in groups, on pool threads, and a container's are gone when their names are.
import type { Host } from "./host.ts";
import { ifIndex } from "./libc.ts";
import { DirectSocket } from "./rtnetlink/direct.ts";
import { errnoOf } from "./rtnetlink/errors.ts";
import { deleteGroup, groupLink } from "./rtnetlink/link.ts";
import { NETLINK_ROUTE, type NetlinkPort } from "./rtnetlink/socket.ts";
import { ifbName } from "./shaping.ts";

interface Waiting {
  readonly name: string;
  readonly resolve: (deleted: boolean) => void;
  readonly reject: (error: unknown) => void;
}

/** First of our group numbers. Any will do that nobody else uses; `ip link` shows them, so this spells "wv". */
const FIRST_GROUP = 0x77760000;
/** Groups are used in turn; no two batches under way have the same. */
const GROUPS = 0x10000;
/** Deletions under way. Each holds one of the four threads of libuv's pool, where LevelDB writes, too. */
const LANES = 2;
/** How often is looked whether links are gone. */
const LOOK_MS = 1;

export class Detacher {
  readonly #host: Host;
  readonly #socket: NetlinkPort;
  readonly #freeLanes: DirectSocket[];
  #waiting: Waiting[] = [];
  #gathering = false;
  #batches = 0;
  #underWay: Promise<unknown> = Promise.resolve();

  /** `socket` is for short requests and may be shared. */
  constructor(host: Host, socket: NetlinkPort) {
    this.#host = host;
    this.#socket = socket;
    this.#freeLanes = host.run(() => Array.from({ length: LANES }, () => new DirectSocket(NETLINK_ROUTE)));
  }

  /** Delete by name; false when there was nothing. A host end that is gone may have left its shaping device behind. */
  detach(name: string): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ name, resolve, reject });
      this.#gather();
    });
  }

  /** Waits for what is under way. */
  async close(): Promise<void> {
    await this.#underWay;
    for (const lane of this.#freeLanes) await lane.close();
  }

  /** Begin with what waits, after this turn of the loop: calls that arrived together are one batch. */
  #gather(): void {
    if (this.#gathering || this.#waiting.length === 0) return;
    const lane = this.#freeLanes.pop();
    if (lane === undefined) return;
    this.#gathering = true;
    setImmediate(() => {
      this.#gathering = false;
      const batch = this.#waiting;
      this.#waiting = [];
      const done = this.#together(batch, lane).finally(() => {
        this.#freeLanes.push(lane);
        this.#gather();
      });
      this.#underWay = Promise.all([this.#underWay, done]);
    });
  }

  /** Does not reject: what fails is told to those who asked. */
  async #together(batch: readonly Waiting[], lane: DirectSocket): Promise<void> {
    const group = FIRST_GROUP + (this.#batches++ % GROUPS);
    const grouped: { readonly one: Waiting; readonly names: readonly string[] }[] = [];
    for (const one of batch) {
      const ifb = ifbName(one.name);
      try {
        const names: string[] = [];
        for (const name of ifb === undefined ? [one.name] : [ifb, one.name]) {
          if (await this.#join(name, group)) names.push(name);
        }
        if (names.length > 0) grouped.push({ one, names });
        else one.resolve(false);
      } catch (error) {
        one.reject(error);
      }
    }
    if (grouped.length === 0) return;
    const deletion = deleteGroup(lane, group);
    let ended = false;
    const settled = Promise.all(grouped.map(({ one }) => settle(one, deletion))).then(() => {
      ended = true;
    });
    for (let left = grouped; !ended && left.length > 0; ) {
      await Promise.race([settled, pause(LOOK_MS)]);
      left = left.filter(({ one, names }) => {
        const gone = names.every((name) => this.#isGone(name));
        if (gone) one.resolve(true);
        return !gone;
      });
    }
    await settled;
  }

  #isGone(name: string): boolean {
    return this.#host.run(() => ifIndex(name)) === 0;
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
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function settle(one: Waiting, outcome: Promise<boolean>): Promise<void> {
  try {
    one.resolve(await outcome);
  } catch (error) {
    one.reject(error);
  }
}
