// What the kernel should hold, as plain data. The core states the whole of it; src/kernel observes, diffs, adds before
// it deletes. Nothing here says how.

/** The whole desired datapath of one host. Asking for the same state twice is free. */
export interface DatapathState {
  readonly bridge: BridgeState;
  readonly vxlan: VxlanState;
  /** Host ends of this host's containers: ports of the bridge, wherever they were found. Made and removed by attach and detach. */
  readonly ports: readonly PortState[];
  /** Underlay addresses that get a copy of broadcast and unknown frames: one per other peer, sorted, no duplicates. */
  readonly flood: readonly string[];
  /** MAC -> VTEP of every remote endpoint. Becomes two FDB entries each: `self dst` on the device, `master static sticky` on the bridge. */
  readonly forwarding: readonly ForwardingEntry[];
  /** Permanent neighbour entries on the bridge, for every endpoint local or remote, except the bridge's own addresses. */
  readonly neighbours: readonly NeighbourEntry[];
  /**
   * Addresses of other hosts' endpoints that no subnet of the bridge leads to, without prefix: what containers here send
   * to them by way of their gateway goes on over the bridge. What the host itself sends does not.
   */
  readonly routes: readonly string[];
  readonly firewall: FirewallState;
  /** False until gossip has fully synced once after a start: entries the kernel holds beyond this state are then kept. */
  readonly prune: boolean;
}

export interface PortState {
  readonly name: string;
  readonly hairpin: boolean;
  /** What its container sends from; frames to it go out of this port, whoever else uses it. Absent: not known. */
  readonly mac?: string;
  /** The container's, without prefix: no other port may announce them. */
  readonly addresses: readonly string[];
}

export interface BridgeState {
  readonly name: string;
  /** Fixed, derived from the peer name (a bridge without a set MAC takes that of its lowest port). */
  readonly mac: string;
  readonly mtu: number;
  /** Exposed addresses with prefix, "10.32.0.1/12". Addresses of other tools on the bridge are left alone. */
  readonly addresses: readonly string[];
}

export interface VxlanState {
  readonly name: string;
  readonly vni: number;
  /** UDP port, the same on all peers. */
  readonly port: number;
  /** Source address of outer packets. */
  readonly local: string;
}

export interface ForwardingEntry {
  readonly mac: string;
  readonly vtep: string;
}

export interface NeighbourEntry {
  /** Without prefix. */
  readonly address: string;
  readonly mac: string;
}

export interface FirewallState {
  /** Every universe, as CIDR: what counts as "inside the overlay". */
  readonly overlay: readonly string[];
  /** Sources whose packets leaving the overlay are masqueraded, and destinations for which traffic from outside is. CIDR. */
  readonly masquerade: readonly string[];
  /** Subnets, also inside those of `masquerade`, from and to which nothing is masqueraded. CIDR. */
  readonly exempt: readonly string[];
  readonly portMaps: readonly PortMap[];
  /** TCP port of this host's daemon: no container reaches it, nor goes out of the overlay to it, on whatever host. */
  readonly controlPort: number;
  /** Where daemons of other peers listen at another port. No container goes there by way of this host. */
  readonly controls: readonly ControlPort[];
}

/** Where a peer's daemon listens. */
export interface ControlPort {
  /** Of the underlay, without prefix. */
  readonly address: string;
  readonly port: number;
}

/** What arrives at a port of this host goes to a container here. No two share protocol, host address and port. */
export interface PortMap {
  readonly protocol: "tcp" | "udp" | "sctp";
  /** One address of the host; absent: any of it, of the family of `address`. */
  readonly hostAddress?: string;
  readonly hostPort: number;
  /** The container's, without prefix. */
  readonly address: string;
  readonly port: number;
}
