// One container interface on the overlay, as those who ask for it see it.
import type { BootMoment } from "../boot-moment.ts";

/** An attachment's identity, as in the CNI specification. */
export interface AttachmentKey {
  readonly network: string;
  readonly containerId: string;
  readonly ifname: string;
}

export interface Attachment extends AttachmentKey, AttachmentTerms {
  /** With the subnet's prefix: "10.32.0.5/12". */
  readonly addresses: readonly string[];
  /** When its ADD began. */
  readonly moment: BootMoment;
  /** False while ADD is under way. */
  readonly committed: boolean;
  /** Netns.id of the kernel port; absent where the namespace could not be looked at. */
  readonly netns?: string;
  /** What commit was told of the pair; absent when the address went to another network plugin. */
  readonly mac?: string;
  readonly hostIfname?: string;
  readonly hairpin?: boolean;
}

/** What an attachment was asked to have besides its addresses. */
export interface AttachmentTerms {
  /** Ports of this host that lead to it; absent: none. */
  readonly ports?: readonly PublishedPort[];
  /** The configuration's own word on masquerade from its subnets; absent: as the bridge's exposure has it. */
  readonly masquerade?: boolean;
  /**
   * Gateways of another plugin's choice, with prefix: the bridge has them while an attachment does. Every host may have the
   * same; nobody is told of them, since the kernel answers for its own addresses without asking other hosts.
   */
  readonly gateways?: readonly string[];
  /** The other plugin that chose its addresses and must hear of its end. */
  readonly delegate?: Delegate;
  /** Absent: as fast as it goes. */
  readonly bandwidth?: Bandwidth;
}

/**
 * Limits of one container as it sees them: ingress is what it receives. Rates in bit/s, bursts in bits, as in the CNI
 * convention for the capability "bandwidth". A direction without a rate is not limited.
 */
export interface Bandwidth {
  readonly ingress?: { readonly rate: number; readonly burst: number };
  readonly egress?: { readonly rate: number; readonly burst: number };
}

/** A port of the host, as asked for. */
export interface PublishedPort {
  readonly protocol: "tcp" | "udp" | "sctp";
  /** Without prefix, canonical; absent: every address of the host. "0.0.0.0" and "::" are every one of their family. */
  readonly hostAddress?: string;
  readonly hostPort: number;
  readonly containerPort: number;
}

/** Enough to call an IPAM plugin again, should the runtime never do it. */
export interface Delegate {
  readonly type: string;
  /** CNI_PATH and CNI_ARGS as ADD had them. */
  readonly path: string;
  readonly args: string;
  /** CNI_NETNS of ADD. */
  readonly netns: string;
  /** The network configuration on stdin of ADD. */
  readonly config: string;
}

/** An answer for CNI STATUS and for ADD: can addresses be given out now? */
export type Readiness =
  | { readonly ready: true }
  | { readonly ready: false; readonly degraded: boolean; readonly message: string; readonly hint: string };
