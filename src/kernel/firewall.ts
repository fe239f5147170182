// Brings the table `inet weave` into the kernel: the whole text in one `nft -f` transaction when it changed, and the
// elements of the masquerade sets over nfnetlink, which starts no process.
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Cidr, formatCidr } from "../core/address/cidr.ts";
import type { FirewallState } from "../core/datapath/state.ts";
import { WeaveError } from "../core/errors.ts";
import type { Host } from "./host.ts";
import { blocks, MASQUERADE_SETS, renderTable, TABLE } from "./nftables.ts";
import { errnoOf } from "./rtnetlink/errors.ts";
import { changeSet, listSet } from "./rtnetlink/nft-set.ts";
import { NETLINK_NETFILTER, NetlinkSocket } from "./rtnetlink/socket.ts";

/** After a failed load the next is not tried sooner, or every ADD on a host without nft would start a process. */
const RETRY_MS = 10_000;
/** A load takes 20 ms; one that takes this long hangs. */
const LOAD_TIMEOUT_MS = 20_000;
const FAMILIES = [4, 6] as const;

export class Firewall {
  readonly #host: Host;
  readonly #directory: string;
  #socket: NetlinkSocket | undefined;
  /** Text of the loaded table without masquerade elements; undefined when the kernel may hold anything. */
  #loaded: string | undefined;
  #masquerade: FirewallState["masquerade"] = [];
  #failure: { readonly until: number; readonly error: unknown } | undefined;

  /** `directory` is where the text lies for the moment nft reads it. */
  constructor(host: Host, directory: string) {
    this.#host = host;
    this.#directory = directory;
  }

  /** Bring table and sets to `firewall`; returns what was changed. */
  async ensure(firewall: FirewallState, bridge: string): Promise<string[]> {
    const rules = renderTable({ ...firewall, masquerade: [] }, bridge);
    if (rules !== this.#loaded) return this.#load(rules, firewall, bridge);
    const changes: string[] = [];
    for (const family of FAMILIES) {
      const wanted = blocks(firewall.masquerade, family);
      const held = blocks(this.#masquerade, family);
      const add = without(wanted, held);
      const remove = without(held, wanted);
      if (add.length + remove.length === 0) continue;
      try {
        await changeSet(this.#netfilter(), { table: TABLE, set: MASQUERADE_SETS[family] }, add, remove);
      } catch (error) {
        this.#loaded = undefined;
        // Somebody flushed the ruleset: load it all again rather than report what one command repairs.
        if (errnoOf(error) === "ENOENT") return this.#load(rules, firewall, bridge);
        throw error;
      }
      changes.push(
        ...remove.map((cidr) => `nft masquerade del ${formatCidr(cidr)}`),
        ...add.map((cidr) => `nft masquerade add ${formatCidr(cidr)}`),
      );
    }
    this.#masquerade = firewall.masquerade;
    return changes;
  }

  /** Look whether the table is still as we left it; when it is not, the next ensure loads it again. */
  async verify(): Promise<void> {
    if (this.#loaded === undefined) return;
    for (const family of FAMILIES) {
      const held = await listSet(this.#netfilter(), { table: TABLE, set: MASQUERADE_SETS[family] });
      const wanted = blocks(this.#masquerade, family);
      const digits = family === 4 ? 8 : 32;
      const same = wanted.every((cidr) => held?.has(cidr.value.toString(16).padStart(digits, "0")));
      if (held === undefined || !same) this.#loaded = undefined;
    }
  }

  async close(): Promise<void> {
    await this.#socket?.close();
  }

  async #load(rules: string, firewall: FirewallState, bridge: string): Promise<string[]> {
    if (this.#failure !== undefined && performance.now() < this.#failure.until) throw this.#failure.error;
    try {
      await this.#nft(renderTable(firewall, bridge));
    } catch (error) {
      this.#failure = { until: performance.now() + RETRY_MS, error };
      throw error;
    }
    this.#failure = undefined;
    this.#loaded = rules;
    this.#masquerade = firewall.masquerade;
    return [`nft load table inet ${TABLE}`];
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

/** Blocks of `a` that `b` has not, both disjoint and cleared of host bits. */
function without(a: readonly Cidr[], b: readonly Cidr[]): readonly Cidr[] {
  const held = new Set(b.map(formatCidr));
  return a.filter((cidr) => !held.has(formatCidr(cidr)));
}
