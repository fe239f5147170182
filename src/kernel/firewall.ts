// Brings the table `inet weave` into the kernel: the whole text in one `nft -f` transaction when it is not there, and from
// then on the elements of its sets and maps over nfnetlink, which starts no process.
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { FirewallState, PortMap } from "../core/datapath/state.ts";
import { WeaveError } from "../core/errors.ts";
import {
  describeChanges,
  differences,
  portMapFrom,
  portMapsOf,
  type SetState,
  setsOf,
} from "./firewall-sets.ts";
import { followPortMaps } from "./flows.ts";
import type { Host } from "./host.ts";
import { removeTable, renderTable, ruleCount, TABLE } from "./nftables.ts";
import { errnoOf } from "./rtnetlink/errors.ts";
import { countRules } from "./rtnetlink/nft-rule.ts";
import { changeSets, type Element, listSet } from "./rtnetlink/nft-set.ts";
import { NETLINK_NETFILTER, NetlinkSocket } from "./rtnetlink/socket.ts";

/** After a failed load the next is not tried sooner, or every ADD on a host without nft would start a process. */
const RETRY_MS = 10_000;
/** A load takes 20 ms; one that takes this long hangs. */
const LOAD_TIMEOUT_MS = 20_000;
/** More changes than these go by a load: one transaction must fit the socket's buffer (212992 bytes by default). */
const MAX_CHANGES = 500;
const FAMILIES = [4, 6] as const;

/** A table as it was brought into the kernel. */
interface Loaded {
  readonly bridge: string;
  readonly firewall: FirewallState;
  /** `firewall` as text, to see that nothing changed, and as sets. */
  readonly text: string;
  readonly sets: readonly SetState[];
}

/** What ensure() did. */
interface Ensured {
  /** In the words of a report. */
  readonly changes: readonly string[];
  /** The table had been there, and was gone. */
  readonly again?: true;
  /** Why flows to changed ports could not be forgotten; the ports themselves are as asked. */
  readonly flows?: unknown;
}

/** Keeps the table `inet weave` as the datapath wants it. */
export class Firewall {
  readonly #host: Host;
  readonly #directory: string;
  #socket: NetlinkSocket | undefined;
  /** What the loaded table holds; undefined when the kernel may hold anything. */
  #loaded: Loaded | undefined;
  #failure: { readonly until: number; readonly error: unknown } | undefined;

  /** `directory` is where the text lies for the moment nft reads it. */
  constructor(host: Host, directory: string) {
    this.#host = host;
    this.#directory = directory;
  }

