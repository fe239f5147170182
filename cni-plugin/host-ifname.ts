// The host interface name of an attachment, computable by anyone who knows the attachment's key: the daemon,
// and the forwarder when the daemon is away (forwarder/hostlink.c computes the same; golden vectors are
// tested on both).
import { fnv1a64 } from "../src/core/hash.ts";
import type { AttachmentKey } from "../src/ports/attachments.ts";

/**
 * "vw" and the upper 48 bits of FNV-1a 64 over network, NUL, container id, NUL, ifname: 14 of the 15 bytes
 * IFNAMSIZ allows.
 */
export function hostIfname(key: AttachmentKey): string {
  const hash = fnv1a64(`${key.network}\0${key.containerId}\0${key.ifname}`);
  return `vw${(hash >> 16n).toString(16).padStart(12, "0")}`;
}
