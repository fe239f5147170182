// What is read off the status at the moment of a scrape, so that the daemon does no work for a scraper that never comes.
import { Counter, Gauge, type Registry } from "prom-client";

/** What the gauges show: of the status, so that both tell the same. */
export interface Figures {
  readonly connections: readonly { readonly state: string; readonly encrypted?: boolean | undefined }[];
  readonly peers: readonly { readonly reachable: boolean }[];
  readonly ipam: readonly {
    readonly size: number;
    readonly owned: number;
    readonly used: number;
    readonly owners: readonly { readonly reachable: boolean; readonly addresses: number }[];
  }[];
  readonly endpoints: readonly { readonly local: boolean }[];
  readonly problems: readonly { readonly code: string }[];
  /** What was brought back in the kernel, so many times. */
  readonly repairs?: readonly { readonly count: number }[] | undefined;
  readonly paths?: readonly { readonly verified?: "yes" | "no" | "unverified" | undefined }[] | undefined;
  readonly datapath: { readonly mtu: number; readonly settled: boolean };
  readonly version: string;
}

/** Each state has a value, also when it is 0, or an alert on it would never fire. */
const STATES = ["established", "connecting", "retrying"] as const;

/** A function that shows figures in a registry, in the place of those shown before. */
export function createGauges(registry: Registry): (figures: Figures) => void {
  const registers = [registry];
  const all: (Gauge | Counter)[] = [];
  const gauge = (name: string, help: string, ...labelNames: string[]): Gauge => {
    const made = new Gauge({ name, help, labelNames, registers });
    all.push(made);
    return made;
  };
  const connections = gauge(
    "weave_connections",
    "Connections and dial targets, by state",
    ...["state", "type", "encryption"],
  );
  const ips = gauge("weave_ips", "Addresses in use by containers and bridge of this host", "state");
  const maxIps = gauge("weave_max_ips", "Addresses in all ranges of the cluster");
  const ownedIps = gauge("weave_owned_ips", "Addresses this host may give out by itself, used ones included");
  const unreachable = gauge(
    "weave_ipam_unreachable_count",
    "Addresses owned by peers that cannot be reached",
  );
  const unreachablePercentage = gauge(
    "weave_ipam_unreachable_percentage",
    "Share of all addresses that is owned by peers that cannot be reached, in per cent",
  );
  const peers = gauge("weave_peers", "Peers of the cluster, this host included", "reachable");
  const endpoints = gauge("weave_endpoints", "Addresses in use in the cluster", "where");
  const problems = gauge("weave_problems", "Problems of weave status, by code", "code");
  const mtu = gauge("weave_mtu_bytes", "MTU of the overlay");
  const paths = gauge(
    "weave_paths",
    "Paths to other hosts, by whether they carry packets of full size",
    "verified",
  );
  const settled = gauge("weave_datapath_settled", "1 when the kernel holds what it should, else 0");
  const info = gauge("weave_build_info", "Always 1; what runs is in the labels", "version");
  const repairs = new Counter({
    name: "weave_datapath_repairs_total",
    help: "Objects of the kernel that were brought back after others changed them",
    registers,
  });
  all.push(repairs);

  return (figures) => {
    for (const one of all) one.reset(); // what is no more must not be shown as it was
    const { ipam, datapath } = figures;
    for (const state of STATES) {
      const those = figures.connections.filter((connection) => connection.state === state);
      const encrypted = those.filter((connection) => connection.encrypted === true).length;
      const labels = { state, type: "vxlan" } as const; // Weave Net's labels: there is one kind here
      if (encrypted > 0) connections.set({ ...labels, encryption: "yes" }, encrypted);
      if (encrypted === 0 || those.length > encrypted)
        connections.set({ ...labels, encryption: "" }, those.length - encrypted);
    }
    const size = total(ipam, (range) => range.size);
    const away = total(ipam, ({ owners }) =>
      total(owners, ({ reachable, addresses }) => (reachable ? 0 : addresses)),
    );
    ips.set(
      { state: "local-used" },
      total(ipam, ({ used }) => used),
    );
    maxIps.set(size);
    ownedIps.set(total(ipam, ({ owned }) => owned));
    unreachable.set(away);
    unreachablePercentage.set(size === 0 ? 0 : (100 * away) / size);
    const near = figures.peers.filter(({ reachable }) => reachable).length;
    peers.set({ reachable: "yes" }, near);
    peers.set({ reachable: "no" }, figures.peers.length - near);
    const local = figures.endpoints.filter((endpoint) => endpoint.local).length;
    endpoints.set({ where: "local" }, local);
    endpoints.set({ where: "remote" }, figures.endpoints.length - local);
    for (const { code } of figures.problems) problems.inc({ code });
    for (const verified of ["yes", "no", "unverified"] as const) {
      const those = (figures.paths ?? []).filter((path) => path.verified === verified);
      paths.set({ verified }, those.length);
    }
    mtu.set(datapath.mtu);
    settled.set(datapath.settled ? 1 : 0);
    info.set({ version: figures.version }, 1);
    repairs.inc(total(figures.repairs ?? [], ({ count }) => count));
  };
}

const total = <T>(list: readonly T[], of: (one: T) => number): number =>
  list.reduce((sum, one) => sum + of(one), 0);
