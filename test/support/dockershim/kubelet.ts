// A kubelet before Kubernetes 1.24 with --network-plugin=cni, its dockershim, as far as plugins can see it: which file
// of the configuration directory it takes, what it passes for a pod, how it learns the pod's address, how it tears down.
//
// Teardown is with the configuration of the moment, not with that of setup, and without the pod's annotations.
import { readFileSync } from "node:fs";
import type { TestNamespace } from "../../kernel/support/namespaces.ts";
import { confFiles } from "../libcni/config.ts";
import { type Attachment, Libcni, type Network, type PluginRun, parseNetwork } from "../libcni/libcni.ts";
import { Sandbox } from "./sandbox.ts";

/** The newest version of the specification its library knows. */
const NEWEST = "0.4.0";

export interface KubeletOptions {
  /** The node. */
  readonly namespace: TestNamespace;
  /** --cni-conf-dir */
  readonly confDir: string;
  /** --cni-bin-dir, comma-separated there. `loopback` must be in one of them. */
  readonly binDirs: readonly string[];
  /** For the library's cache of results; never read for a teardown's configuration. */
  readonly cacheDir: string;
  /** Kubelets before 1.10 put annotations into CNI_ARGS, each as a pair. */
  readonly annotationsAsArgs?: boolean;
}

export interface PodSpec {
  readonly name: string;
  /** The pod's network namespace; whoever made it removes it. */
  readonly namespace: TestNamespace;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ports?: readonly {
    readonly containerPort: number;
    readonly hostPort?: number;
    readonly protocol?: "TCP" | "UDP" | "SCTP";
    readonly hostIP?: string;
  }[];
}

export interface Pod {
  readonly spec: PodSpec;
  readonly sandbox: Sandbox;
  /** As kubelet reports it: of eth0, IPv4 before IPv6. */
  readonly ip: string;
}

export class Kubelet {
  readonly #options: KubeletOptions;
  readonly #cni: Libcni;
  readonly #running = new Set<Pod>();
  #network: Network | undefined;

  constructor(options: KubeletOptions) {
    this.#options = options;
    this.#cni = new Libcni({
      netns: options.namespace.path,
      binDirs: options.binDirs,
      cacheDir: options.cacheDir,
    });
  }

  /** Every plugin that was run. */
  get runs(): readonly PluginRun[] {
    return this.#cni.runs;
  }

  /** What kubelet asks every 5 s: looks for the configuration anew, and keeps the last one when there is none. */
  async status(): Promise<Network> {
    this.#network = (await this.#firstValid()) ?? this.#network;
    if (this.#network === undefined) throw new Error("cni config uninitialized");
    return this.#network;
  }

  /** A pod's sandbox with its network. A failure tears down, ends the sandbox and rejects. */
  async runPod(spec: PodSpec): Promise<Pod> {
    const network = this.#network ?? (await this.status());
    const sandbox = await Sandbox.start(spec.namespace);
    try {
      await this.#cni.add(LOOPBACK, { ...this.#attachment(spec, sandbox, spec.annotations), ifname: "lo" });
      await this.#cni.add(network, this.#attachment(spec, sandbox, spec.annotations));
      const pod = { spec, sandbox, ip: await podAddress(sandbox) };
      this.#running.add(pod);
      return pod;
    } catch (error) {
      await this.#tearDown(spec, sandbox);
      await sandbox.die();
      throw error;
    }
  }

  /** StopPodSandbox: network first, then the process. Kubelet calls it again until it succeeds. */
  async stopPod(pod: Pod): Promise<void> {
    await this.#tearDown(pod.spec, pod.sandbox);
    await pod.sandbox.die();
    this.#running.delete(pod);
  }

  /** The pods that a test which failed has left. */
  async stopAll(): Promise<void> {
    for (const pod of this.#running) await this.stopPod(pod);
  }

  async #tearDown(spec: PodSpec, sandbox: Sandbox): Promise<void> {
    const network = this.#network ?? (await this.status());
    try {
      await this.#cni.del(network, this.#attachment(spec, sandbox, {}));
    } catch (error) {
      if (!String(error).includes("no such file or directory")) throw error;
    }
  }

  /** Sorted, the first that loads and whose plugins speak its version; the others are passed over. */
  async #firstValid(): Promise<Network | undefined> {
    for (const file of confFiles(this.#options.confDir, [".conf", ".conflist", ".json"])) {
      try {
        const text = readFileSync(file, "utf8");
        const isList = "plugins" in JSON.parse(text);
        if (isList !== file.endsWith(".conflist")) continue;
        const network = parseNetwork(text, NEWEST);
        if (network.cniVersion > NEWEST) continue;
        await this.#cni.validate(network);
        return network;
      } catch {
        // Logged and passed over there.
      }
    }
    return undefined;
  }

  #attachment(spec: PodSpec, sandbox: Sandbox, annotations: PodSpec["annotations"]): Attachment {
    const bandwidth = bandwidthOf(annotations ?? {});
    const extra = this.#options.annotationsAsArgs === true ? Object.entries(annotations ?? {}) : [];
    return {
      containerId: sandbox.id,
      netns: sandbox.netns ?? "",
      ifname: "eth0",
      args: [
        ["IgnoreUnknown", "1"],
        ["K8S_POD_NAMESPACE", "default"],
        ["K8S_POD_NAME", spec.name],
        ["K8S_POD_INFRA_CONTAINER_ID", sandbox.id],
        ...extra,
      ],
      capabilityArgs: {
        // Always, be it an empty list; hostIP always, be it empty.
        portMappings: (spec.ports ?? []).flatMap(({ hostPort, containerPort, protocol, hostIP }) =>
          hostPort === undefined
            ? []
            : [
                {
                  hostPort,
                  containerPort,
                  protocol: (protocol ?? "TCP").toLowerCase(),
                  hostIP: hostIP ?? "",
                },
              ],
        ),
        ...(bandwidth === undefined ? {} : { bandwidth }),
      },
    };
  }
}

