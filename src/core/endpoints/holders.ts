// Who holds what a container asks for, where no pool can tell: addresses outside our ranges, ports of this host, MACs. The
// answers are for people. Nobody owns these things, so what this host knows is all there is; two hosts that ask in the same
// instant both get them, and the conflict is told like any other.
import { formatAddress, parseCidr } from "../address/cidr.ts";
import { macForAddress } from "../address/mac.ts";
import type { AllocationRecord, Exposure } from "../records.ts";
import type { PublishedPort } from "./attachment.ts";
import { type Book, holderOf } from "./book.ts";
import { BRIDGE_LABEL, type Endpoint } from "./endpoint.ts";
import { collide, holderOfPort, portText } from "./publish.ts";

/** What holders are looked up in, beside the book. */
export interface HoldersHost {
  /** The endpoints of other peers, as far as this host knows. */
  foreignEndpoints(): Iterable<readonly [address: string, endpoint: Endpoint]>;
  /** Ports of this host that weave itself needs. */
  readonly ownPorts: readonly PublishedPort[];
  /** Name of a peer for people. */
  label(peer: string): string;
}

/** Looks up who holds an address, a port or a MAC. */
export class Holders {
  readonly #book: Book;
  readonly #host: HoldersHost;

  constructor(book: Book, host: HoldersHost) {
    this.#book = book;
    this.#host = host;
  }

  /**
   * Prefixes do not count. `exposed` are this bridge's addresses, where they are in the way. In the way of a gateway no
   * bridge is: the same one on every host is what other plugins' configurations ask for.
   */
  ofAddress(text: string, exposed: readonly Exposure[] | "gateway"): string | undefined {
    const wanted = bare(text);
    for (const record of this.#book.all())
      if (record.addresses.some((one) => bare(one) === wanted)) return holderOf(record);
    if (exposed !== "gateway" && exposed.some(({ cidr }) => bare(cidr) === wanted))
      return "this host's bridge";
    for (const [address, endpoint] of this.#host.foreignEndpoints()) {
      const counts = exposed !== "gateway" || endpoint.label !== BRIDGE_LABEL;
      if (counts && bare(address) === wanted) return this.#elsewhere(endpoint);
    }
    return undefined;
  }

  /** A whole sentence, since the port may be weave's own. */
  ofPort(ports: readonly PublishedPort[]): string | undefined {
    const own = ports.find((port) => this.#host.ownPorts.some((held) => collide(port, held)));
    if (own !== undefined) return `port ${portText(own)} of this host is weave's own`;
    const twice = ports.find((port, i) => ports.some((other, j) => j < i && collide(port, other)));
    if (twice !== undefined) return `port ${portText(twice)} of this host was asked for twice`;
    const held = holderOfPort(this.#book.all(), ports);
    return held && `port ${portText(held.port)} of this host leads to ${holderOf(held.record)}`;
  }

  /** Another container with this MAC. One that follows from an address is as unique as the address. */
  ofMac(mac: string, asker: AllocationRecord): string | undefined {
    const other = this.#book.findByMac(mac);
    if (other !== undefined && holderOf(other) !== holderOf(asker)) return holderOf(other);
    if (asker.addresses.some((address) => macForAddress(bare(address)) === mac)) return undefined;
    for (const [, endpoint] of this.#host.foreignEndpoints())
      if (endpoint.mac === mac) return this.#elsewhere(endpoint);
    return undefined;
  }

  #elsewhere({ peer, label }: Endpoint): string {
    return `${label === BRIDGE_LABEL ? "the bridge" : `container ${label}`} on ${this.#host.label(peer)}`;
  }
}

/** Canonical, without prefix. */
function bare(text: string): string {
  const cidr = parseCidr(text);
  return cidr === undefined ? text : formatAddress(cidr.family, cidr.value);
}