  /** Bring table and sets to `firewall`. Flows to ports that changed hands are forgotten. */
  async ensure(firewall: FirewallState, bridge: string): Promise<Ensured> {
    const former = this.#loaded;
    if (former?.bridge !== bridge) return this.#load(firewall, bridge);
    const wanted = { bridge, firewall, text: JSON.stringify(firewall) };
    if (wanted.text === former.text) return { changes: [] };
    const sets = setsOf(firewall);
    const changes = differences(former.sets, sets);
    const count = changes.reduce((sum, { add, remove }) => sum + add.length + remove.length, 0);
    if (count > MAX_CHANGES) return this.#load(firewall, bridge);
    try {
      await changeSets(
        this.#netfilter(),
        TABLE,
        changes.map(({ state, add, remove }) => ({
          set: state.name,
          add: add.flatMap(([, elements]) => elements),
          remove: remove.flatMap(([, elements]) => elements),
        })),
      );
    } catch (error) {
      this.#loaded = undefined;
      // Somebody flushed the ruleset: load it all again rather than report what one command repairs.
      if (errnoOf(error) === "ENOENT") return { ...(await this.#load(firewall, bridge)), again: true };
      throw error;
    }
    this.#loaded = { ...wanted, sets };
    return this.#follow(allPortMaps(former.firewall), firewall, describeChanges(changes));
  }

  /** Look whether the table is still as we left it. True when it is not: the next ensure loads it again. */
  async verify(): Promise<boolean> {
    if (!(await this.isDamaged())) return false;
    this.#loaded = undefined;
    return true;
  }

  /** A table that was never loaded, or could not be, is not damaged. */
  async isDamaged(): Promise<boolean> {
    return this.#loaded !== undefined && (await this.faults()).length > 0;
  }

  /** Names this host's own changes of sets in the kernel's notifications. */
  get port(): number {
    return this.#netfilter().port;
  }

  /** What is not as the last load or change left it, in words for people. */
  async faults(): Promise<readonly string[]> {
    const table = `firewall table inet ${TABLE}`;
    if (this.#loaded === undefined) return [`${table} is not loaded`];
    const faults: string[] = [];
    const missing = ruleCount() - (await countRules(this.#netfilter(), TABLE));
    if (missing > 0) faults.push(`${table} lacks ${missing} of its ${ruleCount()} rules`);
    if (missing < 0) faults.push(`${table} has ${-missing} rules too many`);
    let sets = 0;
    for (const state of this.#loaded.sets) {
      const held = await listSet(this.#netfilter(), { table: TABLE, set: state.name });
      if (held !== undefined) sets++;
      faults.push(...setFaults(held, state, table));
    }
    return sets === 0 ? [`${table} is missing`] : faults;
  }

  /** Delete the table; false when there was none. */
  async remove(): Promise<boolean> {
    this.#loaded = undefined;
    const held = await listSet(this.#netfilter(), { table: TABLE, set: "overlay4" });
    if (held === undefined && (await countRules(this.#netfilter(), TABLE)) === 0) return false;
    await this.#nft(removeTable());
    return true;
  }

  async close(): Promise<void> {
    await this.#socket?.close();
  }

  async #load(firewall: FirewallState, bridge: string): Promise<Ensured> {
    if (this.#failure !== undefined && performance.now() < this.#failure.until) throw this.#failure.error;
    let former: readonly PortMap[];
    try {
      former = await this.#heldPortMaps();
      await this.#nft(renderTable(firewall, bridge));
    } catch (error) {
      this.#failure = { until: performance.now() + RETRY_MS, error };
      throw error;
    }
    this.#failure = undefined;
    this.#loaded = { bridge, firewall, text: JSON.stringify(firewall), sets: setsOf(firewall) };
    return this.#follow(former, firewall, [`nft load table inet ${TABLE}`]);
  }

  /** What another process of ours published, or we did before somebody changed the table. */
  async #heldPortMaps(): Promise<readonly PortMap[]> {
    const found: PortMap[] = [];
    for (const family of FAMILIES) {
      for (const set of [`ports${family}`, `hostports${family}`]) {
        const held = await listSet(this.#netfilter(), { table: TABLE, set });
        found.push(...(held ?? []).flatMap((element) => portMapFrom(element, family) ?? []));
      }
    }
    return found;
  }

  async #follow(
    former: readonly PortMap[],
    firewall: FirewallState,
    changes: readonly string[],
  ): Promise<Ensured> {
    try {
      await followPortMaps(this.#host, this.#netfilter(), former, allPortMaps(firewall));
      return { changes };
    } catch (error) {
      return { changes, flows: error };
    }
  }

  /** A file, because nft cannot open the socket pair Node gives a child as stdin. */
  async #nft(script: string): Promise<void> {
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    const directory = mkdtempSync(join(this.#directory, "weave-nft-"));
    const file = join(directory, "rules");
    writeFileSync(file, script, { mode: 0o600 });
    try {
      await new Promise<void>((resolve, reject) => {
        const child = this.#host.run(() =>
          spawn("nft", ["-f", file], { stdio: ["ignore", "ignore", "pipe"], timeout: LOAD_TIMEOUT_MS }),
        );
        let stderr = "";
        child.stderr.on("data", (chunk: Buffer) => {
          if (stderr.length < 2000) stderr += chunk.toString("utf8");
        });
        child.on("error", (cause) => reject(spawnError(cause)));
        child.on("close", (code, signal) => {
          if (code === 0) resolve();
          else reject(new WeaveError("kernel", `nft -f: ${stderr.trim() || `ended with ${signal ?? code}`}`));
        });
      });
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  }

  #netfilter(): NetlinkSocket {
    this.#socket ??= this.#host.run(() => new NetlinkSocket(NETLINK_NETFILTER));
    return this.#socket;
  }
}

function spawnError(cause: Error): WeaveError {
  if ("code" in cause && cause.code === "ENOENT") {
    return new WeaveError("feature-missing", "nft: command not found", {
      hint: "apt-get install nftables",
      cause,
    });
  }
  return new WeaveError("kernel", `nft: ${cause.message}`, { cause });
}

/** Ends of intervals are left out: nft adds one before the first, and none is without its start. */
function setFaults(held: readonly Element[] | undefined, state: SetState, table: string): string[] {
  const set = `${state.kind} ${state.name}`;
  if (held === undefined) return [`${table} lacks the ${set}`];
  const textOf = ({ key, data }: Element): string => `${key.toString("hex")} ${data?.toString("hex") ?? ""}`;
  const starts = (list: readonly Element[]) => list.filter(({ end }) => end !== true).map(textOf);
  const there = new Set(starts(held));
  const wanted = [...state.elements].map(([text, elements]) => ({ text, starts: starts(elements) }));
  const missing = wanted.filter((one) => !one.starts.every((start) => there.has(start)));
  const ours = new Set(wanted.flatMap((one) => one.starts));
  const surplus = [...there].filter((start) => !ours.has(start)).length;
  return [
    ...missing.map(({ text }) => `${set} of the ${table} lacks ${text}`),
    ...(surplus > 0 ? [`${set} of the ${table} has ${surplus} elements that weave did not put there`] : []),
  ];
}

function allPortMaps(firewall: FirewallState): readonly PortMap[] {
  return FAMILIES.flatMap((family) => portMapsOf(firewall, family));
}