/** Compiled into kubelet. */
const LOOPBACK = parseNetwork({
  cniVersion: "0.2.0",
  name: "cni-loopback",
  plugins: [{ type: "loopback" }],
});

/** math.MaxInt32: kubelet has no annotation for bursts, and means no limit. */
const NO_LIMIT = 2_147_483_647;

function bandwidthOf(annotations: Readonly<Record<string, string>>): object | undefined {
  const rate = (direction: string): number | undefined => {
    const text = annotations[`kubernetes.io/${direction}-bandwidth`];
    return text === undefined ? undefined : quantity(text);
  };
  const [ingress, egress] = [rate("ingress"), rate("egress")];
  if (ingress === undefined && egress === undefined) return undefined;
  return {
    ...(ingress === undefined ? {} : { ingressRate: ingress, ingressBurst: NO_LIMIT }),
    ...(egress === undefined ? {} : { egressRate: egress, egressBurst: NO_LIMIT }),
  };
}

/** A Kubernetes quantity of bits per second, as far as bandwidths use them. */
function quantity(text: string): number {
  const [, number, suffix] = /^(\d+)(k|M|G|Ki|Mi|Gi)?$/.exec(text) ?? [];
  const factors: Record<string, number> = {
    ...{ k: 1e3, M: 1e6, G: 1e9 },
    ...{ Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30 },
  };
  if (number === undefined) throw new Error(`not a quantity: ${text}`);
  return Number(number) * (suffix === undefined ? 1 : (factors[suffix] ?? 1));
}

/** kubelet asks the namespace, not the result: an address of eth0 with global scope. */
async function podAddress({ namespace }: Sandbox): Promise<string> {
  for (const family of ["-4", "-6"]) {
    const line =
      (await namespace.run(`ip -o ${family} addr show dev eth0 scope global`)).split("\n")[0] ?? "";
    const address = /inet6? ([^/ ]+)\//.exec(line)?.[1];
    if (address !== undefined) return address;
  }
  throw new Error("eth0 has no address of global scope");
}
