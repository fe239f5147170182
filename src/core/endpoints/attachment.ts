// One container interface on the overlay, as those who ask for it see it.

/** An attachment's identity, as in the CNI specification. */
export interface AttachmentKey {
  readonly network: string;
  readonly containerId: string;
  readonly ifname: string;
}

export interface Attachment extends AttachmentKey {
  /** With the subnet's prefix: "10.32.0.5/12". */
  readonly addresses: readonly string[];
  /** Set by commit; absent while ADD is under way. */
  readonly mac?: string;
  readonly netns?: string;
  readonly hostIfname?: string;
}

/** An answer for CNI STATUS and for ADD: can addresses be given out now? */
export type Readiness =
  | { readonly ready: true }
  | { readonly ready: false; readonly degraded: boolean; readonly message: string; readonly hint: string };
