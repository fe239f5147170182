// What a framework asks for and what the agent reports: NetworkInfo of Mesos's protocol, in the JSON form the agent
// writes into a network's configuration. And how Marathon fills it from a service definition.

/** `NetworkInfo` of mesos.proto, members in snake_case as JSON::protobuf writes them. */
export interface NetworkInfo {
  /** A network info without a name asks for no CNI network; the isolator passes over it. */
  readonly name?: string;
  readonly ip_addresses?: readonly { readonly protocol?: "IPv4" | "IPv6"; readonly ip_address?: string }[];
  readonly groups?: readonly string[];
  readonly labels?: { readonly labels: readonly { readonly key: string; readonly value?: string }[] };
  readonly port_mappings?: readonly PortMapping[];
}

export interface PortMapping {
  readonly host_port: number;
  readonly container_port: number;
  /** Absent: tcp. */
  readonly protocol?: string;
}

/** The part of a Marathon service definition that says how its tasks are connected. */
export interface Service {
  /** Older Marathon and the DC/OS documents. */
  readonly ipAddress?: {
    readonly networkName: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  /** Marathon from 1.5 on. */
  readonly networks?: readonly {
    readonly mode: "container" | "container/bridge" | "host";
    readonly name?: string;
    readonly labels?: Readonly<Record<string, string>>;
  }[];
  readonly container?: {
    readonly portMappings?: readonly {
      readonly containerPort: number;
      /** Absent: the port is not mapped to the host. */
      readonly hostPort?: number;
      /** "tcp", "udp" or "udp,tcp". */
      readonly protocol?: string;
    }[];
  };
}

/** The NetworkInfos of one task. Port mappings go with the first network. */
export function networksOf(service: Service): readonly NetworkInfo[] {
  const wanted = [
    ...(service.ipAddress === undefined
      ? []
      : [{ name: service.ipAddress.networkName, labels: service.ipAddress.labels }]),
    ...(service.networks ?? []).filter(({ mode }) => mode === "container"),
  ];
  const ports = (service.container?.portMappings ?? []).flatMap(({ containerPort, hostPort, protocol }) =>
    hostPort === undefined
      ? []
      : (protocol ?? "tcp")
          .split(",")
          .map((one) => ({ host_port: hostPort, container_port: containerPort, protocol: one })),
  );
  return wanted.map(({ name, labels }, index) => ({
    ...(name === undefined ? {} : { name }),
    ...(labels === undefined
      ? {}
      : { labels: { labels: Object.entries(labels).map(([key, value]) => ({ key, value })) } }),
    ...(index === 0 && ports.length > 0 ? { port_mappings: ports } : {}),
  }));
}
