// What the host's own users (CLI, CNI plugin) ask of the core, and the answers. A request that cannot be answered yet
// stays inside the core until it can, until its deadline, or until its caller goes away.
import type { Attachment, AttachmentKey } from "./endpoints/attachment.ts";
import type { ErrorCode } from "./errors.ts";

/** When something was done, comparable within one boot: CLOCK_BOOTTIME in ms. */
export interface BootMoment {
  readonly bootId: string;
  readonly bootMs: number;
}

/** What ADD found out: enough to publish the endpoint and to find the interface again. */
export interface EndpointFacts {
  readonly mac: string;
  /** Netns.id of the kernel port. */
  readonly netns: string;
  readonly hostIfname: string;
}

export type Request =
  | { readonly kind: "connect"; readonly targets: readonly string[]; readonly replace: boolean }
  | {
      readonly kind: "allocate";
      readonly key: AttachmentKey;
      readonly subnet?: string;
      readonly addresses?: readonly string[];
      readonly moment: BootMoment;
    }
  /** Without facts nothing is published: the address went to another network plugin. */
  | { readonly kind: "commit"; readonly key: AttachmentKey; readonly facts: EndpointFacts | undefined }
  /** `before`: only when the allocation is older (a journalled release replayed after the key was used again). */
  | { readonly kind: "release"; readonly key: AttachmentKey; readonly before?: BootMoment }
  /** No addresses: what is exposed inside the subnet (absent: the default one), or one of it, newly allocated. */
  | {
      readonly kind: "expose";
      readonly addresses: readonly string[];
      readonly subnet?: string;
      readonly masquerade: boolean;
    };

export type Reply =
  | { readonly ok: true; readonly attachment?: Attachment; readonly addresses?: readonly string[] }
  | { readonly ok: false; readonly code: ErrorCode; readonly message: string; readonly hint?: string };

/** A refusal, as a reply. */
export function refusal(code: ErrorCode, message: string, hint?: string): Reply {
  return hint === undefined ? { ok: false, code, message } : { ok: false, code, message, hint };
}
