// A pod as CRI-O hands it to ocicni, and what becomes of it in CNI_ARGS and in capability arguments.
import { randomUUID } from "node:crypto";
import type { TestNamespace } from "../../kernel/support/namespaces.ts";

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

/** CNI_ARGS in this order; `inherited`: those of CRI-O's own environment. */
export function argsOf(
  { id, name, runtimeConfig }: PodNetwork,
  inherited: readonly (readonly [string, string])[],
): (readonly [string, string])[] {
  return [
    ["IgnoreUnknown", "1"],
    ["K8S_POD_NAMESPACE", "default"],
    ["K8S_POD_NAME", name],
    ["K8S_POD_INFRA_CONTAINER_ID", id],
    ["K8S_POD_UID", randomUUID()],
    ...inherited,
    ...pair("IP", runtimeConfig?.ip),
    ...pair("MAC", runtimeConfig?.mac),
  ];
}

function pair(key: string, value: string | undefined): (readonly [string, string])[] {
  return value === undefined ? [] : [[key, value]];
}

/** By capability, members in camelCase; nothing that was not asked for. */
export function capabilitiesOf({ runtimeConfig = {}, aliases }: PodNetwork): Record<string, unknown> {
  const { portMappings, bandwidth, cgroupPath, podAnnotations } = runtimeConfig;
  return {
    ...(portMappings === undefined || portMappings.length === 0 ? {} : { portMappings }),
    ...(bandwidth === undefined ? {} : { bandwidth }),
    ...(aliases === undefined ? {} : { aliases }),
    ...(cgroupPath === undefined ? {} : { cgroupPath }),
    ...(podAnnotations === undefined ? {} : { "io.kubernetes.cri.pod-annotations": podAnnotations }),
  };
}
