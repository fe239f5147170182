// The allocations of this host: which container holds which addresses, and in which slot its endpoint is published.

import type { BootMoment } from "../boot-moment.ts";
import type { AllocationRecord } from "../records.ts";
import type { EndpointFacts } from "../requests.ts";
import type { Attachment, AttachmentKey, AttachmentTerms } from "./attachment.ts";

/** The allocations by key, MAC and slot. No two share a MAC or a slot. */
export class Book {
  readonly #byKey = new Map<string, AllocationRecord>();
  /** No two have one MAC: commit refuses the second. */
  readonly #byMac = new Map<string, AllocationRecord>();
  readonly #freeSlots: number[] = [];
  #nextSlot = 0;

  restore(records: readonly AllocationRecord[]): void {
    for (const record of records) this.#put(record);
    const used = new Set(records.map((r) => Number(r.slot)));
    this.#nextSlot = used.size === 0 ? 0 : Math.max(...used) + 1;
    for (let slot = this.#nextSlot - 1; slot >= 0; slot--) if (!used.has(slot)) this.#freeSlots.push(slot);
  }

  find(key: AttachmentKey): AllocationRecord | undefined {
    return this.#byKey.get(holderOf(key));
  }

  findByMac(mac: string): AllocationRecord | undefined {
    return this.#byMac.get(mac);
  }

  all(): IterableIterator<AllocationRecord> {
    return this.#byKey.values();
  }

  get size(): number {
    return this.#byKey.size;
  }

  add(
    key: AttachmentKey,
    addresses: readonly string[],
    moment: BootMoment,
    terms: AttachmentTerms,
  ): AllocationRecord {
    const slot = String(this.#freeSlots.pop() ?? this.#nextSlot++);
    const { network, containerId, ifname } = key;
    const { ports, gateways, ...others } = terms;
    return this.#put({
      ...others,
      ...(ports === undefined ? {} : { ports: [...ports] }),
      ...(gateways === undefined ? {} : { gateways: [...gateways] }),
      network,
      containerId,
      ifname,
      addresses: [...addresses],
      slot,
      moment,
      committed: false,
    });
  }

  commit(record: AllocationRecord, { netns, link }: EndpointFacts): AllocationRecord {
    return this.#put({ ...record, committed: true, ...(netns === undefined ? {} : { netns }), ...link });
  }

  /** Its addresses are this host's by right again. */
  regain({ former: _, ...record }: AllocationRecord): AllocationRecord {
    return this.#put(record);
  }

  remove(record: AllocationRecord): void {
    this.#forgetMac(record);
    if (this.#byKey.delete(holderOf(record))) this.#freeSlots.push(Number(record.slot));
  }

  #forgetMac(key: AttachmentKey): void {
    const mac = this.find(key)?.mac;
    if (mac !== undefined && this.#byMac.get(mac)?.slot === this.find(key)?.slot) this.#byMac.delete(mac);
  }

  #put(record: AllocationRecord): AllocationRecord {
    this.#forgetMac(record);
    if (record.mac !== undefined) this.#byMac.set(record.mac, record);
    this.#byKey.set(holderOf(record), record);
    return record;
  }
}

/** Name of an attachment as holder of an address, for messages and as a map key. */
export const holderOf = (key: AttachmentKey): string => `${key.network}/${key.containerId}/${key.ifname}`;

/** A record without what only the desk needs. */
export function toAttachment({ slot: _, former: __, ...attachment }: AllocationRecord): Attachment {
  return attachment;
}
