// What runtimes link against, small: loads a network, runs its chain of plugins, remembers results on disk. It behaves
// as the Go library does where a plugin can notice, and is no plugin's judge: tests look at what it returns.
//
//   const cni = new Libcni({ netns: host.namespace.path, binDirs: [host.cniBinDir, "/usr/lib/cni"], cacheDir });
//   const network = loadNetwork(host.cniConfDir, "weave");            // or parseNetwork({...})
//   const pod = { containerId, netns, ifname: "eth0", args: [["IgnoreUnknown", "1"]], capabilityArgs: {} };
//   const result = await cni.add(network, pod);                       // throws PluginFailure
//   await cni.check(network, pod); await cni.del(network, pod);
//   await cni.status(network); await cni.gc(network, [pod]); await cni.validate(network);
//
// Plugins run in the network namespace `netns` with the environment `env` and the six variables. Every run is kept in
// `runs`, in order, with its stdin. An AbortSignal kills the running plugin with SIGKILL, as a Go context does. What a
// runtime does beyond this (containerd's capitals: `capitalised`) is for the caller.
import { randomUUID } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isObject, type JsonObject } from "../../kernel/support/namespaces.ts";
import { ResultCache } from "./cache.ts";
import { NEWEST, type Network, type PluginConfig } from "./config.ts";
import { convertResult } from "./convert.ts";
import { type Attachment, type PluginCommand, type PluginRun, runPlugin } from "./exec.ts";
import { goJson } from "./json.ts";
import { isAtLeast } from "./version.ts";

export { loadNetwork, type Network, parseNetwork } from "./config.ts";
export type { Attachment, PluginRun } from "./exec.ts";
export { PluginFailure } from "./exec.ts";
export { capitalised } from "./json.ts";

export interface LibcniOptions {
  /** Path of the network namespace in which the runtime lives. */
  readonly netns: string;
  /** CNI_PATH. */
  readonly binDirs: readonly string[];
  /** The directory that holds `results`; by default one of this instance's own. */
  readonly cacheDir?: string;
  /** The runtime's environment; by default a PATH alone. */
  readonly env?: Readonly<Record<string, string>>;
}

/** What an attachment is called by those who list the living ones. */
export type AttachmentName = Pick<Attachment, "containerId" | "ifname">;

export class Libcni {
  readonly cache: ResultCache;
  /** Every plugin that was run, oldest first. */
  readonly runs: PluginRun[] = [];
  readonly #options: LibcniOptions;

  constructor(options: LibcniOptions) {
    this.#options = options;
    this.cache = new ResultCache(options.cacheDir ?? join(tmpdir(), `libcni-${randomUUID()}`));
  }

  /**
   * ADD of every plugin in order, each with the result of the one before. Stops at the first failure and does **not**
   * DEL: that is the runtime's duty. Answers the last result, in the network's version.
   */
  async add(network: Network, attachment: Attachment, signal?: AbortSignal): Promise<JsonObject> {
    let result: JsonObject | undefined;
    for (const plugin of network.plugins) {
      const stdin = this.#configFor(network, plugin, { attachment, prevResult: result });
      const run = await this.#run("ADD", plugin, stdin, attachment, signal);
      result = convertResult(parseResult(run, network.cniVersion), network.cniVersion);
    }
    if (result === undefined) throw new Error(`network ${network.name} has no plugins`);
    this.cache.write(network, attachment, result);
    return result;
  }

  /** In reverse order, with the cached result from 0.4.0 on; stops at the first failure, and keeps the cache then. */
  async del(network: Network, attachment: Attachment, signal?: AbortSignal): Promise<void> {
    const prevResult = isAtLeast(network.cniVersion, "0.4.0")
      ? this.#cachedForDel(network, attachment)
      : undefined;
    for (const plugin of network.plugins.toReversed()) {
      const stdin = this.#configFor(network, plugin, { attachment, prevResult });
      await this.#run("DEL", plugin, stdin, attachment, signal);
    }
    this.cache.remove(network.name, attachment);
  }

  /** From 0.4.0 on, in order, with the cached result; nothing at all where the network has `disableCheck`. */
  async check(network: Network, attachment: Attachment, signal?: AbortSignal): Promise<void> {
    if (!isAtLeast(network.cniVersion, "0.4.0")) {
      throw new Error(`configuration version "${network.cniVersion}" does not support CHECK command`);
    }
    if (network.disableCheck) return;
    const prevResult = this.cache.result(network, attachment);
    if (prevResult === undefined) throw new Error(`network ${network.name}: no cached result`);
    for (const plugin of network.plugins) {
      const stdin = this.#configFor(network, plugin, { attachment, prevResult });
      await this.#run("CHECK", plugin, stdin, attachment, signal);
    }
  }

