// A pod as kubelet runs it: a sandbox that gets the network, and a container that joins it. What is asked of a pod
// is asked in the container, with BusyBox.
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { hostIfname } from "../../../cni-plugin/host-ifname.ts";
import { BOX_IMAGE, WAIT } from "../images.ts";
import type { Containerd } from "./containerd.ts";

export interface PodWishes {
  readonly ports?: readonly PortMapping[];
  readonly annotations?: Readonly<Record<string, string>>;
  readonly dns?: { readonly servers: readonly string[]; readonly searches?: readonly string[] };
}

interface PortMapping {
  readonly protocol?: "TCP" | "UDP" | "SCTP";
  readonly container_port: number;
  readonly host_port: number;
  readonly host_ip?: string;
}

export interface Executed {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

export class Pod {
  readonly containerd: Containerd;
  readonly id: string;
  /** As PodSandboxStatus shows it. */
  readonly address: string;
  readonly #config: object;
  #container = "";

  private constructor(containerd: Containerd, id: string, address: string, config: object) {
    this.containerd = containerd;
    this.id = id;
    this.address = address;
    this.#config = config;
  }

  /** RunPodSandbox. */
  static async run(containerd: Containerd, wishes: PodWishes = {}): Promise<Pod> {
    const config = sandboxConfig(containerd, wishes);
    const { pod_sandbox_id: id } = await containerd.cri.call("RunPodSandbox", { config });
    const { status } = await containerd.cri.call("PodSandboxStatus", { pod_sandbox_id: id });
    return new Pod(containerd, id, status.network?.ip ?? "", config);
  }

  /** RunPodSandbox and a container in it, which does nothing unless given a command. */
  static async runWithContainer(
    containerd: Containerd,
    wishes: PodWishes = {},
    command: readonly string[] = WAIT,
  ): Promise<Pod> {
    const pod = await Pod.run(containerd, wishes);
    await pod.startContainer(command);
    return pod;
  }

  /** CreateContainer and StartContainer. */
  async startContainer(command: readonly string[] = WAIT): Promise<void> {
    const { cri } = this.containerd;
    const { container_id } = await cri.call("CreateContainer", {
      pod_sandbox_id: this.id,
      config: {
        metadata: { name: "main" },
        image: { image: BOX_IMAGE },
        command,
        labels: { "io.kubernetes.container.name": "main" },
        log_path: "main.log",
        linux: { security_context: { namespace_options: NAMESPACES } },
      },
      sandbox_config: this.#config,
    });
    await cri.call("StartContainer", { container_id });
    this.#container = container_id;
  }

  /** ExecSync: words separated by blanks, run in the container. */
  async exec(line: string): Promise<Executed> {
    const { stdout, stderr, exit_code } = await this.containerd.cri.call("ExecSync", {
      container_id: this.#container,
      cmd: line.split(" "),
      timeout: 20,
    });
    return { exit: exit_code, stdout: stdout.toString("utf8"), stderr: stderr.toString("utf8") };
  }

  async pings(address: string): Promise<boolean> {
    return (await this.exec(`ping -c 1 -W 1 ${address}`)).exit === 0;
  }

  /** Addresses of eth0 with their prefix, as the container sees them. */
  async addressesInside(): Promise<string[]> {
    const { stdout } = await this.exec("ip -4 address show dev eth0");
    return [...stdout.matchAll(/inet (\S+)/g)].map((match) => match[1] ?? "");
  }

  get hostIfname(): string {
    return hostIfname({ network: "weave", containerId: this.id, ifname: "eth0" });
  }

  async stop(): Promise<void> {
    await this.containerd.cri.call("StopPodSandbox", { pod_sandbox_id: this.id });
  }

  async remove(): Promise<void> {
    await this.containerd.cri.call("RemovePodSandbox", { pod_sandbox_id: this.id });
  }

  /** As kubelet ends a pod: it stops it at least once before it removes it. */
  async end(): Promise<void> {
    await this.stop();
    await this.stop();
    await this.remove();
  }
}

/** kubelet asks for one PID namespace per container. */
const NAMESPACES = { network: "POD", pid: "CONTAINER", ipc: "POD" };

function sandboxConfig({ machine }: Containerd, { ports = [], annotations = {}, dns }: PodWishes): object {
  const uid = randomUUID();
  const name = `pod-${uid.slice(0, 8)}`;
  return {
    metadata: { name, uid, namespace: "default", attempt: 0 },
    hostname: name,
    log_directory: join(machine.dir, "pod-logs", uid),
    // kubelet always gives a configuration, if only that of the host.
    dns_config: { servers: ["198.51.100.1"], searches: [], options: [], ...dns },
    port_mappings: ports,
    labels: { "io.kubernetes.pod.name": name, "io.kubernetes.pod.namespace": "default" },
    annotations,
    linux: {
      cgroup_parent: `/${machine.cgroup}`,
      security_context: { namespace_options: NAMESPACES },
    },
  };
}
