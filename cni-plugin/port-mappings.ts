// Ports of the host that lead to a container, from the two places where runtimes put them: runtimeConfig.portMappings
// (kubelet by way of containerd and CRI-O, podman) and args."org.apache.mesos".network_info.port_mappings (Mesos).
import { formatAddress, parseAddress } from "../src/core/address/cidr.ts";
import type { PublishedPort } from "../src/ports/attachments.ts";
import { CniCode, CniError, unsupported } from "./errors.ts";
import { field, integer, list, text } from "./fields.ts";

/** A range of ports is one mapping each; every one is an element or two in the kernel. */
const MOST = 4096;
const PROTOCOLS = ["tcp", "udp", "sctp"] as const;

/** The runtime's list; Mesos' where it gives none. Repetitions are one; a mapping without host port asks for nothing. */
export function parsePorts(args: unknown, runtimeConfig: unknown): readonly PublishedPort[] {
  const given = list("runtimeConfig.portMappings", field(runtimeConfig, "portMappings"));
  const ports =
    given.length > 0
      ? given.map((one, i) => parsePort(`runtimeConfig.portMappings[${i}]`, one, CAMEL_CASE))
      : mesosMappings(args).map((one, i) =>
          parsePort(`args.org.apache.mesos.network_info.port_mappings[${i}]`, one, SNAKE_CASE),
        );
  if (ports.length > MOST) {
    const message = `${ports.length} port mappings for one container: ${MOST} at most`;
    throw new CniError(CniCode.badConfig, message);
  }
  const unique = new Map(ports.flatMap((port) => (port === undefined ? [] : [[JSON.stringify(port), port]])));
  return [...unique.values()];
}

const mesosMappings = (args: unknown): readonly unknown[] =>
  list(
    "args.org.apache.mesos.network_info.port_mappings",
    field(field(field(args, "org.apache.mesos"), "network_info"), "port_mappings"),
  );

interface Names {
  readonly hostPort: string;
  readonly containerPort: string;
  readonly protocol: string;
  readonly hostAddress: string;
}

const CAMEL_CASE: Names = {
  hostPort: "hostPort",
  containerPort: "containerPort",
  protocol: "protocol",
  hostAddress: "hostIP",
};
const SNAKE_CASE: Names = {
  hostPort: "host_port",
  containerPort: "container_port",
  protocol: "protocol",
  hostAddress: "host_ip",
};

function parsePort(where: string, value: unknown, names: Names): PublishedPort | undefined {
  const hostPort = integer(`${where}.${names.hostPort}`, field(value, names.hostPort), 0, 65_535) ?? 0;
  if (hostPort === 0) return undefined;
  const containerPort =
    integer(`${where}.${names.containerPort}`, field(value, names.containerPort), 1, 65_535) ?? hostPort;
  const word = text(`${where}.${names.protocol}`, field(value, names.protocol)).toLowerCase() || "tcp";
  const protocol = PROTOCOLS.find((one) => one === word);
  if (protocol === undefined)
    throw new CniError(CniCode.badConfig, `${where}.${names.protocol}: "${word}" is not tcp, udp or sctp`);
  const key = `${where}.${names.hostAddress}`;
  const host = text(key, field(value, names.hostAddress));
  if (host === "") return { protocol, hostPort, containerPort };
  const parsed = parseAddress(host);
  if (parsed === undefined) throw new CniError(CniCode.badConfig, `${key}: "${host}" is not an IP address`);
  const hostAddress = formatAddress(parsed.family, parsed.value);
  // The kernel has no way to lead a packet from ::1 to another interface.
  if (hostAddress === "::1") throw unsupported(key, hostAddress);
  return { protocol, hostAddress, hostPort, containerPort };
}