  /** Nothing below 1.1.0; else in order, and the first failure as the plugin gave it. */
  async status(network: Network, signal?: AbortSignal): Promise<void> {
    if (!isAtLeast(network.cniVersion, "1.1.0")) return;
    for (const plugin of network.plugins) {
      await this.#run("STATUS", plugin, this.#configFor(network, plugin, {}), undefined, signal);
    }
  }

  /**
   * Nothing below 1.1.0 or with `disableGC`. First DEL for every cached attachment of this network that is not in
   * `valid`, then GC of every plugin with the list under both names it has had; null is what a Go runtime with no
   * attachment sends. Goes on after failures and throws them together.
   */
  async gc(network: Network, valid: readonly AttachmentName[] | null, signal?: AbortSignal): Promise<void> {
    if (!isAtLeast(network.cniVersion, "1.1.0") || network.disableGC) return;
    const failures: unknown[] = [];
    const attempt = async (work: Promise<unknown>): Promise<void> => {
      await work.catch((error: unknown) => failures.push(error));
    };
    const isValid = (one: AttachmentName): boolean =>
      (valid ?? []).some(
        ({ containerId, ifname }) => containerId === one.containerId && ifname === one.ifname,
      );
    for (const cached of this.cache.attachments(network.name)) {
      if (!isValid(cached)) await attempt(this.del(network, cached, signal));
    }
    const list = valid?.map(({ containerId, ifname }) => ({ containerID: containerId, ifname })) ?? null;
    const keys = { "cni.dev/attachments": list, "cni.dev/valid-attachments": list };
    for (const plugin of network.plugins) {
      const stdin = goJson({ ...JSON.parse(this.#configFor(network, plugin, {})), ...keys });
      await attempt(this.#run("GC", plugin, stdin, undefined, signal));
    }
    if (failures.length > 0) throw new AggregateError(failures, failures.map(String).join("; "));
  }

  /** What a plugin says it speaks. */
  async versions(type: string): Promise<readonly string[]> {
    const dummy = { containerId: "", netns: "dummy", ifname: "dummy" };
    const stdin = goJson({ cniVersion: NEWEST });
    const { json } = await this.#run("VERSION", { type }, stdin, dummy);
    const versions = json["supportedVersions"];
    return Array.isArray(versions) ? versions.map(String) : ["0.1.0", "0.2.0"];
  }

  /** Throws unless every plugin of the network speaks exactly its version. */
  async validate(network: Network): Promise<void> {
    for (const { type } of network.plugins) {
      const spoken = await this.versions(type);
      if (!spoken.includes(network.cniVersion)) {
        throw new Error(`plugin ${type} does not support config version "${network.cniVersion}"`);
      }
    }
  }

  #cachedForDel(network: Network, attachment: Attachment): JsonObject | undefined {
    try {
      return this.cache.result(network, attachment);
    } catch {
      this.cache.remove(network.name, attachment); // unreadable: DEL goes on without it
      return undefined;
    }
  }

  /** The plugin's own configuration with what the library puts into it. `capabilities` stays, as it does there. */
  #configFor(
    network: Network,
    plugin: PluginConfig,
    { attachment, prevResult }: { attachment?: Attachment; prevResult?: JsonObject | undefined },
  ): string {
    const runtimeConfig = declared(plugin, attachment?.capabilityArgs ?? {});
    return goJson({
      ...plugin,
      name: network.name,
      cniVersion: network.cniVersion,
      ...(prevResult === undefined ? {} : { prevResult }),
      ...(Object.keys(runtimeConfig).length === 0 ? {} : { runtimeConfig }),
    });
  }

  async #run(
    command: PluginCommand,
    plugin: { readonly type: string },
    stdin: string,
    attachment?: Attachment,
    signal?: AbortSignal,
  ): Promise<PluginRun> {
    const { netns, binDirs, env } = this.#options;
    return runPlugin(
      { command, type: plugin.type, stdin, ...(attachment === undefined ? {} : { attachment }) },
      { netns, binDirs, ...(env === undefined ? {} : { env }) },
      (run) => this.runs.push(run),
      signal,
    );
  }
}

/** Of what the runtime offers, that which the plugin's entry declares `true`. */
function declared(plugin: PluginConfig, offered: Readonly<Record<string, unknown>>): JsonObject {
  const capabilities = isObject(plugin["capabilities"]) ? plugin["capabilities"] : {};
  return Object.fromEntries(Object.entries(offered).filter(([name]) => capabilities[name] === true));
}

/** A result without a version is taken to be in the configuration's. */
function parseResult({ json, type }: PluginRun, version: string): JsonObject {
  if (Object.keys(json).length === 0) throw new Error(`plugin ${type} answered ADD without a result`);
  return { ...json, cniVersion: json["cniVersion"] || version || "0.1.0" };
}
