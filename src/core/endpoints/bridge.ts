// What addresses the bridge has: those somebody exposed, kept on disk, and the gateways of containers whose addresses
// another plugin chose, which come and go with them.
import { formatAddress, parseCidr } from "../address/cidr.ts";
import { type Effect, persist } from "../effects.ts";
import { type Exposure, exposedOp } from "../records.ts";
import type { Book } from "./book.ts";
import { type Places, withoutPrefix } from "./places.ts";
import { gatewaysOf } from "./publish.ts";

/** Who holds the bridge's own addresses, in messages and in the pools. */
export const EXPOSE = "weave:expose";

/** The addresses of this host's bridge. */
export class Bridge {
  readonly #places: Places;
  readonly #book: Book;
  #exposed: readonly Exposure[];
  /** Without prefix: addresses from before this host began anew that another host has. They stay for the containers here. */
  readonly #lost = new Set<string>();

  constructor(places: Places, book: Book, stored: readonly Exposure[]) {
    this.#places = places;
    this.#book = book;
    this.#exposed = stored;
    const cidrs = stored.map(({ cidr }) => cidr);
    places.hold(cidrs, EXPOSE);
  }

  /** What somebody exposed. */
  get exposed(): readonly Exposure[] {
    return this.#exposed;
  }

  /** All the bridge has. */
  get all(): readonly Exposure[] {
    const own = new Set(this.#exposed.map(({ cidr }) => cidr));
    const gateways = gatewaysOf(this.#book.all()).filter((cidr) => !own.has(cidr));
    return [...this.#exposed, ...gateways.map((cidr) => ({ cidr, masquerade: false }))];
  }

  /** Those of the gateways that the bridge does not have. */
  lacking(gateways: readonly string[]): readonly string[] {
    if (gateways.length === 0) return [];
    const there = new Set(this.all.map(({ cidr }) => cidr));
    return gateways.filter((gateway) => !there.has(gateway));
  }

  /** Exposed addresses (with prefix) inside a subnet; absent: the default one. */
  exposedIn(wish: string | undefined): readonly string[] {
    return this.#exposed
      .map(({ cidr }) => cidr)
      .filter((cidr) => !this.#lost.has(withoutPrefix(cidr)))
      .filter((cidr) => {
        const place = this.#places.locate(cidr);
        if (place === undefined) return false;
        const range = this.#places.subnet(wish, place.index)?.range;
        return range !== undefined && place.offset >= range.start && place.offset < range.end;
      });
  }

  /** Whether the bridge has an address in a subnet (absent: in the default one of every range). */
  isExposed(wish: string | undefined): boolean {
    const there = this.exposedIn(wish);
    if (there.length === 0) return false;
    return this.#places.pools.every(({ universe }, index) => {
      if (this.#places.subnet(wish, index) === undefined) return true;
      return there.some((cidr) => universe.offsetOf(withoutPrefix(cidr)) !== undefined);
    });
  }

  /** These addresses (with prefix) are exposed from now on, besides those that were. */
  expose(cidrs: readonly string[], masquerade: boolean, out: Effect[]): void {
    const others = this.#exposed.filter(({ cidr }) => !cidrs.includes(cidr));
    this.#exposed = [...others, ...cidrs.map((cidr) => ({ cidr, masquerade }))];
    out.push(persist([exposedOp(this.#exposed)], false));
  }

  /** Answers those (with prefix) that were exposed and are no more; prefixes of `addresses` do not count. */
  hide(addresses: readonly string[], out: Effect[]): readonly string[] {
    const unwanted = new Set(addresses.map(bare));
    const hidden = this.#exposed.filter(({ cidr }) => unwanted.has(bare(cidr)));
    if (hidden.length === 0) return [];
    this.#exposed = this.#exposed.filter((exposure) => !hidden.includes(exposure));
    for (const { cidr } of hidden) this.#lost.delete(withoutPrefix(cidr));
    out.push(persist([exposedOp(this.#exposed)], false));
    return hidden.map(({ cidr }) => cidr);
  }

  /** Another host has an address (without prefix) of before: it serves the containers here, and no new ones. */
  lose(address: string): void {
    this.#lost.add(address);
  }

  /** An address (without prefix) from before this host began anew is its own by right again. */
  regain(address: string, out: Effect[]): void {
    this.#lost.delete(address);
    this.#exposed = this.#exposed.map(({ former, ...exposure }) =>
      former === true && withoutPrefix(exposure.cidr) !== address ? { ...exposure, former } : exposure,
    );
    out.push(persist([exposedOp(this.#exposed)], true));
  }
}

/** Canonical, without prefix. */
function bare(text: string): string {
  const cidr = parseCidr(text);
  return cidr === undefined ? text : formatAddress(cidr.family, cidr.value);
}
