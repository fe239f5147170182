// What one node is told at its construction: by the operator, the disk and the host, joined in src/daemon/config.ts.
import type { Universe } from "./address/universe.ts";

/** Constant for the life of a Node. A host that begins anew gets another Node with another one. */
export interface NodeConfig {
  readonly name: string;
  readonly nickname: string;
  readonly software: string;
  /** Random per process start. */
  readonly uid: string;
  readonly universes: readonly Universe[];
  /** CIDR; allocations without a wish come from here. One per universe. */
  readonly defaultSubnets: readonly string[];
  /** Random per data directory: tells a peer from one of the same name whose disk was lost. */
  readonly incarnation: string;
  /** How a cluster is founded where none is stored or heard of. */
  readonly init: Init;
  /** Join this cluster (`weave reset --join`), and another one only when it is not found in time. */
  readonly expect?: string;
  /** Given on the command line: they replace the stored ones. */
  readonly targets?: readonly string[];
  /** The command that makes this host the founder, with all options it was launched with. */
  readonly foundCommand: string;
  readonly port: number;
  /** Dial the peers gossip tells of, too. Absent: only targets. */
  readonly discovery?: boolean;
  /** `--conn-limit`; absent: DEFAULT_CONN_LIMIT. */
  readonly connLimit?: number;
  readonly vni: number;
  readonly vxlanPort: number;
  readonly bridgeName: string;
  readonly vxlanName: string;
  /** `pinned`: chosen by the operator, never replaced by what a connection shows. */
  readonly underlay: { readonly address: string; readonly pinned: boolean };
  /** What the underlay leaves for containers. */
  readonly mtu: number;
}

/** `--ipalloc-init`. `expected`: hosts that stand for election, counted from the targets where absent. */
export type Init =
  | { readonly kind: "consensus"; readonly expected?: number }
  | { readonly kind: "seed"; readonly names: readonly string[] }
  | { readonly kind: "observer" };
