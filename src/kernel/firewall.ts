// Brings the tables `inet weave` and `bridge weave` into the kernel: the whole text in one `nft -f` transaction when it is
// not there, and from then on the elements of sets and maps over nfnetlink, which starts no process.
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { DatapathState, FirewallState, PortMap } from "../core/datapath/state.ts";
import { WeaveError } from "../core/errors.ts";
import {
  BRIDGE_RULES,
  CLAIM_SETS,
  type Claims,
  claimChanges,
  claimElement,
  claimsOf,
  noClaims,
  removeBridgeTable,
  renderBridgeTable,
} from "./bridge-table.ts";
import {
  describeChanges,
  differences,
  portMapFrom,
  portMapsOf,
  type SetState,
  setsOf,
  type TableState,
  tableStateOf,
} from "./firewall-sets.ts";
import { followPortMaps } from "./flows.ts";
import type { Host } from "./host.ts";
import { removeTable, renderTable, ruleCount, TABLE } from "./nftables.ts";
import { errnoOf } from "./rtnetlink/errors.ts";
import { countRules } from "./rtnetlink/nft-rule.ts";
import { changeSets, type Element, listSet } from "./rtnetlink/nft-set.ts";
import { NETLINK_NETFILTER, NetlinkSocket } from "./rtnetlink/socket.ts";
import { addressText } from "./rtnetlink/wire.ts";

/** After a failed load the next is not tried sooner, or every ADD on a host without nft would start a process. */
const RETRY_MS = 10_000;
/** A load takes 20 ms; one that takes this long hangs. */
const LOAD_TIMEOUT_MS = 20_000;
/** More changes than these go by a load: one transaction must fit the socket's buffer (212992 bytes by default). */
const MAX_CHANGES = 500;
const FAMILIES = [4, 6] as const;

/** A table as it was brought into the kernel. */
interface Loaded {
  readonly table: TableState;
  /** `table` as text, to see that nothing changed, and as sets. */
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
  /** Why containers' announcements are not looked at; all else is as asked. */
  readonly unguarded?: unknown;
}

/** Keeps the tables `inet weave` and `bridge weave` as the datapath wants it. */
export class Firewall {
  readonly #host: Host;
  readonly #directory: string;
  #socket: NetlinkSocket | undefined;
  /** What the loaded table holds; undefined when the kernel may hold anything. */
  #loaded: Loaded | undefined;
  /** What the sets of the table of the bridge hold. */
  #claims: Claims = noClaims();
  /** Why there is no table of the bridge. */
  #unguarded: unknown;
  /** Peers found in the kernel, let in until it is known who is one. */
  #found: readonly string[] = [];
  #failure: { readonly until: number; readonly error: unknown } | undefined;

  /** `directory` is where the text lies for the moment nft reads it. */
  constructor(host: Host, directory: string) {
    this.#host = host;
    this.#directory = directory;
  }

  /** Take VXLAN from the peers of `state` from now on, before anything is sent to them. */
  async admit(state: DatapathState): Promise<void> {
    const former = this.#loaded?.table;
    if (former !== undefined) await this.#change({ ...former, peers: [...former.peers, ...state.flood] });
  }

  /** Bring tables and sets to `state`. Flows to ports that changed hands are forgotten. */
  async ensure(state: DatapathState): Promise<Ensured> {
    if (state.prune) this.#found = [];
    const ensured = await this.#change(tableStateOf(state, this.#found), !state.prune);
    const wanted = claimsOf(state);
    try {
      await this.#claim(wanted);
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw error;
      // Somebody deleted this table alone.
      const again = await this.#change(tableStateOf(state, this.#found), !state.prune);
      await this.#claim(wanted);
      return { ...again, again: true };
    }
    return this.#unguarded === undefined ? ensured : { ...ensured, unguarded: this.#unguarded };
  }

