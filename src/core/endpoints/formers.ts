// Addresses in use here from before this host began anew, which it has no right to yet (ipam/reclaim.ts asks for them): which
// there are, and what becomes of a container whose addresses are back. Owns only the count of those that came back one by one.
import { type Effect, type Instant, persist } from "../effects.ts";
import type { FormerAddress } from "../ipam/reclaim.ts";
import { allocationOp } from "../records.ts";
import type { Announcer } from "./announcer.ts";
import { type Book, holderOf } from "./book.ts";
import { type Bridge, EXPOSE } from "./bridge.ts";
import { type Places, withoutPrefix } from "./places.ts";

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

  all(): readonly FormerAddress[] {
    const held = [
      ...[...this.#book.all()].flatMap((record) =>
        record.former === true ? record.addresses.map((cidr) => ({ cidr, holder: holderOf(record) })) : [],
      ),
      ...this.#bridge.exposed.flatMap(({ cidr, former }) =>
        former === true ? [{ cidr, holder: EXPOSE }] : [],
      ),
    ];
    return held.flatMap(({ cidr, holder }) => {
      const place = this.#places.locate(cidr);
      if (place === undefined) return [];
      return [
        {
          universe: place.index,
          offset: place.offset,
          address: place.address,
          holder,
          isBridge: holder === EXPOSE,
        },
      ];
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
    if (record === undefined) return;
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
