// What the CNI plugin's verbs need of the daemon: addresses for containers, kept per (network, container id,
// ifname). Implemented by src/daemon on the core's mailbox; all errors are WeaveError.

import type { BootMoment } from "../core/boot-moment.ts";
import type {
  Attachment,
  AttachmentKey,
  AttachmentTerms,
  Delegate,
  PublishedPort,
  Readiness,
} from "../core/endpoints/attachment.ts";
import type { AddressWish, EndpointFacts } from "../core/requests.ts";

export type {
  AddressWish,
  Attachment,
  AttachmentKey,
  AttachmentTerms,
  BootMoment,
  Delegate,
  EndpointFacts,
  PublishedPort,
  Readiness,
};

export interface Attachments {
  /** Whether ADD would be served; degraded when the kernel could not be brought to what containers need. */
  readiness(subnet?: string): Readiness;
  /** MTU for new containers. */
  mtu(): number;
  bridge(): string;
  /** The bridge's addresses, with prefix. */
  exposed(): readonly string[];
  /** One attachment, or undefined. */
  find(key: AttachmentKey): Attachment | undefined;
  /** All of this host. */
  all(): readonly Attachment[];
  /**
   * Reserve addresses and ports; on disk when it resolves. Fails with "ifname-exists" when the key holds some already.
   * no-ring, range-exhausted, address-taken, address-elsewhere, port-taken, bad-address, range-overlap, cancelled, timeout.
   */
  allocate(
    key: AttachmentKey,
    wish: AddressWish,
    terms: AttachmentTerms,
    began: BootMoment,
    signal: AbortSignal,
  ): Promise<Attachment>;
  /**
   * The bridge's own addresses with prefix; exposes the bridge first when it has none in `subnet` (absent:
   * the default subnet).
   */
  gateways(subnet: string | undefined, signal: AbortSignal): Promise<readonly string[]>;
  /**
   * The container is up: publish its endpoint, and let its ports lead to it. On disk, handed to gossip and in the firewall
   * when it resolves. May come again when the container's MAC changed. address-taken, unknown-attachment, kernel.
   */
  commit(key: AttachmentKey, facts: EndpointFacts): Promise<void>;
  /**
   * Free addresses and ports; undefined when there was nothing, or nothing that began before `before`. Idempotent.
   */
  release(key: AttachmentKey, before?: BootMoment): Promise<Attachment | undefined>;
  /** The kernel was seen not to hold what it was brought to: it is read anew, and mended, right after. */
  repair(): void;
}
