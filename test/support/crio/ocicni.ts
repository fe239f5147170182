// CRI-O and its library ocicni, as far as plugins can see them: which networks it loads and when it looks again, what
// it passes for a pod, CHECK for each pod's status, teardown from the cache, STATUS until the network is ready, and GC.
import { existsSync, type FSWatcher, watch } from "node:fs";
import { join } from "node:path";
import { isObject, type JsonObject, type TestNamespace } from "../../kernel/support/namespaces.ts";
import { type Attachment, Libcni, type Network, type PluginRun } from "../libcni/libcni.ts";
import { type LoadedNetwork, loadNetworks } from "./networks.ts";
import { argsOf, capabilitiesOf, type PodNetwork } from "./pod.ts";
import { ReadWriteLock } from "./read-write-lock.ts";

export interface CrioOptions {
  /** The node. */
  readonly namespace: TestNamespace;
  readonly confDir: string;
  readonly binDirs: readonly string[];
  /** Where results are cached; a restarted CRI-O has the same. */
  readonly cacheDir: string;
  /** CNI_ARGS of CRI-O's own environment, which goes to every plugin. */
  readonly cniArgs?: readonly (readonly [string, string])[];
}

export interface NetworkResult {
  readonly network: string;
  readonly ifname: string;
  readonly result: JsonObject;
}

export class Crio {
  readonly #options: CrioOptions;
  readonly #cni: Libcni;
  /** GC has the node to itself; operations of pods go side by side. */
  readonly #gcLock = new ReadWriteLock();
  readonly #watchers: FSWatcher[] = [];
  readonly #stopped = new AbortController();
  readonly #running = new Set<PodNetwork>();
  #networks: readonly LoadedNetwork[] = [];
  #sync: Promise<void> = Promise.resolve();

