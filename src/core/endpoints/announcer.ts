// What others are told of this host's addresses: one endpoint for each container, in its slot, and those of the bridge. Owns
// no state: it makes this host's entries of the endpoints channel follow from book and bridge.
import type { Entry, OriginMap } from "../crdt/origin-map.ts";
import type { Effect, Instant } from "../effects.ts";
import type { AllocationRecord } from "../records.ts";
import type { Book } from "./book.ts";
import type { Bridge } from "./bridge.ts";
import { BRIDGE_LABEL, bridgeSlot, isBridgeSlot, MAX_ADDRESSES } from "./endpoint.ts";
import { withoutPrefix } from "./places.ts";

/** What announcing needs of the node around it. */
export interface AnnouncerHost {
  /** Own entries of the endpoints channel. */
  readonly endpoints: OriginMap;
  readonly bridgeMac: string;
  spread(entries: readonly Entry[], now: Instant, out: Effect[]): void;
}

/** Makes this host's endpoint entries follow from book and bridge. */
export class Announcer {
  readonly #book: Book;
  readonly #bridge: Bridge;
  readonly #host: AnnouncerHost;

  constructor(book: Book, bridge: Bridge, host: AnnouncerHost) {
    this.#book = book;
    this.#bridge = bridge;
    this.#host = host;
  }

  /** At start: what is published is made to follow from the book, whatever a crash left half done between the two. */
  all(now: Instant, out: Effect[]): void {
    const slots = new Set([...this.#book.all()].map(({ slot }) => slot));
    for (const { key } of this.#host.endpoints.ownLive())
      if (!isBridgeSlot(key) && !slots.has(key)) this.withdraw(key, now, out);
    for (const record of this.#book.all()) this.container(record, now, out);
    this.bridge(now, out);
  }

  /** What a container has is told once it has a MAC, and only while it has a right to it. */
  container(record: AllocationRecord, now: Instant, out: Effect[]): void {
    // ADD is not done, the address went to another plugin, or it may be another host's by now.
    if (record.mac === undefined || record.former === true) return;
    const addresses = record.addresses.map(withoutPrefix);
    const value = { addresses, mac: record.mac, label: record.containerId.slice(0, 12) };
    this.#spread([this.#host.endpoints.put(record.slot, value)], now, out);
  }

  /** The bridge's addresses are an endpoint like any other, or several when there are many. */
  bridge(now: Instant, out: Effect[]): void {
    const { endpoints, bridgeMac } = this.#host;
    const rightful = this.#bridge.exposed.filter(({ former }) => former !== true);
    const addresses = rightful.map(({ cidr }) => withoutPrefix(cidr));
    const slots = [...endpoints.ownLive()].map(({ key }) => key).filter(isBridgeSlot);
    const entries: (Entry | undefined)[] = [];
    for (let i = 0; i * MAX_ADDRESSES < addresses.length; i++) {
      const some = addresses.slice(i * MAX_ADDRESSES, (i + 1) * MAX_ADDRESSES);
      entries.push(endpoints.put(bridgeSlot(i), { addresses: some, mac: bridgeMac, label: BRIDGE_LABEL }));
    }
    const used = new Set(entries.map((_, i) => bridgeSlot(i)));
    for (const slot of slots) if (!used.has(slot)) entries.push(endpoints.remove(slot));
    this.#spread(entries, now, out);
  }

  /** The container of a slot is gone. */
  withdraw(slot: string, now: Instant, out: Effect[]): void {
    this.#spread([this.#host.endpoints.remove(slot)], now, out);
  }

  #spread(entries: readonly (Entry | undefined)[], now: Instant, out: Effect[]): void {
    this.#host.spread(
      entries.filter((entry) => entry !== undefined),
      now,
      out,
    );
  }
}
