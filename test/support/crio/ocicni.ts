// CRI-O and its library ocicni, as far as plugins can see them: which networks it loads and when it looks again, what
// it passes for a pod, CHECK for each pod's status, teardown from the cache, STATUS until the network is ready, and GC.
import { randomUUID } from "node:crypto";
import { existsSync, type FSWatcher, readFileSync, watch } from "node:fs";
import { join } from "node:path";
import { isObject, type JsonObject, type TestNamespace } from "../../kernel/support/namespaces.ts";
import { confFiles } from "../libcni/config.ts";
import { type Attachment, Libcni, type Network, type PluginRun, parseNetwork } from "../libcni/libcni.ts";
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

export interface PodNetwork {
  readonly id: string;
  readonly name: string;
  /** At /var/run/netns/UUID there, made and pinned by CRI-O. */
  readonly netns: TestNamespace;
  /** Of networks; none: the default network. */
  readonly networks?: readonly string[];
  readonly runtimeConfig?: RuntimeConfig;
  /** Network name to aliases: an object where other runtimes send a list. */
  readonly aliases?: Readonly<Record<string, readonly string[]>>;
}

export interface RuntimeConfig {
  readonly ip?: string;
  readonly mac?: string;
  readonly portMappings?: readonly {
    readonly hostPort: number;
    readonly containerPort: number;
    readonly protocol: "tcp" | "udp" | "sctp";
    readonly hostIP: string;
  }[];
  /** Bits per second, bits. */
  readonly bandwidth?: {
    readonly ingressRate: number;
    readonly ingressBurst: number;
    readonly egressRate: number;
    readonly egressBurst: number;
  };
  readonly cgroupPath?: string;
  readonly podAnnotations?: Readonly<Record<string, string>>;
}

export interface NetworkResult {
  readonly network: string;
  readonly ifname: string;
  readonly result: JsonObject;
}

interface Loaded {
  readonly file: string;
  readonly network: Network;
}

export class Crio {
  readonly #options: CrioOptions;
  readonly #cni: Libcni;
  /** GC has the node to itself; operations of pods go side by side. */
  readonly #gcLock = new ReadWriteLock();
  readonly #watchers: FSWatcher[] = [];
  readonly #stopped = new AbortController();
  readonly #running = new Set<PodNetwork>();
  #networks: readonly Loaded[] = [];
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
        await this.#cni
          .gc(
            network,
            own.map(({ attachment }) => attachment),
          )
          .catch((error: unknown) => failures.push(error));
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
      if (!this.#stopped.signal.aborted) this.#networks = await this.#load();
    });
  }

  /** Sorted; only networks whose every plugin speaks their version; of one name the first. */
  async #load(): Promise<readonly Loaded[]> {
    const loaded: Loaded[] = [];
    for (const file of confFiles(this.#options.confDir, [".conf", ".conflist", ".json"])) {
      try {
        const text = readFileSync(file, "utf8");
        const isList = "plugins" in JSON.parse(text);
        if (isList !== file.endsWith(".conflist")) continue;
        const network = parseNetwork(text);
        await this.#cni.validate(network);
        if (loaded.every((other) => other.network.name !== network.name)) loaded.push({ file, network });
      } catch {
        // Logged and passed over there.
      }
    }
    return loaded;
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
        args: this.#argsOf(pod),
        capabilityArgs: capabilitiesOf(pod),
      },
    }));
  }

  /** In this order. */
  #argsOf({ id, name, runtimeConfig }: PodNetwork): (readonly [string, string])[] {
    return [
      ["IgnoreUnknown", "1"],
      ["K8S_POD_NAMESPACE", "default"],
      ["K8S_POD_NAME", name],
      ["K8S_POD_INFRA_CONTAINER_ID", id],
      ["K8S_POD_UID", randomUUID()],
      ...(this.#options.cniArgs ?? []),
      ...pair("IP", runtimeConfig?.ip),
      ...pair("MAC", runtimeConfig?.mac),
    ];
  }
}

function pair(key: string, value: string | undefined): (readonly [string, string])[] {
  return value === undefined ? [] : [[key, value]];
}

function capabilitiesOf({ runtimeConfig = {}, aliases }: PodNetwork): Record<string, unknown> {
  const { portMappings, bandwidth, cgroupPath, podAnnotations } = runtimeConfig;
  return {
    ...(portMappings === undefined || portMappings.length === 0 ? {} : { portMappings }),
    ...(bandwidth === undefined ? {} : { bandwidth }),
    ...(aliases === undefined ? {} : { aliases }),
    ...(cgroupPath === undefined ? {} : { cgroupPath }),
    ...(podAnnotations === undefined ? {} : { "io.kubernetes.cri.pod-annotations": podAnnotations }),
  };
}
