// What the host's own users (CLI, CNI plugin) ask of the core, and the answers. A request that cannot be answered yet
// stays inside the core until it can, until its deadline, or until its caller goes away.
import type { BootMoment } from "./boot-moment.ts";
import type { Attachment, AttachmentKey, AttachmentTerms } from "./endpoints/attachment.ts";
import type { ErrorCode } from "./errors.ts";

/** What ADD found out: enough to publish the endpoint and to find the interface again. */
export interface EndpointFacts {
  /** Netns.id of the kernel port; absent where the namespace could not be looked at. */
  readonly netns?: string;
  /** Absent: the address went to another network plugin, and nothing is published. */
  readonly link?: { readonly mac: string; readonly hostIfname: string; readonly hairpin: boolean };
}

/** What addresses a container is to have. */
export interface AddressWish {
  /** Allocate inside this CIDR; absent: the default subnet. */
  readonly subnet?: string;
  /** Addresses not to be chosen, without prefix: the configuration's gateway, which may be another machine. */
  readonly avoid?: readonly string[];
  /** Exactly these addresses of the range, prefix optional. */
  readonly addresses?: readonly string[];
  /** Addresses with prefix that another IPAM plugin chose: whatever they are, they are held and published here. */
  readonly chosen?: readonly string[];
}

/** What users of this host ask of the core. */
export type Request =
  | { readonly kind: "connect"; readonly targets: readonly string[]; readonly replace: boolean }
  | ({
      readonly kind: "allocate";
      readonly key: AttachmentKey;
      /** When the call began. */
      readonly moment: BootMoment;
      readonly terms: AttachmentTerms;
    } & AddressWish)
  /** May come again, when the container's MAC changed. */
  | { readonly kind: "commit"; readonly key: AttachmentKey; readonly facts: EndpointFacts }
  /** `before`: only when the allocation is not younger (a release that arrives after the key was used again). */
  | { readonly kind: "release"; readonly key: AttachmentKey; readonly before?: BootMoment }
  /** No addresses: what is exposed inside the subnet (absent: the default one), or one of it, newly allocated. */
  | {
      readonly kind: "expose";
      readonly addresses: readonly string[];
      readonly subnet?: string;
      readonly masquerade: boolean;
    }
  /** The bridge loses these addresses (prefix ignored); those it does not have are left out of the answer. */
  | { readonly kind: "hide"; readonly addresses: readonly string[] }
  /** Decide that these peers (names or nicknames) are gone. `force`: without a quorum, by founding another cluster. */
  | { readonly kind: "remove"; readonly peers: readonly string[]; readonly force?: true }
  /** This host goes: its ranges to a living peer, then out of the configuration. */
  | { readonly kind: "leave" }
  /** Give this cluster up for another; `alone`: only this host, without asking its voters. */
  | { readonly kind: "join-cluster"; readonly cluster: string; readonly alone?: true };

/** What a removal came to. */
export interface Decided {
  readonly cluster: string;
  readonly epoch: number;
  /** Name of who takes the ranges. */
  readonly heir?: string;
  /** Names. */
  readonly removed: readonly string[];
  /** Those that had been removed before. */
  readonly already: readonly string[];
}

/** What leaving came to. */
export interface Left {
  /** Name of who has the ranges now; absent: there was nothing to hand over, or nobody to. */
  readonly heir?: string;
  readonly nickname?: string;
  /** What it got of each --ipalloc-range, where that is something. */
  readonly given: readonly { readonly range: string; readonly addresses: number }[];
  /** Whether this host was a voter, and if so whether it was released as one. */
  readonly voter: "none" | "replaced" | "still-counted";
}

/** The answer to a request: what was asked for, or a refusal with a stable code. */
export type Reply =
  | {
      readonly ok: true;
      readonly attachment?: Attachment;
      readonly addresses?: readonly string[];
      /** Bridge or firewall change by this: the caller's promise holds only when the kernel has followed. */
      readonly changesHost?: true;
      readonly decision?: Decided;
      readonly left?: Left;
    }
  | { readonly ok: false; readonly code: ErrorCode; readonly message: string; readonly hint?: string };

/** A refusal, as a reply. */
export function refusal(code: ErrorCode, message: string, hint?: string): Reply {
  return hint === undefined ? { ok: false, code, message } : { ok: false, code, message, hint };
}
