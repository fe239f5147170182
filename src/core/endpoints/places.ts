// Where addresses lie: in which pool, at which offset, and which subnet of it a container gets one of when nobody said
// otherwise. Reads what people and records write; holds nothing.
import { contains, formatCidr, networkOf, parseCidr } from "../address/cidr.ts";
import type { Subnet } from "../address/universe.ts";
import type { Pool } from "../ipam/pool.ts";

/** An address of ours. */
export interface Place {
  readonly pool: Pool;
  /** Of the universe. */
  readonly index: number;
  readonly offset: number;
  /** Canonical, without prefix. */
  readonly address: string;
}

/** Maps addresses and subnets, as people write them, to pools and offsets. */
export class Places {
  readonly pools: readonly Pool[];
  readonly #defaultSubnets: readonly string[];

  constructor(pools: readonly Pool[], defaultSubnets: readonly string[]) {
    this.pools = pools;
    this.#defaultSubnets = defaultSubnets;
  }

  /** Prefix ignored; undefined: outside of all ranges. */
  locate(text: string): Place | undefined {
    for (const [index, pool] of this.pools.entries()) {
      const offset = pool.universe.offsetOf(withoutPrefix(text));
      if (offset !== undefined) return { pool, index, offset, address: pool.universe.addressAt(offset) };
    }
    return undefined;
  }

  /** Where containers that name no subnet get addresses of a universe. Throws when that is outside of it (a bug). */
  defaultSubnet(index: number): Subnet {
    const pool = this.pools[index];
    const subnet = pool?.universe.subnet(this.#defaultSubnets[index] ?? pool.universe.text);
    if (subnet === undefined) throw new Error(`default subnet outside ${pool?.universe.text}`);
    return subnet;
  }

  /** What `wish` (absent: the default subnet) is in a universe; undefined: it is of another one. */
  subnet(wish: string | undefined, index: number): Subnet | undefined {
    return wish === undefined ? this.defaultSubnet(index) : this.pools[index]?.universe.subnet(wish);
  }

  /** A wish must lie inside a range: a larger one would give a container the network address of others. */
  isPart(wish: string): boolean {
    const cidr = parseCidr(wish);
    if (cidr === undefined || networkOf(cidr).value !== cidr.value) return false;
    return this.pools.some(
      ({ universe }, index) =>
        contains(universe.network, cidr) || formatCidr(cidr) === this.#defaultSubnets[index],
    );
  }

  /** Canonical CIDR; an address without prefix gets its default subnet's. */
  withPrefix(text: string): string {
    const cidr = parseCidr(text);
    if (cidr === undefined) throw new Error(`not an address: ${text}`);
    const place = text.includes("/") ? undefined : this.locate(text);
    return formatCidr(
      place === undefined ? cidr : { ...cidr, prefix: this.defaultSubnet(place.index).prefix },
    );
  }

  /** Addresses inside our ranges are `holder`'s from now on; others are nobody's to hold. */
  hold(cidrs: readonly string[], holder: string): void {
    for (const cidr of cidrs) {
      const place = this.locate(cidr);
      place?.pool.space.hold(place.offset, holder);
    }
  }
}

/** "10.32.0.5/12" -> "10.32.0.5". */
export const withoutPrefix = (cidr: string): string => cidr.split("/")[0] ?? cidr;
