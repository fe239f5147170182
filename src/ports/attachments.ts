// What the CNI plugin's verbs need of the daemon: addresses for containers, kept per (network, container id,
// ifname). Implemented by src/daemon on the core's mailbox; all errors are WeaveError.

import type { Attachment, AttachmentKey, Readiness } from "../core/endpoints/attachment.ts";

export type { Attachment, AttachmentKey, Readiness };

export interface AddressWish {
  /** Allocate inside this CIDR; absent: the default subnet. */
  readonly subnet?: string;
  /** Exactly these addresses, prefix optional. */
  readonly addresses?: readonly string[];
}

export interface Attachments {
  readiness(): Readiness;
  /** MTU for new containers. */
  mtu(): number;
  bridge(): string;
  /** One attachment, or undefined. */
  find(key: AttachmentKey): Attachment | undefined;
  list(network: string): readonly Attachment[];
  /**
   * Reserve addresses; on disk when it resolves. Fails with "ifname-exists" when the key holds some already.
   * no-ring, range-exhausted, address-taken, address-elsewhere, bad-address, cancelled, timeout.
   */
  allocate(key: AttachmentKey, wish: AddressWish, signal: AbortSignal): Promise<Attachment>;
  /**
   * The bridge's own addresses with prefix; exposes the bridge first when it has none in `subnet` (absent:
   * the default subnet).
   */
  gateways(subnet: string | undefined, signal: AbortSignal): Promise<readonly string[]>;
  /**
   * The container is up: publish its endpoint. On disk and handed to gossip when it resolves. Without facts
   * the address went to another plugin, through weave-ipam: it is kept like any other, and nothing is
   * published. `netns` is Netns.id of the kernel port.
   */
  commit(
    key: AttachmentKey,
    facts: { mac: string; netns: string; hostIfname: string } | undefined,
  ): Promise<void>;
  /** Free the addresses; undefined when there was nothing. Idempotent. */
  release(key: AttachmentKey): Promise<Attachment | undefined>;
}
