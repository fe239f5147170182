// Addresses in use here that this host has no right to (ipam/reclaim.ts asks for them): from before it began anew, or given
// away when it was about to leave and then stayed. Which there are, and what becomes of a container whose addresses are back.
// Owns only the count of those that came back one by one.
import { type Effect, type Instant, persist } from "../effects.ts";
import type { FormerAddress } from "../ipam/reclaim.ts";
import { allocationOp } from "../records.ts";
import type { Announcer } from "./announcer.ts";
import { type Book, holderOf } from "./book.ts";
import { type Bridge, EXPOSE } from "./bridge.ts";
import { type Places, withoutPrefix } from "./places.ts";

/** What becomes of former addresses, as Reclaim finds out about them. */
export class Formers {
  readonly #places: Places;
  readonly #book: Book;
  readonly #bridge: Bridge;
  readonly #announcer: Announcer;
  /** Of holders with several former addresses: those that are back. */
  readonly #regained = new Map<string, Set<string>>();

  constructor(places: Places, book: Book, bridge: Bridge, announcer: Announcer) {
    this.#places = places;
    this.#book = book;
    this.#bridge = bridge;
    this.#announcer = announcer;
  }

  /** Those of containers and of the bridge, as book and ring are now. */
  all(): readonly FormerAddress[] {
    const held = [
      ...[...this.#book.all()].flatMap((record) =>
        record.addresses.map((cidr) => ({ cidr, former: record.former, holder: holderOf(record) })),
      ),
      ...this.#bridge.exposed.map(({ cidr, former }) => ({ cidr, former, holder: EXPOSE })),
    ];
    return held.flatMap(({ cidr, former, holder }) => {
      const place = this.#places.locate(cidr);
      if (place === undefined || (former !== true && !place.pool.isElsewhere(place.offset))) return [];
      const { index: universe, offset, address } = place;
      return [{ universe, offset, address, holder, isBridge: holder === EXPOSE }];
    });
  }

  /** Such an address is ours by right again. What has all of its addresses back is announced. */
  regained({ address, holder, isBridge }: FormerAddress, now: Instant, out: Effect[]): void {
    if (isBridge) {
      this.#bridge.regain(address, out);
      this.#announcer.bridge(now, out);
      return;
    }
    const record = [...this.#book.all()].find((one) => holderOf(one) === holder);
    if (record?.former !== true) return; // it was announced all the time
    const back = (this.#regained.get(holder) ?? new Set<string>()).add(address);
    this.#regained.set(holder, back);
    const isBack = (cidr: string): boolean =>
      back.has(withoutPrefix(cidr)) || this.#places.locate(cidr) === undefined;
    if (!record.addresses.every(isBack)) return;
    this.#regained.delete(holder);
    const rightful = this.#book.regain(record);
    out.push(persist([allocationOp(rightful)], true));
    this.#announcer.container(rightful, now, out);
  }
}
