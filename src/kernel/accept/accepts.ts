// Keeps traffic of the bridge accepted where firewalls of others drop what is forwarded: iptables in nf_tables (Docker's
// DOCKER-USER where it exists), iptables-legacy, firewalld. Our own table cannot do that: an accept ends one chain only.

import { NAME } from "../datapath/objects.ts";
import type { Host } from "../host.ts";
import { NFPROTO_INET } from "../rtnetlink/nfnetlink.ts";
import type { NftTable } from "../rtnetlink/nft-chain.ts";
import { NETLINK_NETFILTER, NetlinkSocket } from "../rtnetlink/socket.ts";
import type { Backend, Standing } from "./backend.ts";
import { FIREWALLD_TABLE, firewalld } from "./firewalld.ts";
import { iptablesLegacy } from "./iptables-legacy.ts";
import { iptablesNft } from "./iptables-nft.ts";
import { LegacyReader } from "./legacy-table.ts";

const FAMILIES = [2, 10] as const;
/** A tool that failed is not started again sooner. */
const RETRY_MS = 4_000;

/** What became of one firewall. */
export interface Outcome {
  /** As in Repair.object. */
  readonly object: string;
  readonly changes: readonly string[];
  /** The accept had been put in before, and was gone. */
  readonly again: boolean;
  readonly failure?: unknown;
}

/** How one firewall stands to the bridge's traffic. */
export interface Stance {
  /** As in Backend.where. */
  readonly where: string;
  readonly standing: Standing;
  /** What puts the accept in; empty when nothing is missing. */
  readonly commands: readonly string[];
}

export class Accepts {
  readonly #host: Host;
  readonly #readers = FAMILIES.map((family) => new LegacyReader(family));
  readonly #backends: readonly Backend[];
  /** Those that had the accept once. */
  readonly #asserted = new Set<Backend>();
  readonly #failures = new Map<Backend, { readonly at: number; readonly error: unknown }>();
  #socket: NetlinkSocket | undefined;
  #stale = true;
  #fingerprint = "";

  constructor(host: Host) {
    this.#host = host;
    const netfilter = (): NetlinkSocket => {
      this.#socket ??= host.run(() => new NetlinkSocket(NETLINK_NETFILTER));
      return this.#socket;
    };
    this.#backends = [
      firewalld(host, netfilter),
      ...FAMILIES.map((family) => iptablesNft(host, netfilter, family)),
      ...this.#readers.map((reader, i) => iptablesLegacy(host, reader, FAMILIES[i] ?? 2)),
    ];
  }

  /** The next ensure looks again. */
  distrust(): void {
    this.#stale = true;
  }

  /** Something happened in this table: whether it may concern the accept. */
  concerns({ family, table }: NftTable): boolean {
    return table === FIREWALLD_TABLE || (table === "filter" && family !== NFPROTO_INET);
  }

  /** Something happened that concerns it. */
  forget(): void {
    for (const backend of this.#backends) backend.forget?.();
  }

  /** Whether tables of iptables-legacy changed since the last call. */
  legacyChanged(): boolean {
    const now = this.#host.run(() => this.#readers.map((reader) => reader.fingerprint() ?? "").join());
    const changed = now !== this.#fingerprint;
    this.#fingerprint = now;
    return changed;
  }

  /** Objects whose accept is missing. */
  async missing(bridge: string): Promise<readonly string[]> {
    const found: string[] = [];
    for (const backend of this.#backends) {
      if (this.#failures.has(backend)) continue; // told as a problem, and tried again with that
      if ((await standing(backend, bridge)) === "missing") found.push(NAME.accept(backend.where));
    }
    if (found.length > 0) this.#stale = true;
    return found;
  }

  /** All of them as they are. Writes nothing; throws when one cannot be looked at. */
  survey(bridge: string): Promise<readonly Stance[]> {
    return Promise.all(
      this.#backends.map(async (backend) => {
        const standing = await backend.look(bridge);
        const commands = standing === "missing" ? await backend.commands(bridge) : [];
        return { where: backend.where, standing, commands };
      }),
    );
  }

  /** Put in what is missing. Empty when nothing had to be done. Never throws. */
  async ensure(bridge: string): Promise<readonly Outcome[]> {
    if (!this.#stale && this.#failures.size === 0) return [];
    this.#stale = false;
    const outcomes: Outcome[] = [];
    for (const backend of this.#backends) {
      const outcome = await this.#ensureIn(backend, bridge);
      if (outcome.changes.length > 0 || outcome.failure !== undefined) outcomes.push(outcome);
    }
    // Or a table that is as it was before we changed it would not be seen to have changed.
    if (outcomes.length > 0) this.legacyChanged();
    return outcomes;
  }

  /** Take it out everywhere; what was done, in words for people. */
  async remove(bridge: string): Promise<readonly string[]> {
    const done: string[] = [];
    for (const backend of this.#backends) {
      try {
        done.push(...(await backend.withdraw(bridge)));
      } catch {
        // Without its tool there is nothing of ours in it either.
      }
    }
    return done;
  }

  async close(): Promise<void> {
    for (const reader of this.#readers) reader.close();
    await this.#socket?.close();
  }

  async #ensureIn(backend: Backend, bridge: string): Promise<Outcome> {
    const object = NAME.accept(backend.where);
    const again = this.#asserted.has(backend);
    const failed = this.#failures.get(backend);
    if (failed !== undefined && performance.now() - failed.at < RETRY_MS)
      return { object, changes: [], again, failure: failed.error };
    try {
      const found = await backend.look(bridge);
      const changes = found === "missing" ? await backend.assert(bridge) : [];
      if (found !== "none") this.#asserted.add(backend);
      this.#failures.delete(backend);
      return { object, changes, again };
    } catch (error) {
      this.#failures.set(backend, { at: performance.now(), error });
      return { object, changes: [], again, failure: error };
    }
  }
}

/** One that cannot be looked at lacks nothing as far as we know. */
async function standing(backend: Backend, bridge: string): Promise<string> {
  try {
    return await backend.look(bridge);
  } catch {
    return "none";
  }
}