  async #claim(wanted: Claims): Promise<void> {
    if (this.#unguarded !== undefined) return;
    try {
      for (const changes of claimChanges(this.#claims, wanted))
        await changeSets(this.#netfilter(), TABLE, changes);
      this.#claims = wanted;
    } catch (error) {
      // What they hold is not known any more: the next time all is loaded.
      this.#loaded = undefined;
      throw error;
    }
  }

  async #change(table: TableState, keep = false): Promise<Ensured> {
    const former = this.#loaded;
    if (former === undefined || !sameRules(former.table, table)) return this.#load(table, keep);
    const wanted = { table, text: JSON.stringify(table) };
    if (wanted.text === former.text) return { changes: [] };
    const sets = setsOf(table);
    const changes = differences(former.sets, sets);
    const count = changes.reduce((sum, { add, remove }) => sum + add.length + remove.length, 0);
    if (count > MAX_CHANGES) return this.#load(table, keep);
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
      if (errnoOf(error) === "ENOENT") return { ...(await this.#load(table, keep)), again: true };
      throw error;
    }
    this.#loaded = { ...wanted, sets };
    return this.#follow(allPortMaps(former.table), table, describeChanges(changes));
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
    if (sets === 0) return [`${table} is missing`];
    return [...faults, ...(await this.#claimFaults())];
  }

  /** Delete the table; false when there was none. */
  async remove(): Promise<boolean> {
    this.#loaded = undefined;
    const held = await listSet(this.#netfilter(), { table: TABLE, set: "overlay4" });
    if (held === undefined && (await countRules(this.#netfilter(), TABLE)) === 0) return false;
    await this.#nft(`${removeTable()}${removeBridgeTable(TABLE)}`).catch(() => this.#nft(removeTable()));
    return true;
  }

  async close(): Promise<void> {
    await this.#socket?.close();
  }

  /** What of the table of the bridge is not as it was left. */
  async #claimFaults(): Promise<readonly string[]> {
    if (this.#unguarded !== undefined) return [];
    const table = `firewall table bridge ${TABLE}`;
    const rules = await countRules(this.#netfilter(), TABLE, "bridge");
    if (rules !== BRIDGE_RULES) return [`${table} has ${rules} of its ${BRIDGE_RULES} rules`];
    const faults: string[] = [];
    for (const set of CLAIM_SETS) {
      const held = await listSet(this.#netfilter(), { family: "bridge", table: TABLE, set });
      const there = new Set(held?.map(({ key }) => key.toString("hex")));
      const missing = [...this.#claims[set]].filter(
        (text) => !there.has(claimElement(text).key.toString("hex")),
      );
      faults.push(...missing.map((text) => `set ${set} of the ${table} lacks ${text}`));
      const surplus = there.size + missing.length - this.#claims[set].size;
      if (surplus > 0)
        faults.push(`set ${set} of the ${table} has ${surplus} elements that weave did not put there`);
    }
    return faults;
  }

  /** `keep`: let in whom the kernel lets in, too. */
  async #load(asked: TableState, keep: boolean): Promise<Ensured> {
    if (this.#failure !== undefined && performance.now() < this.#failure.until) throw this.#failure.error;
    let former: readonly PortMap[];
    let table = asked;
    try {
      former = await this.#heldPortMaps();
      if (keep) this.#found = await this.#heldPeers();
      if (keep) table = { ...asked, peers: [...asked.peers, ...this.#found] };
      await this.#nftBoth(renderTable(table));
    } catch (error) {
      this.#failure = { until: performance.now() + RETRY_MS, error };
      throw error;
    }
    this.#failure = undefined;
    this.#claims = noClaims();
    this.#loaded = { table, text: JSON.stringify(table), sets: setsOf(table) };
    return this.#follow(former, table, [`nft load table inet ${TABLE}`]);
  }

  /** Both tables in one transaction; this one alone where the kernel has no nftables for bridges. */
  async #nftBoth(table: string): Promise<void> {
    this.#unguarded = undefined;
    try {
      await this.#nft(`${table}${removeBridgeTable(TABLE)}${renderBridgeTable(TABLE)}`);
    } catch (error) {
      await this.#nft(table);
      this.#unguarded = error;
    }
  }

  async #heldPeers(): Promise<readonly string[]> {
    const found: string[] = [];
    for (const family of FAMILIES) {
      const held = await listSet(this.#netfilter(), { table: TABLE, set: `peers${family}` });
      found.push(...(held ?? []).flatMap(({ key }) => addressText(key) ?? []));
    }
    return found;
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

/** Whether two states differ in elements alone. */
function sameRules(one: TableState, other: TableState): boolean {
  return (["bridge", "vxlanPort", "controlPort"] as const).every((key) => one[key] === other[key]);
}

function allPortMaps(firewall: FirewallState): readonly PortMap[] {
  return FAMILIES.flatMap((family) => portMapsOf(firewall, family));
}