  private constructor(options: CrioOptions) {
    this.#options = options;
    this.#cni = new Libcni({
      netns: options.namespace.path,
      binDirs: options.binDirs,
      cacheDir: options.cacheDir,
    });
  }

  /** Looks at the directories and goes on watching them, until `stop`. */
  static async start(options: CrioOptions): Promise<Crio> {
    const crio = new Crio(options);
    for (const dir of [options.confDir, ...options.binDirs]) {
      crio.#watchers.push(watch(dir, (event, file) => crio.#noticed(event, dir, file)));
    }
    crio.#resync();
    await crio.#sync;
    return crio;
  }

  stop(): void {
    this.#stopped.abort();
    for (const watcher of this.#watchers) watcher.close();
  }

  /** Every plugin that was run. */
  get runs(): readonly PluginRun[] {
    return this.#cni.runs;
  }

  /** Name of the default network: of the first valid file. */
  get defaultNetwork(): string | undefined {
    return this.#networks[0]?.network.name;
  }

  /** Path of its file. */
  get defaultFile(): string | undefined {
    return this.#networks[0]?.file;
  }

  get networks(): readonly string[] {
    return this.#networks.map(({ network }) => network.name);
  }

  /** RunPodSandbox: loopback, one network after the other, then the pod's status. A failure tears down and rejects. */
  async runPod(pod: PodNetwork): Promise<readonly NetworkResult[]> {
    try {
      await this.setUp(pod);
      return await this.podStatus(pod);
    } catch (error) {
      await this.stopPod(pod);
      throw error;
    }
  }

  async setUp(pod: PodNetwork): Promise<void> {
    const attachments = this.#attachmentsOf(pod);
    this.#running.add(pod);
    await this.#gcLock.shared(async () => {
      await pod.netns.run("ip link set dev lo up");
      for (const { network, attachment } of attachments) {
        await this.#cni.add(this.#onDisk(network), attachment);
      }
    });
  }

  /** CHECK of each attachment from 0.4.0 on, and the cached result. */
  async podStatus(pod: PodNetwork): Promise<readonly NetworkResult[]> {
    const results: NetworkResult[] = [];
    for (const { network: name, attachment: given } of this.#attachmentsOf(pod)) {
      const { network, attachment } = this.#cni.cache.lookup(name, given) ?? {
        network: this.#onDisk(name),
        attachment: given,
      };
      if (network.cniVersion >= "0.4.0") await this.#cni.check(network, attachment);
      const result = this.#cni.cache.result(network, attachment);
      if (!isObject(result)) throw new Error(`no cached result of ${name} for ${pod.name}`);
      results.push({ network: name, ifname: attachment.ifname, result });
    }
    return results;
  }

  /** Configuration and arguments as they were at setup; of the disk when the cache has none. */
  async stopPod(pod: PodNetwork): Promise<void> {
    await this.#gcLock.shared(async () => {
      for (const { network: name, attachment: given } of this.#attachmentsOf(pod)) {
        const cached = this.#cni.cache.lookup(name, given);
        const network = cached?.network ?? this.#onDisk(name);
        await this.#cni.del(network, { ...(cached?.attachment ?? given), netns: given.netns });
      }
    });
    this.#running.delete(pod);
  }

  /** The pods that a test which failed has left. */
  async stopAll(): Promise<void> {
    for (const pod of this.#running) await this.stopPod(pod);
  }

  /** STATUS of the default network. */
  async status(): Promise<void> {
    const network = this.#networks[0]?.network;
    if (network === undefined)
      throw new Error("no CNI configuration file. Has your network provider started?");
    await this.#cni.status(network, this.#stopped.signal);
  }

  /** STATUS every 500 ms until it succeeds once. Answers the messages of the failures. */
  async ready(timeoutMs = 15_000): Promise<readonly string[]> {
    const failures: string[] = [];
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      try {
        await this.status();
        return failures;
      } catch (error) {
        failures.push(String(error));
        if (performance.now() > deadline) throw error;
        await new Promise((resolve) => setTimeout(resolve, 500));
      }
    }
  }

  /** What CRI-O does at its start, when it knows from its own files which pods there are. */
  async gc(pods: readonly PodNetwork[]): Promise<void> {
    await this.#gcLock.exclusive(async () => {
      const valid = pods.flatMap((pod) => this.#attachmentsOf(pod));
      const failures: unknown[] = [];
      for (const { network } of this.#networks) {
        const own = valid.filter(({ network: name }) => name === network.name);
        // A Go slice to which nothing was appended is null in JSON.
        const list = own.length === 0 ? null : own.map(({ attachment }) => attachment);
        await this.#cni.gc(network, list).catch((error: unknown) => failures.push(error));
      }
      if (failures.length > 0) throw new AggregateError(failures, failures.map(String).join("; "));
    });
  }

  /** Made, written and renamed files count; a removed one only if it was the default network's. */
  #noticed(event: string, dir: string, file: string | null): void {
    if (file === null) return;
    const path = join(dir, file);
    const removed = event === "rename" && !existsSync(path);
    if (!removed || path === this.#networks[0]?.file) this.#resync();
  }

  /** One after the other: an event during a look is followed by another look. */
  #resync(): void {
    this.#sync = this.#sync.then(async () => {
      if (!this.#stopped.signal.aborted)
        this.#networks = await loadNetworks(this.#options.confDir, this.#cni);
    });
  }

  #onDisk(name: string): Network {
    const found = this.#networks.find(({ network }) => network.name === name);
    if (found === undefined) throw new Error(`failed to find requested network name ${name}`);
    return found.network;
  }

  #attachmentsOf(pod: PodNetwork): { readonly network: string; readonly attachment: Attachment }[] {
    const names = pod.networks ?? [this.defaultNetwork ?? ""];
    return names.map((network, index) => ({
      network,
      attachment: {
        containerId: pod.id,
        // Left empty once nothing is pinned there.
        netns: existsSync(pod.netns.path) ? pod.netns.path : "",
        ifname: `eth${index}`,
        args: argsOf(pod, this.#options.cniArgs ?? []),
        capabilityArgs: capabilitiesOf(pod),
      },
    }));
  }
}
